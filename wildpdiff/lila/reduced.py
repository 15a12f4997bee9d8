"""A small COCO Camera Traps document out of a large one: some photographs, as they are described there."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

from ..survey.json_parts import Open, parts
from ..survey.safely import read_safely
from ..survey.values import text_of

Records = list[dict[str, Any]]


def reduced(opened: Open, source: str, files: Collection[str]) -> dict[str, Records]:
    """What a document says of some files: all of their records, and all categories.

    Args:
        opened: opens the document anew; it is read once, or twice where an annotation comes before an image.
        source: what to call it.
        files: names as the document has them.

    Raises:
        UserError: if it is damaged.
    """
    found: dict[str, Records] = {"images": [], "annotations": [], "categories": []}
    known: set[str | None] = set()
    annotated = again = False
    with read_safely(source):
        for key, record in _records(opened):
            if key == "images" and text_of(record.get("file_name")) in files:
                again = again or annotated
                known.add(text_of(record.get("id")))
                found[key].append(record)
            elif key == "annotations":
                annotated = True
            if key == "categories" or (key == "annotations" and text_of(record.get("image_id")) in known):
                found[key].append(record)
        if again:
            theirs = (record for key, record in _records(opened) if key == "annotations")
            found["annotations"] = [record for record in theirs if text_of(record.get("image_id")) in known]
    return {key: [_finite(record) for record in records] for key, records in found.items()}


def _records(opened: Open) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record of the document's lists, with its list's name."""
    for part in parts(opened):
        if part.key in ("images", "annotations", "categories") and isinstance(part.value, list):
            yield from ((part.key, record) for record in part.value if isinstance(record, dict))


def _finite(value: Any) -> Any:
    """A value without numbers that JSON does not know, as LILA's `count` of NaN."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

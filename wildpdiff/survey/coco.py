"""The COCO Camera Traps format (Snapshot Serengeti and the other sets of LILA), read as a stream.

Annotations are read first, into some numbers an image; then images go by one after the other. Seven million of them
need about 0.3 GB.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UserError
from .bursts import taken
from .folder import Folder
from .json_parts import Open, parts, pieces, read_safely
from .names import KINDS, Meaning, Seen, meaning, seen_in
from .records import ANIMAL, Box, Frame
from .survey import Oddities, Survey
from .values import box_of, text_of

KIND = "COCO Camera Traps"
_LISTS = ("images", "annotations", "categories")
_BATCH = 20_000


def coco_survey(opened: Open, source: str, images: Path) -> Survey:
    """A survey from a COCO Camera Traps document.

    Args:
        opened: opens the document anew.
        source: what to call it.
        images: the folder that file names start from.
    """
    labels: list[Labels] = []

    def read(odd: Oddities) -> Iterator[Frame]:
        with read_safely(source):
            if not labels:
                labels.append(_scan(opened, source))
            labels[0].tell(odd)
            yield from _frames(opened, labels[0], source, Folder(images), odd)

    return Survey(KIND, source, images, read)


class Labels:
    """What annotations say, by the hash of their image's id."""

    def __init__(self) -> None:
        self.images_at: int | None = None
        self.names: list[str | None] = []
        self.odd = Oddities()
        self.any_boxes = False
        self._keys, self._codes, self._boxed = array("q"), array("i"), array("i")
        self._edges = array("f")
        self._category: dict[Any, int] = {}
        self._seen: dict[tuple[int, ...], Seen] = {}

    def add(self, records: Sequence[Any]) -> None:
        """Take in a piece of the annotations."""
        keys, codes, boxed = [], [], []
        category, place = self._category, len(self._edges) // 4
        for record in records:
            try:
                image, code = record["image_id"], category.get(record["category_id"])
                key = hash(image) if type(image) is str else key_of(image)
            except (KeyError, TypeError):
                self.odd.add("Annotations without 'image_id' or 'category_id'", text_of(_get(record, "id")) or "")
                continue
            if code is None:
                code = self._new_category(record["category_id"])
            box = record.get("bbox")
            at = -1
            if box is not None:
                at = place if self._take_box(box) else -1
                place = len(self._edges) // 4
            keys.append(key)
            codes.append(code)
            boxed.append(at)
        self._keys.extend(keys)
        self._codes.extend(codes)
        self._boxed.extend(boxed)

    def _take_box(self, box: Any) -> bool:
        try:
            left, top, wide, high = map(float, box)
            if not left + top + wide + high < 1e9:
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            self.odd.add("Boxes that are not four numbers", str(box)[:40])
            return False
        self._edges.extend((left, top, wide, high))
        self.any_boxes = True
        return True

    def _new_category(self, value: Any) -> int:
        name = text_of(value)
        code = next((own for other, own in self._category.items() if text_of(other) == name), len(self._category))
        self._category[value] = code
        return code

    def close(self, categories: Sequence[Any], source: str) -> None:
        """Sort by image, when all annotations are there.

        Raises:
            UserError: if there are categories or annotations and none can be used.
        """
        named = {key: name for each in categories if (key := text_of(_get(each, "id"))) and
                 (name := text_of(_get(each, "name")))}  # fmt: skip
        if categories and not named:
            lacking = "id" if all(text_of(_get(each, "id")) is None for each in categories) else "name"
            raise UserError(_needs(source, "categories", lacking))
        codes = {code: text_of(value) for value, code in self._category.items()}
        self.names = [named.get(codes[code] or "") for code in range(len(codes))]
        keys = np.frombuffer(self._keys, np.int64) if self._keys else np.zeros(0, np.int64)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._sorted, self._first, self._count = np.unique(keys[self._order], return_index=True, return_counts=True)
        self._keys = array("q")
        unnamed = sum(count for code, count in enumerate(np.bincount(np.frombuffer(self._codes, np.int32))) if not
                      self.names[code]) if self._codes else 0  # fmt: skip
        if unnamed:
            self.odd.add("Annotations of a category that is not listed", count=int(unnamed))

    def tell(self, odd: Oddities) -> None:
        """Pass on what was odd."""
        for one in self.odd:
            odd.add(one.what, one.example, one.count)

    def of(self, keys: Sequence[int]) -> list[tuple[int, ...]]:
        """Annotations of each image, by their places; none for an image that has none."""
        if not len(self._sorted):
            return [()] * len(keys)
        asked = np.array(keys, np.int64)
        found = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        there = self._sorted[found] == asked
        first, count = self._first[found], np.where(there, self._count[found], 0)
        one = self._order[first].tolist()
        order = self._order
        return [
            (place,) if many == 1 else tuple(order[start : start + many].tolist())
            for place, start, many in zip(one, first.tolist(), count.tolist(), strict=True)
        ]

    def seen(self, places: tuple[int, ...]) -> Seen:
        """What these annotations say."""
        codes = self._codes
        key = (codes[places[0]],) if len(places) == 1 else tuple(codes[place] for place in places)
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = seen_in([self.names[code] for code in key])
        return found

    def boxes(self, places: tuple[int, ...], width: float, height: float) -> tuple[Box, ...]:
        """Boxes of these annotations in a picture of that size."""
        found = []
        for place in places:
            at, name = 4 * self._boxed[place], self.names[self._codes[place]]
            means = meaning(name) if name else Meaning.ANIMAL
            if at >= 0 and means is not Meaning.EMPTY:
                box = box_of(self._edges[at : at + 4], KINDS.get(means, ANIMAL), width=width, height=height)
                if box is None:
                    self.odd.add("Boxes outside their picture")
                else:
                    found.append(box)
        return tuple(found)

    def has_box(self, places: tuple[int, ...]) -> bool:
        """Whether any of these annotations has a box."""
        return any(self._boxed[place] >= 0 for place in places)


def key_of(identity: Any) -> int:
    """The hash of an image's id, which is the same for 7, 7.0 and "7".

    Raises:
        TypeError: if it is neither text nor a number.
    """
    text = text_of(identity)
    if text is None:
        raise TypeError
    return hash(text)


def _scan(opened: Open, source: str) -> Labels:
    """Read annotations and categories, and note where images begin.

    Raises:
        UserError: if one of the three lists is missing, or no annotation can be used.
    """
    labels, there, categories = Labels(), set(), list[Any]()
    count = 0
    for part in parts(opened, leap=frozenset(["images"]), names=frozenset(_LISTS)):
        if part.key in _LISTS and isinstance(part.value, list):
            there.add(part.key)
        if part.key == "images" and part.records:
            labels.images_at = part.at
        elif part.key == "annotations" and isinstance(part.value, list):
            count += len(part.value)
            labels.add(part.value)
        elif part.key == "categories" and isinstance(part.value, list):
            categories += part.value
    for key in _LISTS:
        if key not in there:
            raise UserError(f"'{source}' is not in COCO Camera Traps format: it needs a list named '{key}'.")
    if count and not labels._codes:
        raise UserError(_needs(source, "annotations", "image_id' and 'category_id"))
    labels.close(categories, source)
    return labels


def _frames(opened: Open, labels: Labels, source: str, folder: Folder, odd: Oddities) -> Iterator[Frame]:
    if labels.images_at is None:
        return
    usable = lacking = 0
    for piece in pieces(opened, labels.images_at):
        for start in range(0, len(piece), _BATCH):
            good = [record for record in piece[start : start + _BATCH] if _usable(record)]
            lacking += len(piece[start : start + _BATCH]) - len(good)
            usable += len(good)
            keys = [hash(own) if type(own := record["id"]) is str else key_of(own) for record in good]
            for record, places in zip(good, labels.of(keys), strict=True):
                yield _frame(record, places, labels, folder, odd)
    if lacking and not usable:
        raise UserError(_needs(source, "images", "id' and 'file_name"))
    if lacking:
        odd.add("Images without 'id' or 'file_name'", count=lacking)


def _usable(record: Any) -> bool:
    try:
        file, own = record["file_name"], record["id"]
        return (type(file) is str and file != "" and type(own) is str) or bool(text_of(file) and text_of(own))
    except (TypeError, KeyError):
        return False


def _frame(record: Mapping[str, Any], places: tuple[int, ...], labels: Labels, folder: Folder, odd: Oddities) -> Frame:
    get = record.get
    file, location, sequence = record["file_name"], get("location"), get("seq_id")
    if type(file) is not str:
        file = text_of(file) or ""
    if type(location) is not str or not location:
        location = text_of(location)
    if type(sequence) is not str or not sequence:
        sequence = text_of(sequence)
    if places:
        species, empty, human = labels.seen(places)
    else:
        species, empty, human = (), False, False
    boxes = _boxes(record, places, labels, folder, empty=empty) if labels.any_boxes else None
    return Frame(file, location, species, empty, human, sequence, taken(record), boxes, bool(get("corrupt")))


def _boxes(
    record: Mapping[str, Any], places: tuple[int, ...], labels: Labels, folder: Folder, *, empty: bool
) -> tuple[Box, ...] | None:
    """The boxes of an image; none of them where it is known to be empty; None where nobody drew any."""
    if not labels.has_box(places):
        return () if empty else None
    width, height = record.get("width"), record.get("height")
    if not isinstance(width, int | float) or not isinstance(height, int | float) or not (width > 0 and height > 0):
        size = folder.size(str(record["file_name"]))
        if size is None:
            return None
        width, height = size
    return labels.boxes(places, width, height)


def _get(record: Any, key: str) -> Any:
    return record.get(key) if isinstance(record, dict) else None


def _needs(source: str, kind: str, key: str) -> str:
    return f"'{source}' is not in COCO Camera Traps format: every record of '{kind}' needs '{key}'."

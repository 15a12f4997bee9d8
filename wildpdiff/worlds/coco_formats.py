"""Metadata in another format than COCO Camera Traps: what it is, and what to do."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from ..files import is_pointer

#: Other formats by the keys that tell them, with what to do.
_FORMATS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(["detection_categories"]), "MegaDetector's output, which has boxes but neither species nor locations"),
    (frozenset(["predictions"]), "SpeciesNet's output, which has guesses and no labels"),
    (frozenset(["resources", "profile"]), "the descriptor of a Camtrap DP data package"),
    (frozenset(["resources"]), "the descriptor of a data package (Camtrap DP is one)"),
    (frozenset(["shapes"]), "an annotation file of LabelMe"),
    (frozenset(["_via_img_metadata"]), "a project of VIA"),
    (frozenset(["type", "features"]), "GeoJSON"),
)
TELLING = frozenset().union(*(keys for keys, _ in _FORMATS))
ADVICE = "give the data set's COCO Camera Traps file (.json), or convert it with the tools of LILA or MegaDetector"


def named_format(document: Any) -> str | None:
    """What else a JSON document is, if it is known."""
    keys = document.keys() if isinstance(document, dict) else frozenset()
    return next((name for needed, name in _FORMATS if needed <= keys), None)


def other_format(metadata: Path) -> str | None:
    """A sentence on a file that is no JSON, if it is known what it is."""
    try:
        if zipfile.is_zipfile(metadata):
            return None
        with metadata.open("rb") as file:
            start = file.read(4096)
    except (OSError, ValueError):
        return None
    if is_pointer(start):
        return f"The metadata '{metadata.name}' is only a pointer of Git LFS; run `git lfs pull`."
    first = start.splitlines()[0] if start.strip() else b""
    if metadata.suffix.lower() in (".csv", ".tsv") or (first.count(b",") >= 2 and first[:1] not in (b"{", b"[")):
        return f"'{metadata.name}' is a table (CSV); {ADVICE}."
    if start.startswith(b"\x1f\x8b"):
        return f"'{metadata.name}' is packed with gzip; unpack it first."
    return f"'{metadata.name}' is a Parquet table; {ADVICE}." if start.startswith(b"PAR1") else None

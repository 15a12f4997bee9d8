"""A small Snapshot Serengeti as LILA has it: photographs at a server, and a zip that describes them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

CATEGORIES = ("empty", "human", "zebra", "wildebeest", "gazellethomsons", "lionfemale")
#: Locations, and how many bursts of each category their cameras took; a burst has two photographs.
PLACES: dict[str, tuple[int, ...]] = {
    "B04": (9, 1, 4, 6, 2, 0), "C11": (8, 0, 3, 9, 1, 1), "D03": (12, 2, 5, 5, 5, 2), "E09": (1, 0, 5, 5, 5, 0),
    "R10": (9, 0, 6, 4, 3, 0), "R12": (8, 0, 2, 8, 2, 1), "S07": (9, 0, 0, 1, 0, 0),
}  # fmt: skip
ZIP, IMAGES = "/meta/SnapshotSerengeti_S1-11_v2_1.json.zip", "/images/"


def photograph(seed: int) -> bytes:
    """A JPEG of 64 x 48."""
    rng, file = np.random.default_rng(seed), io.BytesIO()
    tiles = rng.integers(60, 200, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(tiles).save(file, "JPEG", quality=90)
    return file.getvalue()


def document() -> tuple[dict[str, Any], dict[str, bytes]]:
    """The metadata with all of LILA's fields, and the photographs by their names."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    photographs: dict[str, bytes] = {}
    for place, counts in PLACES.items():
        bursts = [category for category, count in enumerate(counts) for _ in range(count)]
        for burst, category in enumerate(bursts):
            season = 1 + burst % 2
            for frame in (1, 2):
                name = f"S{season}/{place}/{place}_R1/S{season}_{place}_R1_PICT{2 * burst + frame:04d}"
                sequence = f"SER_S{season}#{place}#1#{burst}"
                moment = f"20{10 + season}-07-{1 + burst % 28:02d} 06:14:{frame:02d}"
                images.append(_image(name, place, sequence, frame, moment))
                annotations.append(_annotation(len(annotations), name, place, sequence, moment, category))
                photographs[f"{name}.JPG"] = photograph(len(photographs))
    annotations.append({**annotations[-1], "id": "two", "category_id": 2})  # two species on one
    images[0]["corrupt"] = True
    info = {"version": "2.1", "description": "Camera trap data from the Snapshot Serengeti program, seasons 1-11"}
    categories = [{"id": number, "name": name} for number, name in enumerate(CATEGORIES)]
    whole = {"info": info, "categories": categories, "images": images, "annotations": annotations}
    return whole, photographs


def _image(name: str, place: str, sequence: str, frame: int, moment: str) -> dict[str, Any]:
    return {"id": name, "file_name": f"{name}.JPG", "frame_num": frame, "seq_id": sequence, "width": 2048,
            "height": 1536, "corrupt": False, "location": place, "seq_num_frames": 2, "datetime": moment}  # fmt: skip


def _annotation(number: int, name: str, place: str, sequence: str, moment: str, category: int) -> dict[str, Any]:
    return {"sequence_level_annotation": True, "id": f"{number:08x}-91f8", "category_id": category, "seq_id": sequence,
            "season": sequence.partition("#")[0], "datetime": moment, "subject_id": number,
            "count": "1" if category else float("nan"), "standing": 0.7, "resting": float("nan"), "moving": 0.4,
            "interacting": 0.0, "young_present": 0.0, "image_id": name, "location": place}  # fmt: skip


def zipped(text: str | bytes, name: str = "SnapshotSerengeti_S1-11_v2.1.json") -> bytes:
    """The metadata's zip."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return file.getvalue()


def lila(whole: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """All files of the server, by path."""
    own, photographs = document()
    files = {ZIP: zipped(json.dumps(whole or own, indent=1))}
    return files | {f"{IMAGES}{name}": data for name, data in photographs.items()}

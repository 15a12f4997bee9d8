"""JPEGs that end too early, as cameras and interrupted copies leave them: how many rows are there, and those rows."""

from __future__ import annotations

import random
from io import BytesIO

import numpy as np
from PIL import Image


def rows_there(data: bytes, *, progressive: bool) -> tuple[bytes, float]:
    """What of a JPEG without its end can be decoded, and the share of its rows that are in there.

    A progressive one comes in scans over all rows: if the last of them has not even begun, it is left out.
    """
    data = data.rstrip(b"\xff")
    try:
        return data, _share_of_rows(data)
    except Exception:
        if not progressive:
            raise
    data = data[: max(data.rfind(b"\xff\xda"), data.rfind(b"\xff\xc4"))]
    return data, _share_of_rows(data)


def _share_of_rows(data: bytes) -> float:
    """The share of its rows that a JPEG without its end still has.

    The decoder makes up what is missing. It is found by ending the file in two ways, at once and after noise: the
    coarsest pictures (of one pixel for each block of 8 x 8) are alike as far as the file goes.
    """
    noise = bytes(random.Random(0).choices(range(255), k=4096))
    ended, garbled = (_coarsest(data + tail + b"\xff\xd9") for tail in (b"", noise))
    apart = (np.abs(ended - garbled).max(axis=(1, 2)) > 24).nonzero()[0]
    return int(apart[0]) / len(ended) if len(apart) else 1.0


def first_rows(data: bytes, there: float, size: tuple[int, int]) -> Image.Image:
    """The first share of a JPEG's rows, decoded for a size."""
    image = Image.open(BytesIO(data + b"\xff\xd9"), formats=("JPEG",))
    image.draft(None, size)
    return image.crop((0, 0, image.width, max(1, int(there * image.height))))


def _coarsest(data: bytes) -> np.ndarray:
    """A JPEG at an eighth of its size, `[H / 8, W / 8, C]`."""
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
        return np.atleast_3d(np.asarray(image)).astype(np.int32)

"""A look at a sample of a survey's pictures: are they there, can they be read, by day or by infrared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from ..errors import UserError
from ..picture import read_frame
from .folder import Folder
from .survey import Oddities

HEIGHT, WIDTH = 96, 128
INFRARED = 3.0
"""Mean difference of the colour channels, of 255, below which a picture is called infrared."""
STRIPS_HEIGHT = 384
Strips = Callable[[Sequence[Tensor]], tuple[float, float]]


class Sampled(NamedTuple):
    """One photograph of the sample: its file, and the location it is of."""

    file: str
    location: str | None


@dataclass
class Pictures:
    """What a sample of pictures shows.

    Attributes:
        folder: where they lie.
        asked: how many were looked for.
        missing: how many of them are not there.
        unreadable: how many are damaged or too large.
        day: pictures in colour.
        infrared: pictures in grey.
        sizes: width and height, by how many have them.
        strips: shares of the height that caption strips take at top and bottom, if they were looked for.
    """

    folder: str
    asked: int = 0
    missing: int = 0
    unreadable: int = 0
    day: int = 0
    infrared: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    strips: tuple[float, float] | None = None

    @property
    def read(self) -> int:
        """How many could be read."""
        return self.day + self.infrared

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        sizes = [
            {"width": width, "height": height, "count": count} for (width, height), count in self.sizes.most_common()
        ]
        names = ("folder", "asked", "missing", "unreadable", "day", "infrared")
        strips = self.strips and {"top": round(self.strips[0], 4), "bottom": round(self.strips[1], 4)}
        return {name: getattr(self, name) for name in names} | {"sizes": sizes, "strips": strips}


def is_infrared(pixels: Tensor) -> bool:
    """Whether the channels of a picture, uint8 `[3, H, W]`, are nearly equal."""
    values = pixels.float()
    return float((values.amax(0) - values.amin(0)).mean()) < INFRARED


def look_at(sample: Iterable[Sampled], images: Path, odd: Oddities, *, strips: Strips | None = None) -> Pictures:
    """Read a sample of pictures, small.

    Args:
        sample: the photographs.
        images: the folder that file names start from.
        odd: gets what is missing or cannot be read.
        strips: finds caption strips in pictures uint8 `[3, S, S]`, S being `STRIPS_HEIGHT`; not asked without one.
    """
    folder, found, whole = Folder(images), Pictures(images.name), []
    for each in sample:
        found.asked += 1
        try:
            path = folder.find(each.file)
        except UserError:
            found.missing += 1
            odd.add("Pictures of the sample that are not there", each.file)
            continue
        try:
            pixels = read_frame(path, HEIGHT, WIDTH).pixels
            if strips is not None:
                whole.append(read_frame(path, STRIPS_HEIGHT, STRIPS_HEIGHT).pixels)
        except UserError as error:
            found.unreadable += 1
            odd.add("Pictures of the sample that cannot be read", f"{each.file}' ({error})'".removesuffix("'"))
            continue
        infrared = is_infrared(pixels)
        found.infrared, found.day = found.infrared + infrared, found.day + (not infrared)
        size = folder.size(each.file)
        if size is not None:
            found.sizes[size] += 1
    if strips is not None and whole:
        found.strips = strips(whole)
    return found

"""Photographs of a survey as a classifier is shown them: without strips, animals cropped by their boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from ..errors import UserError
from ..picture import read_frame, resized
from ..survey.folder import Folder
from ..survey.records import Box
from .strips import Strips, find_strips

#: Photographs, each of another location as far as there are, that strips are looked for in.
SAMPLE = 64
#: A crop is a square whose side is this many times the box's longer one, so that something of the place is around.
AROUND = 1.2
#: Height in pixels that a photograph is read at, at most, to crop from.
_HIGHEST = 1024
#: Height in pixels that strips are looked for at.
_SOUGHT = 384


class Reader:
    """Reads photographs of a folder; those that cannot be read are remembered, and nothing else is.

    Attributes:
        folder: where they lie.
        size: H and W of the pictures to name, in pixels.
        unreadable: files that could not be read so far.
        short: files whose end is missing.
    """

    def __init__(self, folder: Folder, size: int) -> None:
        self.folder, self.size = folder, size
        self.unreadable: set[str] = set()
        self.short: set[str] = set()

    def whole(self, file: str, height: int) -> Tensor | None:
        """A whole photograph, uint8 `[3, H, W]`, H at most `height`; None if it cannot be read."""
        try:
            seen = read_frame(self.folder.find(file), height)
        except UserError:
            self.unreadable.add(file)
            return None
        if seen.note:
            self.short.add(file)
        return seen.pixels

    def height_for(self, box: Box | None) -> int:
        """Height in pixels to read a photograph at, so that a crop has about `size` pixels."""
        share = 1.0 if box is None else max(box.width, box.height, 0.01) * AROUND
        return min(_HIGHEST, math.ceil(1.2 * self.size / share))

    def cut(self, picture: Tensor, box: Box | None, strips: Strips) -> Tensor:
        """What is to be named of a whole photograph: uint8 `[3, size, size]`."""
        return resized(cropped(strips, picture, box), self.size, self.size)

    def strips(self, places: Iterable[Iterable[str]]) -> Strips:
        """What cameras printed into their photographs, from a sample of them.

        Photographs of several heights are asked apart, and the highest strips count.

        Args:
            places: the files of each location.
        """
        found: dict[int, list[Tensor]] = {}
        for file, _ in zip(_one_each([sorted(set(own)) for own in places]), range(SAMPLE), strict=False):
            picture = self.whole(file, _SOUGHT)
            if picture is not None:
                found.setdefault(picture.shape[-1], []).append(picture)
        each = [find_strips(pictures) for pictures in found.values()]
        return Strips(max((one.top for one in each), default=0.0), max((one.bottom for one in each), default=0.0))


def _one_each(places: Sequence[Sequence[str]]) -> Iterator[str]:
    """Files for a sample: one of every location, then a second one, and so on."""
    for place in range(max(map(len, places), default=0)):
        yield from (files[place] for files in places if place < len(files))


def cropped(strips: Strips, picture: Tensor, box: Box | None) -> Tensor:
    """A square around a box, moved into the part of a photograph `[3, H, W]` that is no strip; None is all of that."""
    if box is None:
        return strips.cut(picture)
    height, width = picture.shape[-2:]
    top, bottom = round(strips.top * height), height - round(strips.bottom * height)
    side = max(1, min(round(AROUND * max(box.width * width, box.height * height)), bottom - top, width))
    middle_x, middle_y = (box.left + box.width / 2) * width, (box.top + box.height / 2) * height
    left = min(max(0, round(middle_x - side / 2)), width - side)
    upper = min(max(top, round(middle_y - side / 2)), bottom - side)
    return picture[..., upper : upper + side, left : left + side]

"""Caption strips that cameras print into their photographs: found in a sample, so that they can be cut away.

They name the station, and a classifier or a condition that sees them learns to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: A strip's own colour is this near to black or white, in levels of 255,
_NEAR = 40
#: and fills this share of each of its rows; letters take the rest.
_FILLED = 0.5
#: No strip is higher than this share of the photograph.
_HIGHEST = 0.15
#: Rows less than this are a border of compression, not a strip.
_LOWEST = 0.008


class Strips(NamedTuple):
    """Heights of the strips at the top and the bottom, as shares of a photograph's height."""

    top: float = 0.0
    bottom: float = 0.0

    def cut(self, picture: Tensor) -> Tensor:
        """A photograph `[3, H, W]` without its strips."""
        height = picture.shape[-2]
        return picture[..., round(self.top * height) : height - round(self.bottom * height), :]

    def words(self) -> str:
        """Where there are strips, in words; nothing if there are none."""
        ends = [f"the {end} {share:.1%}" for end, share in zip(("top", "bottom"), self, strict=True) if share]
        return " and ".join(ends)


def find_strips(photographs: Sequence[Tensor]) -> Strips:
    """The strips of photographs of one make of camera.

    A night picture has black rows of its own, so only the brighter half is looked at; a strip has to be in most of
    these, and is as high as in four of five.

    Args:
        photographs: uint8 `[3, H, W]` each, of one height, better of several stations and by day; at least four.
    """
    if len(photographs) < 4:
        return Strips()
    bright = sorted(photographs, key=lambda picture: -float(_interior(picture).float().mean()))
    looked = bright[: max(4, len(bright) // 2)]
    return Strips(*(_common([_rows(picture, end) for picture in looked], looked[0].shape[-2]) for end in (1, -1)))


def _interior(picture: Tensor) -> Tensor:
    height = picture.shape[-2]
    return picture[..., height // 4 : height - height // 4, :]


def _rows(picture: Tensor, end: int) -> int:
    """Rows of one photograph that look like a strip, from the top (1) or the bottom (-1) on."""
    grey = picture.float().mean(dim=0)
    rows = grey if end > 0 else grey.flip(0)
    most = round(_HIGHEST * len(rows))
    colour = rows[:3].median()
    if min(float(colour), 255 - float(colour)) > _NEAR:
        return 0
    own = ((rows[:most] - colour).abs() < _NEAR).float().mean(dim=1) >= _FILLED
    beyond = (~own).nonzero()
    return int(beyond[0]) if len(beyond) else 0


def _common(counts: Sequence[int], height: int) -> float:
    """The share of the height that a strip takes in four of five photographs that have it, if most do.

    A row more, since the last one of a photograph that was made smaller is half strip, half forest.
    """
    found = torch.tensor([count for count in counts if count >= _LOWEST * height], dtype=torch.float)
    if 2 * len(found) <= len(counts):
        return 0.0
    return (float(found.quantile(0.8).ceil()) + 1) / height

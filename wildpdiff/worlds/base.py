"""Where images come from: the `World` protocol, one of the two seams of the project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from ..errors import UserError

Split = Literal["train", "eval"]
EMPTY = "empty"


@dataclass(frozen=True)
class Images:
    """Labelled photographs: pixels uint8 `[M, 3, H, W]`, labels int64 `[M]` (an index into the world's `species`)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


class World(Protocol):
    """A set of camera-trap locations, each with labelled photographs and pictures of the empty place."""

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the K classes, `empty` among them; a label is an index into it."""

    @property
    def locations(self) -> tuple[str, ...]:
        """Names of all camera sites."""

    def images(self, location: str, split: Split) -> Images:
        """Photographs of one location; the two splits are disjoint."""

    def backgrounds(self, location: str) -> Tensor:
        """Pictures of the place without animals, uint8 `[G, 3, H, W]`, none of them in the eval split."""


def location_of(name: str, known: Sequence[str]) -> str:
    """Check a location's name.

    Raises:
        UserError: naming the known ones.
    """
    if name not in known:
        shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
        raise UserError(f"Location '{name}' is not known; choose one of: {shown}.")
    return name

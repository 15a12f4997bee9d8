"""What is known of one photograph of a camera trap, in whichever format it was written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

#: Kinds of things that a detector puts a box around, in MegaDetector's words.
ANIMAL, PERSON, VEHICLE = "animal", "person", "vehicle"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around something in a photograph: left and top edge, width and height as shares of the picture's.

    `confidence` is the detector's, 0 to 1; boxes that people drew have 1.
    """

    left: float
    top: float
    width: float
    height: float
    kind: str = ANIMAL
    confidence: float = 1.0


class Frame(NamedTuple):
    """One photograph.

    Attributes:
        file: its name from the images' folder on, as it is written in the metadata.
        location: the camera's site; None where nothing says it.
        species: names of the animals that somebody saw in it, as they are written; none where it is empty, or where
            nobody said.
        empty: whether it is known to show no animal.
        human: whether a person or a vehicle is on it.
        sequence: photographs of one release of the shutter share it; None where nothing says it.
        seconds: when it was taken, since 1970 on the camera's own clock.
        boxes: what a person or a detector found in it; None where nobody looked.
        corrupt: whether the metadata says that it cannot be used.
    """

    file: str
    location: str | None
    species: tuple[str, ...] = ()
    empty: bool = False
    human: bool = False
    sequence: str | None = None
    seconds: int | None = None
    boxes: tuple[Box, ...] | None = None
    corrupt: bool = False

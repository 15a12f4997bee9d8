"""Photographs put together from several rows each, as tables have them: one row a species, or an animal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .names import seen_in
from .records import Box, Frame
from .survey import Oddities


@dataclass(slots=True)
class _Photo:
    location: str | None
    sequence: str | None
    seconds: int | None
    names: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)


class Gathered:
    """Photographs by their file names, in the order in which they came first."""

    def __init__(self, odd: Oddities) -> None:
        self._photos: dict[str, _Photo] = {}
        self._odd = odd

    def add(
        self,
        file: str,
        location: str | None,
        *,
        name: str | None = None,
        sequence: str | None = None,
        seconds: int | None = None,
        box: Box | None = None,
    ) -> None:
        """Take in one row: where and when it was taken, and one name of what is on it."""
        photo = self._photos.get(file)
        if photo is None:
            photo = self._photos[file] = _Photo(location, sequence, seconds)
        elif photo.location != location and location is not None:
            if photo.location is not None:
                self._odd.add("Photographs with two locations, of which the first is kept", file)
            photo.location = photo.location or location
        if name is not None and name not in photo.names:
            photo.names.append(name)
        if box is not None:
            photo.boxes.append(box)

    def frames(self) -> Iterator[Frame]:
        """The photographs. Where any row has a box, an empty one has none; others without were not looked at."""
        boxed = any(photo.boxes for photo in self._photos.values())
        for file, photo in self._photos.items():
            species, empty, human = seen_in(photo.names)
            boxes = tuple(photo.boxes) if boxed and (photo.boxes or empty) else None
            yield Frame(file, photo.location, species, empty, human, photo.sequence, photo.seconds, boxes)

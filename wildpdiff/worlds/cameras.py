"""Photographs of somebody's own cameras, in any format that `survey` reads: animals cropped by their boxes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from ..errors import UserError, readable
from ..picture import resized
from ..survey.folder import Folder
from ..survey.look import is_infrared
from ..survey.open import open_survey
from ..survey.records import Box, Frame
from ..survey.survey import Survey
from .base import Images, Split, location_of
from .hashed import fraction
from .reader import Reader
from .shots import Choice, Shot, Shots, shots_of
from .strips import Strips

#: Pictures of an empty place that are kept, and those that are looked at for them.
BACKGROUNDS, CANDIDATES = 16, 64

Light = Literal["day", "infrared"]


class CameraWorld:
    """A survey of real photographs as a world.

    Where an animal has a box, the picture to name is a square around it; where nobody drew one, it is the whole frame,
    squeezed into the square. Empty frames are cropped by a box borrowed from an animal, as a detector's mistake would
    be. Strips that the camera printed are cut away first.

    Attributes:
        species: names of the classes, `empty` last.
        locations: cameras with at least one usable photograph.
        size: H and W of the pictures to name, in pixels.
        shots: what is learned from and measured on, by location.
        strips: what is cut away of each photograph.
    """

    kind = "cameras"
    portable = False
    caution = "A whole burst often carries one label, and most cameras met few animals: look at intervals before means."

    def __init__(
        self, spec: Mapping[str, Any], survey: Survey, shots: Shots, *, size: int, strips: Strips | None = None
    ) -> None:
        self.spec, self.size, self.shots, self.species = dict(spec), size, shots, shots.species
        self.locations = tuple(name for name, own in shots.shots.items() if own)
        self._survey, self._strips = survey, strips
        self._reader = Reader(Folder(survey.images), size)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        images: Path | None = None,
        boxes: Path | None = None,
        columns: Mapping[str, str] | None = None,
        size: int = 128,
        **choice: Any,
    ) -> Self:
        """Read a survey and choose from it; no photograph is opened yet.

        Args:
            path: metadata or a folder, as `survey.open_survey` takes it.
            images: the folder that file names start from, where it is another one.
            boxes: a file of MegaDetector's or SpeciesNet's.
            columns: of a table with names of its own.
            size: H and W of the pictures to name, in pixels.
            choice: as the fields of `shots.Choice`.

        Raises:
            UserError: as `open_survey` and `shots_of`, or if an option is unknown or out of range.
        """
        unknown = set(choice) - {field.name for field in fields(Choice)}
        if unknown:
            raise UserError(f"A world of cameras has no option '{min(unknown)}'.")
        lists = {key: tuple(value) for key, value in choice.items() if isinstance(value, list | tuple)}
        chosen = Choice(**choice | lists)
        if size < 16 or not 0 < chosen.eval_share < 1:
            raise UserError("size must be at least 16 pixels, and eval_share lie between 0 and 1.")
        survey = open_survey(path, images=images, columns=columns, boxes=boxes)
        spec: dict[str, Any] = {"path": str(path), "images": images and str(images), "boxes": boxes and str(boxes)}
        spec |= {"columns": columns and dict(columns), "size": size, **asdict(chosen)}
        return cls(_listed(spec), survey, shots_of(survey.frames(), chosen), size=size)

    def holding_out(self, locations: Sequence[str], **changes: Any) -> CameraWorld:
        """The same survey with other cameras held out, and further changes of the `Choice`."""
        spec = self.spec | {"held_out": list(locations)} | changes
        chosen = Choice(**{key: _tuple(spec[key]) for key in asdict(Choice())})
        shots = shots_of(self._survey.frames(), replace(chosen))
        return CameraWorld(_listed(spec), self._survey, shots, size=self.size, strips=self.strips)

    def to_json(self) -> dict[str, Any]:
        """The spec that it is opened again from."""
        return {"kind": self.kind, **self.spec}

    @property
    def about(self) -> str:
        """What the photographs are."""
        source = readable(Path(self._survey.source).name.partition(".")[0])
        shown = "animals are cropped by their boxes" if self.shots.cropped > self.shots.whole else "whole frames"
        return (
            f"All photographs here are real, of {len(self.locations)} camera traps ({source}) and "
            f"{len(self.species) - 1} species; {shown}."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """How the survey was read: what is left out, cropped, cut away, and what could not be read so far."""
        found = list(self._survey.notes)
        if self.shots.left_out:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.shots.left_out.items())
            found.append(f"Photographs that are left out: {reasons}.")
        if self.shots.cropped:
            found.append(
                f"{self.shots.cropped:,} animals are cropped by their boxes, and {self.shots.whole:,} photographs with "
                "an animal but no box are whole frames."
            )
        bare = [name for name in self.locations if not self.shots.backgrounds[name]]
        if bare:
            found.append(
                f"{len(bare)} of {len(self.locations)} cameras have no empty photograph that shows the place, such as "
                f"'{readable(bare[0])}'; nothing can be written for them."
            )
        if self._strips is not None and self.strips.words():
            found.append(f"Caption strips are cut away: {self.strips.words()} of each photograph.")
        unreadable, short = self._reader.unreadable, self._reader.short
        if unreadable:
            one = readable(min(unreadable))
            found.append(f"Files that cannot be read are left out, {len(unreadable):,} so far; '{one}' is one.")
        if short:
            found.append(f"The end of {len(short):,} files is missing; what is there was read.")
        return tuple(found)

    def frames(self) -> Iterator[Frame]:
        """The survey's records, those that are left out included."""
        return self._survey.frames()

    @property
    def strips(self) -> Strips:
        """What the cameras printed into their photographs, from a sample of them (see `Reader.strips`)."""
        if self._strips is None:
            self._strips = self._reader.strips([shot.file for shot in shots] for shots in self.shots.shots.values())
        return self._strips

    def shots_at(self, location: str, split: Split) -> list[Shot]:
        """What is learned from or measured on at a location, in the order of `labels`.

        Raises:
            UserError: if the location is not known.
        """
        return [shot for shot in self.shots.shots[location_of(location, self.locations)] if shot.split == split]

    def labels(self, location: str, split: Split, first: int | None = None) -> Tensor:
        """Labels `[M]` by the metadata, those of files that cannot be read included; no file is opened."""
        return torch.tensor([shot.label for shot in self.shots_at(location, split)[:first]], dtype=torch.int64)

    def images(self, location: str, split: Split, first: int | None = None) -> Images:
        """The (first) pictures to name of one location, uint8 `[M, 3, size, size]`.

        Raises:
            UserError: if the location is not known, has no photograph in this split, or none can be read.
        """
        shots = self.shots_at(location, split)
        if not shots:
            raise UserError(
                f"Location '{location}' has no {split} photograph; choose a camera that met animals more than once."
            )
        found = list(islice(self.pictures(shots), first))
        if not found and first != 0:
            raise self._nothing(location, shots[0].file)
        pixels = torch.stack([picture for _, picture in found]) if found else torch.empty(0, 3, self.size, self.size)
        return Images(pixels.to(torch.uint8), torch.tensor([shot.label for shot, _ in found], dtype=torch.int64))

    def pictures(self, shots: Iterable[Shot]) -> Iterator[tuple[Shot, Tensor]]:
        """Each shot whose file can be read, with what is to be named of it: uint8 `[3, size, size]`."""
        for shot in shots:
            picture = self._reader.whole(shot.file, self.height_for(shot.box))
            if picture is not None:
                yield shot, self._reader.cut(picture, shot.box, self.strips)

    def height_for(self, box: Box | None) -> int:
        """As `Reader.height_for`."""
        return self._reader.height_for(box)

    def frame(self, file: str, height: int) -> Tensor | None:
        """A whole photograph without its strips, uint8 `[3, H, W]`, H at most `height`; None if it cannot be read."""
        picture = self._reader.whole(file, height)
        return None if picture is None else self.strips.cut(picture)

    def backgrounds(self, location: str, light: Light | None = None) -> Tensor:
        """Pictures of the empty place, uint8 `[G, 3, size, size]`, G at most `BACKGROUNDS`, the brightest first.

        Args:
            location: one of `locations`.
            light: of day or infrared alone; None is those by day if there are two, and otherwise all.

        Raises:
            UserError: if the location is not known, has no such picture, or none can be read.
        """
        return torch.stack([resized(picture, self.size, self.size) for _, picture in self._empties(location, light)])

    def background_files(self, location: str) -> list[str]:
        """The files that show the place without an animal; none of them is measured on.

        Raises:
            UserError: if the location is not known.
        """
        return self.shots.backgrounds[location_of(location, self.locations)]

    def show(self, location: str, height: int) -> Tensor:
        """The first background in its own shape, uint8 `[3, height, W]`.

        Raises:
            UserError: as `backgrounds`.
        """
        picture = self.frame(self._empties(location, None)[0][0], math.ceil(1.2 * height))
        if picture is None:  # it was read a moment ago
            raise self._nothing(location, self.background_files(location)[0])
        return resized(picture, height, round(height * picture.shape[-1] / picture.shape[-2]))

    def _empties(self, location: str, light: Light | None) -> list[tuple[str, Tensor]]:
        files = self.background_files(location)
        if not files:
            raise UserError(
                f"Location '{location}' has no photograph of the empty place; choose a camera that has one."
            )
        drawn = sorted(files, key=lambda file: fraction("background", file))[:CANDIDATES]
        read = ((file, self.frame(file, math.ceil(1.3 * self.size))) for file in drawn)
        found = [(file, picture) for file, picture in read if picture is not None]
        if not found:
            raise self._nothing(location, drawn[0])
        by_light = {"day": [pair for pair in found if not is_infrared(pair[1])]}
        by_light["infrared"] = [pair for pair in found if is_infrared(pair[1])]
        chosen = by_light[light] if light else by_light["day"] if len(by_light["day"]) > 1 else found
        if not chosen:
            raise UserError(f"Location '{location}' has no empty {light} photograph.")
        return sorted(chosen, key=lambda pair: -float(pair[1].float().mean()))[:BACKGROUNDS]

    def _nothing(self, location: str, wanted: str) -> UserError:
        return UserError(f"No photograph of location '{location}' can be read {self._reader.folder.missing(wanted)}.")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _listed(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Lists for tuples, as JSON has them."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in spec.items()}


def open_world(spec: Mapping[str, Any], folder: Path) -> CameraWorld:
    """A world from what `CameraWorld.open` wants to know, by the same names; paths may start from `folder`.

    Raises:
        UserError: as `CameraWorld.open`, or if the spec lacks something.
    """
    options = {key: value for key, value in spec.items() if key != "kind"}
    at: Callable[[Any], Path | None] = lambda value: folder / value if value else None  # noqa: E731
    try:
        path = folder / options.pop("path")
        images, boxes = at(options.pop("images", None)), at(options.pop("boxes", None))
        return CameraWorld.open(path, images=images, boxes=boxes, **options)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"The world's spec does not fit a survey of cameras ({error}).") from None

"""Folders of photographs: `location/species/*.jpg`, or `species/location/*.jpg`, as people keep them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from PIL import Image

from ..labelled import SCIENTIFIC, SYNONYMS, is_empty, is_other
from .bursts import seconds_of
from .folder import pictures_in
from .names import Meaning, common_name, meaning, seen_in
from .records import Frame
from .survey import Oddities, Survey

#: Folders that cameras make, or people by day and time: they name no species.
_NO_SPECIES = re.compile(
    r"dcim|\d{3}[a-z0-9_]{5}|[\d\s._-]*|(day|night|ir|rgb|infrared|images?|photos?|pictures?|bilder)[\s_-]*\d*", re.I
)
_AROUND = re.compile(r"^[\d\s._()-]+|([\s_-]+(copy|copie|kopie))?[\s_-]*\(?\d*\)?$", re.I)
_LOOKED_AT = 2_000
_TAKEN, _CHANGED, _EXIF = 0x9003, 0x0132, 0x8769


def folder_survey(folder: Path) -> Survey:
    """A survey of all pictures below a folder; what the folders between say is told by their names.

    The first folder is the location, and the last one that may name a species does; where the first ones name species,
    it is the other way round.
    """

    def read(odd: Oddities) -> Iterator[Frame]:
        swapped = species_first(name for name, picture in pictures_in(folder) if picture)
        if swapped:
            odd.add("Folders are read as species/location, as the outer ones name species", count=0)
        for name, picture in pictures_in(folder):
            if not picture:
                odd.add("Links to folders, which are not followed", name)
                continue
            inside = list(PurePosixPath(name).parent.parts)
            location, species = _told(inside, folder, swapped=swapped)
            if species is None:
                odd.add("Photographs in no folder that names a species", name)
            seen = seen_in([species] if species else [])
            yield Frame(name, location, *seen, seconds=_taken(folder / name))

    return Survey("folders of photographs", folder.name, folder, read)


def species_first(names: Iterable[str]) -> bool:
    """Whether the outer folders name species, and not the inner ones, by the first pictures' names."""
    outer: set[str] = set()
    inner: set[str] = set()
    for name in islice(names, _LOOKED_AT):
        folders = PurePosixPath(name).parent.parts
        outer.update(folders[:1])
        inner.update(folders[1:])
    return bool(outer) and 2 * sum(map(_known, outer)) > len(outer) and sum(map(_known, inner)) < len(inner or "1") / 2


def species_of(folder: str) -> str | None:
    """The species that a folder's name tells, without numbers around it; None if it tells none."""
    if len(folder.split(";")) == 7:
        return common_name(folder)
    if _NO_SPECIES.fullmatch(folder):
        return None
    return _AROUND.sub("", folder).strip(" _-") or None


def _told(inside: list[str], root: Path, *, swapped: bool) -> tuple[str | None, str | None]:
    """Location and species by the folders that a picture lies in."""
    if not inside:
        return root.resolve().name or None, None
    if swapped:
        rest = [name for name in inside[1:] if not _NO_SPECIES.fullmatch(name) or len(inside) == 2]
        return (rest[0] if rest else None), species_of(inside[0])
    named = (species for name in reversed(inside[1:]) if (species := species_of(name)) is not None)
    return inside[0], next(named, None)


def _known(name: str) -> bool:
    """Whether a folder's name is surely that of a species, or of no animal."""
    species = species_of(name)
    if species is None:
        return False
    plain = " ".join(re.split(r"[\s_-]+", species.casefold()))
    other = meaning(species) is not Meaning.ANIMAL or is_empty(species) or is_other(species)
    return other or plain in SCIENTIFIC or plain in SYNONYMS or plain in _CLASSES


def _taken(path: Path) -> int | None:
    """When a picture was taken by its EXIF, of which only the header is read."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            return seconds_of(exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_CHANGED))
    except Exception:  # a hostile or damaged file makes Pillow raise nearly anything
        return None


_CLASSES = frozenset(SYNONYMS.values())

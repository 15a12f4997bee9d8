"""The COCO Camera Traps format: one metadata file -> the usable photos of every location."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import UserError
from ..labelled import is_empty
from ..survey.bursts import Moment, bursts_of
from ..survey.names import KINDS, meaning
from ..survey.records import Frame
from ..survey.survey import Survey
from .base import EMPTY, Split, location_of
from .hashed import fraction

_UNLISTED, _REFUSED = -1, -2


class Photo(NamedTuple):
    """One labelled file of a location; `file` is relative to the images' folder."""

    file: str
    label: int
    split: Split


def classes_of(species: Sequence[str]) -> tuple[str, ...]:
    """The listed species, then `empty`.

    Raises:
        UserError: if none is listed, or one twice.
    """
    animals = [name.strip() for name in species if not is_empty(name)]
    if not animals:
        raise UserError("No species is listed; name at least one category of the metadata.")
    if len({plain(name) for name in animals}) < len(animals):
        raise UserError("A species is listed twice; names that differ only in case are the same.")
    return (*animals, EMPTY)


def wanted_of(classes: Sequence[str]) -> dict[str, int]:
    """The label of each class by its name as `plain` has it."""
    return {plain(name): at for at, name in enumerate(classes)}


def plain(name: str) -> str:
    """A name without what people write differently."""
    return name.strip().lower()


def label_of(frame: Frame, wanted: Mapping[str, int]) -> int:
    """What a photograph shows by all of its annotations: a class, or less than 0 if it cannot be used.

    Only an animal may have an unlisted species beside it.
    """
    if frame.corrupt or frame.human or (frame.empty and frame.species):
        return _REFUSED
    if frame.empty:
        return wanted[EMPTY]
    found = {wanted.get(plain(name), _UNLISTED) for name in frame.species}
    listed = found - {_UNLISTED}
    return listed.pop() if len(listed) == 1 else _UNLISTED if found == {_UNLISTED} else _REFUSED


@dataclass(frozen=True)
class Index:
    """What the metadata says of photographs.

    Attributes:
        found: usable photos of every location by file name; a location without any stays, empty.
        left_out: images of the wanted locations that cannot be used.
        nowhere: images that name no location.
        notes: sentences on what may be wrong with the split of training and evaluation photographs.
    """

    found: dict[str, dict[str, Photo]]
    left_out: int
    nowhere: int
    notes: tuple[str, ...]


def index_photos(
    survey: Survey, classes: tuple[str, ...], locations: Sequence[str] | None, eval_share: float, seed: int
) -> Index:
    """The usable photos of every location, each on its side of the split.

    Raises:
        UserError: if the survey is damaged, has no such species, or no image names its location.
    """
    chosen, wanted = None if locations is None else frozenset(locations), wanted_of(classes)
    labelled: dict[str, array[int]] = {}
    moments: dict[str, list[Moment]] = {}
    nowhere = 0
    for frame in survey.frames():
        place = frame.location
        if place is None:
            nowhere += 1
            continue
        labels, own = labelled.setdefault(place, array("i")), moments.setdefault(place, [])
        if chosen is None or place in chosen:
            labels.append(label_of(frame, wanted))
            own.append(Moment(frame.file, frame.sequence, frame.seconds))
    check_species(survey, wanted)
    if not labelled:
        raise UserError(
            f"No image in '{survey.source}' names its 'location'; choose a data set that says where each was taken."
        )
    found: dict[str, dict[str, Photo]] = {place: {} for place in labelled}
    left_out, notes = nowhere if chosen is None else 0, _notes_of_places(nowhere, chosen)
    for place, labels in labelled.items():
        bursts, note = bursts_of(place, moments[place])
        notes += [note] if note else []
        for moment, label, burst in zip(moments[place], labels, bursts, strict=True):
            file = moment.identity
            if label < 0 or file in found[place]:
                left_out += 1
                continue
            split: Split = "eval" if fraction("split", burst, seed) < eval_share else "train"
            found[place][file] = Photo(file, label, split)
    return Index(found, left_out, nowhere, tuple(notes))


def check_species(survey: Survey, wanted: Mapping[str, int]) -> None:
    """Raises UserError if a listed species is no category, or no animal."""
    known = {plain(name) for name in survey.categories}
    unknown = [name for name in wanted if name not in known and name != EMPTY]
    if unknown:
        listed = ", ".join(sorted(known))
        raise UserError(f"'{survey.source}' has no category '{unknown[0]}'; choose species among: {listed}.")
    people = [name for name in wanted if meaning(name) in KINDS]
    if people:
        raise UserError(f"'{people[0]}' is no animal; photographs with people or vehicles are left out.")


def _notes_of_places(nowhere: int, wanted: frozenset[str] | None) -> list[str]:
    return [f"{nowhere:,} images name no location and are left out."] if nowhere and wanted is None else []


def chosen_locations(found: Mapping[str, Mapping[str, Photo]], locations: Sequence[str] | None) -> list[str]:
    """The locations to keep: those asked for, or all that have a usable photo.

    Raises:
        UserError: if one that was asked for is not in the metadata or has no usable photo.
    """
    if locations is None:
        return sorted(name for name, photos in found.items() if photos)
    for name in locations:
        if not found[location_of(name, sorted(found))]:
            raise UserError(f"Location '{name}' has no usable image of the listed species; choose another location.")
    return list(dict.fromkeys(locations))


def drawn_photos(photos: Mapping[str, Photo], max_images: int | None, seed: int) -> list[Photo]:
    """At most `max_images` of a location's photos, drawn by a hash, in order of their file names."""
    drawn = sorted(photos.values(), key=lambda photo: fraction("draw", photo.file, seed))[:max_images]
    return sorted(drawn)

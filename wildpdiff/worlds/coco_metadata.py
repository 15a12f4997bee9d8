"""The COCO Camera Traps format: one metadata file -> the usable photos of every location."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UserError
from ..labelled import is_empty
from ..survey.bursts import Moment, bursts_of, taken
from ..zips import check_packing
from .base import EMPTY, Split, location_of
from .coco_formats import ADVICE, TELLING, named_format, other_format
from .hashed import fraction

HUMANS = frozenset(["human", "humans", "person", "people", "homo sapiens"])
_ANNOTATION = frozenset(["image_id", "category_id"])
_OTHER = frozenset(["images", "annotations", "categories", "id", "name", "file_name", "location", "seq_id", "corrupt"])
_SECONDS = "seconds"
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
    if len({_plain(name) for name in animals}) < len(animals):
        raise UserError("A species is listed twice; names that differ only in case are the same.")
    return (*animals, EMPTY)


def read_document(metadata: Path) -> dict[str, Any]:
    """The three lists of a `.json` file, or of a `.zip` with one in it; fields that nothing here needs are dropped.

    Raises:
        UserError: if the file is missing, damaged or another format.
    """
    try:
        document = json.loads(_text(metadata), object_hook=_trimmed)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"The metadata '{metadata.name}' is missing; name a .json or .json.zip file.") from error
    except PermissionError as error:
        raise UserError(f"The metadata '{metadata.name}' cannot be read; let this user read it.") from error
    except (ValueError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(
            other_format(metadata) or f"The metadata '{metadata.name}' is damaged (not whole JSON); fetch it anew."
        ) from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            known = named_format(document)
            if known:
                raise UserError(f"'{metadata.name}' is {known}; {ADVICE}.")
            raise UserError(f"'{metadata.name}' is not in COCO Camera Traps format: it needs a list named '{key}'.")
    return document


def _text(metadata: Path) -> bytes:
    if not zipfile.is_zipfile(metadata):
        return metadata.read_bytes()
    with zipfile.ZipFile(metadata) as archive:
        members = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__MACOSX")]
        if not members and any(name.lower().endswith(".csv") for name in archive.namelist()):
            raise UserError(f"'{metadata.name}' holds tables (CSV), as Camtrap DP packages do; {ADVICE}.")
        if len(members) != 1:
            raise UserError(f"'{metadata.name}' holds {len(members)} .json files; it must hold exactly one.")
        check_packing(archive.getinfo(members[0]))
        return archive.read(members[0])


def _plain(name: str) -> str:
    return name.strip().lower()


def _trimmed(record: dict[str, Any]) -> dict[str, Any]:
    if "image_id" in record:
        return {key: value for key, value in record.items() if key in _ANNOTATION}
    kept = {key: value for key, value in record.items() if key in _OTHER}
    if "file_name" in record:
        seconds = taken(record)
        return kept if seconds is None else kept | {_SECONDS: seconds}
    # What tells other formats apart has to stay.
    return kept | {key: True for key in record if key in TELLING}


def _text_or_none(value: Any) -> str | None:
    """A name or number as text, whole floats as whole numbers; None for anything else, NaN and nothing included."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) or (isinstance(value, str) and value) else None


def _field(record: Any, key: str, kind: str, source: str) -> str:
    found = _text_or_none(record.get(key)) if isinstance(record, dict) else None
    if found is None:
        raise UserError(f"'{source}' is not in COCO Camera Traps format: every record of '{kind}' needs '{key}'.")
    return found


def image_labels(document: dict[str, Any], classes: tuple[str, ...], source: str) -> dict[str, int]:
    """What each image shows by all of its annotations: image id -> a class, `_UNLISTED` or `_REFUSED`."""
    category_label = _category_labels(document["categories"], classes, source)
    labels: dict[str, int] = {}
    for annotation in document["annotations"]:
        image = _field(annotation, "image_id", "annotations", source)
        label = category_label.get(_field(annotation, "category_id", "annotations", source), _UNLISTED)
        labels[image] = _together(labels.get(image, label), label, empty=len(classes) - 1)
    return labels


def _category_labels(categories: list[Any], classes: tuple[str, ...], source: str) -> dict[str, int]:
    names = {
        _field(each, "id", "categories", source): _plain(_field(each, "name", "categories", source))
        for each in categories
    }
    wanted = {_plain(name): label for label, name in enumerate(classes)}
    unknown = [name for name in wanted if name not in names.values() and name != EMPTY]
    if unknown:
        known = ", ".join(sorted(set(names.values())))
        raise UserError(f"'{source}' has no category '{unknown[0]}'; choose species among: {known}.")
    empty = len(classes) - 1
    return {
        key: wanted.get(name, _REFUSED if name in HUMANS else empty if is_empty(name) else _UNLISTED)
        for key, name in names.items()
    }


def _together(one: int, other: int, *, empty: int) -> int:
    """The label of an image with two annotations; only an animal may have an unlisted species beside it."""
    if one == other:
        return one
    low, high = sorted((one, other))
    return high if low == _UNLISTED and high != empty else _REFUSED


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
    document: dict[str, Any],
    labels: Mapping[str, int],
    locations: Sequence[str] | None,
    source: str,
    eval_share: float,
    seed: int,
) -> Index:
    """The usable photos of every location, each on its side of the split.

    Raises:
        UserError: if a record lacks something, or no image names its location.
    """
    wanted = None if locations is None else frozenset(locations)
    records: dict[str, list[tuple[str, str, bool]]] = {}
    moments: dict[str, list[Moment]] = {}
    nowhere = 0
    for record in document["images"]:
        identity = _field(record, "id", "images", source)
        file = _field(record, "file_name", "images", source)
        place = _text_or_none(record.get("location"))
        if place is None:
            nowhere += 1
            continue
        own = records.setdefault(place, [])
        if wanted is None or place in wanted:
            own.append((identity, file, bool(record.get("corrupt"))))
            sequence = _text_or_none(record.get("seq_id"))
            moments.setdefault(place, []).append(Moment(identity, sequence, record.get(_SECONDS)))
    if not records:
        raise UserError(
            f"No image in '{source}' names its 'location'; choose a data set that says where each was taken."
        )
    found: dict[str, dict[str, Photo]] = {place: {} for place in records}
    left_out, notes = nowhere if wanted is None else 0, _notes_of_places(nowhere, wanted)
    for place, own in records.items():
        bursts, note = bursts_of(place, moments.get(place, []))
        notes += [note] if note else []
        for (identity, file, corrupt), burst in zip(own, bursts, strict=True):
            label = labels.get(identity, _REFUSED)
            if label < 0 or corrupt or file in found[place]:
                left_out += 1
                continue
            split: Split = "eval" if fraction("split", burst, seed) < eval_share else "train"
            found[place][file] = Photo(file, label, split)
    return Index(found, left_out, nowhere, tuple(notes))


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

"""The COCO Camera Traps format: one metadata file -> the usable photos of every location."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UserError
from .base import EMPTY, Split, location_of

HUMAN = "human"

_ANNOTATION = frozenset(["image_id", "category_id"])
_OTHER = frozenset(["images", "annotations", "categories", "id", "name", "file_name", "location", "seq_id", "corrupt"])
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
    animals = [name.strip() for name in species if _plain(name) != EMPTY]
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
    except (ValueError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"The metadata '{metadata.name}' is damaged (not whole JSON); fetch it anew.") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise UserError(f"'{metadata.name}' is not in COCO Camera Traps format: it needs a list named '{key}'.")
    return document


def _text(metadata: Path) -> bytes:
    if not zipfile.is_zipfile(metadata):
        return metadata.read_bytes()
    with zipfile.ZipFile(metadata) as archive:
        members = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__MACOSX")]
        if len(members) != 1:
            raise UserError(f"'{metadata.name}' holds {len(members)} .json files; it must hold exactly one.")
        return archive.read(members[0])


def _plain(name: str) -> str:
    return name.strip().lower()


def _trimmed(record: dict[str, Any]) -> dict[str, Any]:
    needed = _ANNOTATION if "image_id" in record else _OTHER
    return {key: value for key, value in record.items() if key in needed}


def _field(record: Any, key: str, kind: str, source: str) -> str:
    if not isinstance(record, dict) or not isinstance(record.get(key), str | int):
        raise UserError(f"'{source}' is not in COCO Camera Traps format: every record of '{kind}' needs '{key}'.")
    return str(record[key])


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
    return {key: wanted.get(name, _REFUSED if name == HUMAN else _UNLISTED) for key, name in names.items()}


def _together(one: int, other: int, *, empty: int) -> int:
    """The label of an image with two annotations; only an animal may have an unlisted species beside it."""
    if one == other:
        return one
    low, high = sorted((one, other))
    return high if low == _UNLISTED and high != empty else _REFUSED


def index_photos(
    document: dict[str, Any],
    labels: Mapping[str, int],
    locations: Sequence[str] | None,
    source: str,
    eval_share: float,
    seed: int,
) -> tuple[dict[str, dict[str, Photo]], int]:
    """Usable photos of every location by file name (a location without any stays, empty), and how many were not."""
    found: dict[str, dict[str, Photo]] = {}
    wanted = None if locations is None else frozenset(locations)
    left_out = 0
    for record in document["images"]:
        identity = _field(record, "id", "images", source)
        file = _field(record, "file_name", "images", source)
        place = _text_or_none(record.get("location"))
        if place is None:
            left_out += wanted is None
            continue
        photos = found.setdefault(place, {})
        if wanted is not None and place not in wanted:
            continue
        label = labels.get(identity, _REFUSED)
        if label < 0 or record.get("corrupt") or file in photos:
            left_out += 1
            continue
        sequence = _text_or_none(record.get("seq_id")) or identity
        photos[file] = Photo(file, label, "eval" if fraction("split", sequence, seed) < eval_share else "train")
    if not found:
        raise UserError(
            f"No image in '{source}' names its 'location'; choose a data set that says where each was taken."
        )
    return found, left_out


def _text_or_none(value: Any) -> str | None:
    return str(value) if isinstance(value, int) or (isinstance(value, str) and value) else None


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


def fraction(purpose: str, name: str, seed: int = 0) -> float:
    """A number in 0..1 that looks random but depends on the arguments alone."""
    key = f"{purpose}\0{seed}\0{name}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) / 2**64

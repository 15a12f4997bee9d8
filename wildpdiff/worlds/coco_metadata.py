"""The COCO Camera Traps format: one metadata file -> the usable photos of every location."""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UserError
from ..files import is_pointer
from ..labelled import is_empty
from ..zips import check_packing
from .base import EMPTY, Split, location_of

HUMANS = frozenset(["human", "humans", "person", "people", "homo sapiens"])
GAP = 60
"""Seconds without a picture after which a new burst begins, where the metadata has no sequences."""

_ANNOTATION = frozenset(["image_id", "category_id"])
_OTHER = frozenset(["images", "annotations", "categories", "id", "name", "file_name", "location", "seq_id", "corrupt"])
_TIMES = ("datetime", "date_captured", "DateTimeOriginal", "date_time", "timestamp")
#: Other formats by the keys that tell them, with what to do.
_FORMATS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(["detection_categories"]), "MegaDetector's output, which has boxes but neither species nor locations"),
    (frozenset(["predictions"]), "SpeciesNet's output, which has guesses and no labels"),
    (frozenset(["resources", "profile"]), "the descriptor of a Camtrap DP data package"),
    (frozenset(["resources"]), "the descriptor of a data package (Camtrap DP is one)"),
    (frozenset(["shapes"]), "an annotation file of LabelMe"),
    (frozenset(["_via_img_metadata"]), "a project of VIA"),
    (frozenset(["type", "features"]), "GeoJSON"),
)
_TELLING = frozenset().union(*(keys for keys, _ in _FORMATS))
_SECONDS = "seconds"
_FORMS = ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%Y%m%d %H%M%S")
_ADVICE = "give the data set's COCO Camera Traps file (.json), or convert it with the tools of LILA or MegaDetector"
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
            _other_format(metadata) or f"The metadata '{metadata.name}' is damaged (not whole JSON); fetch it anew."
        ) from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            known = _named_format(document)
            if known:
                raise UserError(f"'{metadata.name}' is {known}; {_ADVICE}.")
            raise UserError(f"'{metadata.name}' is not in COCO Camera Traps format: it needs a list named '{key}'.")
    return document


def _named_format(document: Any) -> str | None:
    """What else a JSON document is, if it is known."""
    keys = document.keys() if isinstance(document, dict) else frozenset()
    return next((name for needed, name in _FORMATS if needed <= keys), None)


def _other_format(metadata: Path) -> str | None:
    """A sentence on a file that is no JSON, if it is known what it is."""
    if zipfile.is_zipfile(metadata):
        return None
    try:
        with metadata.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return None
    if is_pointer(start):
        return f"The metadata '{metadata.name}' is only a pointer of Git LFS; run `git lfs pull`."
    first = start.splitlines()[0] if start.strip() else b""
    if metadata.suffix.lower() in (".csv", ".tsv") or (first.count(b",") >= 2 and first[:1] not in (b"{", b"[")):
        return f"'{metadata.name}' is a table (CSV); {_ADVICE}."
    if start.startswith(b"\x1f\x8b"):
        return f"'{metadata.name}' is packed with gzip; unpack it first."
    return f"'{metadata.name}' is a Parquet table; {_ADVICE}." if start.startswith(b"PAR1") else None


def _text(metadata: Path) -> bytes:
    if not zipfile.is_zipfile(metadata):
        return metadata.read_bytes()
    with zipfile.ZipFile(metadata) as archive:
        members = [name for name in archive.namelist() if name.endswith(".json") and not name.startswith("__MACOSX")]
        if not members and any(name.lower().endswith(".csv") for name in archive.namelist()):
            raise UserError(f"'{metadata.name}' holds tables (CSV), as Camtrap DP packages do; {_ADVICE}.")
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
        moment = next((record[key] for key in _TIMES if record.get(key)), None)
        seconds = seconds_of(moment)
        return kept if seconds is None else kept | {_SECONDS: seconds}
    # What tells other formats apart has to stay.
    return kept | {key: True for key in record if key in _TELLING}


def seconds_of(moment: Any) -> int | None:
    """A time as cameras and data sets write it (`2010-07-20 06:14:06`, `2010:07:20 06:14:06`, ISO 8601), in seconds;
    None if it is none."""
    if not isinstance(moment, str):
        return None
    text = re.sub(r"^(\d{4})[:/](\d{1,2})[:/](\d{1,2})", r"\1-\2-\3", moment.strip())
    for form in ("", *_FORMS):
        try:
            found = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
            return int((found.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds())
        except (ValueError, OverflowError):
            continue
    return None


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


class Moment(NamedTuple):
    """One image of a location: its id, its sequence and its time in seconds, as far as the metadata says."""

    identity: str
    sequence: str | None
    seconds: int | None


def bursts_of(place: str, moments: Sequence[Moment]) -> tuple[list[str], str]:
    """The burst that each image of a location belongs to, so that none stands on both sides of the split; and a
    sentence if that is a guess.

    A burst is a sequence of the metadata. Where there are none, or one for all images, pictures less than `GAP` seconds
    apart are one; where that is one for all again, those of a day.
    """
    known = {moment.sequence for moment in moments if moment.sequence is not None}
    alone = len(known) == 1 and len(moments) > 1 and all(moment.sequence is not None for moment in moments)
    loose = [moment for moment in moments if alone or moment.sequence is None]
    by_time = _by_time(place, loose)
    if alone and len(set(by_time.values())) < 2:
        return [str(moment.sequence) for moment in moments], (
            f"Location '{place}': all {len(moments):,} images are one sequence, so all are on one side of the split."
        )
    bursts = [
        str(moment.sequence)
        if moment.sequence is not None and not alone
        else by_time.get(moment.identity, moment.identity)
        for moment in moments
    ]
    guessed = sum(moment.identity not in by_time for moment in loose)
    if not guessed:
        return bursts, ""
    return bursts, (
        f"Location '{place}': {guessed:,} of {len(moments):,} images have neither a sequence nor a usable time, so "
        "pictures of one burst may stand on both sides of the split."
    )


def _by_time(place: str, moments: Sequence[Moment]) -> dict[str, str]:
    """A burst for each image that has a time; none at all if times tell nothing apart."""
    timed = sorted((moment.seconds, moment.identity) for moment in moments if moment.seconds is not None)
    bursts: dict[str, str] = {}
    before, burst = -GAP, ""
    for seconds, identity in timed:
        if seconds - before >= GAP:
            burst = f"{place}#{seconds}"
        bursts[identity], before = burst, seconds
    if len(set(bursts.values())) < 2:
        bursts = {identity: f"{place}#day {seconds // 86_400}" for seconds, identity in timed}
    return bursts if len(set(bursts.values())) > 1 or len(timed) == 1 else {}


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

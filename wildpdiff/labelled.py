"""A zip of labelled photographs, one folder per species, read in memory: nothing of it is ever written to disk."""

from __future__ import annotations

import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from torch import Tensor

from .errors import UserError
from .files import load_toml
from .picture import MAX_BYTES, pixels_in, read_picture
from .zips import check_packing, content, opened

MAX_ARCHIVE, MAX_UNPACKED = 50_000_000, 100_000_000
MAX_PHOTOS, MAX_ENTRIES = 200, 5_000
#: Pixels that are decoded of one zip in all: half a minute's work, 200 photographs of 3 megapixels.
MAX_DECODED = 600_000_000
_TOO_MANY = "The zip's pictures have more than {most} megapixels in all; send fewer or smaller ones."
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".webp")
#: Files that an operating system leaves in folders.
LITTER = ("thumbs.db", "desktop.ini")

#: Other names of the classes, as `_plain` writes them.
_NAMES = load_toml(Path(__file__).with_name("synonyms.toml"))
SCIENTIFIC: dict[str, str] = _NAMES["scientific"]
SYNONYMS: dict[str, str] = _NAMES["everyday"] | SCIENTIFIC
#: What people and programs call a class of pictures without an animal.
EMPTY_NAMES = frozenset(_NAMES["empty"])
#: Animals that are no class here, or seldom.
OTHERS = frozenset(_NAMES["others"])


@dataclass(frozen=True)
class Picture:
    """One photograph of an archive: its class, and its pixels (uint8 `[3, size, size]`) or the sentence why not; `note`
    says what is missing of one that could be read."""

    label: int
    pixels: Tensor | None
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Archive:
    """A checked zip.

    Attributes:
        data: the whole file.
        members: its photographs in folders that name a class.
        labels: class of each of them.
        unknown: folders with pictures whose names are no class, each once.
        others: files that are no picture, or lie in no folder.
    """

    data: bytes
    members: tuple[zipfile.ZipInfo, ...]
    labels: tuple[int, ...]
    unknown: tuple[str, ...]
    others: int

    def pictures(self, size: int) -> Iterator[Picture]:
        """Decode the photographs one after the other, each to its middle square of `size` pixels.

        A picture that cannot be used has its sentence in `problem` and stops nothing; after `MAX_DECODED` pixels in all
        none is decoded any more.
        """
        left = MAX_DECODED
        with zipfile.ZipFile(BytesIO(self.data)) as archive:
            for member, label in zip(self.members, self.labels, strict=True):
                try:
                    data = content(archive, member, MAX_BYTES, "The picture")
                    left -= pixels_in(data)
                    if left < 0:
                        raise UserError(_TOO_MANY.format(most=MAX_DECODED // 1_000_000))
                    seen = read_picture(data, size=size)
                    yield Picture(label, seen.pixels, note=seen.note)
                except UserError as error:
                    yield Picture(label, None, str(error))


def open_archive(data: bytes, species: Sequence[str]) -> Archive:
    """Check a zip and list its photographs; none of them is unpacked yet.

    Args:
        data: the whole file.
        species: names of the classes; labels count along it.

    Raises:
        UserError: if it is no zip, too large, encrypted, or holds links, escaping names, too many photographs or none.
    """
    if len(data) > MAX_ARCHIVE:
        raise UserError(f"The zip is larger than {MAX_ARCHIVE // 1_000_000} MB; send fewer or smaller photographs.")
    files = [info for info in _entries(data) if not info.is_dir() and not _hidden(info)]
    pictures = [info for info in files if PurePosixPath(_slashed(info)).suffix.lower() in SUFFIXES]
    placed = [(info, PurePosixPath(_slashed(info)).parent) for info in pictures]
    labelled = [(info, label_of_place(folder, species)) for info, folder in placed]
    known = [(info, label) for info, label in labelled if label is not None]
    unknown = sorted(
        {_unknown(folder) for info, folder in placed if folder.name and label_of_place(folder, species) is None}
    )
    _check_amount([info for info, _ in known], unknown, species[0])
    others = len(files) - len(pictures) + sum(not folder.name for _, folder in placed)
    members, labels = tuple(info for info, _ in known), tuple(label for _, label in known)
    return Archive(data, members, labels, tuple(unknown), others)


def is_empty(name: str) -> bool:
    """Whether a class of that name is the one without an animal."""
    return _plain(name) in EMPTY_NAMES


def label_of_place(folder: PurePosixPath, species: Sequence[str]) -> int | None:
    """The class that the nearest of nested folders names, as in `zebra/camera 1/night`; None if none does, or if one
    further in names another animal, as in `background/lion/night`."""
    for name in reversed(folder.parts):
        label = label_of(name, species)
        if label is not None or is_other(name):
            return label
    return None


def is_other(name: str) -> bool:
    """Whether a folder's name is that of an animal, whatever stands before it: `lions`, `2_red fox`."""
    last = _plain(name).split()[-2:]
    words = {" ".join(last), *last[-1:]}
    return bool({one for word in words for one in (word, word.removesuffix("s"), word.removesuffix("es"))} & OTHERS)


def _unknown(folder: PurePosixPath) -> str:
    """What to call a folder that names no class: the other animal that it names, or its own name."""
    return next((name for name in reversed(folder.parts) if is_other(name)), folder.name)


def label_of(folder: str, species: Sequence[str]) -> int | None:
    """The class that a folder's name means, whatever its case, spacing, plural or the numbers around it; None if it
    means none. Scientific names and the labels of SpeciesNet (`ID;class;order;family;genus;species;name`) mean one too.
    """
    classes = {_plain(name): place for place, name in enumerate(species)}
    for name in _readings(folder):
        for candidate in (name, name.removesuffix("s"), name.removesuffix("es")):
            other = "empty" if candidate in EMPTY_NAMES else SYNONYMS.get(candidate, candidate)
            place = classes.get(other)
            if place is not None:
                return place
    return None


def _readings(folder: str) -> list[str]:
    """What a folder's name may say, plainly, the likeliest first."""
    parts = folder.split(";")
    if len(parts) == 7:  # a label of SpeciesNet
        return [_plain(parts[6]), _plain(f"{parts[4]} {parts[5]}")]
    name = _plain(folder)
    bare = re.sub(r"^[\d ]+|( copy| copie| kopie)?[\d ]*$", "", name)
    return [name, bare, " ".join(bare.split()[:2])] if _is_trinomial(bare) else [name, bare]


def _is_trinomial(name: str) -> bool:
    """Whether a name is a scientific one with a subspecies behind it, as equus quagga burchellii."""
    words = name.split()
    return len(words) == 3 and " ".join(words[:2]) in SCIENTIFIC


def _plain(name: str) -> str:
    """A name in small letters with single spaces, without apostrophes: `Grant's_Gazelle`, `grantsGazelle`."""
    text = re.sub(r"['’`´]", "", unicodedata.normalize("NFC", name))
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    return " ".join(re.split(r"[^a-z0-9]+", text.casefold())).strip()


def _entries(data: bytes) -> list[zipfile.ZipInfo]:
    """All entries of a zip that may be opened at all."""
    with opened(
        data, most=MAX_ENTRIES, advice=f"pack at most {MAX_PHOTOS} photographs into a new .zip file"
    ) as archive:
        entries = archive.infolist()
    for info in entries:
        _check_entry(info)
    return entries


def _check_entry(info: zipfile.ZipInfo) -> None:
    name, kind = _slashed(info), stat.S_IFMT(info.external_attr >> 16)
    check_packing(info)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UserError("The zip holds links or other special files; pack plain folders of photographs.")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise UserError("The zip names places outside itself ('..' or an absolute name); pack plain folders instead.")


def _check_amount(photographs: list[zipfile.ZipInfo], unknown: list[str], example: str) -> None:
    if not photographs:
        found = f"; its folders are called {shortened(unknown)}" if unknown else ""
        raise UserError(f"The zip has no photograph in a folder named after a species, such as '{example}'{found}.")
    if len(photographs) > MAX_PHOTOS:
        raise UserError(f"The zip holds {len(photographs):,} photographs; at most {MAX_PHOTOS} are read at once.")
    if sum(info.file_size for info in photographs) > MAX_UNPACKED:
        raise UserError(f"The zip unpacks to more than {MAX_UNPACKED // 1_000_000} MB; send fewer or smaller pictures.")


def shortened(names: Sequence[str], *, most: int = 6) -> str:
    """Names in one line, cut to `most` of them and to 30 letters each."""
    shown = ", ".join(f"'{name[:30]}'" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _slashed(info: zipfile.ZipInfo) -> str:
    return info.filename.replace("\\", "/")


def _hidden(info: zipfile.ZipInfo) -> bool:
    """Whether an entry is a hidden file, lies in a hidden folder, or was left there by an operating system."""
    parts = _slashed(info).split("/")
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() in LITTER

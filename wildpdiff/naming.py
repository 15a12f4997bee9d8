"""A survey's photographs, named by a bundle's classifier and written for the tools that sort them."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import __version__
from .bundle import Bundle
from .errors import UserError, readable
from .export.adapted import NONE, Adapted, check_ending, check_free
from .survey.detections import THRESHOLD
from .survey.folder import Folder
from .survey.names import Meaning, meaning
from .survey.open import open_survey
from .survey.records import ANIMAL, Box, Frame
from .survey.survey import Survey
from .survey.write import MOST, Guesses, Told, labels_of, write_megadetector
from .survey.write_camtrap import write_camtrap
from .training.loop import Step
from .worlds.reader import Reader
from .worlds.strips import Strips

MEGADETECTOR, CAMTRAP = FORMS = ("megadetector", "camtrap")
#: Pictures that go through the network at once.
BATCH = 32
FAILED = "it cannot be read"


@dataclass(frozen=True)
class Order:
    """What to name and what to write.

    Attributes:
        path: metadata or a folder, as `open_survey` takes it.
        form: one of `FORMS`.
        out: the file (of MegaDetector's form) or folder to write.
        adapter: folder of a PEFT adapter, or `NONE`.
        images: the folder that file names start from, where it is another one.
        boxes: a file of MegaDetector's or SpeciesNet's.
        columns: of a table with names of its own.
    """

    path: Path
    form: str
    out: Path
    adapter: str = NONE
    images: Path | None = None
    boxes: Path | None = None
    columns: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant, or written.

        Raises:
            UserError: naming what would be right.
        """
        if self.form not in FORMS:
            raise UserError(f"The form must be one of: {', '.join(FORMS)}; not '{self.form[:20]}'.")
        if self.form == MEGADETECTOR:
            check_ending(self.out, ".json", self.form)
        check_free([self.out])


@dataclass
class Named:
    """What was named so far, and where it is written.

    Attributes:
        written: the file or folder, as it was ordered.
        photographs: how many there are.
        animals: pictures (boxes, or whole frames without one) that are named as an animal.
        species: the same by name, the most frequent first.
        empty: photographs without anything.
        people: photographs with a person or a vehicle, by the detector or the records.
        failures: files that cannot be read.
        seconds: from the first photograph to the last.
        notes: what was odd, in sentences.
    """

    written: str
    photographs: int
    animals: int = 0
    species: dict[str, int] = field(default_factory=dict)
    empty: int = 0
    people: int = 0
    failures: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def words(self) -> str:
        """The same in a few lines."""
        shown = list(self.species.items())[:12]
        rest = len(self.species) - len(shown)
        each = ", ".join(f"{readable(name)} {count:,}" for name, count in shown) + (f", {rest} more" if rest else "")
        return (
            f"{self.photographs:,} photographs: {self.animals:,} animals named{f' ({each})' if each else ''}, "
            f"{self.empty:,} empty, {self.people:,} with people or vehicles, {self.failures:,} that cannot be read; "
            f"{self._pace:.3f} seconds a photograph.\nWritten to {self.written}."
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        own = {key: value for key, value in vars(self).items() if key != "notes"}
        return own | {"seconds_per_photograph": self._pace, "notes": list(self.notes)}

    @property
    def _pace(self) -> float:
        return self.seconds / max(1, self.photographs)


def name_photographs(bundle: Bundle, order: Order) -> Iterator[tuple[Step, Named]]:
    """Name all photographs of a survey and write what is said of them; the last step comes when it is written.

    Every box of an animal that is believed is one picture, a photograph without one is a picture as a whole; both are
    cut as `CameraWorld` cuts them. Only records and guesses are kept, no pixels.

    Raises:
        UserError: as `Adapted.of` and `open_survey`, or if no photograph can be found or `out` cannot be written.
    """
    adapted = Adapted.of(bundle, order.adapter)
    survey = open_survey(order.path, images=order.images, columns=order.columns, boxes=order.boxes)
    survey.source = survey.source or order.path.resolve().name  # of '.'
    frames = _frames(survey)
    reader = Reader(Folder(survey.images), adapted.size)
    _check_found(reader.folder, frames, survey)
    strips = reader.strips(_by_place(frames))
    begun, guesses = time.perf_counter(), [list[Guesses]() for _ in frames]
    found = Named(str(order.out), len(frames))
    for done in _guess(adapted, reader, strips, frames, guesses):
        if done < len(frames):
            yield Step(done, len(frames), 0.0), found
    found.seconds = time.perf_counter() - begun
    told = [_told(frame, own, reader) for frame, own in zip(frames, guesses, strict=True)]
    _count(found, told)
    found.notes = (*survey.notes, *_notes(reader, strips, told), *_write(order, survey, told, adapted))
    yield Step(len(frames), len(frames), 0.0), found


def _frames(survey: Survey) -> list[Frame]:
    """A survey's photographs, each once, with the boxes that are believed; what anybody said of animals is dropped."""
    frames: dict[str, Frame] = {}
    for frame in survey.frames():
        boxes = frame.boxes and tuple(box for box in frame.boxes if box.confidence >= THRESHOLD)
        frames.setdefault(frame.file, frame._replace(species=(), empty=False, boxes=boxes))
    if not frames:
        raise UserError(f"'{survey.source}' names no photograph; give metadata or a folder that does.")
    return list(frames.values())


def _check_found(folder: Folder, frames: Sequence[Frame], survey: Survey) -> None:
    """Raises UserError if not one photograph is there; damaged ones are."""
    for frame in frames:
        try:
            folder.find(frame.file)
        except UserError:
            continue
        return
    raise UserError(f"No photograph of '{survey.source}' is there {folder.missing(frames[0].file)}.")


def _by_place(frames: Iterable[Frame]) -> list[list[str]]:
    places: dict[str | None, list[str]] = {}
    for frame in frames:
        places.setdefault(frame.location, []).append(frame.file)
    return list(places.values())


class _Picture(NamedTuple):
    """One picture to name, uint8 `[3, size, size]`, and the place of its photograph."""

    place: int
    pixels: Tensor


def _pictures(reader: Reader, strips: Strips, frames: Iterable[Frame]) -> Iterator[_Picture]:
    for place, frame in enumerate(frames):
        wholes: dict[int, Tensor | None] = {}
        for box in _looked_at(frame):
            height = reader.height_for(box)
            if height not in wholes:
                wholes[height] = reader.whole(frame.file, height)
            whole = wholes[height]
            if whole is not None:
                yield _Picture(place, reader.cut(whole, box, strips))


def _looked_at(frame: Frame) -> Sequence[Box | None]:
    """What a classifier of animals is shown: boxes of animals, the whole frame (None) without any box; nothing of one
    on which only people or vehicles are known to be."""
    animals = [box for box in frame.boxes or () if box.kind == ANIMAL]
    return animals or ([] if frame.boxes or frame.human else [None])


@torch.inference_mode()
def _guess(
    adapted: Adapted, reader: Reader, strips: Strips, frames: Sequence[Frame], guesses: Sequence[list[Guesses]]
) -> Iterator[int]:
    """Add the guesses of every picture to those of its photograph; yields how many photographs are done."""
    network, device = adapted.network, next(adapted.backbone.parameters()).device
    pictures = _pictures(reader, strips, frames)
    while batch := list(islice(pictures, BATCH)):
        pixels = torch.stack([picture.pixels for picture in batch]).to(device)
        shares = network(adapted.backbone.prepared(pixels)).float().softmax(dim=1).cpu()
        for picture, own in zip(batch, shares, strict=True):
            guesses[picture.place].append(_ranked(own, adapted.backbone.species))
        yield batch[-1].place + 1


def _ranked(shares: Tensor, species: Sequence[str]) -> Guesses:
    """The likeliest classes, and all that mean that nothing is there: they tell how sure an animal is."""
    order = shares.argsort(descending=True, stable=True).tolist()
    kept = [label for rank, label in enumerate(order) if rank < MOST or meaning(species[label]) is Meaning.EMPTY]
    return tuple((species[label], float(shares[label])) for label in kept)


def _told(frame: Frame, guesses: Sequence[Guesses], reader: Reader) -> Told:
    """What is to be written of a photograph."""
    looked = _looked_at(frame)
    if len(guesses) < len(looked) or (not looked and not _readable(frame, reader)):
        return Told(frame, failure=FAILED)
    if looked and looked[0] is not None:
        return Told(frame, each=tuple(guesses))
    return Told(frame, guesses[0]) if guesses else Told(frame)


def _readable(frame: Frame, reader: Reader) -> bool:
    """Whether a file is there, of a photograph that nobody had to open."""
    return reader.folder.size(frame.file) is not None


def _count(found: Named, told: Iterable[Told]) -> None:
    species: Counter[str] = Counter()
    for one in told:
        found.failures += bool(one.failure)
        if one.failure:
            continue
        names = {meaning(name) for name in labels_of(one)}
        found.empty += names == {Meaning.EMPTY}
        found.people += bool(names & {Meaning.PERSON, Meaning.VEHICLE})
        tops = [guesses[0][0] for guesses in one.each or (one.guesses,) if guesses]
        species.update(name for name in tops if meaning(name) is Meaning.ANIMAL)
    found.animals, found.species = species.total(), dict(species.most_common())


def _notes(reader: Reader, strips: Strips, told: Iterable[Told]) -> Iterator[str]:
    if strips.words():
        yield f"Caption strips are cut away: {strips.words()} of each photograph."
    failed = [one.frame.file for one in told if one.failure]
    if failed:
        yield f"Files that cannot be read: {len(failed):,}, such as '{readable(failed[0])}'."
    if reader.short:
        yield f"The end of {len(reader.short):,} files is missing; what is there was read."


def _write(order: Order, survey: Survey, told: Sequence[Told], adapted: Adapted) -> tuple[str, ...]:
    """Write the chosen form, whole or not at all; what its writer has to say."""
    backbone = adapted.backbone
    about = f"wildpdiff {__version__}, {backbone.architecture} {backbone.fingerprint}, adapter {adapted.name}"
    if order.form == MEGADETECTOR:
        write_megadetector(order.out, told, classifier=about, detector=survey.detector)
        return ()
    try:
        order.out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=order.out.parent, prefix=f".{order.out.name}.") as temporary:
            fresh = Path(temporary) / "package"
            now = datetime.now(UTC)
            said = write_camtrap(fresh, told, title=survey.source, classifier=about, created=now)
            fresh.rename(order.out)
    except OSError as error:
        raise UserError(f"'{order.out.name}' could not be written ({error.strerror}); choose another --out.") from error
    return said

"""What detectors wrote down: MegaDetector's output and SpeciesNet's predictions, by the names of their files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from .bursts import taken
from .json_parts import Open, parts
from .names import Meaning, common_name, meaning, seen_in
from .records import ANIMAL, PERSON, VEHICLE, Box, Frame
from .safely import read_safely
from .survey import Oddities, Survey
from .values import box_of, number_of

THRESHOLD = 0.2
"""Confidence from which on a box counts: what MegaDetector's makers call typical for its version 5."""
MEGADETECTOR, SPECIESNET = "MegaDetector's output", "SpeciesNet's predictions"
_KINDS = {"animal": ANIMAL, "person": PERSON, "human": PERSON, "vehicle": VEHICLE}
_USUAL = {"1": ANIMAL, "2": PERSON, "3": VEHICLE}


@dataclass(frozen=True, slots=True)
class Detected:
    """What a detector says of one photograph: its boxes from the threshold on, None if it failed; and, of a classifier
    too, names of what is on it, None where there was none."""

    file: str
    boxes: tuple[Box, ...] | None
    names: tuple[str, ...] | None = None
    seconds: int | None = None


def detected(opened: Open, source: str, odd: Oddities, *, threshold: float = THRESHOLD) -> Iterator[Detected]:
    """All photographs of a detector's output, in its order.

    Raises:
        UserError: if it is damaged, or another document.
    """
    with read_safely(source):
        categories, classes = _categories(opened)
        known = 0
        for part in parts(opened):
            if part.key not in ("images", "predictions") or not isinstance(part.value, list):
                continue
            known += 1
            for record in part.value:
                one = None
                if isinstance(record, dict):
                    one = (
                        _of_megadetector(record, categories, classes, threshold, odd)
                        if part.key == "images"
                        else _of_speciesnet(record, threshold, odd)
                    )
                if one is None:
                    odd.add("Records of the detector without a file name")
                    continue
                yield one
    if not known:
        raise UserError(f"'{source}' is no output of a detector: it needs a list 'images' or 'predictions'.")


def detections_survey(opened: Open, source: str, images: Path, kind: str) -> Survey:
    """A survey without labels, as a detector knows no species; where a classifier guessed some, these are its labels,
    and a photograph without any box is empty."""

    def read(odd: Oddities) -> Iterator[Frame]:
        guesses = 0
        for one in detected(opened, source, odd):
            person = any(box.kind in (PERSON, VEHICLE) for box in one.boxes or ())
            if one.names is None:
                yield Frame(one.file, None, human=person, seconds=one.seconds, boxes=one.boxes)
                continue
            guesses += 1
            species, empty, human = seen_in(one.names)
            yield Frame(one.file, None, species, empty and not person, human or person, None, one.seconds, one.boxes)
        if guesses:
            odd.add("Labels that are a program's guesses, not a person's", count=guesses)

    return Survey(kind, source, images, read, guessed=True)


def with_boxes(survey: Survey, opened: Open, source: str) -> Survey:
    """A survey whose photographs have a detector's boxes, found by their file names; those that a person drew stay."""
    index: list[_Index] = []

    def read(odd: Oddities) -> Iterator[Frame]:
        if not index:
            index.append(_Index(opened, source))
        odd.take(index[0].odd)
        missing = 0
        for frame in survey.read(odd):
            found = index[0].find(frame.file)
            if found is None:
                missing += 1
                if missing == 1:
                    odd.add("Photographs that the detector's output does not name", frame.file, 0)
                yield frame
                continue
            boxes = frame.boxes if frame.boxes else found.boxes
            yield frame._replace(boxes=boxes, seconds=found.seconds if frame.seconds is None else frame.seconds)
        if missing:
            odd.add("Photographs that the detector's output does not name", count=missing)

    return Survey(survey.kind, survey.source, survey.images, read, guessed=survey.guessed, detector=source)


class _Index:
    """Detections by file name; where a name starts from another folder than the survey's, by its end."""

    def __init__(self, opened: Open, source: str) -> None:
        self.odd = Oddities()
        self._whole: dict[str, Detected] = {}
        self._by_end: dict[str, list[str]] = defaultdict(list)
        for one in detected(opened, source, self.odd):
            name = _plain(one.file)
            self._whole[name] = one
            self._by_end[_end(name)].append(name)

    def find(self, file: str) -> Detected | None:
        name = _plain(file)
        if name in self._whole:
            return self._whole[name]
        fitting = [
            other
            for other in self._by_end.get(_end(name), ())
            if other.endswith(f"/{name}") or name.endswith(f"/{other}")
        ]
        return self._whole[fitting[0]] if len(fitting) == 1 else None


def _plain(file: str) -> str:
    return file.replace("\\", "/").removeprefix("./").casefold()


def _end(name: str) -> str:
    return name.rpartition("/")[2]


def _categories(opened: Open) -> tuple[dict[str, str], dict[str, str]]:
    """Kinds of boxes, and classes of a classifier, by the numbers that stand for them."""
    found: dict[str, Any] = {}
    names = frozenset(["detection_categories", "classification_categories", "info"])
    for part in parts(opened, leap=frozenset(["images", "predictions"]), names=names):
        if part.key in names:
            found[part.key] = part.value
    kinds, classes = (found.get(f"{which}_categories") for which in ("detection", "classification"))
    named = _USUAL
    if isinstance(kinds, dict):
        named = {str(key): _KINDS.get(str(name).casefold(), "") for key, name in kinds.items()}
    return named, {str(key): str(name) for key, name in classes.items()} if isinstance(classes, dict) else {}


def _of_megadetector(
    record: Mapping[str, Any],
    categories: Mapping[str, str],
    classes: Mapping[str, str],
    threshold: float,
    odd: Oddities,
) -> Detected | None:
    file, found = record.get("file"), record.get("detections")
    if not isinstance(file, str) or not file:
        return None
    if record.get("failure") or not isinstance(found, list):
        odd.add("Photographs that the detector failed to read", file)
        return Detected(file, None, None, taken(record))
    boxes, names = [], []
    for one in found:
        box = _box(one, categories, threshold)
        if box is None:
            continue
        boxes.append(box)
        guess = _best(one.get("classifications"), classes)
        if guess is not None:
            names.append(guess)
        elif box.kind != ANIMAL:
            names.append(box.kind)
    # A classifier that guessed something is believed where nothing was found, too.
    found = [name for name in names if meaning(name) is not Meaning.EMPTY]  # a box that is empty beside an animal's
    said = tuple(dict.fromkeys(found or names)) if boxes else ("empty",)
    return Detected(file, tuple(boxes), said if classes else None, taken(record))


def _of_speciesnet(record: Mapping[str, Any], threshold: float, odd: Oddities) -> Detected | None:
    file = record.get("filepath")
    if not isinstance(file, str) or not file:
        return None
    failures, found, said = record.get("failures"), record.get("detections"), record.get("prediction")
    if isinstance(failures, list) and "DETECTOR" in failures:
        odd.add("Photographs that the detector failed to read", file)
        found = None
    boxes = None
    if isinstance(found, list):
        boxes = tuple(box for one in found if (box := _box(one, _USUAL, threshold)) is not None)
    names = (common_name(said),) if isinstance(said, str) and said else None
    return Detected(file, boxes, names, taken(record))


def _box(one: Any, categories: Mapping[str, str], threshold: float) -> Box | None:
    """One detection as a box; None below the threshold, or of no known kind."""
    if not isinstance(one, dict):
        return None
    sure, kind = number_of(one.get("conf")), categories.get(str(one.get("category")), "")
    if sure is None or sure < threshold or not kind:
        return None
    return box_of(one.get("bbox"), kind, sure)


def _best(guesses: Any, classes: Mapping[str, str]) -> str | None:
    """The class that a classifier thinks likeliest."""
    pairs = [pair for pair in guesses if isinstance(pair, list) and len(pair) == 2] if isinstance(guesses, list) else []
    likely = max(pairs, key=lambda pair: number_of(pair[1]) or 0, default=None)
    name = classes.get(str(likely[0])) if likely else None
    return common_name(name) if name else None

"""What a classifier says of a survey's photographs, as MegaDetector's output (format 1.6): Timelapse, AddaxAI and
CamTrapTools read it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..files import save_json
from .names import KINDS, Meaning, meaning
from .records import ANIMAL, PERSON, VEHICLE, Box, Frame

FORMAT = "1.6"
EMPTY = "empty"
MOST, LEAST = 5, 0.01
"""Classes that are told of a photograph, and the confidence below which they are not."""
_NUMBERS = {ANIMAL: "1", PERSON: "2", VEHICLE: "3"}
_WHOLE = (0.0, 0.0, 1.0, 1.0)
#: Classes and their confidence, the likeliest first.
Guesses = tuple[tuple[str, float], ...]


class Told(NamedTuple):
    """A photograph and what is to be written of it.

    Attributes:
        frame: its record, with boxes if there are any.
        guesses: classes and their confidence as a classifier says, the likeliest first; without them (and `each`) the
            record's own labels are written.
        failure: why nothing can be said, as "it cannot be read".
        each: instead of `guesses`, those of every box of an animal, in the order of the record's boxes.
    """

    frame: Frame
    guesses: Guesses = ()
    failure: str = ""
    each: tuple[Guesses, ...] = ()


def labels_of(told: Told) -> tuple[str, ...]:
    """The names that are written of a photograph: the likeliest guess, or of each box; or the record's own ones.

    A person or vehicle with a box is on it, whatever a classifier of animals says; and it is empty only if all of its
    boxes are.
    """
    frame = told.frame
    human = (PERSON,) if frame.human else ()
    guessed = [guesses[0][0] for guesses in told.each or (told.guesses,) if guesses]
    names = guessed or [*frame.species, *human] or ([EMPTY] if frame.empty else [])
    people = [box.kind for box in frame.boxes or () if box.kind in (PERSON, VEHICLE)]
    shown = [name for name in names if meaning(name) is not Meaning.EMPTY]
    return tuple(dict.fromkeys([*shown, *people] or names))


def guesses_by_box(told: Told) -> dict[Box, Guesses]:
    """What is said of every box of an animal, where a classifier looked at each."""
    animals = [box for box in told.frame.boxes or () if box.kind == ANIMAL]
    return dict(zip(animals, told.each, strict=True)) if told.each else {}


def megadetector(photographs: Iterable[Told], *, classifier: str, detector: str = "") -> dict[str, Any]:
    """A document in MegaDetector's format.

    A classification belongs to a box there; where a photograph has none, the whole of it is the box, as confident as it
    is not empty.

    Args:
        photographs: in the order to write them.
        classifier: what made the guesses, with its version.
        detector: what found the boxes.
    """
    classes: dict[str, str] = {}
    images = [_image(told, classes) for told in photographs]
    info = {"format_version": FORMAT, "classifier": classifier} | ({"detector": detector} if detector else {})
    return {
        "info": info,
        "detection_categories": {number: kind for kind, number in _NUMBERS.items()},
        "classification_categories": {number: name for name, number in classes.items()},
        "images": images,
    }


def write_megadetector(path: Path, photographs: Iterable[Told], *, classifier: str, detector: str = "") -> None:
    """Write `megadetector` whole, or not at all.

    Raises:
        UserError: if the file cannot be written.
    """
    save_json(path, megadetector(photographs, classifier=classifier, detector=detector))


def _image(told: Told, classes: dict[str, str]) -> dict[str, Any]:
    file = told.frame.file.replace("\\", "/")
    names = labels_of(told)
    if told.failure or not names:
        return {"file": file, "failure": told.failure or "nobody said what it shows", "detections": None}
    boxes = list(told.frame.boxes or ())
    if told.each:
        by_box = guesses_by_box(told)
        return {"file": file, "detections": [_detection(box, by_box.get(box, ()), classes) for box in boxes]}
    if names == (EMPTY,) and not boxes:
        return {"file": file, "detections": []}
    found = []
    for place, name in enumerate(names):
        means = meaning(name)
        kind = KINDS.get(means, ANIMAL)
        own = [box for box in boxes if box.kind == kind] if place == 0 or kind != ANIMAL else []
        guesses = told.guesses if told.guesses else ((name, 1.0),)
        sure = 1 - sum(share for other, share in guesses if meaning(other) is Meaning.EMPTY)
        for box in own or [Box(*_WHOLE, kind, sure if means is not Meaning.EMPTY else 1.0)]:
            found.append(_detection(box, guesses if kind == ANIMAL else (), classes))
    shown = {KINDS.get(meaning(name), ANIMAL) for name in names}
    found += [_detection(box, (), classes) for box in boxes if box.kind not in shown]
    return {"file": file, "detections": found}


def _detection(box: Box, guesses: Sequence[tuple[str, float]], classes: dict[str, str]) -> dict[str, Any]:
    one = {
        "category": _NUMBERS.get(box.kind, _NUMBERS[ANIMAL]),
        "conf": round(box.confidence, 4),
        "bbox": [round(edge, 6) for edge in (box.left, box.top, box.width, box.height)],
    }
    kept = [pair for place, pair in enumerate(guesses[:MOST]) if place == 0 or pair[1] >= LEAST]
    numbered = [[classes.setdefault(name, str(len(classes))), round(share, 4)] for name, share in kept]
    return one | ({"classifications": numbered} if numbered else {})

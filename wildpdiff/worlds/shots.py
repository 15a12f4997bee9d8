"""From a survey's frames to what a classifier learns from: crops of boxes or whole frames, with label and split."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import UserError
from ..labelled import is_empty
from ..survey.bursts import Moment, bursts_of
from ..survey.records import ANIMAL, Box, Frame
from .base import EMPTY, Split, location_of
from .hashed import fraction

#: A species with fewer photographs is left out, unless it was asked for.
LEAST = 5
#: Of a held-out camera's empty photographs, the share that shows the place; the others are measured on.
SHOWN_EMPTIES = 0.5


class Shot(NamedTuple):
    """One picture to name: a file, the box to crop (None is the whole frame), and what is known of it."""

    file: str
    label: int
    split: Split
    burst: str
    box: Box | None


@dataclass(frozen=True)
class Choice:
    """What of a survey is used, and how.

    Attributes:
        species: names to keep; None keeps all with at least `LEAST` photographs.
        locations: cameras to keep; None keeps all.
        crops: animals are cropped by their boxes where there are boxes.
        confidence: of a detector's box that is believed.
        eval_share: share of a camera's bursts that is measured on, at least one of two.
        held_out: cameras that nothing is learned from; all of their photographs are measured on, but for those that
            show the empty place.
        seed: of the split.
    """

    species: tuple[str, ...] | None = None
    locations: tuple[str, ...] | None = None
    crops: bool = True
    confidence: float = 0.2
    eval_share: float = 0.3
    held_out: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Shots:
    """What is used of a survey.

    Attributes:
        species: names of the classes, `empty` last.
        shots: by location, in order of their files.
        backgrounds: files of each location that show the empty place, none of them measured on.
        left_out: how many frames are not used, by reason.
        cropped: how many animals are cropped by a box.
        whole: how many pictures with an animal are whole frames, as nobody drew a box.
    """

    species: tuple[str, ...]
    shots: dict[str, list[Shot]]
    backgrounds: dict[str, list[str]]
    left_out: dict[str, int]
    cropped: int
    whole: int


def shots_of(frames: Iterable[Frame], choice: Choice) -> Shots:
    """What of a survey's frames is used.

    Raises:
        UserError: if a species or location that was asked for is not there, or nothing is left.
    """
    left_out: Counter[str] = Counter()
    usable = [frame for frame in frames if _usable(frame, left_out)]
    classes = _classes(usable, choice)
    label_of = {_plain(name): place for place, name in enumerate(classes)}
    by_place: dict[str, list[tuple[Frame, int]]] = defaultdict(list)
    seen: set[str] = set()
    for frame in usable:
        label = len(classes) - 1 if frame.empty else label_of.get(_plain(frame.species[0]))
        if label is None:
            left_out["of a species that is not listed"] += 1
        elif frame.file in seen:
            left_out["listed twice"] += 1
        else:
            seen.add(frame.file)
            by_place[str(frame.location)].append((frame, label))
    for name in (*(choice.locations or ()), *choice.held_out):
        location_of(name, sorted(by_place))
    wanted = sorted(by_place) if choice.locations is None else list(dict.fromkeys(choice.locations))
    boxes = _animal_boxes(usable, choice)
    shots, backgrounds = {}, {}
    for name in wanted:
        shots[name], backgrounds[name] = _at(name, by_place[name], classes, choice, boxes)
    if not any(shot.label < len(classes) - 1 for own in shots.values() for shot in own):
        raise UserError(
            "No photograph shows a listed species; list other species, or look with `wildpdiff data inspect`."
        )
    animals = [shot for own in shots.values() for shot in own if shot.label < len(classes) - 1]
    cropped = sum(shot.box is not None for shot in animals)
    return Shots(classes, shots, backgrounds, dict(left_out), cropped, len(animals) - cropped)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _usable(frame: Frame, left_out: Counter[str]) -> bool:
    """Whether a frame can be learned from; otherwise the reason is counted."""
    reasons = {
        "marked as corrupt": frame.corrupt,
        "without a location": frame.location is None,
        "with a person or a vehicle": frame.human,
        "without a label": not frame.empty and not frame.species,
        "with two species": len({_plain(name) for name in frame.species}) > 1,
    }
    reason = next((name for name, holds in reasons.items() if holds), None)
    if reason:
        left_out[reason] += 1
    return reason is None


def _classes(frames: Sequence[Frame], choice: Choice) -> tuple[str, ...]:
    """The classes: species that were asked for, or that have enough photographs; then `empty`."""
    counts = Counter(_plain(frame.species[0]) for frame in frames if not frame.empty)
    spelled = {_plain(frame.species[0]): frame.species[0].strip() for frame in reversed(frames) if not frame.empty}
    if choice.species is None:
        kept = sorted(name for name, count in counts.items() if count >= LEAST)
        if not kept:
            raise UserError(
                f"No species has {LEAST} labelled photographs; label more, or name the species to learn from."
            )
        return (*(spelled[name] for name in kept), EMPTY)
    asked = [name.strip() for name in choice.species if not is_empty(name)]
    if not asked or len({_plain(name) for name in asked}) < len(asked):
        raise UserError("The species to learn must be named, each once; names that differ only in case are the same.")
    missing = next((name for name in asked if _plain(name) not in counts), None)
    if missing is not None:
        known = ", ".join(sorted(spelled.values()))
        raise UserError(f"No photograph is labelled '{missing}'; choose species among: {known}.")
    return (*asked, EMPTY)


def _animal_boxes(frames: Sequence[Frame], choice: Choice) -> list[Box]:
    return [box for frame in frames if choice.crops for box in _boxes(frame, choice)]


def _boxes(frame: Frame, choice: Choice) -> list[Box]:
    """The boxes of a frame that an animal is believed to be in."""
    found = frame.boxes or () if choice.crops else ()
    return [box for box in found if box.kind == ANIMAL and box.confidence >= choice.confidence]


def _at(
    place: str, found: Sequence[tuple[Frame, int]], classes: Sequence[str], choice: Choice, boxes: Sequence[Box]
) -> tuple[list[Shot], list[str]]:
    """The shots of one location, and the files that show it empty."""
    bursts, _ = bursts_of(place, [Moment(frame.file, frame.sequence, frame.seconds) for frame, _ in found])
    measured = _measured(place, bursts, choice)
    empties = [frame.file for frame, label in found if label == len(classes) - 1]
    if place in choice.held_out:
        empties.sort(key=lambda file: fraction("background", file))
        backgrounds = empties[: math.ceil(SHOWN_EMPTIES * len(empties))]
    else:
        on = {frame.file for (frame, _), burst in zip(found, bursts, strict=True) if burst not in measured}
        backgrounds = [file for file in empties if file in on]
    shots: list[Shot] = []
    for (frame, label), burst in zip(found, bursts, strict=True):
        split: Split = "eval" if burst in measured else "train"
        if split == "eval" and frame.file in backgrounds:
            continue
        for box in _crops(frame, label, classes, choice, boxes):
            shots.append(Shot(frame.file, label, split, burst, box))
    return sorted(shots, key=lambda shot: (shot.file, shot.box.left if shot.box else 0.0)), sorted(backgrounds)


def _measured(place: str, bursts: Sequence[str], choice: Choice) -> set[str]:
    """The bursts of a location that are measured on: a share of them, but at least one, and not the only one."""
    ranked = sorted(set(bursts), key=lambda burst: fraction("split", f"{place}\0{burst}", choice.seed))
    if place in choice.held_out:
        return set(ranked)
    count = max(1, round(choice.eval_share * len(ranked))) if len(ranked) > 1 else 0
    return set(ranked[:count])


def _crops(
    frame: Frame, label: int, classes: Sequence[str], choice: Choice, boxes: Sequence[Box]
) -> Sequence[Box | None]:
    """What is cropped of a frame: its animals; of an empty one, what a detector's mistake would be like.

    An empty frame borrows the box of an animal of another frame: were it shown whole, its size alone would tell it
    from the crops.
    """
    if label < len(classes) - 1:
        return _boxes(frame, choice) or [None]
    if not boxes:
        return [None]
    return [boxes[int(fraction("borrowed", frame.file) * len(boxes))]]

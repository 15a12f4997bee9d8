"""Which photographs of a large survey are needed: some locations, and of each some of every animal and some empty."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..build.recipes import FULL
from ..errors import UserError, readable
from ..survey.folder import leads_out
from ..survey.records import Frame
from ..survey.survey import Survey
from ..worlds.base import EMPTY, location_of
from ..worlds.coco_metadata import check_species, classes_of, label_of, plain, wanted_of
from ..worlds.hashed import fraction

#: The paper's ten seen and five unseen locations, which come first.
NAMED = (*FULL.seen, *FULL.unseen)
#: Classes with an animal, where none is named: the most frequent ones, as in the paper.
ANIMALS = 18
#: The paper's 110 locations to train and 5 to test.
LOCATIONS = 115


@dataclass(frozen=True)
class Wish:
    """What is needed.

    Attributes:
        species: names of animals; of none, the `ANIMALS` that most photographs show.
        locations: names, or how many: `NAMED` first, then others by a draw.
        each: photographs of one animal at one location, at most.
        empties: photographs of the empty place at one location, at most.
        least: photographs with an animal, and as many empty ones, that a location has at least if it is not named by
            the user.
        seed: of all draws.
    """

    species: tuple[str, ...] = ()
    locations: tuple[str, ...] | int = LOCATIONS
    each: int = 150
    empties: int = 300
    least: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be meant.

        Raises:
            UserError: naming the first one.
        """
        for name, low in (("each", 1), ("empties", 1), ("least", 1), ("seed", 0)):
            if getattr(self, name) < low:
                raise UserError(f"'{name}' must be at least {low}, not {getattr(self, name)}.")
        if not self.locations or (isinstance(self.locations, int) and self.locations < 1):
            raise UserError("At least one location is needed: say how many, or name them.")


@dataclass(frozen=True)
class Chosen:
    """What was chosen.

    Attributes:
        species: the classes, `empty` last.
        locations: in the order of their names.
        files: names of the photographs as the metadata has them, each with its location.
    """

    species: tuple[str, ...]
    locations: tuple[str, ...]
    files: Mapping[str, str]


class _Kind(NamedTuple):
    """What decides a photograph's label."""

    species: tuple[str, ...]
    empty: bool
    human: bool
    corrupt: bool

    def label(self, wanted: Mapping[str, int]) -> int:
        """As `label_of` of a frame like that."""
        return label_of(Frame("", None, self.species, self.empty, self.human, corrupt=self.corrupt), wanted)


_Counts = dict[str, Counter[_Kind]]


def choose(survey: Survey, wish: Wish) -> Chosen:
    """The photographs that are needed; the same ones for the same survey and wish.

    Two passes over the survey; memory for what is chosen and some counts. Photographs are drawn by a hash of their
    names, so that a larger wish holds those of a smaller one, and all seasons and both sides of every split get their
    share. Shares of species are flatter than at the place itself, as each animal has the same limit.

    Raises:
        UserError: if the survey is damaged, a file's name leads out of its folder, a species or location that was asked
            for is not there, or there are not as many locations.
    """
    counts = _counted(survey)
    classes = classes_of(wish.species or _most_frequent(counts, survey.source))
    wanted = wanted_of(classes)
    check_species(survey, wanted)
    locations = _locations(counts, wish, wanted, survey.source)
    return Chosen(classes, locations, dict(_drawn(survey, wish, wanted, frozenset(locations))))


def _counted(survey: Survey) -> _Counts:
    """How many photographs of each kind every location has."""
    counts: _Counts = defaultdict(Counter)
    for frame in survey.frames():
        if leads_out(frame.file):
            raise UserError(
                f"'{survey.source}' names a file outside its folder ('{readable(frame.file)[:60]}'); take the metadata "
                "from LILA itself."
            )
        if frame.location is not None:
            counts[frame.location][_Kind(frame.species, frame.empty, frame.human, frame.corrupt)] += 1
    if not counts:
        raise UserError(f"No photograph in '{survey.source}' names its 'location'; choose a set that has them.")
    return counts


def _most_frequent(counts: _Counts, source: str) -> tuple[str, ...]:
    """The animals that most photographs show alone."""
    found: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for own in counts.values():
        for kind, count in own.items():
            if len(kind.species) == 1 and not (kind.empty or kind.human or kind.corrupt):
                found[plain(kind.species[0])] += count
                spelled.setdefault(plain(kind.species[0]), kind.species[0].strip())
    if not found:
        raise UserError(f"No photograph in '{source}' is labelled with an animal alone; choose another set.")
    return tuple(spelled[name] for name, _ in sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:ANIMALS])


def _locations(counts: _Counts, wish: Wish, wanted: Mapping[str, int], source: str) -> tuple[str, ...]:
    if not isinstance(wish.locations, int):
        return tuple(sorted({location_of(name, sorted(counts)) for name in wish.locations}))
    enough = [name for name, own in counts.items() if _has_enough(own, wish, wanted)]
    if len(enough) < wish.locations:
        raise UserError(
            f"'{source}' has {len(enough)} locations with {wish.least} photographs of these animals and {wish.least} "
            f"empty ones, and not {wish.locations}; ask for fewer locations, or lower --least."
        )
    ranked = sorted(enough, key=lambda name: (name not in NAMED, fraction("location", name, wish.seed)))
    return tuple(sorted(ranked[: wish.locations]))


def _has_enough(own: Counter[_Kind], wish: Wish, wanted: Mapping[str, int]) -> bool:
    by_label: Counter[int] = Counter()
    for kind, count in own.items():
        by_label[kind.label(wanted)] += count
    empties = by_label[wanted[EMPTY]]
    animals = sum(count for label, count in by_label.items() if label >= 0) - empties
    return animals >= wish.least and empties >= wish.least


def _drawn(
    survey: Survey, wish: Wish, wanted: Mapping[str, int], locations: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """The files of each location, and the location."""
    draws: dict[tuple[str, int], _Draw] = {}
    for frame in survey.frames():
        if frame.location not in locations:
            continue
        label = label_of(frame, wanted)
        if label >= 0:
            most = wish.empties if label == wanted[EMPTY] else wish.each
            draws.setdefault((str(frame.location), label), _Draw(most)).offer(frame.file, wish.seed)
    for (location, _), draw in sorted(draws.items()):
        yield from ((file, location) for file in sorted(draw.files))


class _Draw:
    """Those files of all that are offered whose hashes are smallest."""

    def __init__(self, most: int) -> None:
        self._most, self.files = most, set[str]()
        self._largest: list[tuple[float, str]] = []

    def offer(self, file: str, seed: int) -> None:
        """Consider one more."""
        key = (-fraction("draw", file, seed), file)
        if file in self.files or (len(self.files) == self._most and key <= self._largest[0]):
            return
        self.files.add(file)
        if len(self.files) <= self._most:
            heapq.heappush(self._largest, key)
        else:
            self.files.remove(heapq.heappushpop(self._largest, key)[1])

"""What a survey holds, and what is wrong with it, in one pass over its records."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import UserError
from .bursts import GAP
from .folder import leads_out
from .inspection import Inspection, Site
from .look import Sampled, Strips, look_at
from .survey import Oddities, Survey

SAMPLE = 120
"""Pictures that are looked at."""
EARLIEST = 946_684_800
"""The year 2000: what is older was written by a camera whose clock nobody set."""
_NEVER = -(2**62)
Key = tuple[str | None, tuple[str, ...], bool, bool, bool]


def inspect(survey: Survey, *, strips: Strips | None = None) -> Inspection:
    """Go once through all records, then look at a sample of the pictures.

    Memory: 28 bytes a photograph, beside what the survey itself needs.

    Args:
        survey: of any format.
        strips: finds caption strips in a sample of pictures, see `look_at`.

    Raises:
        UserError: if it describes no photograph, or is damaged.
    """
    passed = _Pass(survey)
    if not passed.count:
        raise UserError(f"'{survey.source}' ({survey.kind}) describes no photograph; give another file or folder.")
    odd, of_pictures = Oddities(), Oddities()
    odd.take(survey.oddities)
    sites, species = passed.sites(), passed.species()
    passed.tell(odd)
    _tell_of_names(odd, species)
    bursts, by = passed.bursts(odd)
    pictures = look_at(passed.sample, survey.images, of_pictures, strips=strips)
    if pictures.missing < pictures.asked:  # else they are simply elsewhere
        odd.take(of_pictures)
    bare = [site.name for site in sites if not site.empty]
    if bare:
        odd.add("Locations without an empty photograph", bare[0], len(bare))
    return Inspection(
        survey.kind, survey.source, passed.count, passed.of(lambda key: bool(key[1])), passed.of(lambda key: key[2]),
        passed.of(lambda key: key[3]), passed.of(lambda key: not (key[1] or key[2] or key[3])), survey.guessed, species,
        sites, passed.dates(), bursts, by, passed.boxed, dict(passed.boxes.most_common()), survey.detector,
        pictures if pictures.missing < pictures.asked else None, tuple(odd),
    )  # fmt: skip


class _Pass:
    """One pass over all records, kept as some numbers each."""

    def __init__(self, survey: Survey) -> None:
        self.counts: dict[Key, int] = defaultdict(int)
        self.first: dict[Key, str] = {}
        self.boxes: Counter[str] = Counter()
        self.sample: list[Sampled] = []
        self.boxed = self.count = 0
        self._outside = Oddities()
        self._places: dict[str | None, int] = {}
        self._place, self._seconds = array("i"), array("q")
        self._file, self._sequence = array("q"), array("q")
        self._run(survey)

    def _run(self, survey: Survey) -> None:
        counts, first, places, boxes = self.counts, self.first, self._places, self.boxes
        add_place, add_seconds = self._place.append, self._seconds.append
        add_file, add_sequence = self._file.append, self._sequence.append
        count, stride, boxed = 0, 1, 0
        for file, location, species, empty, human, sequence, seconds, found, corrupt in survey.frames():
            key = (location, species, empty, human, corrupt)
            if key not in counts:
                first[key] = file
                places.setdefault(location, len(places))
            counts[key] += 1
            add_place(places[location])
            add_seconds(_NEVER if seconds is None else seconds)
            add_file(hash(file))
            add_sequence(0 if sequence is None else hash(sequence) | 1)
            if found is not None:
                boxed += 1
                for box in found:
                    boxes[box.kind] += 1
            if leads_out(file):
                self._outside.add("File names that lead out of the images' folder, which are not read", file)
            if count % stride == 0:
                self.sample.append(Sampled(file, location))
                if len(self.sample) == 2 * SAMPLE:
                    stride, self.sample = 2 * stride, self.sample[::2]
            count += 1
        self.count, self.boxed = count, boxed
        self.sample = self.sample[:: max(1, len(self.sample) // SAMPLE)][:SAMPLE]

    def of(self, told: Any) -> int:
        """Photographs of whose label something holds."""
        return sum(count for key, count in self.counts.items() if told(key))

    def species(self) -> dict[str, int]:
        """Photographs by species, the most frequent first."""
        found: Counter[str] = Counter()
        for (_, species, *_), count in self.counts.items():
            for name in species:
                found[name] += count
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def sites(self) -> tuple[Site, ...]:
        """All locations that have a name, the largest first."""
        numbers: dict[str, tuple[int, int, int, int]] = defaultdict(lambda: (0, 0, 0, 0))
        species: dict[str, set[str]] = defaultdict(set)
        for (location, names, empty, human, _), count in self.counts.items():
            if location is None:
                continue
            all_of, blank, animal, bare = numbers[location]
            blank, animal = blank + count * (empty and not names), animal + count * bool(names)
            numbers[location] = (all_of + count, blank, animal, bare + count * (not (names or empty or human)))
            species[location].update(names)
        found = [Site(name, *own, len(species[name])) for name, own in numbers.items()]
        return tuple(sorted(found, key=lambda site: (-site.photographs, site.name)))

    def dates(self) -> tuple[int, int] | None:
        """First and last moment; those of clocks that nobody set do not count, if there are others."""
        seconds = np.frombuffer(self._seconds, np.int64)
        known = seconds[seconds != _NEVER]
        later = known[known >= EARLIEST]
        chosen = later if len(later) else known
        return (int(chosen.min()), int(chosen.max())) if len(chosen) else None

    def tell(self, odd: Oddities) -> None:
        """Count what is odd in the records themselves."""
        for what, told in (
            ("Photographs without a location", lambda key: key[0] is None),
            (
                "Photographs that are called empty and an animal at once, and are of no use",
                lambda key: key[1] and key[2],
            ),
            ("Photographs that the metadata calls corrupt", lambda key: key[4]),
        ):
            keys = [key for key in self.counts if told(key)]
            if keys:
                odd.add(what, self.first[keys[0]], self.of(told))
        odd.take(self._outside)
        names = np.frombuffer(self._file, np.int64)
        twice = self.count - _different(names)
        if twice:
            odd.add("Photographs that are listed twice", count=twice)
        seconds = np.frombuffer(self._seconds, np.int64)
        unset = int(((seconds != _NEVER) & (seconds < EARLIEST)).sum())
        if unset:
            odd.add("Photographs from before 2000, by clocks that nobody set", count=unset)

    def bursts(self, odd: Oddities) -> tuple[int, str]:
        """How many bursts there are, and what tells them: sequences; where there are none, or one for all of a
        location, gaps in time.

        What neither has is counted as odd, and as bursts of one.
        """
        place, seconds = np.frombuffer(self._place, np.int32), np.frombuffer(self._seconds, np.int64)
        sequence = np.frombuffer(self._sequence, np.int64)
        whole = self._of_one_sequence(place, sequence)
        names = {code: name for name, code in self._places.items()}
        if len(whole):
            what = "Locations of which all photographs are one sequence, so that gaps in time make bursts"
            odd.add(what, names[int(whole[0])] or "", len(whole))
        loose = (sequence == 0) | np.isin(place, whole)
        pairs = _different(sequence[~loose] * 1_000_003 + place[~loose])
        timed = loose & (seconds != _NEVER)
        gaps = _gaps(place[timed], seconds[timed])
        neither = int((loose & ~timed).sum())
        if neither:
            odd.add("Photographs with neither sequence nor time, so that bursts may be torn apart", count=neither)
        by = " and ".join(word for word, count in (("sequence", pairs), ("time", gaps)) if count)
        return pairs + gaps + neither, by or "nothing"

    def _of_one_sequence(self, place: Any, sequence: Any) -> Any:
        """Locations whose photographs are all of one sequence, and more than a camera takes in one burst."""
        sites = len(self._places)
        some = np.zeros(sites, np.int64)
        some[place] = sequence
        others = np.bincount(place[sequence != some[place]], minlength=sites)
        return np.flatnonzero((others == 0) & (some != 0) & (np.bincount(place, minlength=sites) > _TIME_LAPSE))


def _different(numbers: Any) -> int:
    """How many different numbers there are; sorting is faster than numpy's own way for millions."""
    ordered = np.sort(numbers)
    return len(ordered) and 1 + int((ordered[1:] != ordered[:-1]).sum())


def _gaps(place: Any, seconds: Any) -> int:
    """Bursts that gaps in time make at all locations together."""
    if not len(place):
        return 0
    order = np.lexsort((seconds, place))
    place, seconds = place[order], seconds[order]
    return 1 + int(((place[1:] != place[:-1]) | (np.diff(seconds) >= GAP)).sum())


def _tell_of_names(odd: Oddities, species: dict[str, int]) -> None:
    """Count species that cannot be told apart or learned."""
    single = [name for name, count in species.items() if count == 1]
    if single:
        odd.add("Species with one photograph", single[0], len(single))
    folded = sorted(species, key=lambda name: (_folded(name), name))
    alike = [(one, other) for one, other in pairwise(folded) if _folded(one) == _folded(other)]
    if alike:
        odd.add("Species whose names differ in case or spacing only", f"{alike[0][0]}' and '{alike[0][1]}", len(alike))


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


_TIME_LAPSE = 50
"""Photographs of one sequence that are more than a camera takes in one burst."""

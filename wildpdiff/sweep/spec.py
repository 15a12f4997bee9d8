"""What a sweep writes and measures: every combination of pairs, blend weights, seeds, regimes and ways."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from ..bundle import Bundle
from ..errors import UserError
from .pace import drawing, pace

#: Adapters of one sweep at most, seeds of one cell, DDIM steps, and photographs of a location.
MOST, SEEDS, STEPS, IMAGES = 2_000, 16, 200, 200

Pair = tuple[str, str]


@dataclass(frozen=True)
class Spot:
    """One cell of a sweep: what its adapters share, all but the seed."""

    regime: str
    way: str
    a: str
    b: str
    weight: float


@dataclass(frozen=True)
class Sweep:
    """What to write and measure: every combination, in the order regime, way, pair, weight, seed.

    Attributes:
        pairs: two different named locations each.
        weights: blend weights, 0..1; 0 is the first location of a pair.
        seeds: adapters of each combination.
        regimes: of similarity.
        ways: `ours`, `paper`.
        steps: of DDIM.
        images: photographs of each location to name.
        seed: of the first adapter of each combination; the next ones count up.
    """

    pairs: tuple[Pair, ...]
    weights: tuple[float, ...]
    seeds: int = 1
    regimes: tuple[str, ...] = ("H",)
    ways: tuple[str, ...] = ("ours",)
    steps: int = 50
    images: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for parts, word in (
            (self.pairs, "pair"),
            (self.weights, "blend weight"),
            (self.regimes, "regime of similarity"),
            (self.ways, "way to blend"),
        ):
            _several(parts, word)
        if twice := next((a for a, b in self.pairs if a == b), None):
            raise UserError(f"A pair needs two different locations, not {str(twice)[:20]} twice.")
        for weight in self.weights:
            if not 0 <= weight <= 1:
                raise UserError(f"A blend weight must lie in 0..1 (0 is the first location), not {weight:g}.")
        _within(self.seeds, 1, SEEDS, "number of seeds")
        _within(self.steps, 1, STEPS, "number of DDIM steps")
        _within(self.images, 1, IMAGES, "number of photographs of a location")
        _within(self.seed, 0, 2**31 - SEEDS, "first seed")
        if self.size > MOST:
            raise UserError(f"A sweep writes at most {MOST:,} adapters, and this one is {self.size:,}; choose fewer.")

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Sweep:
        """A sweep from plain JSON (`pairs` as lists of two names, the rest as the attributes are called).

        Raises:
            UserError: for any value that is missing, of another kind or out of range.
        """
        try:
            return cls(
                tuple((str(a), str(b)) for a, b in value["pairs"]),
                tuple(float(weight) for weight in value["weights"]),
                _whole(value, "seeds", 1),
                tuple(map(str, value.get("regimes", ("H",)))),
                tuple(map(str, value.get("ways", ("ours",)))),
                _whole(value, "steps", 50),
                _whole(value, "images", 100),
                _whole(value, "seed", 0),
            )
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                "The sweep is not whole; it needs pairs of locations and blend weights, and numbers where numbers are."
            ) from error

    @property
    def size(self) -> int:
        """How many adapters."""
        return len(self.pairs) * len(self.weights) * self.seeds * len(self.regimes) * len(self.ways)

    @property
    def locations(self) -> tuple[str, ...]:
        """The locations of all pairs, each once."""
        return tuple(dict.fromkeys(name for pair in self.pairs for name in pair))

    @property
    def spots(self) -> list[Spot]:
        """Its cells in order."""
        order = product(self.regimes, self.ways, self.pairs, self.weights)
        return [Spot(regime, way, a, b, float(weight)) for regime, way, (a, b), weight in order]

    def to_json(self) -> dict[str, Any]:
        """The sweep as a JSON object that `of` reads."""
        return asdict(self)

    @property
    def command(self) -> str:
        """What to type for the same sweep."""
        pairs = ",".join(f"{a}:{b}" for a, b in self.pairs)
        parts = [f"wildpdiff sweep --pairs {pairs} --weights {','.join(f'{weight:g}' for weight in self.weights)}"]
        parts += [f"--seeds {self.seeds} --seed {self.seed} --steps {self.steps}"]
        parts += [f"--regime {','.join(self.regimes)} --way {','.join(self.ways)} --images {self.images}"]
        return " ".join([*parts, "--out sweep.csv"])

    def check(self, bundle: Bundle) -> None:
        """Refuse what a bundle cannot answer.

        Raises:
            UserError: if a location, a regime or a way is not in it.
        """
        for name in self.locations:
            bundle.embedding(name)
        for regime, way in product(self.regimes, self.ways):
            bundle.variant(regime, way)

    def cost(self, bundle: Bundle, *, drawn: bool = False) -> float:
        """About how many seconds it takes here; `drawn` says that the photographs are there already.

        Raises:
            UserError: as `check`.
        """
        self.check(bundle)
        known = pace(bundle)
        cells = len(self.spots) * known.batch(self.seeds, steps=self.steps, images=2 * self.images)
        photographs = 0.0 if drawn else len(self.locations) * self.images * drawing(bundle)
        return known.begin + cells + photographs


def pairs_of(text: str) -> tuple[Pair, ...]:
    """The pairs that `A:B,A:C` means.

    Raises:
        UserError: if a part is not two names with a colon between.
    """
    pairs = [tuple(name.strip() for name in part.split(":")) for part in text.split(",")]
    for pair in pairs:
        if len(pair) != 2 or not all(pair):
            raise UserError(f"Pairs are written like A:B,A:C, not '{text[:60]}'.")
    return tuple((pair[0], pair[1]) for pair in pairs)


def weights_of(text: str) -> tuple[float, ...]:
    """The numbers that `0,0.5,1` means.

    Raises:
        UserError: if a part is no number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"Blend weights are written like 0,0.5,1, not '{text[:60]}'.") from None


def names_of(text: str) -> tuple[str, ...]:
    """The names that `L,H` means."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _several(parts: Sequence[Any], word: str) -> None:
    if not parts:
        raise UserError(f"A sweep needs at least one {word}.")
    twice, times = Counter(parts).most_common(1)[0]
    if times > 1:
        shown = ":".join(twice) if isinstance(twice, tuple) else twice
        raise UserError(f"The {word} {str(shown)[:40]} is there twice; name it once.")


def _within(number: int, low: int, high: int, word: str) -> None:
    if not low <= number <= high:
        raise UserError(f"The {word} must lie in {low}..{high}, not {number}.")


def _whole(value: Mapping[str, Any], name: str, usual: int) -> int:
    number = float(value.get(name, usual))
    if not math.isfinite(number) or number != int(number):
        raise UserError(f"'{name}' must be a whole number, not {number:g}.")
    return int(number)

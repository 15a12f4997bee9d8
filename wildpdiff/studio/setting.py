"""What a user chooses and what the page shows for it, as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from ..errors import UserError
from ..evaluate import wilson

Stage = Literal["written", "measuring", "done"]

#: How the id of a background of the user's own begins, see `pictures.Pictures`.
OWN = "own"
MAX_SAMPLES, MAX_STEPS = 16, 200
#: Evaluation photographs of a location that can be asked for; the largest is what the stored curves were measured on.
IMAGES = (15, 32, 64, 100)


@dataclass(frozen=True)
class Setting:
    """What the user chose.

    Attributes:
        a: the first location, or the id of a background of the user's own.
        b: the second one.
        weight: how far to go from A to B, 0..1.
        regime: similarity of the zoo that the generator learned from, L, M or H.
        way: `ours`, or `paper`, its plain form that never saw a blend (see `Bundle.generator`).
        seed: of the first adapter's noise; the next ones count up.
        samples: adapters.
        steps: of DDIM.
        images: evaluation photographs of A and of B.
    """

    a: str
    b: str
    weight: float = 0.0
    regime: str = "H"
    way: str = "ours"
    seed: int = 0
    samples: int = 1
    steps: int = 50
    images: int = IMAGES[-1]

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise UserError(f"The blend weight must lie in 0..1 (0 is A, 1 is B), not {self.weight:g}.")
        if not 1 <= self.samples <= MAX_SAMPLES:
            raise UserError(f"Between 1 and {MAX_SAMPLES} adapters can be written at once, not {self.samples}.")
        if not 1 <= self.steps <= MAX_STEPS:
            raise UserError(f"The sampler takes 1 to {MAX_STEPS} steps, not {self.steps}.")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"The seed must be a whole number from 0 to {2**31 - 1}, not {self.seed}.")
        if not 1 <= self.images <= IMAGES[-1]:
            raise UserError(f"Between 1 and {IMAGES[-1]} photographs of a location can be named, not {self.images}.")

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Setting:
        """The page's state as a setting.

        Raises:
            UserError: for any value that is missing, of another kind or out of range.
        """
        try:
            a, b = str(state["a"]), str(state["b"])
            return cls(
                a,
                b,
                _number(state, "t"),
                str(state.get("m", "H")),
                str(state.get("w", "ours")),
                _whole(state, "seed", 0),
                _whole(state, "n", 1),
                _whole(state, "steps", 50),
                _whole(state, "images", IMAGES[-1]),
            )
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise UserError("The setting is not whole; it needs locations a and b and a blend weight t.") from error

    @property
    def own(self) -> tuple[str, ...]:
        """The ids among A and B of backgrounds of the user's own, each once."""
        return tuple(name for name in dict.fromkeys((self.a, self.b)) if is_own(name))

    @property
    def chosen(self) -> tuple[str, ...]:
        """The chosen locations whose species are known: no background of the user's own, none twice."""
        return tuple(name for name in dict.fromkeys((self.a, self.b)) if not is_own(name))


def is_own(name: str) -> bool:
    """Whether a name of A or B is the id of a background of the user's own."""
    return name.partition("-")[0] == OWN


def _number(state: Mapping[str, Any], key: str) -> float:
    value = float(state[key])
    if not math.isfinite(value):
        raise UserError(f"'{key}' must be a finite number.")
    return value


def _whole(state: Mapping[str, Any], key: str, usual: int) -> int:
    value = float(usual if state.get(key) is None else state[key])
    if not math.isfinite(value) or value != int(value):
        raise UserError(f"'{key}' must be a whole number, not {value:g}.")
    return int(value)


@dataclass(frozen=True)
class Live:
    """Accuracy measured now: the share of `count` photographs that each sample names correctly."""

    shares: tuple[float, ...]
    count: int

    @property
    def share(self) -> float:
        """Mean over the samples, 0..1."""
        return sum(self.shares) / len(self.shares)

    @property
    def right(self) -> int:
        """Photographs named correctly, rounded over the samples."""
        return round(self.share * self.count)

    @property
    def interval(self) -> tuple[float, float]:
        """95% Wilson interval: uncertainty from few photographs, not spread over seeds."""
        return wilson(self.right, self.count)


@dataclass(frozen=True)
class Result:
    """One frame.

    Attributes:
        setting: what was asked.
        stage: how far the work is.
        live: what was measured so far, by location.
        rows: the raw adapters `[N, D]`.
        cloud: what the first few seeds would give, `[8, D]`: where else the map shows that adapters may land.
        alike: mean cosine of the samples with each seen location's mean row.
        seconds: since the beginning.
        note: a sentence on how it was computed, or nothing.
    """

    setting: Setting
    stage: Stage
    live: Mapping[str, Live]
    rows: Tensor
    alike: tuple[float, ...]
    seconds: float
    note: str = ""
    cloud: Tensor | None = None

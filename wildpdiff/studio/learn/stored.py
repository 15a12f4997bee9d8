"""Numbers for the lessons, read from the results that a bundle stores; what is missing is missing, not invented."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...bundle import Bundle
from ...errors import UserError
from ...experiments.result import Result, stored_result
from ...own import held_out
from ...paper.curves import of
from ...reproduce import EXPERIMENTS
from ...unseen import study as unseen

T = TypeVar("T")
Data = Mapping[str, Any]
#: The results that the lessons speak of.
NAMES = (
    "table2", "table3", "figure2", "figure6", "figure7", "curves", "fidelity",
    held_out.STUDY, unseen.STUDY, unseen.SCALING_STUDY, unseen.START_STUDY,
)  # fmt: skip
HELD_OUT = "held out"
#: Regimes of similarity in the order of the paper.
REGIMES = ("L", "M", "H")


@dataclass(frozen=True)
class Stored:
    """The stored results of a bundle by name; why those are missing that are; and what the photographs are."""

    results: Mapping[str, Result]
    problems: Mapping[str, str] = field(default_factory=dict)
    about: str = ""

    @classmethod
    def of(cls, bundle: Bundle) -> Stored:
        """Read the results that the lessons speak of."""
        results, problems = {}, {}
        for name in NAMES:
            try:
                results[name] = stored_result(bundle, EXPERIMENTS[name])
            except UserError as error:
                problems[name] = str(error)
        return cls(results, problems, bundle.world.about)

    def read(self, name: str, reader: Callable[[Data], T]) -> T | None:
        """What a function finds in a result; None if the result is missing or of another shape."""
        if name not in self.results:
            return None
        try:
            return reader(self.results[name].data)
        except (KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
            return None

    def absent(self, name: str) -> str:
        """Why a result cannot be shown, and what would measure it."""
        return self.problems.get(name, f"The stored {name} says nothing of this; measure it anew.")

    def mean_of(self, way: str, regime: str) -> Data | None:
        """Mean accuracy of a way over the seen locations, as an estimate (Table 2)."""
        return self.read("table2", lambda data: _estimate(data["regimes"][regime]["mean"][way]))

    def fidelity(self, regime: str, location: str) -> Data | None:
        """How samples of a seen location compare with held-out rows of known runs (see `fidelity.Fidelity`)."""
        return self.read("fidelity", lambda data: _spread(data, regime, location))

    def half_way(self, way: str, regime: str) -> Data | None:
        """Mean accuracy half-way, at the weaker of both, over `n` held-out pairs (Figure 7)."""
        return self.read("figure7", lambda data: _estimate(_group(data, regime)["weaker"][way]))

    def regimes_alike(self) -> bool | None:
        """Whether our blends show no difference between L or M and H half-way (Figure 7)."""
        return self.read(
            "figure7", lambda data: not any(_group(data, regime)["ours_minus"]["ours in H"]["real"] for regime in "LM")
        )

    def cosine(self, regime: str) -> Data | None:
        """Mean over `n` pairs of locations of the largest cosine between their rows (Figure 6)."""
        return self.read("figure6", lambda data: _estimate(data["regimes"][regime]["across"]["factors"]))

    def pair_at(self, pair: tuple[str, str], regime: str, way: str, weight: float) -> tuple[float, float, int] | None:
        """Shares at both locations of a pair at a blend weight, and how many photographs of each were named.

        The curve that the page shows is taken first, then Figure 2.
        """
        curve = self.read("curves", lambda data: _on_curve(data, pair, regime, way, weight))
        return curve or self.read("figure2", lambda data: _in_cells(data, pair, regime, way, weight))

    def unseen_gain(self, regime: str) -> Data | None:
        """Generated minus pretrained, mean over `n` unseen locations (Table 3)."""
        return self.read("table3", lambda data: _estimate(data["regimes"][regime]["mean"]["generated_gain"]))


def percent(found: Data) -> str:
    """An estimate as text with its 95% interval: `95.2% (94.3 to 96.1)`."""
    mean, low, high = (100 * found[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f}% ({low:.1f} to {high:.1f})"


def _estimate(found: Data) -> Data:
    """An estimate, checked to have its mean and interval."""
    for key in ("mean", "low", "high"):
        float(found[key])
    return found


def _spread(data: Data, regime: str, location: str) -> Data:
    kinds = data["regimes"][regime]["locations"][location]["held_out"]
    found = dict(kinds["generated"]) | {"means": kinds["means"]["nearest"]}
    for key in ("spread_raw", "nearest", "one_nn", "means", "held_out", "samples"):
        float(found[key])
    return found


def _group(data: Data, regime: str) -> Data:
    (found,) = (part for part in data["summary"] if (part["regime"], part["group"]) == (regime, HELD_OUT))
    return dict(found)


def _on_curve(data: Data, pair: tuple[str, str], regime: str, way: str, weight: float) -> tuple[float, float, int]:
    place = data["weights"].index(weight)
    counts, (first, second) = data["curves"][regime]["+".join(pair)][way], (of(dict(data), name) for name in pair)
    return counts[0][place] / first, counts[1][place] / second, min(first, second)


def _in_cells(data: Data, pair: tuple[str, str], regime: str, way: str, weight: float) -> tuple[float, float, int]:
    wanted = (regime, way, list(pair), weight)
    keys = ("regime", "way", "pair", "weight")
    ((a, b),) = (cell["at"] for cell in data["cells"] if tuple(cell[key] for key in keys) == wanted)
    return float(a["mean"]), float(b["mean"]), int(a["images"])

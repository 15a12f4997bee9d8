"""Figure 2 (RQ2): accuracy at two locations while the condition goes from one to the other; and Figure 7's list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ..build.jobs import held_out_pairs, pairs
from ..experiments.lab import Data, Experiment, Lab, Table, where
from ..measure.statistics import Estimate, difference, mean_of, points
from ..plots import Figure
from ..plots.charts import Series, lines
from ..plots.grid import grid
from ..training.loop import Step
from . import NUMBERS, QUESTIONS
from .blending import GENERATED, MEANING, WAYS, Blend, Pair, Plan, Tables, measured, short, usable_pairs
from .figure7 import FIGURE7, FULL

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Generated adapters a blend, in full and in quick.
COPIES, FEW = 8, 2


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Every method at five weights between the first location and two others, pairs that nothing was trained on.

    With fewer than `FULL` samples: one pair, two generated adapters a weight.
    """
    full, shown = lab.samples >= FULL, chosen_pairs(lab)
    count = min(lab.samples, COPIES if full else FEW)
    copies = {way: dict.fromkeys(WEIGHTS, count if way in GENERATED else 1) for way in WAYS}
    plan = Plan(usable_pairs(lab, shown if full else shown[:1]), copies, count)
    data: Data = {"samples": count, "seed": lab.seed, "gains": []}

    def close(regime: str, tables: Mapping[str, Tables]) -> None:
        data["gains"] += [_gain(regime, pair, tables) for pair in plan.pairs[regime]]

    yield from measured(lab, plan, data, close)


def chosen_pairs(lab: Lab) -> list[Pair]:
    """Two pairs of the first usable location: held-out ones (R10 with R12, as in the paper, is one) where there are."""
    usable = {pair for group in usable_pairs(lab).values() for pair in group}
    ordered = [pair for pair in pairs(lab.bundle.seen) if pair in usable]
    held_out = [pair for pair in ordered if pair in held_out_pairs(lab.bundle.seen)] or ordered
    return [pair for pair in held_out if held_out[0][0] in pair][:2]


def _gain(regime: str, pair: Pair, tables: Mapping[str, Tables]) -> dict[str, Any]:
    """Differences at the midpoint, mean of both locations: over the ensemble, and over a straight line."""
    middle = {way: table[Blend(*pair, 0.5)] for way, table in tables.items()}
    over = {way: _both(middle[way], middle["weights"]) for way in tables if way != "weights"}
    bend = {way: bend_of(*(table[Blend(*pair, weight)] for weight in (0.0, 0.5, 1.0))) for way, table in tables.items()}
    return {"regime": regime, "pair": list(pair), "over_weights": over, "bend": bend}


def bend_of(first: tuple[Tensor, Tensor], middle: tuple[Tensor, Tensor], last: tuple[Tensor, Tensor]) -> Estimate:
    """How far the curves' midpoint lies above the straight line between their ends, mean of both locations.

    Args:
        first: right and wrong at weight 0 at the first and at the second location, each `[N, M]`.
        middle: at weight 0.5.
        last: at weight 1.
    """
    straight = tuple((a.double() + b.double()) / 2 for a, b in zip(first, last, strict=True))
    return _both(middle, (straight[0], straight[1]))


def _both(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> Estimate:
    parts = [difference(a, b) for a, b in zip(ours, theirs, strict=True)]
    return short(mean_of(parts) | {"n": parts[0]["n"], "images": sum(part["images"] for part in parts)})


def tables(data: Data) -> list[Table]:
    """The curves as numbers, the constants beside them, and the differences at the midpoint beside the paper's view."""
    return [_curves_table(data), _constants_table(data), _gains_table(data)]


def _curves_table(data: Data) -> Table:
    rows = []
    for key in dict.fromkeys((cell["regime"], cell["way"], *cell["pair"]) for cell in data["cells"]):
        cells = _curve(data, *key)
        for place, location in enumerate(key[2:]):
            shares = (points(cell["at"][place]) for cell in cells)
            rows.append((key[0], " with ".join(key[2:]), key[1], location, *shares, str(cells[0]["at"][place]["n"])))
    heads = tuple(f"weight {weight:g}" for weight in WEIGHTS)
    note = (
        "Percent with the 95% interval over adapters and photographs; weight 0 is the first location's condition. "
        f"Photographs a location: {data['cells'][0]['at'][0]['images'] if data['cells'] else 0}. "
        + "; ".join(f"{way}: {MEANING[way]}" for way in WAYS)
        + ". The paper's Figure 2 gives no numbers."
    )
    return Table("Accuracy along the blend", ("regime", "pair", "way", "at", *heads, "n"), tuple(rows), note)


def _constants_table(data: Data) -> Table:
    rows = tuple(
        (
            location,
            points(parts["pretrained"]),
            points(parts["joint"]),
            *(points(own[location]) if location in own else "-" for own in data["own"].values()),
            *(str(parts["joint"]["images"]),),
        )
        for location, parts in data["constants"].items()
    )
    head = ("location", "pretrained", "joint", *(f"own, {regime}" for regime in data["own"]), "photographs")
    return Table("What does not depend on the blend", head, rows, "Percent with the 95% interval.")


def _gains_table(data: Data) -> Table:
    rows = tuple(
        (
            gain["regime"],
            " with ".join(gain["pair"]),
            way,
            points(gain["over_weights"][way], signed=True) if way in gain["over_weights"] else "-",
            points(bend, signed=True),
            NUMBERS["figure2"][gain["regime"]] if way == "paper" else "-",
        )
        for gain in data["gains"]
        for way, bend in gain["bend"].items()
    )
    head = ("regime", "pair", "way", "minus the weighted ensemble", "above the straight line", "the paper says")
    note = "Points at weight 0.5, mean of both locations; the straight line joins the way's own ends."
    return Table("The midpoint", head, rows, note)


def _curve(data: Data, regime: str, way: str, a: str, b: str) -> list[dict[str, Any]]:
    """The cells of one curve, by weight."""
    found = where(data["cells"], regime=regime, way=way, pair=[a, b])
    return sorted(found, key=lambda cell: float(cell["weight"]))


def figures(data: Data) -> list[Figure]:
    """Small multiples of each pair: regimes by location as in the paper, and the weaker of both with every method."""
    found = []
    for a, b in dict.fromkeys(tuple(gain["pair"]) for gain in data["gains"]):
        regimes = [gain["regime"] for gain in data["gains"] if gain["pair"] == [a, b]]
        parts = [_at(data, regime, (a, b), place) for place in (0, 1) for regime in regimes]
        found.append(grid(f"Accuracy at {a} and at {b} while the condition goes from {a} to {b}", parts))
        parts = [_weaker(data, regime, (a, b)) for regime in regimes]
        found.append(grid(f"{a} with {b}: accuracy at the weaker of both, every way", parts))
    return found


def _at(data: Data, regime: str, pair: Pair, place: int) -> Figure:
    series = []
    for way in ("ours", "paper", "weights"):
        cells = _curve(data, regime, way, *pair)
        series.append(Series.of(way, [cell["weight"] for cell in cells], [cell["at"][place] for cell in cells]))
    location = pair[place]
    constants = data["constants"][location] | {"own": data["own"][regime][location]}
    series += [
        Series(name, (), [constants[name]["mean"]], dashed=True) for name in ("own", "pretrained") if name in constants
    ]
    return _lines(f"Regime {regime}, at {location}", series, pair)


def _weaker(data: Data, regime: str, pair: Pair) -> Figure:
    series = []
    for way in WAYS:
        cells = _curve(data, regime, way, *pair)
        lowest = [min(at["mean"] for at in cell["at"]) for cell in cells]
        series.append(Series(way, [cell["weight"] for cell in cells], lowest))
    ends = {name: min(data["constants"][location][name]["mean"] for location in pair) for name in ("joint",)}
    ends["own"] = min(data["own"][regime][location]["mean"] for location in pair)
    series += [Series(name, (), [value], dashed=True) for name, value in ends.items()]
    return _lines(f"Regime {regime}", series, pair)


def _lines(title: str, series: list[Series], pair: Pair) -> Figure:
    return lines(title, series, x=f"blend weight ({pair[0]} to {pair[1]})", y="accuracy", percent=True)


def findings(data: Data) -> list[str]:
    """Per regime and pair: blend-trained and zero-shot against the ensemble, and whether their curves sag."""
    return [sentence for gain in data["gains"] for sentence in _of_gain(gain)]


def _of_gain(gain: Mapping[str, Any]) -> list[str]:
    where = f"Regime {gain['regime']}, {' with '.join(gain['pair'])}, at the midpoint, mean of both locations"
    told = [f"{way} {_against(gain['over_weights'][way], 'the weighted ensemble')}" for way in ("ours", "paper")]
    bends = [f"{way} {_against(gain['bend'][way], 'the straight line between its ends')}" for way in ("ours", "paper")]
    return [f"{where}: {'; '.join(told)}.", f"{where}: {'; '.join(bends)}."]


def _against(gain: Mapping[str, Any], what: str) -> str:
    size = f"{points(gain, signed=True)} points"
    if not gain["real"]:
        return f"shows no difference from {what} ({size})"
    return f"lies {'above' if gain['mean'] > 0 else 'below'} {what} by {size}"


FIGURE2 = Experiment("figure2", *QUESTIONS["figure2"], measure, tables, figures, findings)
EXPERIMENTS = (FIGURE2, FIGURE7)

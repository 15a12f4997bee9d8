"""Figure 7 (RQ2): one adapter for two locations, over all pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..build.jobs import held_out_pairs
from ..experiments.lab import Data, Experiment, Lab, Table, where
from ..measure.statistics import Z, over_units, points
from ..plots import Figure
from ..plots.charts import Series, lines, scatter
from ..plots.grid import grid
from ..training.loop import Step
from . import QUESTIONS
from .blending import GENERATED, MEANING, WAYS, Plan, Tables, measured, short, usable_pairs

#: What ours is held against: the best of them by its mean (the choice favours the baseline).
BASELINES = ("weights", "products", "paper")
REFERENCES = ("own", "joint", "pretrained")
GROUPS = ("held out", "training")
#: Fewer samples than this is the quick measurement.
FULL = 20

Values = dict[tuple[str, str], float]
Summary = dict[str, Any]


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """All pairs at their midpoints, and at a quarter and three quarters for three of the methods.

    With fewer than `FULL` samples: the midpoints of the held-out pairs, one adapter each.
    """
    data: Data = {"samples": lab.samples, "seed": lab.seed, "summary": []}

    def close(regime: str, tables: Mapping[str, Tables]) -> None:
        data["summary"] = summarise(data)

    yield from measured(lab, _plan(lab), data, close)


def _plan(lab: Lab) -> Plan:
    full = lab.samples >= FULL
    held_out = held_out_pairs(lab.bundle.seen)
    middle = {way: {0.5: 2 if full and way in GENERATED else 1} for way in WAYS}
    flanks = {way: {0.25: 1, 0.75: 1} if full and way in ("ours", "paper", "weights") else {} for way in WAYS}
    copies = {way: middle[way] | flanks[way] for way in WAYS}
    return Plan(usable_pairs(lab, None if full or not held_out else held_out), copies, 4 if full else 2)


def weaker(data: Data, regime: str, way: str, *, held_out: bool) -> Values:
    """Accuracy at the midpoint of each pair, at the location of the two where it is lower."""
    if way in REFERENCES:
        ours = weaker(data, regime, "ours", held_out=held_out)
        return {pair: min(_constant(data, regime, way, location) for location in pair) for pair in ours}
    chosen = where(data["cells"], regime=regime, way=way, weight=0.5, held_out=held_out)
    return {tuple(cell["pair"]): min(at["mean"] for at in cell["at"]) for cell in chosen}


def _constant(data: Data, regime: str, way: str, location: str) -> float:
    found = data["own"][regime][location] if way == "own" else data["constants"][location][way]
    return float(found["mean"])


def summarise(data: Data) -> list[Summary]:
    """For each finished regime and group of pairs: every method at the weaker location, and the gains of blend-trained.

    Intervals are bootstrapped over pairs.
    """
    finished = [regime for regime in data["regimes"] if where(data["cells"], regime=regime, way=WAYS[-1])]
    parts = [_group(data, regime, group) for regime in finished for group in GROUPS]
    found = [part for part in parts if part]
    for part in found:
        if part["regime"] != "H" and "H" in finished:
            ours, theirs = (
                weaker(data, regime, "ours", held_out=part["group"] == GROUPS[0]) for regime in (part["regime"], "H")
            )
            part["ours_minus"] |= _minus(ours, {"ours in H": theirs}, part["images"])
    return found


def _group(data: Data, regime: str, group: str) -> Summary:
    values = {way: weaker(data, regime, way, held_out=group == GROUPS[0]) for way in (*WAYS, *REFERENCES)}
    if not values["ours"]:
        return {}
    images = next(cell["at"][0]["images"] for cell in data["cells"])
    shares = {way: short(over_units(list(part.values()))) | {"images": images} for way, part in values.items() if part}
    best = max(BASELINES, key=lambda way: shares[way]["mean"])
    others = {way: values[way] for way in (best, *REFERENCES) if values[way]}
    part = {"regime": regime, "group": group, "images": images, "best": best, "weaker": shares}
    return part | {"ours_minus": _minus(values["ours"], others, images)}


def _minus(ours: Values, others: Mapping[str, Values], images: int) -> dict[str, Any]:
    gains = {}
    for way, theirs in others.items():
        values = [ours[pair] - theirs[pair] for pair in ours if pair in theirs]
        if values:
            gains[way] = short(over_units(values)) | {"images": images}
    return gains


def tables(data: Data) -> list[Table]:
    """Every method by regime and group of pairs, and the differences that decide."""
    summary: list[Summary] = data["summary"]
    heads = tuple(f"{part['regime']}, {part['group']}" for part in summary)
    counts = ", ".join(f"{part['regime']} {part['group']} {part['weaker']['ours']['n']}" for part in summary)
    shares = tuple(
        (way, MEANING[way], *(points(part["weaker"][way]) if way in part["weaker"] else "-" for part in summary))
        for way in (*WAYS, *REFERENCES)
    )
    note = (
        "Percent with the 95% interval over pairs; pairs share locations, so intervals are somewhat too narrow. "
        f"Pairs: {counts or 'none'}; photographs a location: {summary[0]['images'] if summary else 0}. "
        "No generator was trained on blends of held-out pairs. The paper shows curves, no figures, for this."
    )
    first = Table(
        "Midpoint of two locations, accuracy at the weaker of both", ("way", "what it is", *heads), shares, note
    )
    rows = tuple(
        (
            part["regime"],
            part["group"],
            f"{other} (best of {', '.join(BASELINES)})" if other == part["best"] else other,
            points(gain, signed=True),
            "yes" if gain["real"] else "not shown",
            str(gain["n"]),
        )
        for part in summary
        for other, gain in part["ours_minus"].items()
    )
    head = ("regime", "pairs", "ours minus", "points", "a difference?", "number of pairs")
    second = Table("What ours gains at the midpoint, at the weaker location", head, rows, "Interval over pairs, 95%.")
    return [first, second]


def figures(data: Data) -> list[Figure]:
    """A strip of all pairs for each regime, and the mean curve where the flanks were measured."""
    strips = [_strip(data, regime) for regime in _done(data)]
    curves = [_curve(data, regime) for regime in _done(data) if _shares(data, regime, "ours").keys() > {0.5}]
    note = "One mark a pair; in each way's column the held-out pairs stand at the left, those trained on at the right."
    found = [grid("One adapter for two locations: every pair at its midpoint", strips, note=note)] if strips else []
    if curves:
        found.append(grid("Accuracy at a location by its share in the blend, mean of all pairs", curves))
    return found


def _done(data: Data) -> list[str]:
    return list(dict.fromkeys(part["regime"] for part in data["summary"]))


def _strip(data: Data, regime: str) -> Figure:
    clouds = []
    for column, way in enumerate(WAYS, start=1):
        x: list[float] = []
        y: list[float] = []
        for side, held_out in ((-0.2, True), (0.2, False)):
            values = list(weaker(data, regime, way, held_out=held_out).values())
            x += [column + side + 0.14 * ((7 * place) % 15 / 7 - 1) for place in range(len(values))]
            y += [100 * value for value in values]
        clouds.append(Series(way, x, y))
    parts = [part for part in data["summary"] if part["regime"] == regime]
    for way in ("own", "pretrained"):
        mean = sum(part["weaker"][way]["mean"] * part["weaker"][way]["n"] for part in parts)
        count = sum(part["weaker"][way]["n"] for part in parts)
        clouds.append(Series(f"{way}, mean", (), [100 * mean / count], dashed=True))
    named = ", ".join(f"{column} {way}" for column, way in enumerate(WAYS, start=1))
    return scatter(f"Regime {regime}", clouds, x=f"way ({named})", y="weaker location, %")


def _shares(data: Data, regime: str, way: str) -> dict[float, list[float]]:
    """Accuracies of all pairs by the share that the location has in the blend."""
    found: dict[float, list[float]] = {}
    for cell in where(data["cells"], regime=regime, way=way):
        first, second = (at["mean"] for at in cell["at"])
        found.setdefault(1 - cell["weight"], []).append(first)
        found.setdefault(cell["weight"], []).append(second)
    return dict(sorted(found.items()))


def _curve(data: Data, regime: str) -> Figure:
    series = []
    for way in ("ours", "paper", "weights"):
        shares = {share: over_units(values) for share, values in _shares(data, regime, way).items()}
        series.append(Series.of(way, list(shares), shares.values()))
    note = "Bands: 95% over pairs."
    return lines(f"Regime {regime}", series, x="share of the location", y="accuracy", percent=True, note=note)


def findings(data: Data) -> list[str]:
    """What the midpoints show, for held-out and training pairs, and where they fall short."""
    found = [sentence for part in data["summary"] for sentence in _of_part(part)]
    for regime in _done(data):
        both = {part["group"]: part for part in data["summary"] if part["regime"] == regime}
        if len(both) == 2:
            found.append(_seeing(regime, *(both[group]["ours_minus"]["joint"] for group in GROUPS)))
    return found


def _of_part(part: Summary) -> list[str]:
    share, best, gains = part["weaker"], part["best"], part["ours_minus"]
    where = f"Regime {part['regime']}, {share['ours']['n']} {part['group']} pairs"
    first = (
        f"{where}: at the midpoint, adapters of ours name {points(share['ours'])}% correctly at the weaker location, "
        f"{best}, the best of {', '.join(BASELINES)}, {points(share[best])}%: {_verdict(gains[best])}."
    )
    rest = [f"ours minus {other}: {_verdict(gain)}" for other, gain in gains.items() if other != best]
    return [first, f"{where}: {'; '.join(rest)}."]


def _verdict(gain: Mapping[str, Any]) -> str:
    said = f"{points(gain, signed=True)} points"
    return f"a difference of {said}" if gain["real"] else f"no difference is shown ({said})"


def _seeing(regime: str, held_out: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """What it is worth to have trained on a pair's blends; set against the joint adapter, as pairs differ."""
    mean = training["mean"] - held_out["mean"]
    reach = Z * (training["se"] ** 2 + held_out["se"] ** 2) ** 0.5
    gain = {"mean": mean, "low": mean - reach, "high": mean + reach, "real": abs(mean) > reach}
    return (
        f"Regime {regime}, training on a pair's own blends, measured by what ours gains over the joint adapter: "
        f"{_verdict(gain)} against held-out pairs."
    )


FIGURE7 = Experiment("figure7", *QUESTIONS["figure7"], measure, tables, figures, findings)

"""Figure 6 (appendix D): similarity of adapters across locations in each regime, and whether aligning helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..build.jobs import held_out_pairs, pairs
from ..experiments.lab import NO_GENERATOR, Data, Experiment, Lab, Table
from ..measure.statistics import Estimate, estimate, over_units, points, ranged
from ..network.adapter import AdapterLayout
from ..network.lora import adapted
from ..plots import Figure
from ..plots.charts import Series, heat, lines
from ..plots.grid import grid
from ..similarity import align, compare
from ..training.loop import Step
from . import NUMBERS, QUESTIONS

#: Cosine of factors in the paper's Figure 6.
PAPER = {regime: f"about {cosine}" for regime, cosine in NUMBERS["figure6"].items()}
#: Rows a location that are compared.
ROWS = 8
#: Pairs of locations whose midpoints are measured when the lab is to be quick.
QUICK = 3
WAYS = ("plain", "aligned", "products")


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Cosine similarities and midpoint averages, regime by regime; data by regime."""
    data: Data = {"rows": ROWS, "regimes": {}}
    regimes = [regime for regime in lab.bundle.regimes if len(lab.locations(regime)) > 1]
    plan = [(regime, chosen_pairs(lab.locations(regime), quick=lab.samples < 100)) for regime in regimes]
    total, done = sum(1 + len(chosen) for _, chosen in plan), 0
    for regime, chosen in plan:
        found = data["regimes"][regime] = _similarities_of(lab, regime) | {"midpoints": []}
        yield Step(done := done + 1, total, float("nan")), data
        for a, b in chosen:
            found["midpoints"].append(_midpoints(lab, regime, a, b))
            yield Step(done := done + 1, total, float("nan")), data


def chosen_pairs(locations: Sequence[str], *, quick: bool) -> tuple[tuple[str, str], ...]:
    """The held-out pairs of locations (all pairs of a few), or some of them spread over all."""
    every = held_out_pairs(locations) or pairs(locations)
    if not quick or len(every) <= QUICK:
        return every
    return tuple(every[int(place)] for place in torch.linspace(0, len(every) - 1, QUICK).round())


def similarities(layout: AdapterLayout, groups: Sequence[Tensor]) -> Data:
    """Cosines within and across locations.

    Args:
        layout: of the rows.
        groups: raw rows `[J, D]` of each of Q locations.

    Returns:
        `factors`, `products`, `aligned`: `[Q][Q]`, for each two locations the largest cosine over their rows (the
        paper's way; on the diagonal, over different rows); `layers`: their means over pairs in each convolution;
        `across`, `within`: the means over pairs of locations, and over different rows of one location.
    """
    index = torch.cat([torch.full((len(rows),), place) for place, rows in enumerate(groups)])
    rows, reference = torch.cat(list(groups)), groups[0].mean(dim=0)
    alike = compare(layout, rows, rows)
    turned = align(layout, rows, reference)
    aligned = torch.nn.functional.normalize(turned, dim=1)
    whole = {"factors": alike.whole_factors, "products": alike.whole_products, "aligned": aligned @ aligned.T}
    layers = {"factors": alike.factors, "products": alike.products}
    largest = {name: largest_of(cosines, index) for name, cosines in whole.items()}
    return {name: table.tolist() for name, table in largest.items()} | {
        "layers": {name: _layers(cosines, index) for name, cosines in layers.items()},
        "across": {name: over_units(_above(table).tolist()) for name, table in largest.items()},
        "within": {name: _within(cosines, index) for name, cosines in whole.items()},
    }


def largest_of(cosines: Tensor, index: Tensor) -> Tensor:
    """The largest cosine between rows of each two locations, `[Q, Q]`.

    Args:
        cosines: of N rows with one another, `[N, N]`; a row's likeness to itself does not count.
        index: location of each row, `[N]`.
    """
    count = int(index.max()) + 1
    others = cosines.masked_fill(torch.eye(len(cosines), dtype=torch.bool), -1.0)
    table = torch.empty(count, count)
    for a in range(count):
        for b in range(count):
            table[a, b] = others[index == a][:, index == b].max()
    alone = torch.bincount(index) == 1
    table.diagonal()[alone] = 1.0
    return table


def tables(data: Data) -> list[Table]:
    """Similarities beside the paper's, and accuracies of the midpoints."""
    return [_similarity_table(data), _midpoint_table(data)]


def figures(data: Data) -> list[Figure]:
    """A heat map for each regime, of factors and of products, and similarity along the network."""
    return [_heat_maps(data, "factors"), _heat_maps(data, "products"), _along(data)]


def findings(data: Data) -> list[str]:
    """What the numbers show, regime by regime."""
    return [sentence for regime, found in data["regimes"].items() for sentence in _sentences(regime, found)]


def gain(midpoints: Sequence[Mapping[str, Any]], way: str) -> Estimate:
    """How much better another average is than the plain one, on the weaker of two locations; over pairs."""
    return over_units([pair[way]["weaker"] - pair["plain"]["weaker"] for pair in midpoints])


def _similarities_of(lab: Lab, regime: str) -> Data:
    locations = lab.locations(regime)
    groups = [lab.rows(regime, location, at_most=ROWS) for location in locations]
    layout = lab.bundle.backbone.layout
    return {"locations": list(locations), "convolutions": list(adapted(layout))} | similarities(layout, groups)


def _layers(cosines: Tensor, index: Tensor) -> list[float]:
    """Mean over pairs of locations of the largest cosine, for each convolution of `[P, N, N]`."""
    return [float(_above(largest_of(layer, index)).mean()) for layer in cosines]


def _above(table: Tensor) -> Tensor:
    """The entries of `[Q, Q]` above its diagonal."""
    row, column = torch.triu_indices(len(table), len(table), offset=1)
    return table[row, column]


def _within(cosines: Tensor, index: Tensor) -> Estimate | None:
    """The mean cosine between different rows of one location, with an interval over locations; None if none has two."""
    means = []
    for place in index.unique():
        block = cosines[index == place][:, index == place]
        if len(block) > 1:
            means.append(float(_above(block).mean()))
    return over_units(means) if means else None


def _midpoints(lab: Lab, regime: str, a: str, b: str) -> Data:
    """Accuracies of the average of two locations' mean rows: plain, of aligned factors, and of products."""
    backbone = lab.bundle.backbone
    layout, products = backbone.layout, backbone.lora.products
    reference = lab.rows(regime, lab.locations(regime)[0]).mean(dim=0)
    means = torch.stack([lab.rows(regime, location).mean(dim=0) for location in (a, b)])
    first, second = (products(layout, row) for row in means)
    averages = (means.mean(dim=0), align(layout, means, reference).mean(dim=0))
    added = [products(layout, row) for row in averages] + [{name: (first[name] + second[name]) / 2 for name in first}]
    right = {location: lab.correct(added, location) for location in (a, b)}
    return {"pair": [a, b]} | {
        way: _weaker({location: table[place : place + 1] for location, table in right.items()})
        for place, way in enumerate(WAYS)
    }


def _weaker(right: Mapping[str, Tensor]) -> Data:
    shares = {location: estimate(table) for location, table in right.items()}
    return {"locations": shares, "weaker": min(share["mean"] for share in shares.values())}


def _similarity_table(data: Data) -> Table:
    rows = tuple(
        (
            regime,
            PAPER.get(regime, ""),
            *(_range(found["across"][name]) for name in ("factors", "products", "aligned")),
            _range(found["within"]["factors"]),
            _range(found["within"]["products"]),
        )
        for regime, found in data["regimes"].items()
    )
    head = ("regime", "paper: factors", "factors", "products BA", "factors, aligned", "within: factors", "within: BA")
    note = (
        f"Across: for each two locations the largest cosine between {data['rows']} rows of each, then the mean over "
        "pairs, as in the paper. Within: the mean over different rows of a location. Brackets: 95% over pairs or "
        "locations, which share locations. Aligned: factors turned towards those of one location's mean row, which "
        "changes no adapter."
    )
    return Table("Cosine between adapters of different locations", head, rows, note)


def _midpoint_table(data: Data) -> Table:
    rows = tuple(
        (
            regime,
            str(len(found["midpoints"])),
            *(points(over_units([pair[way]["weaker"] for pair in found["midpoints"]])) for way in WAYS),
            *(points(gain(found["midpoints"], way), signed=True) for way in WAYS[1:]),
        )
        for regime, found in data["regimes"].items()
        if found["midpoints"]
    )
    gains = ("aligned \u2212 plain", "products \u2212 plain")
    head = ("regime", "pairs", "factors", "aligned factors", "products BA", *gains)
    note = (
        "Accuracy in % on the weaker of two locations of the average of their mean fine-tuned rows; the mean over "
        "pairs that no generator saw, with a 95% interval over pairs; differences in points."
    )
    return Table("Midpoint averages of two locations", head, rows, note)


def _range(value: Mapping[str, float] | None) -> str:
    return "not measured" if value is None else ranged(value, ".2f")


def _heat_maps(data: Data, what: str) -> Figure:
    names = {"factors": "factors", "products": "products BA"}
    maps = [
        heat(f"Regime {regime}", found["locations"], found["locations"], found[what], low=0, high=1)
        for regime, found in data["regimes"].items()
    ]
    return grid(f"Largest cosine between rows of two locations, {names[what]}", maps)


def _along(data: Data) -> Figure:
    series = []
    for place, (regime, found) in enumerate(data["regimes"].items()):
        for what, dashed in (("factors", False), ("products", True)):
            values = found["layers"][what]
            along = list(range(1, len(values) + 1))
            series.append(Series(f"{regime}, {what}", along, values, dashed=dashed, place=place))
    note = "Solid: factors; dashed: products BA."
    return lines("Likeness along the network", series, x="adapted convolution", y="mean largest cosine", note=note)


def _sentences(regime: str, found: Mapping[str, Any]) -> Iterator[str]:
    across = found["across"]
    factors, products, aligned = (across[name]["mean"] for name in ("factors", "products", "aligned"))
    yield (
        f"Regime {regime}: the factors of two locations have cosine {factors:.2f}, their products {products:.2f} "
        f"(paper, factors: {PAPER.get(regime, 'none')}); aligning makes the factors' cosine {aligned:.2f}."
    )
    if not found["midpoints"]:
        return
    better = gain(found["midpoints"], "aligned")
    size = f"{points(better, signed=True)} points on the weaker location over {better['n']} pairs"
    averages = f"Regime {regime}: averages of aligned factors"
    if better["low"] > 0:
        yield f"{averages} are better than plain ones, {size}: aligning is worth keeping."
    elif better["high"] < 0:
        yield f"{averages} are worse than plain ones, {size}: rows are not aligned."
    else:
        yield f"{averages} show no difference to plain ones, {size}: rows are not aligned."


DEPENDS = (*NO_GENERATOR, "generator", "zoo")
EXPERIMENTS = (Experiment("figure6", *QUESTIONS["figure6"], measure, tables, figures, findings, depends=DEPENDS),)

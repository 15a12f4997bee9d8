"""Fidelity: are samples spread as fine-tuned rows are that the generator was never shown?"""

from __future__ import annotations

from collections.abc import Iterator

from ..experiments.lab import Data, Experiment, Lab, Table
from ..measure.fidelity import COLUMNS, GROUPS, KINDS, fidelity_at, summary
from ..plots import Figure
from ..plots.charts import Series, bars
from ..plots.grid import grid
from ..training.loop import Step
from . import QUESTIONS


def measure(lab: Lab) -> Iterator[tuple[Step, Data]]:
    """Every regime and seen location; `regimes[R]` holds `locations` by name and their `mean`."""
    data: Data = {"samples": lab.samples, "seed": lab.seed, "regimes": {}}
    plans = [(regime, location) for regime in lab.bundle.regimes for location in lab.bundle.seen]
    for count, (regime, location) in enumerate(plans, start=1):
        part = data["regimes"].setdefault(regime, {"locations": {}})
        part["locations"][location] = fidelity_at(lab.bundle, regime, location, samples=lab.samples, seed=lab.seed)
        part["mean"] = summary(list(part["locations"].values()))
        yield Step(count, len(plans), float("nan")), data


def tables(data: Data) -> list[Table]:
    """Every kind by regime and group of rows, mean over locations; and generated rows location by location."""
    head = ("", *(f"{words} (ideal {ideal})" for words, ideal in COLUMNS.values()))
    found = []
    for regime, part in data["regimes"].items():
        for group, words in GROUPS.items():
            if group in part["mean"]:
                rows = [
                    (KINDS[kind], *(f"{cell[key]:.3f}" for key in COLUMNS))
                    for kind, cell in part["mean"][group].items()
                ]
                note = f"{data['samples']} samples a location; mean over {len(part['locations'])} locations."
                found.append(Table(f"Regime {regime}, against {words}", head, tuple(rows), note))
        each = [
            (
                name,
                *(f"{cell['held_out']['generated'][key]:.3f}" for key in COLUMNS),
                f"{cell['codec']['held_out']:.3f}",
            )
            for name, cell in part["locations"].items()
        ]
        found.append(Table(f"Regime {regime}, generated, by location", (*head, "the codec keeps"), tuple(each), ""))
    return found


def figures(data: Data) -> list[Figure]:
    """Energy distance of every kind, by regime."""
    drawn = []
    for regime, part in data["regimes"].items():
        cells = part["mean"]["held_out"]
        names = [KINDS[kind] for kind in cells]
        series = [Series("mean over locations", names, [cell["energy"] for cell in cells.values()])]
        drawn.append(bars(f"Regime {regime}", names, series, y="energy distance"))
    return [grid("How far from rows that were never shown", drawn, note="0 is ideal; the floor is what chance leaves.")]


def findings(data: Data) -> list[str]:
    """Regime by regime: spread, energy beside its floor, and copies."""
    found = []
    for regime, part in data["regimes"].items():
        mean = part["mean"]["held_out"]
        made, floor = mean["generated"], mean["floor"]
        raw = [cell["held_out"]["generated"]["spread_raw"] for cell in part["locations"].values()]
        found.append(
            f"Regime {regime}: samples are spread {made['spread_raw']:.2f} times as wide as held-out rows "
            f"({min(raw):.2f} to {max(raw):.2f} by location), energy distance {made['energy']:.3f} where the floor is "
            f"{floor['energy']:.3f}; the nearest training row is {made['nearest']:.2f} times as far as for held-out "
            f"rows."
        )
        if plain := mean.get("paper"):
            found[-1] += (
                f" The paper's plain form: spread {plain['spread_raw']:.2f}, energy distance {plain['energy']:.3f}."
            )
        if "other_runs" in part["mean"]:
            other = part["mean"]["other_runs"]
            rest = min(cell["energy"] for kind, cell in other.items() if kind in ("mean", "means", "gaussian", "noise"))
            found.append(
                f"Regime {regime}, against runs that nothing saw: energy distance {other['generated']['energy']:.2f}, "
                f"training runs themselves {other['floor']['energy']:.2f}, the best baseline {rest:.2f}. Independent "
                "runs end in directions of their own, so no model of other runs comes close."
            )
    return found


DEPENDS = ("classifier", "condition", "generator", "zoo")
EXPERIMENTS = (Experiment("fidelity", *QUESTIONS["fidelity"], measure, tables, figures, findings, depends=DEPENDS),)

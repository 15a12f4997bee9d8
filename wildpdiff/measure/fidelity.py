"""Fidelity of a bundle's generators: samples of each location against fine-tuned rows that they were never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..bundle import Bundle
from ..errors import UserError
from ..fidelity import FEWEST, distances, fidelity, mean_distance, ratio
from ..variant import PAPER
from ..zoo import CodedZoo

#: What is held against the rows, in the order of the tables: what samples should be, and what they should not be.
KINDS = {
    "floor": "half of the training rows: the floor",
    "generated": "generated",
    "paper": "generated, the paper's plain form",
    "mean": "the mean row, again and again",
    "means": "means of 2 to 4 training rows",
    "gaussian": "a Gaussian in the codec",
    "noise": "training rows + noise as far as samples are",
    "copies": "training rows, copied",
}
GROUPS = {"held_out": "rows of known runs", "other_runs": "runs never seen"}


def fidelity_at(bundle: Bundle, regime: str, location: str, *, samples: int, seed: int = 0) -> dict[str, Any]:
    """Every kind against held-out rows of known runs and against held-out runs, at one location.

    Returns:
        By group and kind a `Fidelity` as JSON; `codec`, the share of the rows' mean pairwise distance that the codec
        keeps, by group.

    Raises:
        UserError: if the bundle keeps fewer than 8 held-out rows of known runs.
    """
    zoo = bundle.zoo(regime)
    training = _own(zoo, location, "shown")
    made = {kind: _pad(rows, training) for kind, rows in _made(bundle, zoo, location, samples, seed).items()}
    found: dict[str, Any] = {"codec": {}}
    for group in GROUPS:
        rows = _own(zoo, location, group)
        if len(rows) < FEWEST:
            if group == "held_out":
                raise UserError(
                    f"{location} has {len(rows)} held-out rows in regime {regime}; fewer than {FEWEST} claim nothing."
                )
            continue
        coded = rows.clone()
        coded[:, zoo.latents.shape[-1] :] = 0
        found["codec"][group] = round(ratio(mean_distance(coded), mean_distance(rows)), 4)
        judged = coded if group == "held_out" else rows
        found[group] = {
            kind: fidelity(each, judged, training, raw=(each, rows)).to_json() for kind, each in made.items()
        }
    return found


def _own(zoo: CodedZoo, location: str, kind: str) -> Tensor:
    """Fine-tuned rows `[N, k + R]` in raw units: coefficients, and one number a run for what the codec loses.

    What it loses of two runs points in different directions, so distances between such rows are those of raw rows,
    closely.
    """
    place, (runs, each) = zoo.locations.index(location), zoo.shown.shape
    lost = torch.zeros(runs, each, runs)
    lost[torch.arange(runs), :, torch.arange(runs)] = zoo.beyond[place]
    latents = zoo.latents[place] * zoo.unit
    whole = zoo.shown.any(dim=1)
    masks = {
        "shown": zoo.shown,
        "held_out": ~zoo.shown & whole[:, None],
        "other_runs": (~whole)[:, None].expand_as(zoo.shown),
    }
    rows = torch.cat([latents, lost if kind != "shown" else torch.zeros_like(lost)], dim=2)
    return rows[masks[kind]]


def _pad(rows: Tensor, like: Tensor) -> Tensor:
    """Coefficients `[N, k]` with nothing beyond the codec."""
    return torch.nn.functional.pad(rows, (0, like.shape[1] - rows.shape[1]))


def _made(bundle: Bundle, zoo: CodedZoo, location: str, samples: int, seed: int) -> dict[str, Tensor]:
    """Coefficients `[N, k]` in raw units of every kind."""
    unit, rng = zoo.unit, torch.Generator().manual_seed(seed)
    training = zoo.coded(location, "shown") * unit
    condition = bundle.embedding(location).expand(samples, -1)
    half = training[torch.randperm(len(training), generator=rng)[: max(2, len(training) // 2)]]
    regime = zoo.generator.notes.get("regime", bundle.regime)
    generated = _sampled(bundle.generator(regime), condition, seed) * unit
    made = {"floor": half, "generated": generated}
    if PAPER in bundle.ways:
        made[PAPER] = _sampled(bundle.generator(regime, way=PAPER), condition, seed) * unit
    made["mean"] = training.mean(dim=0).expand(samples, -1)
    sizes = torch.randint(2, 5, (samples,), generator=rng).tolist()
    draws = [torch.randint(len(training), (size,), generator=rng) for size in sizes]
    made["means"] = torch.stack([training[draw].mean(dim=0) for draw in draws])
    made["gaussian"] = _gaussian(training, samples, rng)
    copies = training[torch.randint(len(training), (samples,), generator=rng)]
    far = distances(generated, training).min(dim=1).values
    noise = normalize(torch.randn(copies.shape, generator=rng), dim=1)
    made["noise"] = copies + noise * far[:, None]
    made["copies"] = copies
    return made


def _sampled(generator: Any, condition: Tensor, seed: int) -> Tensor:
    *_, latents = generator.path(condition, seed=seed)
    return latents[:, 0].cpu()


def _gaussian(rows: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Draws from the normal distribution with the mean and covariance of rows `[N, k]`."""
    centred = rows - rows.mean(dim=0)
    weights = torch.randn(count, len(rows), generator=rng) / max(1, len(rows) - 1) ** 0.5
    return rows.mean(dim=0) + weights @ centred


def summary(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over locations of every figure, by group and kind."""
    found: dict[str, Any] = {}
    for group in GROUPS:
        inside = [part[group] for part in parts if group in part]
        if inside:
            found[group] = {
                kind: {key: round(sum(one[kind][key] for one in inside) / len(inside), 4) for key in inside[0][kind]}
                for kind in inside[0]
            }
    return found


def fidelity_over(
    bundle: Bundle, regime: str, locations: Sequence[str], *, samples: int = 100, seed: int = 0
) -> dict[str, Any]:
    """`fidelity_at` of several locations, by name, and their `mean`.

    Raises:
        UserError: if no seen location is among them.
    """
    if not locations:
        raise UserError("Fidelity is measured at seen locations, where there are fine-tuned rows; name one of them.")
    found = {name: fidelity_at(bundle, regime, name, samples=samples, seed=seed) for name in locations}
    return {"samples": samples, "locations": found, "mean": summary(list(found.values()))}


#: Heads of the tables: a figure's name, how it is called, and its ideal.
COLUMNS = {
    "spread_raw": ("spread, raw rows", "1"),
    "spread": ("spread, coded rows", "1"),
    "energy": ("energy distance", "0"),
    "nearest": ("nearest training row", "1"),
    "coverage": ("coverage", "1"),
    "one_nn": ("1-NN tells apart", "0.5 or less"),
    "logistic": ("logistic tells apart", "0.5"),
}


def as_lines(report: dict[str, Any]) -> list[str]:
    """The fidelity of a report of `wildpdiff evaluate` for people; nothing if it was not asked for."""
    if "fidelity" not in report:
        return []
    lines = [f"{'against held-out rows':<46}" + "".join(f"{words:>22}" for words, _ in COLUMNS.values())]
    for kind, cell in report["fidelity"]["mean"]["held_out"].items():
        lines.append(f"{KINDS[kind]:<46}" + "".join(f"{cell[key]:>22.3f}" for key in COLUMNS))
    return lines

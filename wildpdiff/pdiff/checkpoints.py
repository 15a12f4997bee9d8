"""Checkpoints to learn from, as rows: fine-tuned from the base and saved, or read from a folder of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..errors import UserError
from ..files import load_json, load_tensors, save_json, save_tensors
from ..training.loop import Checkpoint, Step, rng_at
from .base import SHIFT
from .pictures import Pictures, augmented, zoomed
from .recipe import RATES, RowsRecipe
from .shared import Shared

SAVE_EVERY = 200
#: Rows that differ by less, as a share of the base's own norm, are one and the same.
SAME = 1e-9
#: Checkpoints that a distribution needs at least.
FEWEST = 4


@dataclass(frozen=True)
class Checkpoints:
    """Rows `[N, D]` of one shared network.

    Attributes:
        rows: differences from the shared network.
        run: number of the fine-tuning run of each, `[N]`.
        shown: whether the generator learns from each, bool `[N]`; the others are held out.
        rate: that they were fine-tuned with; 0 if that is not known.
    """

    rows: Tensor
    run: Tensor
    shown: Tensor
    rate: float = 0.0

    @property
    def known(self) -> Tensor:
        """The rows that the generator learns from."""
        return self.rows[self.shown]

    @property
    def held_out(self) -> Tensor:
        """The rows that it never sees."""
        return self.rows[~self.shown]

    def thinned(self, known: int | None) -> Checkpoints:
        """The same with at most so many known ones, evenly spaced; the held-out ones stay. None: all of them.

        Raises:
            UserError: if there would be fewer than 2.
        """
        places = self.shown.nonzero()[:, 0]
        if known is None or known >= len(places):
            return self
        if known < 2:
            raise UserError(f"A generator needs at least 2 checkpoints to learn from, not {known}.")
        kept = ~self.shown
        kept[places[torch.linspace(0, len(places) - 1, known).round().long()]] = True
        return replace(self, rows=self.rows[kept], run=self.run[kept], shown=self.shown[kept])

    def save(self, path: Path, shared: Shared) -> None:
        """Write the rows with the names of the network and layout that they belong to."""
        about = {"layout": shared.layout.fingerprint, "network": shared.fingerprint, "rate": repr(self.rate)}
        save_tensors(path, {"rows": self.rows, "run": self.run, "shown": self.shown}, about)

    @classmethod
    def load(cls, path: Path, shared: Shared) -> Checkpoints:
        """Read what `save` wrote.

        Raises:
            UserError: if the file is missing, damaged, or of another network or layout.
        """
        tensors, about = load_tensors(path)
        if (about.get("layout"), about.get("network")) != (shared.layout.fingerprint, shared.fingerprint):
            raise UserError(f"'{path.name}' holds rows of another network or of other parameters; use another --out.")
        return cls(tensors["rows"], tensors["run"], tensors["shown"], float(about["rate"]))


def usable(rows: Tensor, base_norm: float) -> None:
    """Refuse rows `[N, D]` that no distribution can be learned from.

    Raises:
        UserError: if there are fewer than 4, one is not finite, or all are equal.
    """
    if len(rows) < FEWEST:
        raise UserError(f"A distribution needs at least {FEWEST} checkpoints, but there {are(len(rows))}.")
    if not bool(rows.isfinite().all()):
        worst = int((~rows.isfinite().all(dim=1)).nonzero()[0])
        raise UserError(f"Checkpoint {worst + 1} of {len(rows)} holds numbers that are not finite; leave it out.")
    if float((rows - rows[0]).norm(dim=1).max()) <= SAME * base_norm:
        raise UserError("All checkpoints are equal in the chosen parameters, so there is nothing to learn from them.")


def are(count: int) -> str:
    """`is 1`, `are 2` or `are none`, for sentences."""
    return "is 1" if count == 1 else f"are {count}" if count else "are none"


def shown(run: Tensor, every: int) -> Tensor:
    """Which rows of runs `[N]` the generator learns from: all but every so manyth; of few all but the last."""
    place = torch.cat([torch.arange(int((run == own).sum())) for own in run.unique_consecutive()])
    kept = place % every != every - 1
    if bool(kept.all()):
        kept[-1] = False
    return kept


class _Run(nn.Module):
    """A row in training, and those of its run that were saved."""

    rows: Tensor

    def __init__(self, start: Tensor, count: int) -> None:
        super().__init__()
        self.row = nn.Parameter(start.clone())
        self.register_buffer("rows", torch.zeros(count, len(start)))


def fine_tune(
    shared: Shared,
    start: Tensor,
    pictures: Pictures,
    recipe: RowsRecipe,
    rate: float,
    *,
    seed: int,
    checkpoint: Path | None = None,
) -> Iterator[tuple[Step, Tensor]]:
    """One run from a row `[D]` on: each step with the rows `[J, D]` that are saved so far in a place for all of them.

    Buffers stay those of the shared network. A killed run goes on from `checkpoint` and ends with the same rows.

    Raises:
        UserError: if a row is no longer finite: the rate is too great.
    """
    tuned = _Run(start.to(shared.device), recipe.rows).to(shared.device)
    optimizer = _optimizer(tuned.row, recipe, rate)
    kept = Checkpoint(checkpoint, tuned, optimizer) if checkpoint else None
    images, shift = pictures.train, round(SHIFT * pictures.size)
    for index in range(kept.load() if kept else 0, recipe.steps):
        rng = rng_at(seed, index)
        drawn = torch.randint(len(images), (min(recipe.batch, len(images)),), generator=rng)
        pixels = images.pixels[drawn]
        if recipe.zoom:
            pixels = zoomed(pixels, rng, flips=pictures.flips)
        else:
            pixels = augmented(pixels, rng, flips=pictures.flips, shift=shift)
        optimizer.param_groups[0]["lr"] = rate * recipe.factor(index)
        loss = cross_entropy(shared.logits(tuned.row, shared.inputs(pixels)), images.labels[drawn].to(shared.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        done = index + 1 - recipe.settle
        if done > 0 and done % recipe.interval == 0:
            if not bool(tuned.row.isfinite().all()):
                raise UserError(
                    f"Fine-tuning with a rate of {rate:g} ended in numbers that are not finite; lower --rate."
                )
            tuned.rows[done // recipe.interval - 1] = tuned.row.detach()
        yield Step(index + 1, recipe.steps, loss.item()), tuned.rows
        if kept and (index + 1) % SAVE_EVERY == 0:
            kept.save(index + 1)


def grow(
    shared: Shared, pictures: Pictures, recipe: RowsRecipe, rate: float, *, seed: int, work: Path
) -> Iterator[tuple[Step, Checkpoints | None]]:
    """All runs, one after the other; the last step comes with the checkpoints. A kill loses at most 200 steps."""
    start = shared.subset.initial(shared.network, torch.Generator().manual_seed(seed))
    found, total = [], recipe.runs * recipe.steps
    for run in range(recipe.runs):
        path = work / f"run-{run}.safetensors"
        if path.exists():
            rows = load_tensors(path)[0]["rows"]
        else:
            part = work / f"run-{run}-part.safetensors"
            tuning = fine_tune(shared, start, pictures, recipe, rate, seed=seed * 1_000 + run + 1, checkpoint=part)
            for step, saved in tuning:
                rows = saved
                yield Step(run * recipe.steps + step.index, total, step.loss), None
            save_tensors(path, {"rows": rows})
            part.unlink(missing_ok=True)
        found.append(rows.cpu().clone())
    run_of = torch.arange(recipe.runs).repeat_interleave(recipe.rows)
    every = Checkpoints(torch.cat(found), run_of, shown(run_of, recipe.held_out), rate)
    yield Step(total, total, float("nan")), every


def gentle_rate(
    shared: Shared, pictures: Pictures, recipe: RowsRecipe, *, seed: int, work: Path
) -> Iterator[tuple[Step, float]]:
    """The greatest constant rate whose rows are on average not worse than the base on the selection part.

    A short run is tried with each, from the greatest on; if all are refused, it is the gentlest, which needs no trial.
    Each step comes with the rate that is tried, the last one with the one found. A kill loses at most one trial. The
    rate of the paper (3e-2) ruins small networks.
    """
    kept = work / "refused.json"
    refused: list[float] = load_json(kept) if kept.exists() else []
    start = shared.subset.initial(shared.network, torch.Generator().manual_seed(seed))
    rows, images = 4, pictures.selection
    trial = replace(recipe, runs=1, rows=rows, interval=max(1, recipe.steps // 2 // rows), settle=0)
    base = float(shared.correct(start[None], images.pixels, images.labels).float().mean())
    found, total = RATES[-1], (len(RATES) - 1) * trial.steps
    for place, rate in enumerate(RATES[:-1]):
        if rate in refused:
            continue
        saved = start[None]
        for step, saved in fine_tune(shared, start, pictures, trial, rate, seed=seed + 777):  # noqa: B007
            yield Step(place * trial.steps + step.index, total, step.loss), rate
        if float(shared.correct(saved, images.pixels, images.labels).float().mean()) >= base:
            found = rate
            break
        refused.append(rate)
        save_json(kept, refused)
    yield Step(total, total, float("nan")), found


def _optimizer(row: nn.Parameter, recipe: RowsRecipe, rate: float) -> torch.optim.Optimizer:
    decay: float = recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD([row], lr=rate, momentum=0.9, weight_decay=decay)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind([row], lr=rate, weight_decay=decay)

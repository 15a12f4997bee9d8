"""Running a sweep: adapters one after the other, each measured and compared with the known rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import best_batch, correct_of, wilson
from ..network.folded import Folded, prepared_batches
from ..worlds.base import Images
from .known import Known
from .record import Record
from .spec import Spot, Sweep

#: The photographs of a location: at least the first so many of its evaluation split.
Photographs = Callable[[str, int], Images]


@dataclass(frozen=True)
class Made:
    """One adapter: its record, its raw row `[D]` on the CPU, and which photographs of a and of b it names correctly,
    bool `[2, M]`; of either as many as both have, at most as many as were asked for."""

    record: Record
    row: Tensor
    right: Tensor


def run(
    bundle: Bundle, sweep: Sweep, wanted: Callable[[], bool] = lambda: True, photographs: Photographs | None = None
) -> Iterator[Made]:
    """Write and measure the adapters of a sweep, one after the other in its order; all of a cell are written together.

    Args:
        bundle: where generators, photographs and known rows are.
        sweep: what to do.
        wanted: asked before each adapter and at each step of the sampler; the run ends when it says no.
        photographs: where to take photographs from; None draws them.

    Raises:
        UserError: as `Sweep.check`, at the first adapter, or if a row is not finite.
    """
    sweep.check(bundle)
    photographs = photographs or _Drawn(bundle)
    folded, seeds = Folded(bundle.backbone), range(sweep.seed, sweep.seed + sweep.seeds)
    known: dict[str, Known] = {}
    for spot in sweep.spots:
        known[spot.regime] = known.get(spot.regime) or Known.of(bundle, spot.regime)
        rows = _written(bundle, sweep, spot, wanted)
        if rows is None:
            return
        near = known[spot.regime].near(rows)
        shown = [photographs(name, sweep.images) for name in (spot.a, spot.b)]
        count = min(sweep.images, *map(len, shown))
        looks = [_look(bundle, images, count) for images in shown]
        for seed, row, found in zip(seeds, rows, near, strict=True):
            if not wanted():
                return
            folded.set_adapter(row.to(bundle.device))
            right = torch.cat([correct_of([folded], batches, labels) for batches, labels in looks])
            yield Made(_record(sweep, spot, seed, row, right, found, known[spot.regime]), row, right)


class _Drawn:
    """Photographs drawn when first asked for and kept."""

    def __init__(self, bundle: Bundle) -> None:
        self.world, self.kept = bundle.world, dict[str, Images]()

    def __call__(self, location: str, count: int) -> Images:
        if location not in self.kept:
            self.kept[location] = self.world.images(location, "eval", first=count)
        return self.kept[location]


def _written(bundle: Bundle, sweep: Sweep, spot: Spot, wanted: Callable[[], bool]) -> Tensor | None:
    """The raw rows `[N, D]` of a cell, one a seed; None if `wanted` says no."""
    first, last = (bundle.embedding(name).expand(sweep.seeds, -1) for name in (spot.a, spot.b))
    generator = bundle.generator(spot.regime, way=spot.way)
    latents = None
    for estimate in generator.path(first, other=last, weight=spot.weight, steps=sweep.steps, seed=sweep.seed):
        latents = estimate
        if not wanted():
            return None
    if latents is None:
        raise RuntimeError("the sampler gave no estimate")
    rows = generator.decode(latents).cpu()
    if not bool(rows.isfinite().all()):
        raise UserError(
            f"A sample of {spot.a} with {spot.b} at {spot.weight:g} is not finite; choose another seed or more steps."
        )
    return rows


def _look(bundle: Bundle, images: Images, count: int) -> tuple[list[Tensor], Tensor]:
    """The first `count` photographs as the network takes them, and their labels."""
    device, standard = bundle.device, bundle.described.standard
    return prepared_batches(images.pixels[:count], best_batch(device), device, standard), images.labels[:count]


def _record(
    sweep: Sweep, spot: Spot, seed: int, row: Tensor, right: Tensor, near: Mapping[str, Any], known: Known
) -> Record:
    at_a, at_b = right.sum(dim=1).tolist()
    images, known_cosines = right.shape[1], (known.cosine(row, spot.a), known.cosine(row, spot.b))
    return Record(
        a=spot.a,
        b=spot.b,
        weight=spot.weight,
        regime=spot.regime,
        way=spot.way,
        seed=seed,
        steps=sweep.steps,
        images=images,
        **_share(at_a, images, "a"),
        **_share(at_b, images, "b"),
        cosine_a=known_cosines[0],
        cosine_b=known_cosines[1],
        norm=float(row.norm()),
        **near,
    )


def _share(right: int, images: int, side: str) -> dict[str, Any]:
    low, high = wilson(right, images)
    values = {"right": right, "accuracy": right / images, "low": low, "high": high}
    return {f"{name}_{side}": value for name, value in values.items()}

"""The last stage: every group of rows on the selection and test parts, and the numbers made of them."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .. import __version__
from ..files import load_json, load_tensors, save_json, save_tensors
from ..training.loop import Step
from .groups import GROUPS, Groups
from .own import buffer_notes
from .pictures import Pictures
from .results import Data, Measured, numbers
from .shared import Shared

if TYPE_CHECKING:
    from .system import System

#: Scales of noise that are tried until rows are as accurate as generated ones, and rows of each try.
TRIES, TRIED = 7, 20


def measure(system: System) -> Iterator[tuple[str, Step]]:
    """Measure each group, keep its table of right and wrong, and write the results; killed, it goes on by group."""
    from .system import MEASURED, RESULTS

    begun, kept = time.monotonic(), system.work / "measure-seconds.json"
    earlier = load_json(kept) if kept.exists() else 0.0
    folder, groups, found = system.out / MEASURED, system.groups, {}
    recipe, pictures, done = system.order.recipe, system.measured_pictures, 0
    plan = {name: groups.rows(name, recipe.baselines, seed=system.order.seed) for name in GROUPS if name != "alike"}
    total = sum(len(rows) for rows in plan.values())
    for name, rows in plan.items():
        path = folder / f"{name}.safetensors"
        if not path.exists():
            tables: dict[str, list[Tensor]] = {}
            for part in ("selection", "test"):
                images, tables[part] = getattr(pictures, part), []
                for step, right in system.shared.correct_steps(rows, images.pixels, images.labels):
                    tables[part].append(right)
                    share = step.index / 2 + (len(rows) / 2 if part == "test" else 0)
                    yield "measure", Step(max(1, int(done + share)), total, float("nan"))
            save_tensors(path, {part: torch.cat(right) for part, right in tables.items()})
        done += len(rows)
        found[name] = Measured(rows, *_tables(path))
    alike = _alike(system, groups, found, pictures)
    if alike is not None:
        found["alike"] = alike
    results = document(system, found)
    results["seconds"]["measure"] = round(time.monotonic() - begun + earlier, 1)
    save_json(system.out / RESULTS, results)


def document(system: System, measured: dict[str, Measured]) -> Data:
    """The results as JSON: what was made, how, and all numbers."""
    from .system import FORMAT

    shared, generator = system.shared, system.generator
    coded = {name: generator.encode(measured[name].rows)[:, 0].cpu() for name in ("generated", "held_out", "originals")}
    order = system.order
    seconds = {
        path.stem.removesuffix("-seconds"): round(load_json(path), 1) for path in system.work.glob("*-seconds.json")
    }
    return {
        "format": FORMAT,
        "order": order.public(),
        "network": {"name": order.public()["network"], "numbers": shared.numbers, "fingerprint": shared.fingerprint},
        "rows": {
            "dim": shared.layout.dim, "layers": len(shared.layout.names), "rate": system.checkpoints.rate,
            "shown": len(system.checkpoints.known), "held_out": len(system.checkpoints.held_out),
        },
        "data": system.pictures.about() | {
            "measured": {part: len(getattr(system.measured_pictures, part)) for part in ("selection", "test")}
        },
        "seconds": seconds,
        "notes": buffer_notes(shared, order.zoo) if order.zoo is not None else [],
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("torch", "timm")}
        | {"wildpdiff": __version__, "python": platform.python_version()},
        **numbers(measured, coded, best_of=order.recipe.samples),
    }  # fmt: skip


def _alike(system: System, groups: Groups, found: dict[str, Measured], pictures: Pictures) -> Measured | None:
    """Noise-added originals that are as accurate as generated rows on the selection part; None if no noise is.

    The scale is halved in between by its logarithm, from a thousandth to a thousand times the distance of generated
    rows. If originals as they are lie below the generated rows, no noise makes them as accurate.
    """
    from .system import MEASURED

    path, seed = system.out / MEASURED / "alike.safetensors", system.order.seed + 1
    count = system.order.recipe.baselines
    if path.exists():
        scale = float(load_tensors(path)[0]["scale"])
    else:
        wanted = float(found["generated"].selection.float().mean())
        if float(found["originals"].selection.float().mean()) <= wanted:
            return None
        scale = _scale(system.shared, groups, pictures, wanted, seed)
    rows = groups.noisy(scale, count, seed=seed)
    if not path.exists():
        tables = {
            part: system.shared.correct(rows, getattr(pictures, part).pixels, getattr(pictures, part).labels)
            for part in ("selection", "test")
        }
        save_tensors(path, tables | {"scale": torch.tensor(scale)})
    return Measured(rows, *_tables(path))


def _scale(shared: Shared, groups: Groups, pictures: Pictures, wanted: float, seed: int) -> float:
    low, high, images = -3.0, 3.0, pictures.selection
    for _ in range(TRIES):
        middle = (low + high) / 2
        rows = groups.noisy(10**middle, TRIED, seed=seed)
        reached = float(shared.correct(rows, images.pixels, images.labels).float().mean())
        low, high = (middle, high) if reached > wanted else (low, middle)
    return float(10 ** ((low + high) / 2))


def _tables(path: object) -> tuple[Tensor, Tensor]:
    tensors, _ = load_tensors(path)  # type: ignore[arg-type]
    return tensors["selection"], tensors["test"]

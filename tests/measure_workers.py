"""What workers are worth: `python tests/measure_workers.py [--places 8] [--kills 10] [--only speed,plan]`.

Prints one JSON document. `speed`: seconds for the same zoo (its jobs of equal length, one thread each) with one
process, two processes, and two workers of Dask, and their ratios; the start of the processes counts. `jobs`:
seconds of each job with one process. `cluster`: by these times drawn anew, the makespan of the recipe `full`'s runs
with 64 workers, 5% of whose tries fail, over the ideal; worst of 100. `kills`: whether a zoo whose workers were
killed at random so many times is bit by bit that of a run that nobody disturbed. `plan`: seconds of a small build
with one worker, stage by stage, and what `wildpdiff train --dry-run` says of it. A measurement, not a test; nothing
else should run on the computer.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from test_executors import ORDER, survived

from wildpdiff.build.grow import work_on
from wildpdiff.build.orders import Order, grow_order
from wildpdiff.build.plan import plan
from wildpdiff.build.recipes import FULL, SAVANNA, SMOKE, Recipe, trained_by
from wildpdiff.build.schedule import ideal, makespan
from wildpdiff.build.stages import build
from wildpdiff.bundle import Bundle
from wildpdiff.bundled import bundled
from wildpdiff.files import load_json
from wildpdiff.workers.pool import ONE, TWO, Workers
from wildpdiff.worlds.savanna.world import PRETRAINING, SavannaConfig, SavannaWorld


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def brief(bundle: Bundle) -> Recipe:
    """The bundle's recipe with fewer steps before the first row."""
    recipe = trained_by(bundle)
    return replace(recipe, finetune=replace(recipe.finetune, converge=60))


def speed(bundle: Bundle, order: Order) -> dict[str, Any]:
    """The bundle's own photographs are drawn anew by every worker, as in any zoo."""
    recipe, found, files = brief(bundle), dict[str, float](), dict[str, bytes]()
    for name, workers in {"one": ONE, "two": TWO, "dask": Workers(2, "dask")}.items():
        with folder() as out:
            found[name] = seconds(lambda: list(grow_order(bundle, recipe, order, out, workers=workers)))  # noqa: B023
            rows = {path.name: path.read_bytes() for path in out.glob("zoo-*/*.safetensors")}
            assert files in ({}, rows), "rows differ"
            files = rows
    return found | {"two_over_one": found["one"] / found["two"], "dask_over_one": found["one"] / found["dask"]}


def jobs(bundle: Bundle, order: Order) -> list[float]:
    """Seconds of each job alone, without the start of a process."""
    recipe, backbone = brief(bundle), bundle.folder / "backbone.safetensors"
    with folder() as out:
        list(grow_order(bundle, recipe, replace(order, locations=order.locations[:1]), out, workers=ONE))
        every = order.jobs(bundle, recipe, out)
        return [seconds(lambda: work_on(job, backbone, recipe.world, "cpu")) for job in every[1:]]  # noqa: B023


def cluster(measured: list[float]) -> dict[str, Any]:
    count, ratios = len(FULL.regimes) * len(FULL.seen) * FULL.runs, []
    for seed in range(100):
        draw = random.Random(seed)
        drawn = [draw.choice(measured) * draw.lognormvariate(0, 0.1) for _ in range(count)]
        ratios.append(makespan(drawn, 64, failing=0.05, seed=seed) / ideal(drawn, 64))
    return {"jobs": count, "mean": sum(ratios) / len(ratios), "worst": max(ratios)}


def killed(bundle: Bundle, kills: int) -> bool:
    long = replace(ORDER, rows=80)  # a row in ten is told, and each is a chance to kill
    with folder() as calm, folder() as other:
        return survived(bundle, long, calm, kills=0) == survived(bundle, long, other, kills=kills)


def planned() -> dict[str, Any]:
    """A build of one regime and four locations at 64 pixels, every stage long enough to be timed."""
    drawn = SavannaWorld(SavannaConfig(size=64, train_images=60, eval_images=40, background_images=5))
    lengths = {"mean_steps": 300, "denoiser_steps": 500}
    recipe = replace(
        SAVANNA,
        name="measured",
        world=drawn.to_json(),
        pretraining=PRETRAINING[:4],
        seen=SAVANNA.seen[:4],
        unseen=SAVANNA.unseen[:1],
        regimes=("M",),
        pretrain=replace(SAVANNA.pretrain, images_per_location=60, steps=120),
        clip_training=replace(SAVANNA.clip_training, steps=12),
        clip_places=40,
        shared=replace(SAVANNA.shared, converge=60),
        run=replace(SAVANNA.run, converge=50),
        runs=3,
        held_out_runs=1,
        connect=replace(SAVANNA.connect, steps=80),
        generator=replace(SAVANNA.generator, **lengths),
        denoiser_steps={},
        plain=replace(SMOKE.plain, denoiser_steps=100),
        alone=False,
    )
    *_, (_, told) = plan(recipe)
    assert told is not None
    with folder() as out:
        whole = seconds(lambda: list(build(recipe, out, workers=ONE)))
        stages = load_json(out / "bundle.json")["seconds"]
    said = {stage.name: stage.span(1) for stage in told.stages}
    return {"seconds": whole, "planned": told.span(1), "ratio": told.span(1) / whole, "stages": stages, "said": said}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--places", type=int, default=8)
    options.add_argument("--only", default="speed,jobs,cluster,kills,plan", help="which, with commas")
    options.add_argument("--kills", type=int, default=10)
    os.environ["OMP_NUM_THREADS"] = "1"  # for the workers, too
    chosen, bundle = options.parse_args(), Bundle.open(bundled())
    torch.set_num_threads(1)
    order = Order("M", 5, 8, bundle.seen[: chosen.places])
    found: dict[str, Any] = {}
    for name, measure in {
        "speed": lambda: speed(bundle, order),
        "jobs": lambda: jobs(bundle, order),
        "cluster": lambda: cluster(found["jobs"]),
        "kills": lambda: killed(bundle, chosen.kills),
        "plan": planned,
    }.items():
        if name not in chosen.only.split(","):
            continue
        found[name] = measure()
        print(name, found[name], file=sys.stderr, flush=True)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

"""Adapters of one location alone, by saving interval: grown, learned from, and generated without a condition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from ..build.generators import config_of, discard
from ..build.grow import grow
from ..build.jobs import location_jobs
from ..build.starts import write_starts
from ..experiments.baselines import gaussian_in_pca, means_of_few, noisy
from ..experiments.lab import Lab
from ..generator import AdapterGenerator
from ..generator.normalize import Standardizer
from ..generator.train import train_generator
from ..training.loop import Step
from ..weightspace import nearest

REGIME = "M"
#: Iterations between two saved checkpoints.
INTERVALS = (1, 10, 100)


def ready(lab: Lab) -> Iterator[Step]:
    """Grow the checkpoints of every interval and train a generator on each; what is there is left as it is."""
    yield from grown(lab)
    for interval in INTERVALS:
        yield from _trained(lab, interval)


def grown(lab: Lab) -> Iterator[Step]:
    """Fine-tune the first seen location on, and keep its checkpoints at every interval.

    The three run along the same path: batches depend on the seed and the iteration alone.
    """
    write_starts(lab.recipe, lab.bundle.backbone, lab.work)
    jobs = [
        job
        for interval in INTERVALS
        for job in location_jobs(lab.recipe, lab.work, REGIME, interval=interval, locations=[location_of(lab)])
    ]
    yield from grow(jobs, lab.bundle.folder / "backbone.safetensors", lab.recipe.world, workers=lab.workers)


def candidates(lab: Lab, interval: int) -> dict[str, Tensor]:
    """Raw rows `[N, D]`, generated and of each kind that they are held against (see `table1.KINDS`).

    Noise goes as far from the same checkpoint as the generated rows.
    """
    known, generator = rows_of(lab, interval), generator_of(lab, interval)
    rows = generated(lab, generator)
    index, distance = nearest(rows, known)
    scale = Standardizer.fit(known, generator.layout).scale
    return {
        "generated": rows,
        "held_out": lab.rows(REGIME, location_of(lab), at_most=lab.samples, interval=interval),
        "noise": noisy(known[index], distance, lab.seed),
        "scaled_noise": noisy(known[index], distance, lab.seed, scale=scale),
        "means": means_of_few(known, lab.samples, seed=lab.seed),
        "gaussian": gaussian_in_pca(known, lab.samples, seed=lab.seed),
    }


def location_of(lab: Lab) -> str:
    """The first seen location."""
    return lab.bundle.seen[0]


def rows_of(lab: Lab, interval: int) -> Tensor:
    """Its raw rows `[J, D]` at a saving interval."""
    return lab.rows(REGIME, location_of(lab), interval=interval)


def _folder(lab: Lab, interval: int) -> Path:
    return lab.work / f"alone-{location_of(lab)}-{interval}"


def _trained(lab: Lab, interval: int) -> Iterator[Step]:
    """Train the generator of one interval, unless it is there."""
    folder = _folder(lab, interval)
    if (folder / "config.json").exists():
        return
    notes = {"recipe": lab.recipe.name, "regime": REGIME, "location": location_of(lab), "interval": str(interval)}
    config = config_of(lab.recipe, lab.bundle.backbone, lab.bundle.folder, alone=True)
    generator = AdapterGenerator.untrained(config, seed=lab.recipe.seed, notes=notes)
    for _, step in train_generator(generator, rows_of(lab, interval), None, None, lab.recipe.generator, folder=folder):
        yield step
    generator.save_pretrained(folder)
    discard(folder)


def generator_of(lab: Lab, interval: int) -> AdapterGenerator:
    """The generator that learned from them; see `ready`."""
    generator = AdapterGenerator.from_pretrained(_folder(lab, interval))
    backbone = lab.bundle.backbone
    generator.check(layout=backbone.layout, backbone_fingerprint=backbone.fingerprint)
    return generator


def generated(lab: Lab, generator: AdapterGenerator) -> Tensor:
    """As many raw rows as the lab asks for, without a condition."""
    return generator.generate(count=lab.samples, seed=lab.seed).cpu()

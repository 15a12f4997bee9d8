"""Making a bundle from nothing: stages that write files, skip what is there and resume what was killed."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..bundle import BACKBONE, POOLED, WAYS, Bundle, is_whole
from ..condition.source import check_clip
from ..errors import UserError
from ..files import load_json, load_tensors, save_json, save_tensors
from ..generator import AdapterGenerator
from ..manifest import seal
from ..measure.by_location import crossed_conditions, evaluate_locations, together
from ..measure.fidelity import fidelity_over
from ..network.adapter import AdapterLayout
from ..network.backbone import Backbone
from ..training.head import fit_head
from ..training.loop import Step
from ..training.pretrain import pretrain
from ..training.team import ALONE, Team
from ..variant import Variant
from ..weightspace import Map
from ..workers.pool import TWO, Workers, each
from ..worlds import open_world
from ..worlds.base import Captioned, Enriched, World, location_of
from ..worlds.stored import store
from .claim import claimed
from .conditions import conditions, encoder
from .generators import Task, connect_regime, curves_file, grow_alone, train_alone, train_regime
from .photographs import photographs
from .recipes import MAPPED, Recipe
from .runs import all_runs, do_run, rows_at
from .starts import JOINT, LABELS, starts

Progress = Iterator[tuple[str, Step]]


def build(recipe: Recipe, out: Path, *, device: str = "cpu", workers: Workers = TWO, team: Team = ALONE) -> Progress:
    """Train everything of a recipe into the folder `out`, stage after stage; yields (stage, step).

    A killed build goes on where it was when run again; `out/work` keeps what is half done and the whole zoo. Of several
    processes all call this, in one folder: they share the training of the classifier and of the generators, one after
    the other; all else is done by the main one and its `workers`.

    Raises:
        UserError: if the recipe does not fit its world, `out` was begun with another recipe or another
            run is at work in it, or the disk is full.
    """
    out, work = Path(out), Path(out) / "work"
    world = checked(recipe)
    with claimed(work, out.name) if team.main else nullcontext():
        team.once(partial(_same_recipe, recipe, work))
        regimes = [Task(recipe, out, work, regime, device) for regime in recipe.regimes]
        yield from _timed(work, "backbone", _backbone(recipe, world, out, work, device, team), team)
        yield from _by_main(team, _rows(recipe, world, out, work, regimes, device, workers))
        jobs = [partial(train_regime, task, team) for task in regimes]
        jobs += [partial(train_alone, regimes[0], team)] * recipe.alone
        yield from _timed(work, "generators", _trained(jobs, workers, team), team)
        yield from _by_main(team, _measures(recipe, out, work, regimes, workers))


def _rows(
    recipe: Recipe, world: World, out: Path, work: Path, regimes: Sequence[Task], device: str, workers: Workers
) -> Progress:
    """From the classifier to all that generators learn from."""
    yield from _timed(work, "clip", encoder(recipe, world, out, work, device))
    yield from _timed(work, "starts", starts(recipe, out / BACKBONE, work, device, workers=workers))
    yield from _timed(work, "rows", _shared(do_job, _row_jobs(recipe, out, work, device), workers))
    yield from _timed(work, "conditions", conditions(recipe, world, out))
    yield from _timed(work, "curves", _shared(connect_regime, regimes, workers))


def _measures(recipe: Recipe, out: Path, work: Path, regimes: Sequence[Task], workers: Workers) -> Progress:
    """From the generators to a whole bundle."""
    yield from _timed(work, "gallery", _gallery(recipe, out, work))
    yield from _timed(work, "figures", _shared(measure_regime, [] if is_whole(out) else regimes, workers))
    yield from _timed(work, "seal", _seal(recipe, out, work, regimes))


def _by_main(team: Team, stages: Progress) -> Progress:
    """Stages of the main process, for whose end the others wait."""
    if team.main:
        yield from stages
    team.wait()


def _trained(jobs: Sequence[Callable[[], None]], workers: Workers, team: Team) -> Iterator[Step]:
    """Do trainings: one after the other, shared by all processes, or each in a worker of its own if there is one."""
    if team.size == 1:
        yield from _shared(do_job, jobs, workers)
        return
    for count, job in enumerate(jobs, start=1):
        job()
        yield Step(count, len(jobs), float("nan"))


def _shared(work: Callable[[Any], None], jobs: Sequence[Any], workers: Workers) -> Iterator[Step]:
    """Do jobs `workers` at once, each in a process of one thread; those that are done end at once."""
    for count in each(work, jobs, workers=workers):
        yield Step(count, len(jobs), float("nan"))


def do_job(job: Callable[[], None]) -> None:
    """Do one job: a function of a module with all that it is called with."""
    job()


def _row_jobs(recipe: Recipe, out: Path, work: Path, device: str) -> list[partial[None]]:
    """All rows to grow, the longest job first, so that no worker waits at the end."""
    runs = [run for run in all_runs(recipe, work, out / BACKBONE) if not run.path.exists()]
    alone = [partial(grow_alone, Task(recipe, out, work, "M", device))] if recipe.alone else []
    return [*alone, *(partial(do_run, run) for run in runs)]


def spread_notes(out: Path) -> dict[str, str]:
    """What the generators of a bundle note of rows that do not differ, by regime; usually nothing."""
    folders = sorted(out.glob("generator-?"))
    notes = {folder.name[-1]: load_json(folder / "config.json")["notes"] for folder in folders}
    return {regime: own["spread"] for regime, own in notes.items() if "spread" in own}


def _timed(work: Path, stage: str, steps: Iterator[Step], team: Team = ALONE) -> Progress:
    """A stage's steps; the seconds that it took add up in `work/seconds.json`, over kills too."""
    path = work / "seconds.json"
    begun = time.monotonic()
    for step in steps:
        yield stage, step
        if team.main and (step.index == step.total or time.monotonic() - begun > 20):
            seconds = load_json(path) if path.exists() else {}
            seconds[stage] = seconds.get(stage, 0.0) + time.monotonic() - begun
            save_json(path, seconds)
            begun = time.monotonic()


def checked(recipe: Recipe) -> World:
    """The world of a recipe, which was seen to fit it; nothing is written yet.

    Raises:
        UserError: if there is no such world, location or CLIP, or there are too few.
    """
    world = open_world(recipe.world)
    if len(recipe.seen) < 2 or not recipe.unseen or not recipe.pretraining:
        raise UserError("A recipe needs at least two seen locations, one unseen one and one to pretrain on.")
    for name in (*recipe.pretraining, *recipe.seen, *recipe.unseen, *recipe.joint_at):
        location_of(name, world.locations)
        if not re.fullmatch(r"[\w .-]+", name) or name.startswith("."):
            raise UserError(f"Location '{name}' cannot name a file; rename it in the world's data.")
    named = (*recipe.seen, *recipe.unseen)
    learned = {*recipe.pretraining, *recipe.joint_at}
    if len(set(named)) < len(named) or set(recipe.unseen) & learned:
        raise UserError("A location is seen or unseen, and once; nothing may learn at an unseen one.")
    for name in (*recipe.seen, *recipe.unseen):
        if len(world.backgrounds(name)) < 2:
            raise UserError(f"Location '{name}' has one background; at least two are needed.")
    if recipe.weights is not None:
        recipe.begun(world.species)
    if recipe.condition is None and not isinstance(world, Captioned):
        raise UserError(f"Worlds of kind '{world.kind}' have no captions; name a CLIP as the recipe's condition.")
    if recipe.condition not in (None, POOLED):
        check_clip(str(recipe.condition))
    return world


def _same_recipe(recipe: Recipe, work: Path) -> None:
    path, wanted = work / "recipe.json", recipe.to_json()
    if path.exists() and load_json(path) != wanted:
        raise UserError(f"'{work.parent.name}' was begun with another recipe; choose another --out folder.")
    save_json(path, wanted)


def _backbone(recipe: Recipe, world: World, out: Path, work: Path, device: str, team: Team) -> Iterator[Step]:
    path, checkpoint = out / BACKBONE, work / "backbone.safetensors"
    if team.agreed(path.exists()):
        return
    learned = world.real if isinstance(world, Enriched) else world
    images = photographs(learned, recipe.pretraining, recipe.pretrain.images_per_location)
    backbone = recipe.begun(world.species).to(device)
    if recipe.weights is not None and not checkpoint.exists():
        team.once(partial(fit_head, backbone, images, recipe.head))
        yield Step(1, 1, float("nan"))
    if recipe.learns_whole:
        yield from pretrain(backbone, images, recipe.pretrain, seed=recipe.seed, checkpoint=checkpoint, team=team)
    team.once(lambda: backbone.round_to_half().save(path))
    checkpoint.unlink(missing_ok=True)


def _gallery(recipe: Recipe, out: Path, work: Path) -> Iterator[Step]:
    """Code the curves and the joint adapter for the bundle, and map the rows."""
    if (out / JOINT).exists():
        return
    layout = Backbone.load(out / BACKBONE).layout
    for place, regime in enumerate(recipe.regimes):
        generator = AdapterGenerator.from_pretrained(out / f"generator-{regime}")
        tensors, _ = load_tensors(curves_file(work, regime))
        coded = {name: generator.encode(rows)[:, 0] for name, rows in tensors.items()}
        save_tensors(out / f"curves-{regime}.safetensors", coded, {"codec": generator.codec_fingerprint})
        _map(recipe, work, layout, regime).save(out / f"map-{regime}.safetensors")
        if place + 1 < len(recipe.regimes):
            yield Step(place + 1, len(recipe.regimes), float("nan"))
    joint = load_tensors(work / JOINT)[0]["row"]
    save_tensors(out / JOINT, {"row": joint.half()}, {"layout": layout.fingerprint})
    yield Step(len(recipe.regimes), len(recipe.regimes), float("nan"))


def _map(recipe: Recipe, work: Path, layout: AdapterLayout, regime: str) -> Map:
    """The map of a regime's rows, or of as many of them as `MAPPED`."""
    rows = torch.stack([rows_at(recipe, work, layout, regime, name) for name in recipe.seen]).flatten(1, 2)
    thin = torch.linspace(0, rows.shape[1] - 1, min(rows.shape[1], MAPPED // len(rows))).round().long()
    index = torch.arange(len(rows)).repeat_interleave(len(thin))
    return Map.of(rows[:, thin].flatten(0, 1), index, seed=recipe.seed)


def _seal(recipe: Recipe, out: Path, work: Path, tasks: Sequence[Task]) -> Iterator[Step]:
    """Write the manifest, with what was measured and how long it all took."""
    if is_whole(out):
        _forget_figures(tasks)
        return
    figures = {task.regime: load_json(_figures_file(task)) for task in tasks}
    notes = {name: load_json(path) for name in ("clip", "seconds") if (path := work / f"{name}.json").exists()}
    seal(out, _about(recipe, out) | {"figures": figures} | notes)
    _forget_figures(tasks)
    yield Step(1, 1, float("nan"))


def _forget_figures(tasks: Sequence[Task]) -> None:
    """Delete what was kept until the manifest had it."""
    for task in tasks:
        _figures_file(task).unlink(missing_ok=True)


def _about(recipe: Recipe, out: Path) -> dict[str, Any]:
    """What a manifest says of a bundle before it is measured."""
    return {
        "recipe": recipe.to_json(),
        "variants": variants(recipe),
        "seen": list(recipe.seen),
        "unseen": list(recipe.unseen),
        "world": _carried(recipe, out),
        "figures": {},
    }


def variants(recipe: Recipe) -> list[dict[str, str]]:
    """The variants of a bundle that a recipe makes: each regime in our way and in the paper's."""
    return [Variant.of(regime, way, *LABELS[regime]).to_json() for regime in recipe.regimes for way in WAYS]


def _figures_file(task: Task) -> Path:
    return task.work / f"figures-{task.regime}.json"


def measure_regime(task: Task) -> None:
    """Measure the adapters of a regime, unless that was done."""
    if not _figures_file(task).exists():
        bundle = Bundle(task.out, _about(task.recipe, task.out), torch.device(task.device))
        save_json(_figures_file(task), _measured(bundle, task))
    shutil.rmtree(task.work / f"figures-{task.regime}", ignore_errors=True)


def _carried(recipe: Recipe, out: Path) -> dict[str, Any]:
    """The spec of the world in the bundle: the recipe's own if that alone opens it, otherwise of stored pictures."""
    world = open_world(recipe.world)
    if world.portable:
        return world.to_json()
    return store(world, out, (*recipe.seen, *recipe.unseen), recipe.pretraining)


def _measured(bundle: Bundle, task: Task) -> dict[str, Any]:
    """The figures of one regime: seen and unseen locations; and other locations' conditions, of one regime.

    What is measured is kept location by location, so that a killed build does not measure it again.
    """
    recipe, regime = task.recipe, task.regime
    how: dict[str, Any] = {"regime": regime, "samples": recipe.samples, "seed": 0}

    def at(name: str) -> dict[str, Any]:
        return _kept(task, name, lambda: last_of(evaluate_locations(bundle, (name,), **how)))

    unseen = [at(name) for name in recipe.unseen]
    figures = together([at(name) for name in recipe.seen]) | {"unseen": together(unseen)["locations"] if unseen else {}}
    figures["fidelity"] = _kept(task, "fidelity", lambda: _fidelity(bundle, task))
    if regime == bundle.regime:
        figures["crossed"] = _kept(task, "crossed", lambda: last_of(crossed_conditions(bundle, regime=regime, seed=0)))
    return figures


def _fidelity(bundle: Bundle, task: Task) -> dict[str, Any]:
    try:
        return fidelity_over(bundle, task.regime, task.recipe.seen)
    except UserError as error:
        return {"problem": str(error)}


def _kept(task: Task, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A part of a regime's figures: read if it was measured, else measured and kept."""
    path = task.work / f"figures-{task.regime}" / f"{name}.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        save_json(path, measure())
    return dict(load_json(path))


def last_of(steps: Iterator[tuple[Step, dict[str, Any]]]) -> dict[str, Any]:
    """The report of the last step."""
    *_, (_, report) = steps
    return report

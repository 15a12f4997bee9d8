"""Commands that train: bundles by recipes, and zoos."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UserError
from .shared import (
    DEFAULT_BUNDLE,
    BoxesOption,
    BundleOption,
    ColumnsOption,
    DeviceOption,
    ExecutorOption,
    ImagesOption,
    JsonOption,
    OutOption,
    RegimeOption,
    SchedulerOption,
    SlurmOption,
    WorkersOption,
    app,
    device_of,
    say,
    shown,
    typed,
    workers_of,
)

if TYPE_CHECKING:
    from ..training.team import Team
    from ..workers.pool import Workers


@app.command()
def train(
    out: OutOption,
    recipe: Annotated[
        str,
        typer.Option(
            help="A recipe's name; own or paper for your cameras, with --data; smoke to test the way; full for 300 "
            "rows a location; or a .json file."
        ),
    ] = DEFAULT_BUNDLE.name,
    data: Annotated[
        Path | None, typer.Option(help="Your photographs: metadata, a table, a package or a folder.")
    ] = None,
    images: ImagesOption = None,
    boxes: BoxesOption = None,
    columns: ColumnsOption = "",
    species: Annotated[
        str, typer.Option(help="Of your data, with commas; all with enough photographs by default.")
    ] = "",
    network: Annotated[str | None, typer.Option(help="For your data: a classifier of timm's.")] = None,
    weights: Annotated[str, typer.Option(help="For your data: imagenet, or a checkpoint of timm's (safetensors).")] = (
        "imagenet"
    ),
    condition: Annotated[
        str | None, typer.Option(help="For your data: pooled (ImageNet features; own's), or a CLIP: MODEL/TAG.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="For your data: pixels a side of what is named; own's 128.")] = None,
    device: DeviceOption = "auto",
    workers: WorkersOption = 2,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = "",
    slurm: SlurmOption = "",
    bf16: Annotated[bool, typer.Option("--bf16", help="On GPUs: classifier and generators in bfloat16.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Time some steps of each stage and say what all will take; train nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a bundle from nothing; killed and run again, it goes on where it was.

    Started by `accelerate launch` or `torchrun` in several processes, these share the long trainings.
    """
    from ..build import recipes
    from ..build.own import OWN, PAPER, OwnData, own_recipe
    from ..survey.tables import columns_of
    from ..training.team import launched

    crew, chosen = workers_of(workers, executor, scheduler, slurm, out / "work"), None
    if data is not None:
        names = tuple(part.strip() for part in species.split(",") if part.strip())
        about: dict[str, Any] = {"images": images, "boxes": boxes, "columns": columns_of(columns), "species": names}
        about |= {"size": size, "network": network, "condition": condition, "weights": weights}
        said = {name: value for name, value in about.items() if value is not None}
        chosen = (OwnData.of_paper if recipe == PAPER else OwnData)(data, **said)
    if dry_run:
        _plan(own_recipe(chosen)[0] if chosen else recipes.planned(recipe), as_json)
        return
    if (recipe in (OWN, PAPER)) != (data is not None):
        named = PAPER if recipe == PAPER else OWN
        raise UserError(f"Your own photographs need both: --recipe {named} and --data PATH.")
    with launched(device_of(device), bf16=bf16) as team:
        if chosen:
            made = _build_own(chosen, out, team, crew)
        else:
            _build(recipes.recipe_of(recipe), out, team, crew)
    if chosen and team.main:
        _report_own(made, out, team.device, crew)


def _plan(recipe: Any, as_json: bool) -> None:
    """Say what a recipe will take, and train nothing."""
    from ..build.plan import plan

    for _, found in shown(("plan", pair) for pair in plan(recipe)):  # noqa: B007
        pass
    print(json.dumps(found.to_json()) if as_json else found.words())  # noqa: T201


def _build(recipe: Any, out: Path, team: Team, workers: Workers, said: Iterable[str] = ()) -> None:
    """Make a bundle by a recipe, and say what was odd about its world, but for what was said already."""
    from ..build.stages import build, spread_notes
    from ..worlds import open_world
    from ..worlds.base import Noting

    steps = build(recipe, out, device=team.device, workers=workers, team=team)
    if not team.main:
        for _ in steps:
            pass
        return
    world = open_world(recipe.world)
    known = set(said)

    def say_notes() -> None:
        for note in world.notes if isinstance(world, Noting) else ():
            if note not in known:
                known.add(note)
                say(note)

    say_notes()
    for _ in shown(steps):
        pass
    say_notes()  # what was met while photographs were read
    for regime, note in spread_notes(out).items():
        say(f"Regime {regime}: {note}.")
    say(f"The bundle is ready: wildpdiff serve --bundle {out}")


def _build_own(data: Any, out: Path, team: Team, workers: Workers) -> Any:
    """A bundle of somebody's own cameras; gives its recipe."""
    from ..build.own import cost, own_recipe
    from ..own.held_out import steps_of

    recipe, world, notes = own_recipe(data)
    if team.main:
        for note in notes:
            say(note)
        say(cost(recipe, world, steps_of(world, quick=True), workers))
    _build(recipe, out, team, workers, said=notes)
    return recipe


def _report_own(recipe: Any, out: Path, device: str, workers: Workers) -> None:
    """A report on what adapters are worth at somebody's own cameras."""
    from ..bundle import Bundle
    from ..experiments.lab import Lab
    from ..experiments.result import read_result
    from ..own.held_out import STUDY
    from ..reproduce import OF_ANY_BUNDLE, REPORT, choose, summary
    from ..reproduce import reproduce as measure

    lab = Lab(Bundle.open(out, device), recipe, out, workers=workers, quick=True)
    chosen = [experiment for name in (STUDY, *OF_ANY_BUNDLE) for experiment in choose(name)]
    how: dict[str, Any] = {"command": typed(), "quick": True, "retrain": True, "store": True}
    for _ in shown(measure(chosen, lab, out / "report", **how)):
        pass
    print(summary(chosen[0], read_result(out / "report" / f"{STUDY}.json")))  # noqa: T201
    say(f"The report: {out / 'report' / REPORT}")
    say(f"Five seeds at full length: wildpdiff reproduce {STUDY} --retrain --bundle {out} --run {out} --out DIR")


@app.command()
def universal(
    bundle: Annotated[Path, typer.Option(help="The bundle that it is for, and that it is put into.")],
    run: Annotated[Path, typer.Option(help="Folder for what is half done; killed and run again, it goes on there.")],
    places: Annotated[int, typer.Option(help="Places drawn anew to learn at.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    device: DeviceOption = "auto",
    workers: WorkersOption = 2,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = "",
    slurm: SlurmOption = "",
) -> None:
    """Train generator U, which writes for places that nobody fine-tuned at, and put it into a bundle."""
    from dataclasses import replace

    from ..build.claim import claimed
    from ..build.universal import Site, UniversalRecipe, install, prepare
    from ..build.universal import train as train_universal
    from ..bundle import Bundle

    if not 10 <= places <= 100_000:
        raise UserError(f"Generator U learns at 10 to 100,000 places, not {places}.")
    crew = workers_of(workers, executor, scheduler, slurm, run / "work")
    opened = Bundle.open(bundle, device_of(device))
    opened.check_own()
    site = Site(opened, replace(UniversalRecipe(), places=places), run / "work" / "universal", crew)
    with claimed(site.work, run.name):
        for steps in (prepare(site), train_universal(site, seed)):
            for _ in shown(steps):
                pass
        install(site, seed)
    say(f"Generator U is in the bundle: wildpdiff serve --bundle {bundle}")


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="Its name; an unknown one is answered with those there are.")] = (
        DEFAULT_BUNDLE.name
    ),
) -> None:
    """Print a recipe as JSON, to change and hand to `wildpdiff train --recipe FILE.json`."""
    from ..build.recipes import recipe_of

    print(json.dumps(recipe_of(name).to_json(), indent=1))  # noqa: T201


@app.command()
def zoo(
    out: OutOption,
    regime: RegimeOption = "H",
    interval: Annotated[int, typer.Option(help="Steps between two saved rows: 1, 10 and 100 in the paper.")] = 5,
    rows: Annotated[int, typer.Option(help="Rows a location.")] = 100,
    locations: Annotated[str, typer.Option(help="seen, or names with commas.")] = "seen",
    shard: Annotated[str, typer.Option(help="Only this part of the locations, like 3/8; see `merge`.")] = "1/1",
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    workers: WorkersOption = 2,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = "",
    slurm: SlurmOption = "",
) -> None:
    """Fine-tune adapters at the seen locations; killed and run again, it goes on where it was."""
    from ..build.orders import Order, cost, grow_order, shard_of
    from ..build.recipes import trained_by
    from ..bundle import Bundle

    crew = workers_of(workers, executor, scheduler, slurm, out)
    opened = Bundle.open(bundle, device_of(device))
    names = opened.seen if locations == "seen" else tuple(part.strip() for part in locations.split(","))
    order, recipe = Order(regime, interval, rows, names, shard_of(shard)), trained_by(opened)
    price = cost(opened, recipe, order, out, workers=crew)
    say(price.words(order, recipe, crew))
    for _ in shown(grow_order(opened, recipe, order, out, workers=crew, together=price.together > 1)):
        pass
    say(f"The zoo is ready: {out}")


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders that `wildpdiff zoo --shard I/N --out` wrote.")],
    out: OutOption,
) -> None:
    """Put together a zoo whose parts were grown apart; rows are counted, and gaps refused."""
    from ..build.shards import merge as put_together

    for _ in shown(put_together(parts, out)):
        pass
    say(f"The zoo is ready: {out}")

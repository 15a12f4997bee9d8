"""Commands that measure: tables and figures, accuracy, sweeps, speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import UserError
from .shared import (
    DEFAULT_BUNDLE,
    BundleOption,
    DeviceOption,
    ExecutorOption,
    JsonOption,
    OutOption,
    RegimeOption,
    SchedulerOption,
    SlurmOption,
    WorkersOption,
    app,
    crew_of,
    device_of,
    say,
    shown,
    typed,
    workers_of,
)


@app.command()
def reproduce(
    what: Annotated[str, typer.Argument(help="One of the paper's tables and figures, or ablations, or all.")],
    out: OutOption,
    quick: Annotated[bool, typer.Option("--quick", help="8 generated adapters a cell, not 100.")] = False,
    samples: Annotated[int | None, typer.Option(help="Generated adapters a cell, where 100 take too long.")] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Train what is otherwise read from the bundle.")] = False,
    run: Annotated[Path | None, typer.Option(help="Folder of `wildpdiff train`, with the whole zoo.")] = None,
    seed: Annotated[int, typer.Option(help="The first adapter's seed.")] = 0,
    store: Annotated[bool, typer.Option("--store", help="Also keep what is measured in the bundle.")] = False,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    workers: WorkersOption = 2,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = "",
    slurm: SlurmOption = "",
    as_json: JsonOption = False,
) -> None:
    """Measure a table or figure of the paper on our world: JSON, figures, and a report to open offline."""
    from ..build.recipes import trained_by
    from ..bundle import Bundle
    from ..experiments.lab import Lab
    from ..experiments.result import read_result
    from ..reproduce import REPORT, choose, summary
    from ..reproduce import reproduce as measure

    if samples is not None and samples < 1:
        raise UserError(f"The number of samples must be at least 1, not {samples}.")
    chosen, opened = choose(what), Bundle.open(bundle, device_of(device))
    if store:
        opened.check_own()
    folder = run or (out / "run" if retrain else None)
    count = samples or (8 if quick else 100)
    crew = workers_of(workers, executor, scheduler, slurm, folder or out)
    lab = Lab(opened, trained_by(opened), folder, samples=count, seed=seed, workers=crew, quick=quick)
    how = {"quick": quick, "retrain": retrain, "store": store}
    for _ in shown(measure(chosen, lab, out, command=typed(), **how)):
        pass
    results = {experiment.name: read_result(out / f"{experiment.name}.json") for experiment in chosen}
    if as_json:
        print(json.dumps({name: result.to_json() for name, result in results.items()}))  # noqa: T201
    else:
        print("\n\n".join(summary(experiment, results[experiment.name]) for experiment in chosen))  # noqa: T201
    say(f"The report: {out / REPORT}")


@app.command()
def evaluate(
    locations: Annotated[str, typer.Option(help="seen, unseen, or names with commas.")] = "seen",
    samples: Annotated[int, typer.Option(help="Generated adapters a location.")] = 8,
    seed: Annotated[int, typer.Option(help="The first adapter's seed.")] = 0,
    crossed: Annotated[bool, typer.Option(help="Also: each adapter at every other location.")] = False,
    fidelity: Annotated[bool, typer.Option(help="Also: are 100 samples spread like held-out rows?")] = False,
    regime: RegimeOption = "H",
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option("--workers", help="Processes; 1: this one.")] = 1,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = "",
    slurm: SlurmOption = "",
    as_json: JsonOption = False,
) -> None:
    """Accuracy by location: pretrained, fine-tuned, generated; and whether samples differ as fine-tuned rows do."""
    from ..bundle import Bundle
    from ..measure.by_location import (
        as_table,
        chosen_locations,
        crossed_conditions,
        evaluate_locations,
        evaluate_shared,
    )
    from ..measure.fidelity import as_lines, fidelity_over

    opened = Bundle.open(bundle, device_of(device))
    report: dict[str, Any] = {}
    names = chosen_locations(opened, locations)
    how: dict[str, Any] = {"regime": regime, "samples": samples, "seed": seed}
    crew = crew_of(workers, executor, scheduler, slurm, Path())
    steps = evaluate_shared(opened, names, crew, **how) if crew else evaluate_locations(opened, names, **how)
    for _, report in shown(("evaluate", pair) for pair in steps):  # noqa: B007
        pass
    if crossed:
        for _, found in shown(("crossed", pair) for pair in crossed_conditions(opened, regime=regime, seed=seed)):
            report["crossed"] = found
    if fidelity:
        seen = [name for name in report["locations"] if name in opened.seen]
        report["fidelity"] = fidelity_over(opened, regime, seen, seed=seed)
    print(json.dumps(report) if as_json else "\n".join([as_table(report), *as_lines(report)]))  # noqa: T201


@app.command()
def sweep(
    pairs: Annotated[str, typer.Option(help="Pairs of locations, like A:B,A:C.")],
    weights: Annotated[str, typer.Option(help="Blend weights; 0 is the first location.")] = "0,0.25,0.5,0.75,1",
    seeds: Annotated[int, typer.Option(help="Adapters of each combination, 1 to 16.")] = 1,
    seed: Annotated[int, typer.Option(help="The first adapter's seed; the next ones count up.")] = 0,
    regime: Annotated[str, typer.Option(help="Similarity of the zoo: L, M or H, or several with commas.")] = "H",
    way: Annotated[str, typer.Option(help="ours, paper, or both with a comma.")] = "ours",
    steps: Annotated[int, typer.Option(help="DDIM steps.")] = 50,
    images: Annotated[int, typer.Option(help="Photographs of each location to name.")] = 100,
    out: Annotated[Path | None, typer.Option(help="A .csv, .json or .npz file to write.")] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option("--workers", help="Processes; 1: this one.")] = 1,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = "",
    slurm: SlurmOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write and measure adapters over pairs, blend weights and seeds; stopped, it keeps what it has."""
    from contextlib import closing

    from ..bundle import Bundle
    from ..sweep import Gathered, Sweep
    from ..sweep.record import format_of
    from ..sweep.spec import names_of, pairs_of, weights_of
    from ..sweep.written import about, as_table, run_into

    chosen = Sweep(
        pairs_of(pairs), weights_of(weights), seeds, names_of(regime), names_of(way), steps, images, seed
    )  # fmt: skip
    if out:
        format_of(out)
    opened, found, status = Bundle.open(bundle, device_of(device)), Gathered(), 0
    say(f"{chosen.size:,} adapters, about {chosen.cost(opened):.0f} s on {opened.device.type.upper()}.")
    crew = crew_of(workers, executor, scheduler, slurm, out.parent if out else Path())
    with closing(run_into(opened, chosen, out, crew)) as run:
        try:
            for _, found in shown(("sweep", pair) for pair in run):  # noqa: B007
                pass
        except KeyboardInterrupt:
            say(f"\nStopped after {len(found.records):,} adapters" + (f"; they are in {out}." if out else "."))
            status = 130
    if as_json:
        document = about(opened, chosen, found.cells) | {"records": [one.to_json() for one in found.records]}
        print(json.dumps(document))  # noqa: T201
    else:
        print(as_table(found.cells))  # noqa: T201
    raise typer.Exit(status)


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(help="Rounds; medians are reported.")] = 7,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure speed as ratios: generation against a fine-tuning step, evaluation against plain timm."""
    from ..measure.bench import run_bench

    figures = run_bench(bundle, device_of(device), rounds=rounds)
    print(json.dumps(figures, indent=None if as_json else 1))  # noqa: T201

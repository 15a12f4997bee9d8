"""The `wildpdiff` command. Results go to stdout, with `--json` as one JSON document; progress goes to stderr."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from .bundled import bundled
from .cores import cores
from .errors import UserError, readable

DEFAULT_BUNDLE = bundled()
#: Exit status of what Ctrl-C ended.
INTERRUPTED = 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=__doc__.partition("\n")[0],
)
BundleOption = Annotated[Path, typer.Option("--bundle", help="Folder of a trained bundle.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
RegimeOption = Annotated[str, typer.Option("--regime", help="Similarity of the zoo: low (L), medium (M) or high (H).")]
ImagesOption = Annotated[Path | None, typer.Option("--images", help="Folder that file names start from.")]
BoxesOption = Annotated[
    Path | None, typer.Option("--boxes", help="Output of MegaDetector or SpeciesNet for the files.")
]
ColumnsOption = Annotated[
    str, typer.Option("--columns", help="Of a table, such as path=File,location=Site,species=Name.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder or file to write.")]


def main() -> None:
    """Run the command line; a user's mistake ends with one sentence and exit status 2."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter gets a replacement, not a trace
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if cores() < (os.cpu_count() or 1):  # a container's share; the libraries see the whole machine
        os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
    try:
        sys.exit(_run())
    except UserError as error:
        print(f"wildpdiff: {readable(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except BrokenPipeError:  # whoever read our output, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        name = f"'{Path(os.fsdecode(error.filename)).name}'" if isinstance(error.filename, str | bytes) else "A file"
        reason = error.strerror or "unknown reason"
        print(f"wildpdiff: {readable(name)} cannot be read or written ({reason}).", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nwildpdiff: stopped; run the same command again to go on.", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)


def _run() -> int:
    """Run what was typed; the exit status. Options that do not fit are a user's mistake, too.

    Raises:
        UserError: with what click says of them. Which click typer brings along differs, so its errors are known by what
            they can do.
        KeyboardInterrupt: at Ctrl-C.
    """
    try:
        status = int(app(standalone_mode=False, prog_name="wildpdiff") or 0)
    except Exception as error:
        told = getattr(error, "format_message", None)
        if told is None or isinstance(error, UserError):
            raise
        text, where = str(told()), getattr(getattr(error, "ctx", None), "command_path", "wildpdiff")
        if "\n" in text:  # the help, as nothing was typed
            _say(text)
            return 2
        raise UserError(f"{text.rstrip('.')}; see `{where} --help`.") from None
    if status == INTERRUPTED:  # typer makes an exit of Ctrl-C, and says nothing
        raise KeyboardInterrupt
    return status


@app.command()
def serve(
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; the next free one if it is taken.")] = 7860,
    mcp: Annotated[bool, typer.Option("--mcp", help="Also serve the API as tools for AI assistants.")] = False,
    root_path: Annotated[
        str, typer.Option(help="Where a proxy that strips it shows the page, such as /wild; see README.")
    ] = "",
    proxies: Annotated[
        str, typer.Option(help="Addresses of proxies whose X-Forwarded-For is believed, such as 127.0.0.1.")
    ] = "",
) -> None:
    """Open the app in the browser's reach: http://127.0.0.1:7860 unless told otherwise."""
    from .ui.app import serve as serve_app

    if mcp:
        from .ui.api import check_mcp

        check_mcp()
    serve_app(bundle, device=device_of(device), host=host, port=port, mcp=mcp, root_path=root_path, proxies=proxies)


@app.command()
def world(
    out: OutOption = Path("sheet.png"),
    by: Annotated[str, typer.Option(help="location, species, or both.")] = "both",
    height: Annotated[int, typer.Option(help="Height of one picture in pixels.")] = 150,
    columns: Annotated[int, typer.Option(help="Pictures in a row.")] = 8,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
) -> None:
    """Render a contact sheet of the bundle's world: photographs by location and by species."""
    from .bundle import Bundle
    from .worlds.sheet import contact_sheet

    opened = Bundle.open(bundle, device_of(device))  # checked like everywhere; drawing itself needs no accelerator
    contact_sheet(opened.world, (*opened.seen, *opened.unseen), out, by=by, height=height, columns=columns)
    _say(f"Wrote {out}.")


@app.command()
def train(
    out: OutOption,
    recipe: Annotated[
        str,
        typer.Option(
            help="A recipe's name; own for your cameras, with --data; smoke to test the way; full for 300 rows a "
            "location; or a .json file."
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
    condition: Annotated[str, typer.Option(help="For your data: pooled (ImageNet features), or a CLIP: MODEL/TAG.")] = (
        "pooled"
    ),
    size: Annotated[int, typer.Option(help="For your data: pixels a side of what is named.")] = 128,
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option(help="Locations fine-tuned at once.")] = 2,
) -> None:
    """Make a bundle from nothing; killed and run again, it goes on where it was."""
    from .build.own import OWN, OwnData
    from .build.recipes import recipe_of
    from .survey.tables import columns_of

    if (recipe == OWN) != (data is not None):
        raise UserError(f"Your own photographs need both: --recipe {OWN} and --data PATH.")
    if data is None:
        _build(recipe_of(recipe), out, device, workers)
        return
    names = tuple(part.strip() for part in species.split(",") if part.strip())
    chosen = OwnData(data, images, boxes, columns_of(columns), names, size, network, weights, condition)
    _build_own(chosen, out, device, workers)


def _build(recipe: Any, out: Path, device: str, workers: int, said: Iterable[str] = ()) -> None:
    """Make a bundle by a recipe, and say what was odd about its world, but for what was said already."""
    from .build.stages import build, spread_notes
    from .worlds import open_world
    from .worlds.base import Noting

    world = open_world(recipe.world)
    known = set(said)

    def say_notes() -> None:
        for note in world.notes if isinstance(world, Noting) else ():
            if note not in known:
                known.add(note)
                _say(note)

    say_notes()
    for _ in _shown(build(recipe, out, device=device_of(device), workers=workers)):
        pass
    say_notes()  # what was met while photographs were read
    for regime, note in spread_notes(out).items():
        _say(f"Regime {regime}: {note}.")
    _say(f"The bundle is ready: wildpdiff serve --bundle {out}")


def _build_own(data: Any, out: Path, device: str, workers: int) -> None:
    """A bundle of somebody's own cameras, and a report on what adapters are worth there."""
    from .build.own import cost, own_recipe
    from .bundle import Bundle
    from .experiments.lab import Lab
    from .experiments.result import read_result
    from .own.held_out import STUDY, steps_of
    from .reproduce import OF_ANY_BUNDLE, REPORT, choose, summary
    from .reproduce import reproduce as measure

    recipe, world, notes = own_recipe(data)
    for note in notes:
        _say(note)
    _say(cost(recipe, world, steps_of(world, quick=True), workers))
    _build(recipe, out, device, workers, said=notes)
    lab = Lab(Bundle.open(out, device_of(device)), recipe, out, workers=workers, quick=True)
    chosen = [experiment for name in (STUDY, *OF_ANY_BUNDLE) for experiment in choose(name)]
    how: dict[str, Any] = {"command": _typed(), "quick": True, "retrain": True, "store": True}
    for _ in _shown(measure(chosen, lab, out / "report", **how)):
        pass
    print(summary(chosen[0], read_result(out / "report" / f"{STUDY}.json")))  # noqa: T201
    _say(f"The report: {out / 'report' / REPORT}")
    _say(f"Five seeds at full length: wildpdiff reproduce {STUDY} --retrain --bundle {out} --run {out} --out DIR")


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help="Its name; an unknown one is answered with those there are.")] = (
        DEFAULT_BUNDLE.name
    ),
) -> None:
    """Print a recipe as JSON, to change and hand to `wildpdiff train --recipe FILE.json`."""
    from .build.recipes import recipe_of

    print(json.dumps(recipe_of(name).to_json(), indent=1))  # noqa: T201


@app.command()
def zoo(
    out: OutOption,
    regime: RegimeOption = "H",
    interval: Annotated[int, typer.Option(help="Steps between two saved rows: 1, 10 and 100 in the paper.")] = 5,
    rows: Annotated[int, typer.Option(help="Rows a location.")] = 100,
    locations: Annotated[str, typer.Option(help="seen, or names with commas.")] = "seen",
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    workers: Annotated[int, typer.Option(help="Locations fine-tuned at once.")] = 2,
) -> None:
    """Fine-tune adapters at the seen locations; killed and run again, it goes on where it was."""
    from .build.orders import Order, cost, grow_order
    from .build.recipes import trained_by
    from .bundle import Bundle

    opened = Bundle.open(bundle, device_of(device))
    names = opened.seen if locations == "seen" else tuple(part.strip() for part in locations.split(","))
    order, recipe = Order(regime, interval, rows, names), trained_by(opened)
    price = cost(opened, recipe, order, out, workers=workers)
    _say(price.words(order, recipe, workers))
    for _ in _shown(grow_order(opened, recipe, order, out, workers=workers, together=price.together > 1)):
        pass
    _say(f"The zoo is ready: {out}")


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
    workers: Annotated[int, typer.Option(help="Trainings at once.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Measure a table or figure of the paper on our world: JSON, figures, and a report to open offline."""
    from .build.recipes import trained_by
    from .bundle import Bundle
    from .experiments.lab import Lab
    from .experiments.result import read_result
    from .reproduce import REPORT, choose, summary
    from .reproduce import reproduce as measure

    if samples is not None and samples < 1:
        raise UserError(f"The number of samples must be at least 1, not {samples}.")
    chosen, opened = choose(what), Bundle.open(bundle, device_of(device))
    folder = run or (out / "run" if retrain else None)
    count = samples or (8 if quick else 100)
    lab = Lab(opened, trained_by(opened), folder, samples=count, seed=seed, workers=workers, quick=quick)
    how = {"quick": quick, "retrain": retrain, "store": store}
    for _ in _shown(measure(chosen, lab, out, command=_typed(), **how)):
        pass
    results = {experiment.name: read_result(out / f"{experiment.name}.json") for experiment in chosen}
    if as_json:
        print(json.dumps({name: result.to_json() for name, result in results.items()}))  # noqa: T201
    else:
        print("\n\n".join(summary(experiment, results[experiment.name]) for experiment in chosen))  # noqa: T201
    _say(f"The report: {out / REPORT}")


@app.command()
def generate(
    out: OutOption,
    location: Annotated[str | None, typer.Option(help="A named location.")] = None,
    blend_with: Annotated[str | None, typer.Option(help="A second location.")] = None,
    weight: Annotated[float, typer.Option(help="0 is the first location, 1 the second.")] = 0.5,
    background: Annotated[Path | None, typer.Option(help="A picture of the empty place instead.")] = None,
    samples: Annotated[int, typer.Option(help="How many adapters.")] = 1,
    seed: Annotated[int, typer.Option(help="The first adapter's seed; the next ones count up.")] = 0,
    steps: Annotated[int, typer.Option(help="DDIM steps.")] = 50,
    regime: RegimeOption = "H",
    way: Annotated[str, typer.Option(help="ours, or paper: its plain form, which never saw a blend.")] = "ours",
    eta: Annotated[float, typer.Option(help="Fresh noise in every step: 0 none (DDIM), 1 as DDPM.")] = 0.0,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Write adapters as PEFT folders that plain peft and timm load."""
    from .bundle import Bundle
    from .generate import Request, write_adapters

    opened = Bundle.open(bundle, device_of(device))
    request = Request(location, blend_with, weight, background, samples, seed, steps, regime, way, eta)
    written = write_adapters(opened, request, out)
    _say(f"Wrote {len(written['adapters'])} PEFT folder(s) for {written['condition']} to {out}.")
    if as_json:
        print(json.dumps(written))  # noqa: T201


@app.command()
def export(
    out: OutOption,
    form: Annotated[str, typer.Option("--format", help="peft (a folder), timm (.safetensors) or onnx (.onnx).")],
    adapter: Annotated[str, typer.Option(help="A PEFT folder, as `generate` writes; none: the classifier itself.")],
    photographs: Annotated[int, typer.Option(help="Of each location, to check an ONNX file on.")] = 20,
    around: Annotated[
        float, typer.Option(help="ONNX: side of the square cut around a box, in its longer sides.")
    ] = 1.2,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Write an adapter for other programs; an ONNX file is checked on photographs and has a script beside it."""
    from .bundle import Bundle
    from .export.ordered import Order, export_adapter

    order = Order(adapter, form, out, photographs, around)
    written = export_adapter(Bundle.open(bundle, device_of(device)), order)
    _say(written.words())
    if as_json:
        print(json.dumps(written.to_json()))  # noqa: T201


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
    as_json: JsonOption = False,
) -> None:
    """Accuracy by location: pretrained, fine-tuned, generated; and whether samples differ as fine-tuned rows do."""
    from .bundle import Bundle
    from .measure.by_location import as_table, chosen_locations, crossed_conditions, evaluate_locations
    from .measure.fidelity import as_lines, fidelity_over

    opened = Bundle.open(bundle, device_of(device))
    report: dict[str, Any] = {}
    steps = evaluate_locations(opened, chosen_locations(opened, locations), regime=regime, samples=samples, seed=seed)
    for _, report in _shown(("evaluate", pair) for pair in steps):  # noqa: B007
        pass
    if crossed:
        for _, found in _shown(("crossed", pair) for pair in crossed_conditions(opened, regime=regime, seed=seed)):
            report["crossed"] = found
    if fidelity:
        names = [name for name in report["locations"] if name in opened.seen]
        report["fidelity"] = fidelity_over(opened, regime, names, seed=seed)
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
    as_json: JsonOption = False,
) -> None:
    """Write and measure adapters over pairs, blend weights and seeds; stopped, it keeps what it has."""
    from contextlib import closing

    from .bundle import Bundle
    from .sweep import Gathered, Sweep
    from .sweep.record import format_of
    from .sweep.spec import names_of, pairs_of, weights_of
    from .sweep.written import about, as_table, run_into

    chosen = Sweep(
        pairs_of(pairs), weights_of(weights), seeds, names_of(regime), names_of(way), steps, images, seed
    )  # fmt: skip
    if out:
        format_of(out)
    opened, found, status = Bundle.open(bundle, device_of(device)), Gathered(), 0
    _say(f"{chosen.size:,} adapters, about {chosen.cost(opened):.0f} s on {opened.device.type.upper()}.")
    with closing(run_into(opened, chosen, out)) as run:
        try:
            for _, found in _shown(("sweep", pair) for pair in run):  # noqa: B007
                pass
        except KeyboardInterrupt:
            _say(f"\nStopped after {len(found.records):,} adapters" + (f"; they are in {out}." if out else "."))
            status = 130
    if as_json:
        document = about(opened, chosen, found.cells) | {"records": [one.to_json() for one in found.records]}
        print(json.dumps(document))  # noqa: T201
    else:
        print(as_table(found.cells))  # noqa: T201
    raise typer.Exit(status)


@app.command()
def pdiff(
    network: Annotated[str, typer.Option(help="mlp-mini and the like, one of timm's, or package.module:function.")],
    out: OutOption,
    parameters: Annotated[str, typer.Option(help="all, norms, norms:2, last, lora, or a pattern in names.")],
    data: Annotated[str, typer.Option(help="digits, cifar10 and the like, or a folder by class.")] = "digits",
    checkpoint: Annotated[Path | None, typer.Option(help="A state dict (safetensors) as the base network.")] = None,
    zoo: Annotated[Path | None, typer.Option(help="A folder of your own checkpoints to learn from.")] = None,
    recipe: Annotated[str, typer.Option(help="ours, small, or paper: the paper's own rate and schedule.")] = "ours",
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 32,
    rate: Annotated[float | None, typer.Option(help="Of fine-tuning, instead of the recipe's.")] = None,
    samples: Annotated[int | None, typer.Option(help="Generated networks, where 200 are too many.")] = None,
    pretrained: Annotated[bool, typer.Option("--pretrained", help="Start from timm's ImageNet weights.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A minute or less, to see the way.")] = False,
    data_root: Annotated[Path | None, typer.Option(help="Where sets of pictures lie or are put.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything.")] = 0,
    store: Annotated[str | None, typer.Option(help="Keep it in the bundle by this name, for the app (digits).")] = None,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Learn the distribution of a network's checkpoints and sample new ones, from nothing to a report.

    The base is trained (or taken), fine-tuned into checkpoints, a generator learns these, 200 new networks are sampled
    and measured beside base, average, noise, a Gaussian and means of a few. Killed and run again, it goes on.
    """
    from .bundle import Bundle
    from .files import load_json
    from .pdiff.chapter import write_report
    from .pdiff.cost import cost
    from .pdiff.findings import summary
    from .pdiff.order import Order
    from .pdiff.recipe import ordered
    from .pdiff.stored import check_shippable, keep
    from .pdiff.system import RESULTS, System

    chosen = ordered("quick" if quick else recipe, rate=rate, samples=samples)
    order = Order(network, parameters, data, size, chosen, seed, pretrained, checkpoint, zoo, data_root)
    if store is not None:
        check_shippable(order, store)
    system = System(order, out, device=device_of(device))
    _say(cost(system).words())
    for _ in _shown(system.run()):
        pass
    if store is not None:
        _say(f"Kept in the bundle: {keep(system, Bundle.open(bundle), store)}")
    report, results = write_report(out, _typed()), load_json(out / RESULTS)
    print(json.dumps(results) if as_json else summary(results))  # noqa: T201
    _say(f"The report: {report}")


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(help="Folder of `wildpdiff pdiff`, or of checkpoints (safetensors).")],
    data_root: Annotated[Path | None, typer.Option(help="Where sets of pictures lie.")] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Say what will go wrong before any diffusion: scale by layer, codec, distances among checkpoints."""
    from .pdiff.doctor import as_text, examine

    found = examine(folder, root=data_root, device=device_of(device))
    print(json.dumps(found) if as_json else as_text(found))  # noqa: T201


data = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Photographs of camera traps and what is written of them."
)
app.add_typer(data, name="data")


@data.callback()
def data_help() -> None:
    """Photographs of camera traps and what is written of them."""


@data.command("inspect")
def inspect_data(
    path: Annotated[Path, typer.Argument(help="Metadata, a table, a package, a detector's output, or a folder.")],
    images: ImagesOption = None,
    boxes: BoxesOption = None,
    columns: ColumnsOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what a data set of camera traps holds, and what is wrong with it."""
    from .survey.inspect import inspect
    from .survey.open import open_survey
    from .survey.tables import columns_of
    from .survey.told import as_text
    from .worlds.strips import find_strips

    survey = open_survey(path, images=images, columns=columns_of(columns), boxes=boxes)
    found = inspect(survey, strips=find_strips)
    print(json.dumps(found.to_json()) if as_json else as_text(found))  # noqa: T201


@data.command("name")
def name_data(
    path: Annotated[Path, typer.Argument(help="Metadata, a table, a package, a detector's output, or a folder.")],
    out: OutOption,
    form: Annotated[str, typer.Option("--form", help="megadetector (a .json file) or camtrap (a folder).")],
    adapter: Annotated[
        str, typer.Option(help="A PEFT folder, as `generate` writes; none: the classifier itself.")
    ] = "none",
    images: ImagesOption = None,
    boxes: BoxesOption = None,
    columns: ColumnsOption = "",
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Name the animals on a survey's photographs, as MegaDetector JSON or a Camtrap DP package."""
    from .bundle import Bundle
    from .naming import Order, name_photographs
    from .survey.tables import columns_of

    order, found = Order(path, form, out, adapter, images, boxes, columns_of(columns)), None
    steps = name_photographs(Bundle.open(bundle, device_of(device)), order)
    for _, found in _shown(("name", pair) for pair in steps):  # noqa: B007
        pass
    for note in found.notes if found else ():
        _say(note)
    if found:
        print(json.dumps(found.to_json()) if as_json else found.words())  # noqa: T201


@app.command()
def bench(
    rounds: Annotated[int, typer.Option(help="Rounds; medians are reported.")] = 7,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure speed as ratios: generation against a fine-tuning step, evaluation against plain timm."""
    from .measure.bench import run_bench

    figures = run_bench(bundle, device_of(device), rounds=rounds)
    print(json.dumps(figures, indent=None if as_json else 1))  # noqa: T201


def device_of(name: str) -> str:
    """The device that `auto`, `cpu` or `cuda` stands for.

    Raises:
        UserError: for any other word, or cuda where there is none.
    """
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"Device '{name}' is not known; choose auto, cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("This computer has no CUDA device; use --device cpu or auto.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def _shown(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[Any, Any]]:
    """Pass steps through and keep one line of progress on stderr: stage, share, loss, time left in the stage."""
    stage_begun, current, shown_at = time.monotonic(), "", 0.0
    for stage, item in steps:
        step, result = item if isinstance(item, tuple) else (item, item)
        if stage != current:
            current, stage_begun, shown_at = stage, time.monotonic(), 0.0
        now = time.monotonic()
        if now - shown_at > 1 or step.index == step.total:
            left = (now - stage_begun) / max(1, step.index) * (step.total - step.index)
            loss = f", loss {step.loss:.3f}" if step.loss == step.loss and step.loss else ""
            end = "\n" if step.index == step.total else ""
            line = f"\r{stage:>10} {step.index}/{step.total}{loss}, {left:.0f} s left"
            print(f"{line:<70}", end=end, file=sys.stderr, flush=True)  # noqa: T201
            shown_at = now
        yield stage, result


def _typed() -> str:
    """What was typed; of an absolute path only the last part, so that no result names somebody's folders."""
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["wildpdiff", *words])


def _say(text: str) -> None:
    print(text if text.isascii() else readable(text), file=sys.stderr)  # noqa: T201

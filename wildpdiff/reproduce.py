"""Every table and figure from one command: measure or read each experiment, keep its result, rewrite the report."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from . import __version__
from .errors import UserError
from .experiments.commit import commit
from .experiments.lab import Data, Experiment, Lab, Table
from .experiments.report import Chapter, html, plain
from .experiments.result import Result, differing, keep, read_result, stored_result
from .files import save_json, write_whole
from .own import held_out
from .paper import curves, fidelity, figure2, figure3, figure6, slider, table1, table2, table3, table5, table7
from .pdiff import ablations
from .pdiff.study import studies
from .training.loop import Step
from .unseen import study as unseen
from .worlds.base import World

REPORT = "report.html"
#: Modules of experiments, in the order of the report.
MODULES: tuple[ModuleType, ...] = (
    table1,
    table2,
    fidelity,
    figure2,
    curves,
    slider,
    figure6,
    table3,
    unseen,
    figure3,
    table5,
    table7,
    ablations,
    studies,
    held_out,
)
EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for module in MODULES for experiment in module.EXPERIMENTS
}
#: What the app shows of a bundle beside its live answers, and what any bundle can be asked.
OF_ANY_BUNDLE = ("table2", "table3", "figure6", "fidelity", "curves")
#: The paper's Figure 8 shows further locations of Figure 3; ours shows all of them at once. p-diff's: see `studies`.
SAME = {"figure8": "figure3"} | studies.SAME
_PACKAGES = ("torch", "timm", "peft")


def choose(what: str) -> tuple[Experiment, ...]:
    """The experiments that `all`, or one name, stands for.

    Raises:
        UserError: naming the known ones.
    """
    if what == "all":
        return tuple(EXPERIMENTS.values())
    name = SAME.get(what, what)
    if name not in EXPERIMENTS:
        raise UserError(f"Experiment '{what}' is not known; choose all or one of: {', '.join([*EXPERIMENTS, *SAME])}.")
    return (EXPERIMENTS[name],)


def reproduce(
    experiments: Sequence[Experiment],
    lab: Lab,
    out: Path,
    *,
    quick: bool,
    retrain: bool,
    command: str,
    store: bool = False,
) -> Iterator[tuple[str, Step]]:
    """Measure experiments one after the other into the folder `out`; yields (name, step).

    After each one `out` holds `NAME.json` (see `Result`), `NAME-figure1.json` and so on (plotly's JSON) and the whole
    `report.html`. Results of the same bundle that `out` has already stay in the report. An experiment that trains is
    read from the bundle unless `retrain`; with `store` what is measured is kept in the bundle, too. Of several
    experiments one that cannot be measured is noted in its chapter; a single one raises.

    Raises:
        UserError: if `out` holds results of another bundle or damaged ones, or the only experiment cannot be measured.
    """
    out = Path(out)
    known = EXPERIMENTS | {experiment.name: experiment for experiment in experiments}
    results = _earlier(out, known, lab)
    for experiment in experiments:
        own = replace(lab, left_out=[])
        try:
            result = yield from _found(experiment, own, quick=quick, retrain=retrain, command=command)
            chapter(experiment, result)
            if store and not result.stored:
                keep(lab.bundle, result)
        except UserError as error:
            if len(experiments) == 1:
                raise
            again = " anew; what is below is older" if experiment.name in results else ""
            problem = f"This could not be measured{again}. {error}"
            empty = _result(experiment, own, {}, quick=quick, seconds=0.0, command=command)
            result = replace(results.get(experiment.name, empty), problem=problem)
        results[experiment.name] = result
        _write(out, known, results, experiment.name, lab.bundle.world)


def chapter(experiment: Experiment, result: Result) -> Chapter:
    """A result as a chapter of the report.

    Raises:
        UserError: if the experiment cannot read the result's data.
    """
    made, data = tuple(_made(result)), result.data
    empty = Chapter(experiment.name, experiment.title, experiment.question, made=made, problem=result.problem)
    if not data:
        return empty
    try:
        tables, figures = tuple(experiment.tables(data)), tuple(experiment.figures(data))
        return replace(empty, findings=tuple(experiment.findings(data)), tables=tables, figures=figures)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(
            f"The result of {experiment.name} does not fit this version of the program; measure it anew."
        ) from error


def summary(experiment: Experiment, result: Result) -> str:
    """A result's findings and tables as plain text."""
    told = chapter(experiment, result)
    parts = ["\n".join(text for text in (told.title, told.problem, *told.findings) if text)]
    return "\n\n".join([*parts, *(_plain_table(table) for table in told.tables)])


def _found(
    experiment: Experiment, lab: Lab, *, quick: bool, retrain: bool, command: str
) -> Generator[tuple[str, Step], None, Result]:
    """Measure or read one experiment: yields (name, step), returns the result."""
    if experiment.trains and not retrain:
        result = stored_result(lab.bundle, experiment)
        yield experiment.name, Step(1, 1, 0.0)
        return result
    begun = time.monotonic()
    data: Data = {}
    for step, data in experiment.measure(lab):  # noqa: B007
        yield experiment.name, step
    seconds = time.monotonic() - begun
    return _result(experiment, lab, json.loads(json.dumps(data)), quick=quick, seconds=seconds, command=command)


def _result(experiment: Experiment, lab: Lab, data: Data, *, quick: bool, seconds: float, command: str) -> Result:
    return Result(
        name=experiment.name,
        data=data,
        depends=lab.bundle.depends(experiment.depends),
        samples=lab.samples,
        seed=lab.seed,
        quick=quick,
        seconds=round(seconds, 1),
        command=command,
        commit=commit(),
        versions={name: version(name) for name in _PACKAGES}
        | {"wildpdiff": __version__, "python": platform.python_version()},
        left_out=tuple(lab.left_out),
    )


def _earlier(out: Path, known: Mapping[str, Experiment], lab: Lab) -> dict[str, Result]:
    """The results that the folder holds already, checked to be of the same bundle and readable."""
    results = {}
    for name, experiment in known.items():
        if not (out / f"{name}.json").exists():
            continue
        results[name] = read_result(out / f"{name}.json")
        if differ := differing(results[name], experiment, lab.bundle):
            raise UserError(
                f"'{out.name}' holds {name} of another bundle (another {differ}); choose another --out folder."
            )
        chapter(experiment, results[name])
    return results


def _write(out: Path, known: Mapping[str, Experiment], results: Mapping[str, Result], name: str, world: World) -> None:
    """Write the newest result, its figures and the report; figures that it no longer has are removed."""
    save_json(out / f"{name}.json", results[name].to_json())
    chapters = {other: chapter(known[other], results[other]) for other in known if other in results}
    for old in out.glob(f"{name}-figure*.json"):
        old.unlink()
    for place, figure in enumerate(chapters[name].figures, start=1):
        document = plain(figure, "data", "layout")
        document["layout"] = document["layout"] | {"title": {"text": figure["title"]}}
        save_json(out / f"{name}-figure{place}.json", document)
    page = html(list(chapters.values()), about=f"{world.about} {world.caution}")
    write_whole(out / REPORT, lambda temporary: temporary.write_text(page, encoding="utf-8"))


def _made(result: Result) -> Iterator[tuple[str, str]]:
    """How a result came about, as (what, text) pairs."""
    if not result.data:
        return
    yield "command", result.command
    yield "origin", "stored with the bundle, measured when it was made" if result.stored else "measured by this command"
    few = " (quick: few adapters, wide intervals)" if result.quick else ""
    yield "adapters", f"{result.samples} generated a cell unless a table says otherwise{few}"
    yield "seed", str(result.seed)
    yield "minutes", f"{result.seconds / 60:.1f}" if result.seconds >= 3 else "less than 0.1"
    yield "commit", result.commit[:12]
    yield "depends on", ", ".join(f"{part} {own}" for part, own in result.depends.items())
    yield "versions", ", ".join(f"{name} {number}" for name, number in result.versions.items())
    yield "left out", " ".join(result.left_out) or "nothing"


def _plain_table(table: Table) -> str:
    rows = [table.head, *table.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(table.head))]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([table.title, *lines, *([table.note] if table.note else [])])

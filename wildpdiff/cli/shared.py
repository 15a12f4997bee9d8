"""What all commands share: the application, options, progress, and where words go."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..bundled import bundled
from ..errors import UserError, readable

if TYPE_CHECKING:
    from ..workers.pool import Workers

DEFAULT_BUNDLE = bundled()

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The `wildpdiff` command. Results go to stdout, with `--json` as one JSON document; progress goes to stderr.",
)
BundleOption = Annotated[Path, typer.Option("--bundle", help="Folder of a trained bundle, or hf-hub:owner/name.")]
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
WorkersOption = Annotated[int, typer.Option("--workers", help="Jobs at once.")]
ExecutorOption = Annotated[
    str, typer.Option("--executor", help="Who does them: local, dask, slurm, slurm-local, slurm-debug or ray.")
]
SchedulerOption = Annotated[str, typer.Option("--scheduler", help="Address of Dask's scheduler or Ray's head.")]
SlurmOption = Annotated[str, typer.Option("--slurm", help="As submitit has it: slurm_partition=gpu,timeout_min=600.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder or file to write.")]


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


def workers_of(count: int, executor: str, scheduler: str, slurm: str, out: Path) -> Workers:
    """Who does independent jobs; what Slurm writes goes beside the results in `out`.

    Raises:
        UserError: as `Workers`, or for parameters of Slurm that are no pairs.
    """
    from ..workers.pool import Workers

    pairs = [part.partition("=") for part in slurm.split(",") if part.strip()]
    if wrong := [name for name, equals, value in pairs if not (name.strip() and equals and value.strip())]:
        raise UserError(f"Slurm's parameters are pairs like timeout_min=600, not '{wrong[0].strip()}'.")
    values = {name.strip(): int(value) if value.strip().isdigit() else value.strip() for name, _, value in pairs}
    return Workers(count, executor, scheduler, values, out / "slurm")  # type: ignore[arg-type]


def crew_of(count: int, executor: str, scheduler: str, slurm: str, out: Path) -> Workers | None:
    """As `workers_of`; None where this process is to do it alone."""
    crew = workers_of(count, executor, scheduler, slurm, out)
    return None if crew.kind == "local" and crew.count == 1 else crew


def shown(steps: Iterable[tuple[str, Any]]) -> Iterator[tuple[Any, Any]]:
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


def typed() -> str:
    """What was typed; of an absolute path only the last part, so that no result names somebody's folders."""
    words = [Path(word).name if word.startswith("/") else word for word in sys.argv[1:]]
    return " ".join(["wildpdiff", *words])


def say(text: str) -> None:
    print(text if text.isascii() else readable(text), file=sys.stderr)  # noqa: T201

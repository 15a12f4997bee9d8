"""What all commands share: the application, options, progress, and where words go."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ..bundled import bundled
from ..errors import UserError, readable

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

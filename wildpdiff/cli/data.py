"""Commands on photographs of camera traps: what a data set holds, and what is on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .shared import (
    DEFAULT_BUNDLE,
    BoxesOption,
    BundleOption,
    ColumnsOption,
    DeviceOption,
    ImagesOption,
    JsonOption,
    OutOption,
    app,
    device_of,
    say,
    shown,
)

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
    from ..survey.inspect import inspect
    from ..survey.open import open_survey
    from ..survey.tables import columns_of
    from ..survey.told import as_text
    from ..worlds.strips import find_strips

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
    from ..bundle import Bundle
    from ..naming import Order, name_photographs
    from ..survey.tables import columns_of

    order, found = Order(path, form, out, adapter, images, boxes, columns_of(columns)), None
    steps = name_photographs(Bundle.open(bundle, device_of(device)), order)
    for _, found in shown(("name", pair) for pair in steps):  # noqa: B007
        pass
    for note in found.notes if found else ():
        say(note)
    if found:
        print(json.dumps(found.to_json()) if as_json else found.words())  # noqa: T201

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


@data.command("serengeti")
def serengeti_data(
    root: Annotated[Path, typer.Option("--root", help="Folder to fetch into; a rerun goes on where it was.")],
    species: Annotated[str, typer.Option(help="Animals, such as zebra,impala; none: the 18 most frequent.")] = "",
    locations: Annotated[str, typer.Option(help="How many locations, or names such as R10,R12.")] = "115",
    each: Annotated[int, typer.Option(help="Photographs of one animal at one location, at most.")] = 150,
    empties: Annotated[int, typer.Option(help="Empty photographs of one location, at most.")] = 300,
    least: Annotated[int, typer.Option(help="Photographs with animals, and empty ones, that a location has.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    mirror: Annotated[str, typer.Option(help="Where from: gcp, azure or aws.")] = "gcp",
    base_url: Annotated[str, typer.Option("--base-url", help="Address that file names start from, of no mirror.")] = "",
    metadata: Annotated[str, typer.Option(help="Another COCO Camera Traps file: an address or a path.")] = "",
    connections: Annotated[int, typer.Option(help="Files that are fetched at once.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Download Snapshot Serengeti from LILA: its metadata and the photographs that a recipe needs, no more."""
    from ..build.claim import claimed
    from ..lila.choice import Wish
    from ..lila.download import fetch_metadata, fetch_photographs, finish, ordered, plan

    names = tuple(name.strip() for name in species.split(",") if name.strip())
    wish = Wish(names, _count_or_names(locations), each=each, empties=empties, least=least, seed=seed)
    order = ordered(root, wish, mirror=mirror, base=base_url, metadata=metadata, connections=connections)
    with claimed(root, root.name, option="--root"):
        for _ in shown(("metadata", step) for step in fetch_metadata(order)):
            pass
        say("Choosing photographs; of all seasons this takes some minutes.")
        planned = plan(order)
        say(planned.words())
        planned.check_room()
        for _, tally in shown(("photos", pair) for pair in fetch_photographs(planned)):  # noqa: B007
            pass
        outcome = finish(planned, tally)
    print(json.dumps(outcome.to_json()) if as_json else outcome.words())  # noqa: T201
    outcome.check()


def _count_or_names(text: str) -> tuple[str, ...] | int:
    """How many, or which."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit() and len(plain) < 10:
        return int(plain)
    return tuple(name.strip() for name in plain.split(",") if name.strip())

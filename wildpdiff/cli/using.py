"""Commands that use a bundle: the app, its world, adapters to write and to hand on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .shared import DEFAULT_BUNDLE, BundleOption, DeviceOption, JsonOption, OutOption, app, device_of, say


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
    from ..ui.app import serve as serve_app

    if mcp:
        from ..ui.api import check_mcp

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
    from ..bundle import Bundle
    from ..worlds.sheet import contact_sheet

    opened = Bundle.open(bundle, device_of(device))  # checked like everywhere; drawing itself needs no accelerator
    contact_sheet(opened.world, (*opened.seen, *opened.unseen), out, by=by, height=height, columns=columns)
    say(f"Wrote {out}.")


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
    regime: Annotated[
        str, typer.Option(help="L, M, H or U; for a picture U, which learned at 1,000 places, else H by default.")
    ] = "",
    way: Annotated[str, typer.Option(help="ours, or paper: its plain form, which never saw a blend.")] = "ours",
    eta: Annotated[float, typer.Option(help="Fresh noise in every step: 0 none (DDIM), 1 as DDPM.")] = 0.0,
    bundle: BundleOption = DEFAULT_BUNDLE,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Write adapters as PEFT folders that plain peft and timm load."""
    from ..bundle import Bundle
    from ..generate import Request, write_adapters

    opened = Bundle.open(bundle, device_of(device))
    request = Request(location, blend_with, weight, background, samples, seed, steps, regime, way, eta)
    written = write_adapters(opened, request, out)
    trusted = f", trust {written['trust']:.0%}" if "trust" in written else ""
    by = f"generator {written['generator']}{trusted}"
    say(f"Wrote {len(written['adapters'])} PEFT folder(s) for {written['condition']} to {out}, by {by}.")
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
    from ..bundle import Bundle
    from ..export.ordered import Order, export_adapter

    order = Order(adapter, form, out, photographs, around)
    written = export_adapter(Bundle.open(bundle, device_of(device)), order)
    say(written.words())
    if as_json:
        print(json.dumps(written.to_json()))  # noqa: T201


@app.command()
def push(
    bundle: Annotated[Path, typer.Option(help="The bundle to send.")],
    repo: Annotated[str, typer.Option(help="Repository of the Hugging Face hub, owner/name; made if it is missing.")],
    private: Annotated[bool, typer.Option("--private", help="One that others do not see.")] = False,
    revision: Annotated[str | None, typer.Option(help="A branch, made if it is missing; none: main.")] = None,
    data_licence: Annotated[
        str, typer.Option(help="What may be done with the photographs, such as CC-BY-4.0; needed for your own.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the card, list the files, send nothing.")] = False,
) -> None:
    """Send a bundle with a card to the Hugging Face hub; `--bundle hf-hub:owner/name` opens it from there."""
    from ..bundle import Bundle
    from ..hub import Repo
    from ..share.card import photographs
    from ..share.parcel import Parcel

    opened = Bundle.open(bundle)
    parcel = Parcel.of(opened, Repo.of(repo, revision), data_licence=data_licence)
    if kept := photographs(opened):
        say(f"The bundle holds {kept:,} photographs of your cameras: whoever may read the repository sees them.")
    if dry_run:
        print(parcel.card, end="")  # noqa: T201
        for name, size in parcel.sizes.items():
            say(f"{size / 1e6:9.3f} MB  {name}")
    total = f"{len(parcel.files)} files, {sum(parcel.sizes.values()) / 1e6:.1f} MB"
    if dry_run:
        say(f"Nothing was sent ({total}).")
        return
    say(f"Sending {total} to {parcel.repo}.")
    print(parcel.send(private=private))  # noqa: T201
    say(f"Open it anywhere: wildpdiff serve --bundle {parcel.repo}")

"""Commands of p-diff: a system from nothing, and what will go wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .shared import DEFAULT_BUNDLE, BundleOption, DeviceOption, JsonOption, OutOption, app, device_of, say, shown, typed


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
    from ..bundle import Bundle
    from ..files import load_json
    from ..pdiff.chapter import write_report
    from ..pdiff.cost import cost
    from ..pdiff.findings import summary
    from ..pdiff.order import Order
    from ..pdiff.recipe import ordered
    from ..pdiff.stored import check_shippable, keep
    from ..pdiff.system import RESULTS, System

    chosen = ordered("quick" if quick else recipe, rate=rate, samples=samples)
    order = Order(network, parameters, data, size, chosen, seed, pretrained, checkpoint, zoo, data_root)
    if store is not None:
        check_shippable(order, store)
        Bundle.open(bundle).check_own()
    system = System(order, out, device=device_of(device))
    say(cost(system).words())
    for _ in shown(system.run()):
        pass
    if store is not None:
        say(f"Kept in the bundle: {keep(system, Bundle.open(bundle), store)}")
    report, results = write_report(out, typed()), load_json(out / RESULTS)
    print(json.dumps(results) if as_json else summary(results))  # noqa: T201
    say(f"The report: {report}")


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(help="Folder of `wildpdiff pdiff`, or of checkpoints (safetensors).")],
    data_root: Annotated[Path | None, typer.Option(help="Where sets of pictures lie.")] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Say what will go wrong before any diffusion: scale by layer, codec, distances among checkpoints."""
    from ..pdiff.doctor import as_text, examine

    found = examine(folder, root=data_root, device=device_of(device))
    print(json.dumps(found) if as_json else as_text(found))  # noqa: T201

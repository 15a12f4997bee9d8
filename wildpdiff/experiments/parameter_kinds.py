"""Which parameters of the classifier to adapt, and how each choice is fine-tuned (paper, appendix B.3)."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..backbone import Backbone, initial_row, prepared
from ..errors import UserError
from ..evaluate import best_batch
from ..finetune import FinetuneRecipe, finetune
from ..loop import Step, rng_at
from ..pretrain import flipped
from ..worlds.base import Images

#: EfficientNet-B0 in nine layers: stem, seven stages, head; each convolution with the batch norm behind it. The
#: classifier belongs to none of them: so counted, in units of 2^20, all of the paper's numbers come out.
LAYERS = (("conv_stem.", "bn1."), *((f"blocks.{stage}.",) for stage in range(7)), ("conv_head.", "bn2."))
LORA = "lora"
#: What may be adapted (paper, Table 7), as the names of the table's rows.
KINDS = {
    "all": "all",
    "bn": "batch norm",
    "first5": "first 5 layers",
    "first6": "first 6 layers",
    "first7": "first 7 layers",
    "last1": "last layer",
    "last2": "last 2 layers",
    "last3": "last 3 layers",
    LORA: "LoRA in the first 6 layers",
}


def chosen(network: nn.Module, kind: str) -> tuple[str, ...]:
    """Names of the network's parameters that a kind adapts (of batch norm weights and biases, never statistics).

    Raises:
        UserError: if the kind is not one of `KINDS`, or LoRA, which adapts none of the network's own.
    """
    names = [name for name, _ in network.named_parameters()]
    if kind == "all":
        return tuple(names)
    if kind == "bn":
        norms = tuple(f"{name}." for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d))
        return tuple(name for name in names if name.startswith(norms))
    if kind not in KINDS or kind == LORA:
        raise UserError(f"'{kind}' names no parameters of the network; choose one of: {', '.join(KINDS)}.")
    count = int(kind[-1])
    layers = LAYERS[:count] if kind.startswith("first") else LAYERS[-count:]
    return tuple(name for name in names if name.startswith(tuple(start for layer in layers for start in layer)))


def parameters(backbone: Backbone, kind: str) -> int:
    """How many numbers a kind adapts; for LoRA those of a row."""
    if kind == LORA:
        return backbone.layout.dim
    wanted = set(chosen(backbone.network, kind))
    return sum(value.numel() for name, value in backbone.network.named_parameters() if name in wanted)


def tune(
    backbone: Backbone, kind: str, images: Images, recipe: FinetuneRecipe, *, seed: int, start: Tensor | None = None
) -> Iterator[tuple[Step, nn.Module | None]]:
    """Fine-tune what a kind names on one location's photographs; yields the network where a row would be saved.

    All kinds see the same batches and keep batch norm in evaluation mode. The network that is yielded is the one in
    training: look at it before the next step.

    Args:
        backbone: the pretrained classifier; left as it was.
        kind: one of `KINDS`.
        images: photographs to train on.
        recipe: how long and how fast.
        seed: of the batches, and of LoRA's first row.
        start: raw row `[D]` that LoRA starts from; None: one that changes nothing.
    """
    device = next(backbone.parameters()).device
    if kind == LORA:
        row = initial_row(backbone.layout, torch.Generator().manual_seed(seed)) if start is None else start
        for tuned in finetune(backbone, row, images, recipe, seed=seed):
            yield tuned.step, None if tuned.row is None else backbone.merged(tuned.row.to(device))
        return
    network, wanted = copy.deepcopy(backbone.network).eval(), set(chosen(backbone.network, kind))
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in wanted)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=0.0)
    for index in range(recipe.steps):
        rng = rng_at(seed, index)
        drawn = torch.randint(len(images), (recipe.batch_size,), generator=rng)
        pixels = prepared(flipped(images.pixels[drawn], rng).to(device))
        optimizer.param_groups[0]["lr"] = recipe.rate(index)
        loss = cross_entropy(network(pixels), images.labels[drawn].to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        done = index + 1 - recipe.converge
        due = done > 0 and done % recipe.interval == 0
        yield Step(index + 1, recipe.steps, loss.item()), network if due else None


@torch.inference_mode()
def named_rightly(network: nn.Module, images: Images) -> Tensor:
    """Which photographs a network names correctly, bool `[M]`."""
    device = next(network.parameters()).device
    batches = images.pixels.split(best_batch(device))
    found = torch.cat([network(prepared(batch.to(device))).argmax(dim=1).cpu() for batch in batches])
    return found == images.labels

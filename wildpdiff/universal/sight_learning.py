"""Training a `SightNet` on places drawn anew, and judging it on places that it never met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, normalize

from ..training.loop import Step, cosine, rng_at
from .sight import SightNet, parts


@dataclass(frozen=True)
class SightRecipe:
    """How a `Sight` is trained: AdamW with cosine decay. `numbers` weighs the reading of a world's numbers against the
    agreement of pictures and words; `noise` is put on the features."""

    dim: int = 128
    hidden: int = 512
    dropout: float = 0.5
    steps: int = 1200
    batch_size: int = 256
    rate: float = 2e-3
    weight_decay: float = 0.5
    numbers: float = 2.0
    noise: float = 0.3


def learn_sight(
    features: Tensor, captions: Sequence[str], numbers: Tensor, names: Sequence[str], recipe: SightRecipe, *, seed: int
) -> tuple[SightNet, Iterator[Step]]:
    """A new eye and ear, and the steps of their training; they are trained when the steps have ended.

    Args:
        features: of V pictures of each of P places, `[P, V, F]`.
        captions: of each place.
        numbers: that the world drew for each place, `[P, N]`.
        names: of the numbers.
        recipe: how long and how fast.
        seed: of weights and batches.
    """
    words = sorted({part for caption in captions for part in parts(caption)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = SightNet(features.shape[2], recipe.dim, recipe.hidden, words, names, recipe.dropout)
    flat = features.flatten(0, 1).float()
    net.centre.copy_(flat.mean(dim=0))
    net.spread.copy_(flat.std(dim=0) + 1e-5)
    net.middle.copy_(numbers.mean(dim=0))
    net.range.copy_(numbers.std(dim=0) + 1e-6)
    heard = torch.stack([net.counted(caption) for caption in captions])
    return net, _learning(net, features, heard, (numbers - net.middle) / net.range, recipe, seed)


def _learning(
    net: SightNet, features: Tensor, heard: Tensor, numbers: Tensor, recipe: SightRecipe, seed: int
) -> Iterator[Step]:
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    own = torch.arange(min(recipe.batch_size, len(features)))
    net.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)
        for index in range(recipe.steps):
            rng = rng_at(seed, index)
            drawn = torch.randperm(len(features), generator=rng)[: len(own)]
            view = torch.randint(features.shape[1], (len(own),), generator=rng)
            shown = features[drawn, view].float()
            shown = shown + recipe.noise * net.spread * torch.randn(shown.shape, generator=rng)
            pictures, words = net.seen(shown), normalize(net.ear(heard[drawn]), dim=1)
            alike = net.scale.exp() * pictures @ words.T
            agree = (cross_entropy(alike, own) + cross_entropy(alike.T, own)) / 2
            loss = agree + recipe.numbers * mse_loss((net.read(pictures) - net.middle) / net.range, numbers[drawn])
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * cosine(index, recipe.steps, warmup=20)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            yield Step(index + 1, recipe.steps, loss.item())
    net.eval()
    with torch.no_grad():
        for value in net.state_dict().values():
            value.copy_(value.half())


@torch.no_grad()
def judged(
    net: SightNet, features: Tensor, captions: Sequence[str], numbers: Tensor, known: Tensor, told: Tensor
) -> dict[str, Any]:
    """How well new places are known: how often the own caption comes first, and what is linear in the embedding.

    Args:
        net: eye and ear.
        features: of V pictures of each new place, `[P, V, F]`.
        captions: of the new places.
        numbers: of the new places, `[P, N]`.
        known: features of training places to fit the linear reading to, `[J, F]`.
        told: their numbers, `[J, N]`.

    Returns:
        `one` and `all`: retrieval from one picture, and from the mean of all; `places`; `linear`: R squared by name.
    """
    different = sorted(set(captions))
    words, own = net.heard(different), torch.tensor([different.index(caption) for caption in captions])
    views = net.seen(features.flatten(0, 1).float()).view(len(features), features.shape[1], -1)
    share = {
        name: float(((sight @ words.T).argmax(dim=1) == own).float().mean())
        for name, sight in (("one", views[:, 0]), ("all", normalize(views.mean(dim=1), dim=1)))
    }
    ones = torch.ones(len(known), 1)
    inputs = torch.cat([net.seen(known.float()), ones], dim=1)
    goal = (told - net.middle) / net.range
    weights = torch.linalg.solve(inputs.T @ inputs + 0.3 * torch.eye(inputs.shape[1]), inputs.T @ goal)
    wanted = (numbers - net.middle) / net.range
    errors = torch.cat([views[:, 0], ones[: len(views)]], dim=1) @ weights - wanted
    linear = 1 - errors.square().mean(dim=0) / wanted.var(dim=0)
    return {**share, "places": len(captions), "linear": dict(zip(net.names, linear.tolist(), strict=True))}

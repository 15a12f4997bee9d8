"""Curves between locations in weight space: one hub a location bends the straight line into a path of good adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from ..errors import UserError
from ..network.backbone import Backbone
from ..network.folded import Folded
from ..worlds.base import Images
from .loop import Checkpoint, Step, cosine, rng_at
from .pretrain import flipped

#: Steps between two savings of the state.
SAVE_EVERY = 100
#: How far hubs are moved along their anchors at once, as a share of these.
LIFT = 0.05


@dataclass(frozen=True)
class ConnectRecipe:
    """AdamW on what hubs lie beside their anchors: each step takes one pair of locations and one place on its curve.

    `decay` pulls hubs back to their anchors, where every curve is a straight line: it keeps paths short. `most_lost` is
    how much less cosine to its ends than the straight line's middle the middle of a curve may have (see `lifted`).
    """

    steps: int = 900
    batch_size: int = 32
    learning_rate: float = 1.5e-3
    decay: float = 1.0
    most_lost: float = 0.098


def curve(anchors: Tensor, hubs: Tensor, shares: Tensor) -> Tensor:
    """Points of the curves between locations: sum over locations i of w_i^2 anchor_i + w_i (1 - w_i) hub_i.

    For two locations with shares 1 - t and t it is the quadratic Bezier curve of mode connectivity (Garipov et al.,
    2018), (1 - t)^2 A + 2 t (1 - t) C + t^2 B, whose control point C is the mean of the two hubs. A control point of
    each pair's own would say nothing of a pair that was never trained; a hub is shared by all pairs of its location.

    Args:
        anchors: the rows at the ends, `[Q, D]`, or their latents.
        hubs: as many hubs.
        shares: of the locations in each point, `[N, Q]`; they add up to 1.

    Returns:
        `[N, D]`.
    """
    return shares.square() @ anchors + (shares * (1 - shares)) @ hubs


def pair_shares(count: int, a: int, b: int, t: Tensor) -> Tensor:
    """Shares `[N, count]` of points at `t` `[N]` of the way from location `a` to location `b`."""
    shares = torch.zeros(len(t), count)
    shares[:, a] += 1 - t
    shares[:, b] += t
    return shares


def connect(
    backbone: Backbone,
    anchors: Tensor,
    images: Sequence[Images],
    pairs: Sequence[tuple[int, int]],
    recipe: ConnectRecipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
) -> Iterator[tuple[Step, Tensor]]:
    """Train one hub a location so that one adapter on the curve of each pair serves both places.

    A step draws a pair, a place t on its curve and a batch of which the share t comes from the second location. Hubs
    start at the anchors, where every curve is the straight line. A killed run goes on from `checkpoint`.

    Args:
        backbone: the shared network; left as it was.
        anchors: the ends of the curves, raw rows `[Q, D]`; they stay where they are.
        images: training photographs of each location, Q of them.
        pairs: which curves to train, by the numbers of their locations.
        recipe: how long and how fast.
        seed: of pairs, places and batches.
        checkpoint: file that keeps the state.

    Yields:
        Each step, with the hubs `[Q, D]`; those of the last one are `lifted`.

    Raises:
        UserError: if there is no pair, or not one set of photographs a location.
    """
    if not pairs or len(images) != len(anchors):
        raise UserError("Connecting locations needs at least one pair, and photographs of every location.")
    device = next(backbone.parameters()).device
    folded, anchors = Folded(backbone), anchors.to(device)
    beside = nn.Parameter(torch.zeros_like(anchors))  # where hubs lie beside their anchors, `[Q, D]`
    hubs = nn.ParameterDict({"beside": beside})  # alone, so that a checkpoint holds no frozen weight
    optimizer = torch.optim.AdamW(hubs.parameters(), lr=recipe.learning_rate, weight_decay=recipe.decay)
    kept = None if checkpoint is None else Checkpoint(checkpoint, hubs, optimizer)
    for index in range(kept.load() if kept else 0, recipe.steps):
        rng = rng_at(seed, index)
        a, b = pairs[_turn(len(pairs), index, seed)]
        t = float(torch.rand((), generator=rng))
        pixels, labels = _mixed(images[a], images[b], t, recipe.batch_size, rng)
        shares = pair_shares(len(anchors), a, b, torch.tensor([t])).to(device)
        row = curve(anchors, anchors + beside, shares)[0]
        loss = cross_entropy(folded.logits(row, backbone.prepared(pixels.to(device))), labels.to(device))
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * cosine(index, recipe.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if kept and (index + 1) % SAVE_EVERY == 0 and index + 1 < recipe.steps:  # the last step's result is yielded
            kept.save(index + 1)
        done = (anchors + beside).detach().cpu()
        if index + 1 == recipe.steps:
            done = lifted(anchors.cpu(), done, recipe.most_lost)
        yield Step(index + 1, recipe.steps, loss.item()), done


def cosine_lost(anchors: Tensor, hubs: Tensor) -> Tensor:
    """How much less cosine to the further end the middle of each curve has than the straight line's, `[Q, Q]`.

    Args:
        anchors: the ends, raw rows `[Q, D]`.
        hubs: as many hubs.
    """
    lost = torch.zeros(len(anchors), len(anchors))
    for a, b in torch.combinations(torch.arange(len(anchors))).tolist():
        ends = anchors[[a, b]]
        straight = ends.mean(dim=0)
        bent = (straight + hubs[[a, b]].mean(dim=0)) / 2
        lost[a, b] = lost[b, a] = (cosine_similarity(ends, straight[None]) - cosine_similarity(ends, bent[None])).max()
    return lost


def lifted(anchors: Tensor, hubs: Tensor, most_lost: float) -> Tensor:
    """Hubs lengthened along their own anchors until no pair's middle loses more cosine than `most_lost`: `[Q, D]`.

    Half-way between nearly orthogonal rows the straight line is shorter than its ends, so a longer middle is nearer to
    both in direction, and a stronger adapter. Drawing hubs in instead would cost accuracy. Where that does not help
    (opposite anchors), hubs end twice an anchor's length further out.
    """
    for _ in range(round(2 / LIFT)):
        if cosine_lost(anchors, hubs).max() <= most_lost:
            break
        hubs = hubs + LIFT * anchors
    return hubs


def _turn(count: int, index: int, seed: int) -> int:
    """Which pair is next: all of them in a new order, again and again."""
    return int(torch.randperm(count, generator=rng_at(seed + 1, index // count))[index % count])


def _mixed(first: Images, second: Images, t: float, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    count = round(t * size)
    pixels, labels = [], []
    for images, many in ((first, size - count), (second, count)):
        drawn = torch.randint(len(images), (many,), generator=rng)
        pixels.append(images.pixels[drawn])
        labels.append(images.labels[drawn])
    return flipped(torch.cat(pixels), rng), torch.cat(labels)

"""Learning a `UniversalMap` end to end: episodes at training places, judged by the classifier's own loss.

In stages: the joint row; what is written beside it; the prior that a picture speaks for; and what unlabelled
photographs change of that. The first two go through the network, for minutes, and a killed run goes on where they were;
the others need no pass through it and take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from ..network.backbone import Backbone
from ..network.folded import Folded
from ..training.loop import Checkpoint, Step, cosine, rng_at
from ..training.pretrain import flipped
from .map import Known, UniversalMap, evidence
from .places import Places


@dataclass(frozen=True)
class MapRecipe:
    """AdamW with cosine decay.

    The joint row learns from `joint_steps` batches of `joint_batch` photographs of any places. Then each of `steps`
    episodes takes `places` places and `photographs` of each. `rate` is the perceptrons' learning rate, `joint_rate` the
    joint row's, `basis_rate` the codec's directions'. `words` is the share of episodes in which a place is known by its
    caption instead of pictures, `unlabelled` those in which it is known by unlabelled photographs, too.
    """

    joint_steps: int = 3000
    joint_batch: int = 32
    joint_rate: float = 2e-3
    prior_steps: int = 1500
    update_steps: int = 600
    steps: int = 1000
    places: int = 4
    photographs: int = 16
    rate: float = 1e-3
    basis_rate: float = 3e-4
    weight_decay: float = 0.01
    words: float = 0.1
    unlabelled: float = 0.5
    save_every: int = 100


@dataclass(frozen=True)
class Sights:
    """How training places look: single pictures `[P, G, E]`, captions `[P, E]`, each of length 1; and the balanced
    logits of the joint network for the first m of each place's photographs, `[P, m, K]`."""

    views: Tensor
    words: Tensor
    scores: Tensor

    @cached_property
    def confidence(self) -> Tensor:
        """The joint network's confidence in each class for these photographs, `[P, m, K]`."""
        return self.scores.softmax(dim=2)


#: Numbers of unlabelled photographs in an episode that has any, and of backgrounds.
FEW = (1, 2, 4, 8, 16, 32, 50)
BACKGROUNDS = (1, 1, 2, 4, 8)


def episode(sights: Sights, place: int, recipe: MapRecipe, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """What is known of a training place this time: embedding `[E]`, evidence `[K + 1]`, and which of the first
    photographs that evidence is from, bool `[m]`."""
    spoken, seen = torch.rand(2, generator=rng).tolist()
    views, confidence = sights.views[place], sights.confidence[place]
    if spoken < recipe.words:
        embedding = sights.words[place]
    else:
        count = BACKGROUNDS[int(torch.randint(len(BACKGROUNDS), (1,), generator=rng))]
        embedding = normalize(views[torch.randperm(len(views), generator=rng)[:count]].mean(dim=0), dim=0)
    count = FEW[int(torch.randint(len(FEW), (1,), generator=rng))] if seen < recipe.unlabelled else 0
    used = torch.zeros(len(confidence), dtype=torch.bool)
    used[torch.randperm(len(confidence), generator=rng)[: min(count, len(confidence) // 2)]] = True
    return embedding, evidence(confidence[used]), used


def known_of(sights: Sights, drawn: list[int], recipe: MapRecipe, rng: torch.Generator) -> tuple[Known, Tensor]:
    """Episodes of several places, and which of the first photographs `[P, m]` their evidence is from."""
    found = [episode(sights, place, recipe, rng) for place in drawn]
    embeddings, seen, used = (torch.stack(part) for part in zip(*found, strict=True))
    return Known(embeddings, seen), used


def learn_joint(
    backbone: Backbone,
    model: UniversalMap,
    places: Places,
    recipe: MapRecipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
) -> Iterator[Step]:
    """Train the joint row in place, from a fresh one, on batches of photographs of any places, balanced.

    Args:
        backbone: the shared network; left as it was.
        model: whose `joint` learns.
        places: with their photographs.
        recipe: how long and how fast.
        seed: of the start and the batches.
        checkpoint: file that a killed run goes on from.
    """
    with torch.no_grad():
        model.joint.copy_(backbone.subset.initial(backbone.network, torch.Generator().manual_seed(seed)))
    folded, held = Folded(backbone), nn.ParameterDict({"joint": model.joint})
    optimizer = torch.optim.AdamW(held.parameters(), lr=recipe.joint_rate, weight_decay=0.0)
    kept = Checkpoint(checkpoint, held, optimizer) if checkpoint else None
    logs = places.shares.clamp(min=1e-4).log()
    for index in range(kept.load() if kept else 0, recipe.joint_steps):
        rng = rng_at(seed, index)
        of = torch.randint(len(places), (recipe.joint_batch,), generator=rng)
        which = torch.randint(places.labels.shape[1], (recipe.joint_batch,), generator=rng)
        pixels = backbone.prepared(flipped(places.pixels[of, which], rng))
        loss = cross_entropy(folded.logits(model.joint, pixels) + logs[of], places.labels[of, which])
        _descend(optimizer, loss, [recipe.joint_rate * cosine(index, recipe.joint_steps, warmup=20)])
        yield Step(index + 1, recipe.joint_steps, loss.item())
        if kept and (index + 1) % recipe.save_every == 0:
            kept.save(index + 1)


def learn_prior(
    model: UniversalMap, views: Tensor, words: Tensor, shares: Tensor, recipe: MapRecipe, *, seed: int
) -> Iterator[Step]:
    """Train what a picture says of a place's prior, in place; it needs no photograph, so any place can teach it.

    Args:
        model: whose `prior` learns.
        views: embeddings of G pictures of each place, `[P, G, E]`.
        words: of the caption of each, `[P, E]`.
        shares: the true ones, `[P, K]`.
        recipe: how long and how fast.
        seed: of the batches.
    """
    optimizer = torch.optim.AdamW(model.prior.parameters(), lr=2 * recipe.rate, weight_decay=0.05)
    model.train()
    for index in range(recipe.prior_steps):
        rng = rng_at(seed + 1, index)
        drawn = torch.randint(len(views), (256,), generator=rng)
        shown = views[drawn, torch.randint(views.shape[1], (256,), generator=rng)]
        spoken = torch.rand(256, 1, generator=rng) < recipe.words
        with _own_dropout(seed, index):
            told = model.log_prior(torch.where(spoken, words[drawn], shown))
        loss = -(shares[drawn] * told).sum(dim=1).mean()
        _descend(optimizer, loss, [2 * recipe.rate * cosine(index, recipe.prior_steps, warmup=20)])
        yield Step(index + 1, recipe.prior_steps, loss.item())
    model.eval()


def learn_update(
    model: UniversalMap, sights: Sights, labels: Tensor, recipe: MapRecipe, *, seed: int
) -> Iterator[Step]:
    """Train what unlabelled photographs change of a prior, in place, by the joint network's loss on others.

    Args:
        model: whose `update` learns; its `prior` is trained.
        sights: how the training places look.
        labels: of the photographs that `sights` has logits of, `[P, m]`.
        recipe: how long and how fast.
        seed: of the batches.
    """
    optimizer = torch.optim.AdamW(model.update.parameters(), lr=3 * recipe.rate, weight_decay=recipe.weight_decay)
    photographs = labels.shape[1]
    for index in range(recipe.update_steps):
        rng = rng_at(seed + 3, index)
        drawn, order = torch.randint(len(labels), (16,), generator=rng), torch.randperm(photographs, generator=rng)
        count = min(FEW[index % len(FEW)], photographs // 2)
        view = torch.randint(sights.views.shape[1], (16,), generator=rng)
        looked, judged = (sights.scores[drawn][:, part] for part in (order[:count], order[count:]))
        told = model.log_prior(sights.views[drawn, view], looked)
        scores = (judged + told[:, None]).flatten(0, 1)
        loss = cross_entropy(scores, labels[drawn][:, order[count:]].flatten())
        _descend(optimizer, loss, [3 * recipe.rate * cosine(index, recipe.update_steps, warmup=20)])
        yield Step(index + 1, recipe.update_steps, loss.item())


def learn_residual(
    backbone: Backbone,
    model: UniversalMap,
    places: Places,
    sights: Sights,
    recipe: MapRecipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
) -> Iterator[Step]:
    """Train what is written beside the joint row, and the joint row further, in place: episodes, end to end.

    Each episode knows a place by some pictures; the loss is the adapted network's on photographs that these are not,
    under the place's true shares. Each place's adapter is merged, so a step costs what fine-tuning at one place does.

    Args:
        backbone: the shared network; left as it was.
        model: with a trained joint row.
        places: with their photographs.
        sights: how they look.
        recipe: how long and how fast.
        seed: of the episodes.
        checkpoint: file that a killed run goes on from.
    """
    folded = Folded(backbone)
    optimizer, rates = _optimizer(model, recipe)
    kept = Checkpoint(checkpoint, model, optimizer) if checkpoint else None
    logs = places.shares.clamp(min=1e-4).log()
    model.train()
    for index in range(kept.load() if kept else 0, recipe.steps):
        rng = rng_at(seed + 2, index)
        drawn = torch.randint(len(places), (recipe.places,), generator=rng).tolist()
        known, used = known_of(sights, drawn, recipe, rng)
        with _own_dropout(seed, index):
            rows = model.rows(model.codes(known))
        leaf, losses = rows.detach().requires_grad_(), []
        for own, (place, taken) in enumerate(zip(drawn, used, strict=True)):
            free = _others(taken, places.labels.shape[1])
            which = free[torch.randint(len(free), (recipe.photographs,), generator=rng)]
            pixels = backbone.prepared(flipped(places.pixels[place, which], rng))
            loss = cross_entropy(folded.logits(leaf[own], pixels) + logs[place], places.labels[place, which])
            (loss / recipe.places).backward()
            losses.append(loss.item())
        rows.backward(leaf.grad)
        factor = cosine(index, recipe.steps, warmup=20)
        _descend(optimizer, None, [rate * factor for rate in rates])
        yield Step(index + 1, recipe.steps, sum(losses) / len(losses))
        if kept and (index + 1) % recipe.save_every == 0:
            kept.save(index + 1)
    model.eval()


@contextmanager
def _own_dropout(seed: int, index: int) -> Iterator[None]:
    """Let dropout depend on seed and step alone, so that a resumed run drops the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed * 1_000_003 + index)
        yield


def _others(taken: Tensor, count: int) -> Tensor:
    """Numbers of those of `count` photographs that were not taken; `taken` is about the first ones, bool `[m]`."""
    return torch.cat([(~taken).nonzero().flatten(), torch.arange(len(taken), count)])


def _optimizer(model: UniversalMap, recipe: MapRecipe) -> tuple[torch.optim.Optimizer, list[float]]:
    """AdamW over what learns in episodes, and the learning rate of each of its groups."""
    groups = [([model.joint], recipe.joint_rate / 4, 0.0)]
    if model.config.kind != "none":
        groups.append((list(model.residual.parameters()), recipe.rate, recipe.weight_decay))
    if model.config.kind == "codec":
        groups.append(([model.basis], recipe.basis_rate, 0.0))
    made = [{"params": params, "lr": rate, "weight_decay": decay} for params, rate, decay in groups]
    return torch.optim.AdamW(made), [rate for _, rate, _ in groups]


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor | None, rates: list[float]) -> None:
    """One step; the gradient is that of `loss`, or was put there already."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    if loss is not None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
    optimizer.step()
    if loss is None:
        optimizer.zero_grad(set_to_none=True)

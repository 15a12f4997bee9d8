"""From a grown zoo to generators: one a regime that knows blends, its twin that does not, and one without condition."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..adapter import AdapterLayout
from ..backbone import Backbone
from ..bundle import blend
from ..files import load_tensors
from ..generator import AdapterGenerator, GeneratorConfig
from ..loop import Step
from ..train import GeneratorRecipe, retrain_denoiser, train_generator
from ..zoo import Zoo
from .jobs import BLEND, WEIGHTS, blend_name, held_out_pairs, pairs, zoo_folder
from .recipes import Recipe

PAPER = "paper.safetensors"


@dataclass(frozen=True)
class Examples:
    """What a generator learns from: raw rows `[N, D]`, views of conditions `[Q, V, E]`, each row's condition `[N]`."""

    rows: Tensor
    embeddings: Tensor
    index: Tensor

    def __add__(self, other: Examples) -> Examples:
        return Examples(
            torch.cat([self.rows, other.rows]),
            torch.cat([self.embeddings, other.embeddings]),
            torch.cat([self.index, other.index + len(self.embeddings)]),
        )


def views_of(out: Path, count: int) -> tuple[Tensor, str]:
    """The mean embedding and the single views of the first `count` named locations, `[count, V, E]`; the condition."""
    tensors, metadata = load_tensors(out / "conditions.safetensors")
    return torch.cat([tensors["mean"][:count, None], tensors["views"][:count]], dim=1), metadata["condition"]


def own_examples(recipe: Recipe, out: Path, work: Path, layout: AdapterLayout, regime: str) -> Examples:
    """The rows that were fine-tuned at each seen location."""
    zoo = Zoo(zoo_folder(work, regime, recipe.finetune.interval), layout, regime=regime)
    rows, index = zoo.rows(recipe.seen)
    return Examples(rows, views_of(out, len(recipe.seen))[0], index)


def blend_examples(recipe: Recipe, out: Path, work: Path, layout: AdapterLayout) -> Examples | None:
    """The rows that were fine-tuned on blends of the training pairs, each with its blended condition; None if there
    are no such pairs. Held-out pairs are not among them."""
    views, _ = views_of(out, len(recipe.seen))
    held_out, place = held_out_pairs(recipe.seen), {name: index for index, name in enumerate(recipe.seen)}
    found: Examples | None = None
    for a, b in (pair for pair in pairs(recipe.seen) if pair not in held_out):
        for weight in WEIGHTS:
            tuning = recipe.middle if weight == 0.5 else recipe.flank
            zoo = Zoo(zoo_folder(work, BLEND, tuning.interval), layout, regime=BLEND)
            rows, _ = zoo.of(blend_name(a, b, weight))
            condition = blend(views[place[a]], views[place[b]], weight)[None]
            more = Examples(rows, condition, torch.zeros(len(rows), dtype=torch.int64))
            found = more if found is None else found + more
    return found


def soups(examples: Examples, count: int, *, seed: int) -> Examples:
    """Means of 2 to 4 random rows, each with the mean of their conditions.

    Rows of blends all start from one adapter, so their means are good adapters too; and between the few pairs that
    were trained on they show the denoiser that the row changes steadily with the condition. Without them it writes,
    for a pair that it never saw, the row of a pair that it did see.
    """
    chosen = _some(len(examples.rows), count, seed=seed)
    rows = torch.stack([examples.rows[some].mean(dim=0) for some in chosen])
    views = torch.stack([examples.embeddings[examples.index[some]].mean(dim=0) for some in chosen])
    return Examples(rows, views, torch.arange(count))


def means(rows: Tensor, count: int, *, seed: int) -> Tensor:
    """`count` means of 2 to 4 random rows of `[N, D]`: `[count, D]`."""
    chosen = _some(len(rows), count, seed=seed)
    return torch.stack([rows[some].mean(dim=0) for some in chosen]) if chosen else rows[:0]


def _some(total: int, count: int, *, seed: int) -> list[Tensor]:
    """`count` times the places of 2 to 4 random rows of `total`."""
    rng = torch.Generator().manual_seed(seed)
    sizes = torch.randint(2, 5, (count,), generator=rng).tolist()
    return [torch.randint(total, (size,), generator=rng) for size in sizes]


def train_regime(recipe: Recipe, out: Path, work: Path, regime: str, device: str) -> Iterator[Step]:
    """Train the generator of one regime and its twin that never saw a blend; both share the codec."""
    folder = out / f"generator-{regime}"
    if (folder / PAPER).exists():
        return
    backbone = Backbone.load(out / "backbone.safetensors")
    own = own_examples(recipe, out, work, backbone.layout, regime)
    blends = blend_examples(recipe, out, work, backbone.layout)
    ours = own if blends is None else own + blends + soups(blends, recipe.soups, seed=recipe.seed)
    notes = {"recipe": recipe.name, "regime": regime}
    begun = work / f"generator-{regime}"
    total = recipe.generator.vae_steps + 2 * recipe.generator.denoiser_steps
    if not (folder / "config.json").exists():
        generator = fresh_generator(recipe, backbone, out, notes).to(device)
        for stage, step in train_generator(
            generator, ours.rows, ours.embeddings, ours.index, recipe.generator, folder=begun
        ):
            before = 0 if stage == "codec" else recipe.generator.vae_steps
            yield Step(before + step.index, total, step.loss)
        generator.half_precision_().save_pretrained(folder, torch.float16)
        discard(begun)
    generator = AdapterGenerator.from_pretrained(folder, device)
    twin = generator.with_fresh_denoiser(seed=recipe.seed)
    for step in retrain_denoiser(twin, own.rows, own.embeddings, own.index, recipe.generator, folder=begun):
        if step.index < step.total:
            yield Step(total - step.total + step.index, total, step.loss)
    twin.half_precision_().save_denoiser(folder / PAPER, torch.float16)
    discard(begun)
    yield Step(total, total, float("nan"))


def fresh_generator(recipe: Recipe, backbone: Backbone, out: Path, notes: dict[str, str]) -> AdapterGenerator:
    """An untrained generator for a bundle's classifier and condition."""
    views, condition = views_of(out, 1)
    config = GeneratorConfig.of(
        backbone.layout,
        condition_name=condition,
        condition_dim=views.shape[-1],
        backbone_fingerprint=backbone.fingerprint,
    )
    return AdapterGenerator.untrained(config, seed=recipe.seed, notes=notes)


def discard(folder: Path) -> None:
    """Remove the checkpoints of a training whose result is saved."""
    for name in ("codec.safetensors", "denoiser.safetensors"):
        (folder / name).unlink(missing_ok=True)


def train_unconditional(
    generator: AdapterGenerator, rows: Tensor, recipe: GeneratorRecipe, *, soups: int, folder: Path
) -> Iterator[Step]:
    """Train a generator that looks at no condition on raw rows `[N, D]`; sample from it with `guidance=0`.

    Of `soups` means of some of the rows it learns that between checkpoints lie good adapters too; without them it
    writes the checkpoints again. `folder` keeps checkpoints; the caller calls `discard` on it once the generator is
    saved.
    """
    recipe = replace(recipe, condition_dropout=1.0)
    rows = torch.cat([rows, means(rows, soups, seed=recipe.seed)])
    views = torch.zeros(1, 1, generator.condition_dim)
    index, total = torch.zeros(len(rows), dtype=torch.int64), recipe.vae_steps + recipe.denoiser_steps
    for stage, step in train_generator(generator, rows, views, index, recipe, folder=folder):
        yield Step((0 if stage == "codec" else recipe.vae_steps) + step.index, total, step.loss)

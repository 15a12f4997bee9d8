"""What the ablations train and measure: generators that lack one thing, and the same measures of each."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..build.generators import views_of
from ..errors import UserError
from ..experiments.lab import Lab
from ..fidelity import mean_distance
from ..files import sha256
from ..generator import AdapterGenerator, GeneratorConfig
from ..generator.recipe import GeneratorRecipe
from ..generator.train import train_generator
from ..generator.vae import VAEConfig
from ..training.loop import Step
from ..weightspace import nearest
from ..workers.pool import Workers, each
from ..zoo import Zoo

REGIME = "H"
#: Noise on (rows, latents) while the codec trains (p-diff, Table 3a); `both` is the yardstick of all variants.
NOISES = {"neither": (False, False), "input": (True, False), "latent": (False, True), "both": (True, True)}
#: Checkpoints a location (p-diff, Table 3e).
COUNTS = (10, 50, 100, 300)
#: Generated adapters of a location: measured; made, to compare distances.
GENERATED, DRAWN = 4, 16


@dataclass(frozen=True)
class Variant:
    """One generator to train: all that its weights depend on, and where it goes.

    Attributes:
        folder: of the finished generator.
        zoo: folder of the fine-tuned rows, of regime H.
        locations: whose rows are trained on.
        checkpoints: rows of each location, evenly spaced along its fine-tuning.
        embeddings: views of each location's condition, `[Q, V, E]`.
        config: shapes and codec noise.
        recipe: steps and rates.
        seed: of the starting weights.
    """

    folder: Path
    zoo: Path
    locations: tuple[str, ...]
    checkpoints: int
    embeddings: Tensor
    config: GeneratorConfig
    recipe: GeneratorRecipe
    seed: int

    @property
    def steps(self) -> int:
        """Training steps of codec and denoiser."""
        return self.recipe.vae_steps + self.recipe.denoiser_steps

    def rows(self) -> tuple[Tensor, Tensor]:
        """The raw rows to train on `[N, D]`, and the place of each one's location `[N]`."""
        zoo = Zoo(self.zoo, self.config.layout, regime=REGIME)
        every = [zoo.of(location)[0] for location in self.locations]
        parts = [even(rows[rows.isfinite().all(dim=1)], self.checkpoints) for rows in every]
        places = [torch.full((len(part),), place) for place, part in enumerate(parts)]
        return torch.cat(parts), torch.cat(places)

    def digest(self) -> str:
        """Twelve hexadecimal digits of all that the weights depend on, so that no stale generator is taken for this."""
        files = [sha256(self.zoo / f"{location}.safetensors") for location in self.locations]
        parts = [self.config.to_json(), asdict(self.recipe), self.checkpoints, self.seed, files]
        text = json.dumps(parts, sort_keys=True).encode()
        return hashlib.sha256(text + self.embeddings.contiguous().numpy().tobytes()).hexdigest()[:12]

    def finished(self) -> AdapterGenerator | None:
        """The trained generator, if there is a whole one of this very variant."""
        try:
            generator = AdapterGenerator.from_pretrained(self.folder)
        except UserError:
            return None
        return generator if generator.notes.get("digest") == self.digest() else None


def even(rows: Tensor, count: int) -> Tensor:
    """`count` of the rows `[J, D]`, evenly spaced from the first to the last; all if there are no more."""
    return rows if len(rows) <= count else rows[torch.linspace(0, len(rows) - 1, count).round().long()]


def variants(lab: Lab) -> dict[str, Variant]:
    """Every generator of the ablations by name: `both` has all there is, the others lack one thing.

    None ever sees a blend of two locations. The bundle's generators cannot stand in for `both`: their codec was trained
    on blends too, so they would differ from the others in more than one thing.

    Raises:
        UserError: if the training folder has no whole zoo of regime H, or no location of it is usable.
    """
    zoo = lab.zoo(REGIME)
    locations = lab.locations(REGIME, lab.recipe.finetune.interval)
    most = min((zoo.count(location) for location in locations), default=0)
    if most < 2:
        raise UserError(
            "The ablations train on one long run a location of regime H, which this training folder lacks; grow it "
            f"with `wildpdiff zoo --regime H --interval {lab.recipe.finetune.interval} --out DIR`, DIR the folder "
            f"'{lab.work.name}' in it."
        )
    config = lab.bundle.generator(REGIME).config.plain(autoencoder=True)
    whole = Variant(
        lab.work / "ablations" / "both",
        zoo.folder,
        locations,
        most,
        views_of(lab.bundle.folder, len(lab.bundle.seen))[0][[lab.bundle.seen.index(name) for name in locations]],
        config,
        lab.recipe.plain,
        lab.recipe.seed,
    )
    found = {name: _with_noise(whole, name) for name in NOISES}
    return found | {
        str(count): replace(whole, folder=lab.work / "ablations" / f"checkpoints-{count}", checkpoints=count)
        for count in COUNTS
        if count < most
    }


def _with_noise(whole: Variant, name: str) -> Variant:
    on_rows, on_latents = NOISES[name]
    vae = whole.config.codec
    if not isinstance(vae, VAEConfig):
        raise TypeError("the ablations train an autoencoder")
    vae = replace(
        vae, input_noise=vae.input_noise if on_rows else 0.0, latent_noise=vae.latent_noise if on_latents else 0.0
    )
    return replace(whole, folder=whole.folder.parent / name, config=replace(whole.config, codec=vae))


def train_variant(variant: Variant) -> Iterator[Step]:
    """Train one variant into its folder, unless it is there; killed and resumed, the weights are the same."""
    if variant.finished() is not None:
        return
    digest = variant.digest()
    state = variant.folder / f"state-{digest}"
    state.mkdir(parents=True, exist_ok=True)
    rows, index = variant.rows()
    notes = {"digest": digest, "ablation": variant.folder.name}
    generator = AdapterGenerator.untrained(variant.config, seed=variant.seed, notes=notes)
    before = {"codec": 0, "denoiser": variant.recipe.vae_steps}
    for stage, step in train_generator(generator, rows, variant.embeddings, index, variant.recipe, folder=state):
        yield Step(before[stage] + step.index, variant.steps, step.loss)
    generator.half_precision_().save_pretrained(variant.folder, torch.float16)
    for left in variant.folder.glob("state-*"):
        shutil.rmtree(left, ignore_errors=True)


def train_all(wanted: Sequence[Variant], *, workers: Workers) -> Iterator[Step]:
    """Train every variant that is not finished, `workers` at once, each in a process of one thread; yields progress.

    Raises:
        UserError: what a worker complained of.
    """
    waiting = [variant for variant in wanted if variant.finished() is None]
    for count in each(_train, waiting, workers=workers):
        yield Step(count, len(waiting), float("nan"))


def _train(variant: Variant) -> None:
    for _ in train_variant(variant):
        pass


@dataclass(frozen=True)
class Made:
    """Generated raw rows `[N, D]`, correct predictions of the first of them, and seconds an adapter."""

    rows: Tensor
    right: Tensor
    seconds: float


@dataclass
class Place:
    """One location and the generators to compare there; what several ablations share is made once."""

    lab: Lab
    generators: Mapping[str, AdapterGenerator]
    counts: Sequence[int]
    location: str
    _made: dict[tuple[str, int, float], Made] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Generated adapters to measure."""
        return min(self.lab.samples, GENERATED)

    @cached_property
    def tuned(self) -> Tensor:
        """All usable fine-tuned rows `[J, D]`."""
        return self.lab.rows(REGIME, self.location, interval=self.lab.recipe.finetune.interval)

    @cached_property
    def spread(self) -> float:
        """Mean distance of two fine-tuned rows: the unit of all distances here."""
        return max(mean_distance(self.tuned), 1e-12)

    def made(self, name: str, *, steps: int = 50, guidance: float = 1.0) -> Made:
        """Adapters of one generator; of the trained variants more than are measured, for distances."""
        key = (name, steps, guidance)
        if key not in self._made:
            drawn = self.count if name == "ours" else min(max(self.lab.samples, 2), DRAWN)
            begun = time.perf_counter()
            rows = self.generators[name].generate(
                self.condition(drawn), steps=steps, guidance=guidance, seed=self.lab.seed
            )
            seconds = (time.perf_counter() - begun) / drawn
            rows = rows.cpu()
            self._made[key] = Made(rows, self.correct(rows[: self.count]), seconds)
        return self._made[key]

    def condition(self, count: int) -> Tensor:
        """The location's embedding, once for each adapter: `[count, E]`."""
        return self.lab.bundle.embedding(self.location).expand(count, -1)

    def correct(self, rows: Tensor) -> Tensor:
        """Correct predictions of each raw row on the location's images, bool `[N, M]`."""
        return self.lab.correct(rows, self.location)


def own_nearest(rows: Tensor) -> float:
    """Mean distance of a row of `[N, D]` to the nearest other one; one row after the other, as copies of all others
    would not fit in memory."""
    found = (
        nearest(rows[[place]], torch.cat([rows[:place], rows[place + 1 :]]))[1].item() for place in range(len(rows))
    )
    return sum(found) / len(rows)

"""Trainings that two processes share, for `test_team`: what each of them runs, and what one process runs to compare."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from test_train import EMBEDDINGS, INDEX, MEANS, untrained, zoo
from torch import nn

from wildpdiff.errors import UserError
from wildpdiff.files import save_tensors
from wildpdiff.generator import AdapterGenerator
from wildpdiff.generator.known import Curves
from wildpdiff.generator.recipe import GeneratorRecipe
from wildpdiff.generator.train import train_generator
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.subset import Parameters
from wildpdiff.training.loop import Step
from wildpdiff.training.pretrain import PretrainRecipe, pretrain
from wildpdiff.training.team import ALONE, Team, launched
from wildpdiff.worlds.base import Images

STEPS, KILLED_AT = 200, 12
#: Two processes have 4 and 5 of nine samples.
PRETRAINING = PretrainRecipe(steps=STEPS, batch_size=9, small_size=16, save_every=5)
GENERATOR = GeneratorRecipe(STEPS, 7, 1e-3, STEPS, 9, mean_steps=STEPS, mean_batch=11)
SHORT = replace(GENERATOR, vae_steps=40, denoiser_steps=40)


def convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


def small_backbone() -> Backbone:
    """Two convolutions with batch norms."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4)
        network = nn.Sequential(*convolution(3, 8), *convolution(8, 16), *head)
    return Backbone(network, tuple("abcd"), subset=Parameters(".*"))


def photographs() -> Images:
    """Noise that its label makes brighter or darker."""
    rng = torch.Generator().manual_seed(1)
    labels = torch.randint(4, (60,), generator=rng)
    pixels = torch.randint(0, 128, (60, 3, 32, 32), generator=rng) + 30 * labels[:, None, None, None]
    return Images(pixels.to(torch.uint8), labels)


def pretraining(backbone: Backbone, checkpoint: Path, team: Team = ALONE) -> Iterator[Step]:
    yield from pretrain(backbone, photographs(), PRETRAINING, seed=3, checkpoint=checkpoint, team=team)


def generating(generator: AdapterGenerator, recipe: GeneratorRecipe, team: Team = ALONE) -> Iterator[tuple[str, Step]]:
    """The whole training of a generator; of our form with curves between its conditions."""
    hubs = MEANS + torch.randn(MEANS.shape, generator=torch.Generator().manual_seed(8))
    curves = Curves(MEANS, hubs, ((0, 1), (1, 2)))
    yield from train_generator(generator, zoo(), EMBEDDINGS, INDEX, recipe, curves=curves, team=team)


def all_trainings(folder: Path, name: str, team: Team = ALONE) -> None:
    """Write losses and weights of every training."""
    losses: dict[str, list[float]] = {}
    backbone = small_backbone()
    losses["pretraining"] = [step.loss for step in pretraining(backbone, folder / f"{name}.part", team)]
    tensors = {f"backbone/{key}": value for key, value in backbone.state_dict().items()}
    for form in ("ours", "plain"):
        generator = untrained(plain=form == "plain")
        for stage, step in generating(generator, GENERATOR if form == "ours" else SHORT, team):
            losses.setdefault(f"{form} {stage}", []).append(step.loss)
        tensors |= {f"{form}/{key}": value for key, value in generator.state_dict().items()}
    resumed = small_backbone()
    losses["resumed"] = [step.loss for step in islice(pretraining(resumed, folder / "begun.part", team), 30)]
    save_tensors(folder / f"{name}.safetensors", {key: value.clone() for key, value in tensors.items()}, {})
    (folder / f"{name}.json").write_text(json.dumps(losses))


def refused(folder: Path, team: Team) -> None:
    """A batch that is too small to share."""
    try:
        next(pretrain(small_backbone(), photographs(), replace(PRETRAINING, batch_size=1), seed=0,
                      checkpoint=folder / "none.part", team=team))  # fmt: skip
    except UserError as error:
        (folder / f"refused-{team.main}").write_text(str(error))


def killed(folder: Path, team: Team) -> None:
    """A training of which the second process is killed."""
    for step in pretraining(small_backbone(), folder / "killed.part", team):
        if step.index == KILLED_AT and not team.main:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path) -> None:
    try:
        with launched("cpu") as team:
            all_trainings(folder, "main" if team.main else "second", team)
            refused(folder, team)
            killed(folder, team)
    except UserError as error:
        (folder / "told").write_text(str(error))
        sys.exit(2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

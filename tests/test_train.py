"""Training loops: they learn, and they survive a kill."""

import itertools
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import wildpdiff.generator.optimise
from wildpdiff.errors import UserError
from wildpdiff.generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from wildpdiff.generator.codec import LinearCodecConfig
from wildpdiff.generator.denoiser import DenoiserConfig
from wildpdiff.generator.known import Curves, without_spread
from wildpdiff.generator.optimise import Averaged
from wildpdiff.generator.recipe import GeneratorRecipe
from wildpdiff.generator.residual import ResidualConfig
from wildpdiff.generator.train import train_generator, train_over_codec, train_vae
from wildpdiff.generator.vae import AdapterVAE, VAEConfig, vae_loss
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.training.connect import curve, pair_shares

LAYOUT = AdapterLayout(("a", "b"), ((20, 10), (100,)))
MEANS = 3 * torch.randn(3, LAYOUT.dim, generator=torch.Generator().manual_seed(1))
EMBEDDINGS = torch.eye(3, 5)[:, None].repeat(1, 4, 1) + 0.05 * torch.randn(
    3, 4, 5, generator=torch.Generator().manual_seed(2)
)
INDEX = torch.arange(3).repeat_interleave(30)


def zoo() -> torch.Tensor:
    """Thirty raw rows around each of three far-apart means."""
    return MEANS[INDEX] + 0.3 * torch.randn(90, LAYOUT.dim, generator=torch.Generator().manual_seed(3))


def untrained(seed: int = 0, *, plain: bool = False) -> AdapterGenerator:
    """A generator of ours, or of the paper's plain form with its autoencoder."""
    condition = ConditionConfig("toy", 5)
    if plain:
        vae = VAEConfig(LAYOUT.dim, chunks=8, channels=8, width=16, depth=1)
        unet = DenoiserConfig(5, channels=8, length=8, widths=(32, 48), embedding=48)
        config = GeneratorConfig(LAYOUT, vae, unet, condition, "toy")
    else:
        residual = ResidualConfig(5, length=16, mean_width=32, width=32, depth=1)
        config = GeneratorConfig(LAYOUT, LinearCodecConfig(LAYOUT.dim, 16), residual, condition, "toy")
    return AdapterGenerator.untrained(config, seed=seed)


BRIEF = GeneratorRecipe(20, 8, 1e-3, 30, 8, mean_steps=20, mean_batch=8)
FORMS = pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])


@pytest.mark.parametrize("plain", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["ours", "plain"])
def test_generated_rows_fall_nearest_to_the_mean_of_their_condition(plain: bool) -> None:
    generator, rows = untrained(plain=plain), zoo()
    recipe = GeneratorRecipe(100, 16, 1e-3, 600, mean_steps=400)
    stages = [stage for stage, _ in train_generator(generator, rows, EMBEDDINGS, INDEX, recipe)]
    first = ["codec"] * 100 if plain else ["codec"] + ["mean"] * 400
    assert stages == first + ["denoiser"] * 600
    wanted = torch.arange(3).repeat_interleave(8)
    generated = generator.generate(EMBEDDINGS[wanted, 0], steps=20)
    distance = torch.cdist(generated, MEANS)
    assert distance.argmin(1).tolist() == wanted.tolist()
    assert distance.min(1).values.max() < 0.25 * torch.pdist(MEANS).min()
    assert not generator.training


def test_samples_of_one_condition_are_spread_like_the_rows_they_were_learned_from() -> None:
    """Rows that differ along few directions, which the codec keeps; the plain form's samples hardly differ."""
    rng = torch.Generator().manual_seed(6)
    directions = torch.linalg.qr(torch.randn(LAYOUT.dim, 6, generator=rng))[0].T
    rows = MEANS[INDEX] + 2 * torch.randn(90, 6, generator=rng) @ directions
    generator = untrained()
    for _ in train_generator(generator, rows, EMBEDDINGS, INDEX, GeneratorRecipe(denoiser_steps=800, mean_steps=400)):
        pass
    generated = generator.generate(EMBEDDINGS[:1, 0].expand(40, -1), steps=20)
    assert float(torch.pdist(generated).mean()) == pytest.approx(float(torch.pdist(rows[:30]).mean()), rel=0.3)


def test_between_two_conditions_the_mean_follows_their_curve_and_not_the_straight_line() -> None:
    generator, rows = untrained(), zoo()
    hubs = MEANS + 6 * torch.randn(3, LAYOUT.dim, generator=torch.Generator().manual_seed(8))
    curves = Curves(MEANS, hubs, ((0, 1), (1, 2)))
    recipe = GeneratorRecipe(denoiser_steps=2, mean_steps=800)
    for _ in train_generator(generator, rows, EMBEDDINGS, INDEX, recipe, curves=curves):
        pass
    with torch.no_grad():
        middles = (EMBEDDINGS[[0, 1], 0] + EMBEDDINGS[[1, 2], 0]) / 2
        found = generator.decode(generator.denoiser.mean(middles))
    for row, (a, b) in zip(found, curves.pairs, strict=True):
        bent = curve(MEANS, hubs, pair_shares(3, a, b, torch.tensor([0.5])))[0]
        straight = (MEANS[a] + MEANS[b]) / 2
        assert (row - bent).norm() < 0.25 * (row - straight).norm()


class KilledError(Exception):
    """Stands for the loss of power."""


def run(folder: Path | None, kill_at: int | None = None, *, plain: bool = False) -> AdapterGenerator:
    torch.seed()
    generator = untrained(plain=plain)
    steps = train_generator(generator, zoo(), EMBEDDINGS, INDEX, BRIEF, folder=folder)
    for count, _ in enumerate(steps, start=1):
        if count == kill_at:
            raise KilledError
    return generator


@lru_cache
def undisturbed(plain: bool) -> str:
    """The fingerprint of a training that nothing kills."""
    return run(None, plain=plain).fingerprint


@FORMS
@pytest.mark.parametrize("kill_at", [3, 14, 20, 23, 38])
def test_a_killed_training_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int, plain: bool
) -> None:
    monkeypatch.setattr(wildpdiff.generator.optimise, "SAVE_EVERY", 6)
    with pytest.raises(KilledError):
        run(tmp_path, kill_at, plain=plain)
    assert run(tmp_path, plain=plain).fingerprint == undisturbed(plain)


@FORMS
def test_a_resumed_training_does_only_what_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    monkeypatch.setattr(wildpdiff.generator.optimise, "SAVE_EVERY", 6)
    fitted = [] if plain else [("codec", 1)]
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=33 + len(fitted), plain=plain)
    rest = train_generator(untrained(plain=plain), zoo(), EMBEDDINGS, INDEX, BRIEF, folder=tmp_path)
    assert [(stage, step.index) for stage, step in rest] == fitted + [("denoiser", index) for index in range(13, 31)]


def test_training_the_diffusion_leaves_the_mean_as_it_was() -> None:
    generator, kept = untrained(), {}
    for stage, step in train_generator(generator, zoo(), EMBEDDINGS, INDEX, BRIEF):
        if (stage, step.index) == ("denoiser", 1):
            kept = {name: value.clone() for name, value in generator.denoiser.mean_head.state_dict().items()}
    after = generator.denoiser.mean_head.state_dict()
    assert kept and all(torch.equal(after[name], value) for name, value in kept.items())
    assert all(weight.requires_grad for weight in generator.denoiser.parameters())


def test_training_the_codec_makes_it_bear_noise_that_it_could_not_bear_before() -> None:
    rng = torch.Generator().manual_seed(4)
    angle = 6.3 * torch.rand(200, 1, generator=rng)
    rows = torch.cat([(k * angle).cos() for k in range(1, 5)], 1) @ torch.randn(4, 64, generator=rng)
    torch.manual_seed(0)
    vae = AdapterVAE(VAEConfig(64, chunks=4, channels=4, width=32, depth=2, latent_noise=0.4))
    vae.init_from(rows)

    def error() -> float:
        with torch.no_grad():
            return vae_loss(vae, rows, torch.Generator().manual_seed(5)).item()

    before = error()
    for _ in train_vae(vae, rows, steps=300):
        pass
    assert error() < 0.7 * before
    with torch.no_grad():
        assert vae.encode_standard(rows).square().mean().sqrt().item() == pytest.approx(1, abs=1e-3)


def test_the_average_follows_the_model_and_lags_behind() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    averaged = Averaged(model)
    nn.init.ones_(model.weight)
    seen = []
    for step in range(2000):
        averaged.update(step, 0.99)
        seen.append(averaged.average.weight.item())
    assert seen[0] == pytest.approx(0.9) and 0.99 < seen[5] < 1 + 1e-6
    assert all(later >= earlier for earlier, later in itertools.pairwise(seen))
    assert model.weight.item() == 1


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path: Path) -> None:
    run(tmp_path, plain=True)
    other = AdapterVAE(VAEConfig(LAYOUT.dim, chunks=4, channels=8))
    with pytest.raises(UserError, match="another recipe"):
        next(train_vae(other, zoo(), steps=5, checkpoint=tmp_path / "codec.safetensors"))


@FORMS
@pytest.mark.parametrize("train", [train_generator, train_over_codec])
def test_rows_conditions_and_generator_must_belong_together(train: Any, plain: bool) -> None:
    generator, rows, recipe = untrained(plain=plain), zoo(), replace(BRIEF, vae_steps=1)
    with pytest.raises(UserError, match="299"):
        next(train(generator, rows[:, 1:], EMBEDDINGS, INDEX, recipe))
    with pytest.raises(UserError, match=r"\[Q, V, 5\]"):
        next(train(generator, rows, EMBEDDINGS[:, 0], INDEX, recipe))
    with pytest.raises(UserError, match="0 to 2"):
        next(train(generator, rows, EMBEDDINGS, INDEX + 1, recipe))
    with pytest.raises(UserError, match="finite"):
        next(train(generator, rows, EMBEDDINGS * torch.inf, INDEX, recipe))


def test_conditions_whose_rows_do_not_differ_are_told() -> None:
    latents = torch.tensor([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [3.0, 1.0], [3.0, 1.5]])[:, None]
    index = torch.tensor([0, 0, 1, 2, 2])
    assert without_spread(latents, index, 3) == [0, 1]

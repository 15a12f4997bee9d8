"""Training loops: they learn, and they survive a kill."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

import wildpdiff.train
from wildpdiff.adapter import AdapterLayout
from wildpdiff.denoiser import DenoiserConfig
from wildpdiff.diffusion import NoiseSchedule
from wildpdiff.errors import UserError
from wildpdiff.generator import AdapterGenerator, GeneratorConfig
from wildpdiff.train import Averaged, GeneratorRecipe, train_generator, train_vae
from wildpdiff.vae import AdapterVAE, VAEConfig, vae_loss

LAYOUT = AdapterLayout(("a", "b"), ((20, 10), (100,)))
MEANS = 3 * torch.randn(3, LAYOUT.dim, generator=torch.Generator().manual_seed(1))
EMBEDDINGS = torch.eye(3, 5)[:, None].repeat(1, 4, 1) + 0.05 * torch.randn(
    3, 4, 5, generator=torch.Generator().manual_seed(2)
)
INDEX = torch.arange(3).repeat_interleave(30)


def zoo() -> torch.Tensor:
    """Thirty raw rows around each of three far-apart means."""
    return MEANS[INDEX] + 0.3 * torch.randn(90, LAYOUT.dim, generator=torch.Generator().manual_seed(3))


def untrained(seed: int = 0) -> AdapterGenerator:
    vae = VAEConfig(LAYOUT.dim, chunks=8, channels=8, width=16, depth=1)
    denoiser = DenoiserConfig(5, channels=8, length=8, widths=(32, 48), embedding=48)
    return AdapterGenerator.untrained(GeneratorConfig(LAYOUT, vae, denoiser, NoiseSchedule(), "toy", "toy"), seed=seed)


def test_generated_rows_fall_nearest_to_the_mean_of_their_condition() -> None:
    generator, rows = untrained(), zoo()
    stages = [
        stage for stage, _ in train_generator(generator, rows, EMBEDDINGS, INDEX, GeneratorRecipe(100, 16, 1e-3, 600))
    ]
    assert stages == ["codec"] * 100 + ["denoiser"] * 600
    wanted = torch.arange(3).repeat_interleave(8)
    generated = generator.generate(EMBEDDINGS[wanted, 0], steps=20)
    distance = torch.cdist(generated, MEANS)
    assert distance.argmin(1).tolist() == wanted.tolist()
    assert distance.min(1).values.max() < 0.25 * torch.pdist(MEANS).min()
    assert not generator.training


class KilledError(Exception):
    """Stands for the loss of power."""


def run(folder: Path | None, kill_at: int | None = None) -> AdapterGenerator:
    torch.seed()
    generator = untrained()
    steps = train_generator(generator, zoo(), EMBEDDINGS, INDEX, GeneratorRecipe(20, 8, 1e-3, 30, 8), folder=folder)
    for count, _ in enumerate(steps, start=1):
        if count == kill_at:
            raise KilledError
    return generator


@pytest.mark.parametrize("kill_at", [3, 14, 20, 23, 38])
def test_a_killed_training_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    monkeypatch.setattr(wildpdiff.train, "SAVE_EVERY", 6)
    with pytest.raises(KilledError):
        run(tmp_path, kill_at)
    assert run(tmp_path).fingerprint == run(None).fingerprint


def test_a_resumed_training_does_only_what_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wildpdiff.train, "SAVE_EVERY", 6)
    with pytest.raises(KilledError):
        run(tmp_path, kill_at=33)
    rest = train_generator(untrained(), zoo(), EMBEDDINGS, INDEX, GeneratorRecipe(20, 8, 1e-3, 30, 8), folder=tmp_path)
    assert [(stage, step.index) for stage, step in rest] == [("denoiser", index) for index in range(13, 31)]


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
    run(tmp_path)
    other = AdapterVAE(VAEConfig(LAYOUT.dim, chunks=4, channels=8))
    with pytest.raises(UserError, match="another recipe"):
        next(train_vae(other, zoo(), steps=5, checkpoint=tmp_path / "codec.safetensors"))


def test_rows_conditions_and_generator_must_belong_together() -> None:
    generator, rows, recipe = untrained(), zoo(), GeneratorRecipe(1, 2, 1e-3, 1)
    with pytest.raises(UserError, match="299"):
        next(train_generator(generator, rows[:, 1:], EMBEDDINGS, INDEX, recipe))
    with pytest.raises(UserError, match=r"\[Q, V, 5\]"):
        next(train_generator(generator, rows, EMBEDDINGS[:, 0], INDEX, recipe))
    with pytest.raises(UserError, match="0 to 2"):
        next(train_generator(generator, rows, EMBEDDINGS, INDEX + 1, recipe))
    with pytest.raises(UserError, match="finite"):
        next(train_generator(generator, rows, EMBEDDINGS * torch.inf, INDEX, recipe))

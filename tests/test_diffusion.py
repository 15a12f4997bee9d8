"""The sampler and the training loss."""

from typing import Any

import pytest
import torch

from wildpdiff.errors import UserError
from wildpdiff.generator.diffusion import NoiseSchedule, diffusion_loss, sample_ddim

SCHEDULE = NoiseSchedule()
POINTS = torch.tensor([[1.0, -1.0, 0.5], [-1.5, 0.3, 0.2], [0.4, 1.2, -1.0]]).view(3, 1, 3)


def posterior_mean(noisy: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The exact denoiser of data that are `POINTS`, each as likely as the others (Bayes' rule)."""
    signal = SCHEDULE.alphas_cumprod[t].view(-1, 1, 1, 1)
    distance = (noisy[:, None] - signal.sqrt() * POINTS).square().sum((2, 3), keepdim=True)
    weight = (-distance / (2 * (1 - signal))).softmax(1)
    return (weight * POINTS).sum(1)


class Recorder:
    """A denoiser that answers with zeros and keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]] = []

    def __call__(self, noisy: torch.Tensor, t: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        self.calls.append((noisy, t, condition))
        return torch.zeros_like(noisy)

    def unconditional(self, count: int) -> torch.Tensor:
        return torch.full((count, 2), -9.0)


def ddim_of_diffusers(steps: int) -> Any:
    """The same linear schedule and trailing timesteps as diffusers has them."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        clip_sample=False,
        set_alpha_to_one=True,
        prediction_type="sample",
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("steps", [1, 10, 50, 1000])
def test_the_sampler_equals_diffusers(steps: int) -> None:
    scheduler = ddim_of_diffusers(steps)
    noise = torch.randn(4, 1, 3, generator=torch.Generator().manual_seed(3))
    noisy = noise
    for t in scheduler.timesteps:
        answer = posterior_mean(noisy, t.expand(4)) * 0.9 + 0.1 * noisy.tanh()
        noisy = scheduler.step(answer, t, noisy, eta=0.0).prev_sample
    *_, ours = sample_ddim(lambda x, t: posterior_mean(x, t) * 0.9 + 0.1 * x.tanh(), noise, SCHEDULE, steps)
    assert SCHEDULE.times(steps) == scheduler.timesteps.tolist()
    assert torch.allclose(ours, noisy, atol=2e-4)


@pytest.mark.parametrize("steps", [20, 50, 1000])
def test_an_exact_denoiser_lands_on_the_data(steps: int) -> None:
    noise = torch.randn(64, 1, 3, generator=torch.Generator().manual_seed(4))
    *_, samples = sample_ddim(posterior_mean, noise, SCHEDULE, steps)
    distances = (samples[:, None] - POINTS).flatten(2).norm(dim=2)
    assert distances.min(1).values.max() < 0.02
    assert set(distances.argmin(1).tolist()) == {0, 1, 2}


def test_every_step_yields_an_estimate_and_the_first_one_knows_only_noise() -> None:
    noise = torch.randn(5, 1, 3, generator=torch.Generator().manual_seed(5))
    estimates = list(sample_ddim(posterior_mean, noise, SCHEDULE, 50))
    assert len(estimates) == 50
    assert torch.allclose(estimates[0], POINTS.mean(0), atol=0.05)


@pytest.mark.parametrize("steps", [1, 3, 7, 37, 999])
def test_timesteps_start_at_pure_noise_and_fall_without_repeats(steps: int) -> None:
    times = SCHEDULE.times(steps)
    assert times[0] == 999 and len(times) == steps and min(times) >= 0
    assert sorted(set(times), reverse=True) == times


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_impossible_numbers_of_steps_are_refused(steps: int) -> None:
    with pytest.raises(UserError, match="1 to 1000"):
        SCHEDULE.times(steps)


def test_noise_keeps_the_variance_and_ends_as_noise() -> None:
    clean, noise = torch.randn(2, 1000, 2, 50, generator=torch.Generator().manual_seed(6))
    noisy = SCHEDULE.add_noise(clean, noise, torch.arange(1000))
    assert noisy.square().mean((1, 2)).sub(1).abs().mean() < 0.2
    assert torch.allclose(noisy[-1], noise[-1], atol=0.05)
    assert torch.allclose(noisy[0], clean[0], atol=0.06)


def test_the_loss_is_the_error_of_the_estimate_of_the_clean_latents() -> None:
    latents = torch.randn(6, 1, 3, generator=torch.Generator().manual_seed(7))
    loss = diffusion_loss(Recorder(), latents, None, SCHEDULE, torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(latents.square().mean().item())


def test_conditions_are_dropped_as_often_as_asked_and_otherwise_unchanged() -> None:
    denoiser, condition = Recorder(), torch.rand(2000, 2)
    rng = torch.Generator().manual_seed(8)
    diffusion_loss(denoiser, torch.zeros(2000, 1, 1), condition, SCHEDULE, rng, condition_dropout=0.3)
    seen = denoiser.calls[0][2]
    assert seen is not None
    dropped = (seen == -9).all(1)
    assert 0.25 < dropped.float().mean() < 0.35
    assert torch.equal(seen[~dropped], condition[~dropped])


def test_every_sample_of_a_training_batch_has_its_own_timestep() -> None:
    denoiser = Recorder()
    diffusion_loss(denoiser, torch.zeros(500, 1, 1), None, SCHEDULE, torch.Generator().manual_seed(9))
    t = denoiser.calls[0][1]
    assert t.unique().numel() > 300 and t.min() < 50 and t.max() > 950

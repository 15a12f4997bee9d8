"""Noise levels by sigma, and fresh noise: the sampler against diffusers' and against data that are known."""

from collections.abc import Callable, Sequence

import pytest
import torch
from test_diffusion import ddim_of_diffusers
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.generator.diffusion import KarrasSchedule, NoiseSchedule, Schedule, sample_ddim, trajectory

pytestmark = pytest.mark.slow  # trainings

KARRAS, LINEAR = KarrasSchedule(), NoiseSchedule()
CENTRES = torch.tensor([[-0.9, -0.4, 0.2], [0.9, 0.4, -0.2]]).view(2, 1, 3)
WIDTH = 0.3


def posterior_mean(schedule: Schedule) -> Callable[[Tensor, Tensor], Tensor]:
    """The exact denoiser of two equally likely clusters, normal with standard deviation `WIDTH` (Bayes' rule)."""

    def denoise(noisy: Tensor, t: Tensor) -> Tensor:
        signal, spread = (rate[:, None] for rate in schedule.rates(t))
        variance = signal.square() * WIDTH**2 + spread.square()
        away = noisy[:, None] - signal * CENTRES
        weight = (-away.square().sum((2, 3), keepdim=True) / (2 * variance)).softmax(1)
        return (weight * (CENTRES + signal * WIDTH**2 / variance * away)).sum(1)

    return denoise


def noise_of(count: int, seed: int = 3) -> Tensor:
    return torch.randn(count, 1, 3, generator=torch.Generator().manual_seed(seed))


def rngs_of(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(1000 + i) for i in range(count)]


@pytest.mark.parametrize("steps", [2, 10, 50, 1000])
def test_sigmas_fall_from_80_to_0_002_in_even_strides_of_their_seventh_roots(steps: int) -> None:
    times = KARRAS.times(steps)
    assert len(times) == steps
    assert times[0] == pytest.approx(80) and times[-1] == pytest.approx(0.002)
    roots = torch.tensor(times, dtype=torch.float64) ** (1 / 7)
    strides = roots[1:] - roots[:-1]
    assert strides.max() < 0
    assert torch.allclose(strides, strides[:1].expand_as(strides), rtol=1e-6)


def test_a_single_step_is_made_at_the_highest_noise() -> None:
    assert KARRAS.times(1) == pytest.approx([80])


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_impossible_numbers_of_steps_are_refused(steps: int) -> None:
    with pytest.raises(UserError, match="1 to 1000"):
        KARRAS.times(steps)


def test_rates_keep_the_variance_and_their_ratio_is_sigma() -> None:
    sigma = torch.tensor([*KARRAS.times(50), 1.0])
    signal, spread = KARRAS.rates(sigma)
    assert signal.shape == spread.shape == (51, 1, 1)
    assert torch.allclose(signal.square() + spread.square(), torch.ones(51, 1, 1), atol=1e-6)
    assert torch.allclose((spread / signal).flatten(), sigma, rtol=1e-5)


@pytest.mark.parametrize("steps", [2, 10, 50])
def test_by_sigmas_the_sampler_is_diffusers_euler_sampler(steps: int) -> None:
    """Theirs walks without scaling, at clean + sigma * noise; ours keeps unit variance."""
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0, sigma_data=1.0)
    scheduler.set_timesteps(steps)
    assert torch.allclose(torch.tensor(KARRAS.times(steps)), scheduler.sigmas[:-1], rtol=1e-4)
    noise, denoise = noise_of(16), posterior_mean(KARRAS)
    sample = noise * scheduler.init_noise_sigma
    for place, t in enumerate(scheduler.timesteps):
        sigma = scheduler.sigmas[place].expand(16)
        scaled = scheduler.scale_model_input(sample, t)
        clean = denoise(scaled, sigma)
        sample = scheduler.step(clean, t, sample, pred_original_sample=clean).prev_sample
    *_, ours = sample_ddim(denoise, noise, KARRAS, steps)
    assert torch.allclose(ours, sample, atol=2e-4)


@pytest.mark.parametrize("eta", [0.5, 1.0])
@pytest.mark.parametrize("steps", [10, 50, 1000])
def test_with_fresh_noise_the_sampler_is_that_of_diffusers(steps: int, eta: float) -> None:
    scheduler = ddim_of_diffusers(steps)
    denoise, noise, rngs = posterior_mean(LINEAR), noise_of(5), rngs_of(5)
    sample = noise
    for t in scheduler.timesteps:
        fresh = torch.stack([torch.randn(1, 3, generator=rng) for rng in rngs])
        clean = denoise(sample, t.expand(5))
        sample = scheduler.step(clean, t, sample, eta=eta, variance_noise=fresh).prev_sample
    *_, ours = sample_ddim(denoise, noise, LINEAR, steps, eta=eta, rngs=rngs_of(5))
    assert torch.allclose(ours, sample, atol=5e-4)
    *_, without = sample_ddim(denoise, noise, LINEAR, steps)
    assert (without - ours).abs().max() > 0.05


def pairwise(rows: Tensor) -> float:
    return float(torch.pdist(rows.flatten(1)).mean())


def clusters(rows: Tensor) -> Sequence[Tensor]:
    nearest = (rows[:, None] - CENTRES).flatten(2).norm(dim=2).argmin(1)
    return [rows[nearest == place] for place in (0, 1)]


@pytest.mark.parametrize("schedule", [KARRAS, LINEAR], ids=["karras", "linear"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_samples_of_an_exact_denoiser_are_spread_as_the_data_are(schedule: Schedule, eta: float) -> None:
    count = 1500
    rngs = rngs_of(count) if eta else []
    *_, samples = sample_ddim(posterior_mean(schedule), noise_of(count), schedule, 100, eta=eta, rngs=rngs)
    chosen = torch.randint(2, (count,), generator=torch.Generator().manual_seed(8))
    data = CENTRES[chosen] + WIDTH * noise_of(count, seed=9)
    assert pairwise(samples) == pytest.approx(pairwise(data), rel=0.1)
    for made, real in zip(clusters(samples), clusters(data), strict=True):
        assert 0.42 < len(made) / count < 0.58
        assert pairwise(made) == pytest.approx(pairwise(real), rel=0.1)


def test_a_sample_depends_on_its_own_random_numbers_alone() -> None:
    *_, together = sample_ddim(posterior_mean(KARRAS), noise_of(4), KARRAS, 20, eta=1.0, rngs=rngs_of(4))
    *_, alone = sample_ddim(posterior_mean(KARRAS), noise_of(4)[2:3], KARRAS, 20, eta=1.0, rngs=rngs_of(4)[2:3])
    assert torch.allclose(together[2:3], alone, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_trajectory_shows_the_noisy_latents_that_each_estimate_is_made_from(eta: float) -> None:
    denoise, noise = posterior_mean(KARRAS), noise_of(3)
    walked = list(trajectory(denoise, noise, KARRAS, 12, eta=eta, rngs=rngs_of(3)))
    assert torch.equal(walked[0][0], noise)
    for (noisy, clean), sigma in zip(walked, KARRAS.times(12), strict=True):
        assert torch.equal(clean, denoise(noisy, torch.full((3,), sigma)))
    estimates = list(sample_ddim(denoise, noise, KARRAS, 12, eta=eta, rngs=rngs_of(3)))
    assert all(torch.equal(one, clean) for one, (_, clean) in zip(estimates, walked, strict=True))

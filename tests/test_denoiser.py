"""The 1D UNet."""

import pytest
import torch

from wildpdiff.generator.denoiser import Denoiser, DenoiserConfig
from wildpdiff.generator.diffusion import NoiseSchedule, diffusion_loss

CONFIG = DenoiserConfig(condition_dim=6, channels=4, length=16, widths=(8, 16), embedding=12)


def lively() -> Denoiser:
    """A denoiser whose every weight matters."""
    torch.manual_seed(0)
    denoiser = Denoiser(CONFIG)
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.normal_(std=0.2)
    return denoiser


def inputs(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    t = torch.randint(1000, (count,), generator=rng)
    return torch.randn(count, 4, 16, generator=rng), t, torch.randn(count, 6, generator=rng)


@pytest.mark.parametrize("config", [CONFIG, DenoiserConfig(512), DenoiserConfig(512, channels=16, length=128)])
def test_an_estimate_has_the_latent_s_shape(config: DenoiserConfig) -> None:
    noisy = torch.randn(2, config.channels, config.length)
    out = Denoiser(config)(noisy, torch.tensor([0, 999]), torch.zeros(2, config.condition_dim))
    assert out.shape == noisy.shape


def test_a_batch_equals_one_by_one_with_different_timesteps() -> None:
    denoiser, (noisy, t, condition) = lively(), inputs(5)
    assert t.unique().numel() == 5
    alone = torch.cat([denoiser(noisy[i : i + 1], t[i : i + 1], condition[i : i + 1]) for i in range(5)])
    assert torch.allclose(denoiser(noisy, t, condition), alone, atol=1e-4, rtol=1e-4)


def test_timestep_and_condition_both_change_the_estimate() -> None:
    denoiser, (noisy, t, condition) = lively(), inputs(3)
    base = denoiser(noisy, t, condition)
    assert (denoiser(noisy, 999 - t, condition) - base).abs().max() > 1e-3
    assert (denoiser(noisy, t, -condition) - base).abs().max() > 1e-3


def test_no_condition_is_the_learned_null_condition() -> None:
    denoiser, (noisy, t, condition) = lively(), inputs(3)
    assert torch.equal(denoiser(noisy, t), denoiser(noisy, t, denoiser.unconditional(3)))
    assert not torch.allclose(denoiser(noisy, t), denoiser(noisy, t, condition))


def test_every_output_sees_the_whole_latent() -> None:
    denoiser, (noisy, t, condition) = lively(), inputs(1)
    for position in range(CONFIG.length):
        noisy.requires_grad_()
        (gradient,) = torch.autograd.grad(denoiser(noisy, t, condition)[0, :, position].sum(), noisy)
        assert (gradient.abs().sum(1) > 0).all()


def test_every_parameter_of_the_denoiser_gets_a_gradient() -> None:
    denoiser, (latents, _, condition) = lively(), inputs(16)
    rng = torch.Generator().manual_seed(0)
    diffusion_loss(denoiser, latents, condition, NoiseSchedule(), rng, condition_dropout=0.5).backward()
    missing = [n for n, p in denoiser.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert missing == []


def test_conditions_are_seen_at_unit_scale_wherever_they_lie() -> None:
    near, far, (noisy, t, condition) = lively(), lively(), inputs(8)
    near.fit_conditions(condition[:, None])
    far.fit_conditions(0.01 * condition[:, None] + 3)
    moved = far(noisy, t, 0.01 * condition + 3)
    assert torch.allclose(near(noisy, t, condition), moved, atol=1e-2, rtol=1e-2)


def test_a_length_that_cannot_be_halved_is_refused() -> None:
    with pytest.raises(ValueError, match="halved"):
        DenoiserConfig(6, length=18, widths=(8, 8, 8))

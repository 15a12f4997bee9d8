"""The codec and its baseline."""

import pytest
import torch

from wildpdiff.generator.vae import AdapterVAE, PCACodec, Posterior, VAECodec, VAEConfig, principal_directions, vae_loss
from wildpdiff.network.adapter import AdapterLayout

CONFIG = VAEConfig(dim=203, chunks=8, channels=4, width=8, depth=1)


def rows_of_rank(rank: int, count: int = 40, dim: int = 203) -> torch.Tensor:
    rng = torch.Generator().manual_seed(rank)
    return torch.randn(count, rank, generator=rng) @ torch.randn(rank, dim, generator=rng)


def reconstruct(vae: AdapterVAE, rows: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return vae.decode(vae.encode(rows).mean)


def random_vae(config: VAEConfig = CONFIG) -> AdapterVAE:
    torch.manual_seed(0)
    vae = AdapterVAE(config)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.normal_(std=0.3)
    return vae


@pytest.mark.parametrize("config", [CONFIG, VAEConfig(dim=65_580, chunks=128, channels=16), VAEConfig(dim=65_580)])
def test_rows_and_latents_have_the_promised_shapes(config: VAEConfig) -> None:
    vae = AdapterVAE(config)
    posterior = vae.encode(torch.zeros(2, config.dim))
    assert posterior.mean.shape == posterior.log_variance.shape == (2, config.channels, config.chunks)
    assert vae.decode(posterior.mean).shape == (2, config.dim)


def test_a_latent_of_half_the_paper_s_length_takes_less_than_a_million_and_a_half_numbers() -> None:
    config = VAEConfig(dim=65_580)
    assert config.channels * config.chunks == 2048 // 2
    assert sum(parameter.numel() for parameter in AdapterVAE(config).parameters()) < 1.5e6


@pytest.mark.parametrize("count", [1, 3, 12, 40, 400])
def test_training_starts_at_a_codec_that_keeps_all_of_simple_rows(count: int) -> None:
    rows = rows_of_rank(CONFIG.channels, count)
    vae = AdapterVAE(CONFIG)
    vae.init_from(rows)
    assert torch.allclose(reconstruct(vae, rows), rows, atol=1e-3)
    assert vae.encode(rows).mean.square().mean().sqrt().item() == pytest.approx(1, abs=0.05)


def test_training_starts_at_the_best_linear_codec_of_every_chunk() -> None:
    rows = rows_of_rank(30, 60)
    vae = AdapterVAE(CONFIG)
    vae.init_from(rows)
    chunk = rows[:, : CONFIG.chunk]
    lost = torch.linalg.svdvals(chunk)[CONFIG.channels :].square().sum()
    error = (reconstruct(vae, rows) - rows)[:, : CONFIG.chunk].square().sum()
    assert error.item() == pytest.approx(lost.item(), rel=1e-3)


def test_at_the_start_it_keeps_more_than_a_pca_of_the_same_size() -> None:
    rng = torch.Generator().manual_seed(5)
    rows = torch.randn(100, 2000, generator=rng) + 3 * rows_of_rank(20, 100, 2000)
    vae = AdapterVAE(VAEConfig(dim=2000, chunks=8, channels=16, width=4, depth=0))
    vae.init_from(rows)
    codec = PCACodec.fit(rows, sum(parameter.numel() for parameter in vae.parameters()) // rows.shape[1] - 1)
    assert codec.basis.shape[1] == 15
    ours, theirs = reconstruct(vae, rows), codec.decode(codec.encode(rows))
    assert (ours - rows).square().sum() < (theirs - rows).square().sum()


def test_rows_that_are_all_zero_do_no_harm() -> None:
    vae = AdapterVAE(CONFIG)
    vae.init_from(torch.zeros(3, 203))
    assert all(parameter.isfinite().all() for parameter in vae.state_dict().values())
    assert reconstruct(vae, torch.zeros(1, 203)).abs().max() == 0


def test_a_row_is_coded_alike_alone_and_in_a_batch() -> None:
    vae, rows = random_vae(), rows_of_rank(10)
    alone = torch.cat([reconstruct(vae, row[None]) for row in rows])
    assert torch.allclose(reconstruct(vae, rows), alone, atol=1e-3, rtol=1e-3)


def test_every_parameter_of_the_codec_gets_a_gradient() -> None:
    vae = random_vae()
    vae_loss(vae, rows_of_rank(10), torch.Generator().manual_seed(0)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in vae.parameters())


def test_the_loss_is_zero_for_a_perfect_codec_without_noise_and_grows_with_noise() -> None:
    rows = rows_of_rank(CONFIG.channels)
    losses = []
    for noise in (0.0, 0.1, 0.5):
        vae = AdapterVAE(VAEConfig(203, 8, 4, 8, 1, input_noise=0.0, latent_noise=noise, kl_weight=0.0))
        vae.init_from(rows)
        torch.nn.init.constant_(vae.log_variance.bias, -20)
        losses.append(vae_loss(vae, rows, torch.Generator().manual_seed(0)).item())
    assert losses[0] < 1e-4 < losses[1] < losses[2]


def test_a_posterior_samples_around_its_mean_with_its_variance() -> None:
    posterior = Posterior(torch.full((1, 1, 20_000), 3.0), torch.full((1, 1, 20_000), 0.25).log())
    sample = posterior.sample(torch.randn(1, 1, 20_000, generator=torch.Generator().manual_seed(0)))
    assert sample.mean() == pytest.approx(3, abs=0.02)
    assert sample.std() == pytest.approx(0.5, abs=0.02)


def test_the_divergence_from_the_standard_normal_equals_torch_s() -> None:
    mean, log_variance = torch.randn(2, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal
    truth = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).mean()
    assert Posterior(mean, log_variance).kl() == pytest.approx(truth.item(), rel=1e-5)


def test_latents_of_the_diffusion_are_centred_at_unit_scale_and_decode_the_same() -> None:
    vae, rows = random_vae(), rows_of_rank(10)
    vae.fit_latents(rows)
    with torch.no_grad():
        latents = vae.encode_standard(rows)
        assert latents.mean(0).abs().max() < 1e-3
        assert latents.square().mean().sqrt() == pytest.approx(1, abs=1e-3)
        assert torch.allclose(vae.decode_standard(latents), reconstruct(vae, rows), atol=1e-2, rtol=1e-3)


def test_the_paper_s_codec_takes_raw_rows_of_any_scale_and_gives_them_back() -> None:
    codec, layout = VAECodec(CONFIG), AdapterLayout(("a", "b"), ((103,), (100,)))
    rows = 7 + torch.cat([1e-3 * rows_of_rank(3)[:, :103], 40 * rows_of_rank(4)[:, 103:]], dim=1)
    with torch.no_grad():
        unit = codec.standardize(rows, layout)
        assert unit[:, :103].std().item() == pytest.approx(unit[:, 103:].std().item(), rel=0.2)
        codec.vae.init_from(unit)
        codec.vae.fit_latents(unit)
        latents = codec.encode(rows)
        assert latents.shape == (40, *codec.shape) == (40, CONFIG.channels, CONFIG.chunks)
        assert latents.square().mean().sqrt() == pytest.approx(1, abs=1e-3)
        lost = (codec.decode(latents) - rows).norm(dim=1) / (rows - rows.mean(0)).norm(dim=1)
    assert lost.max() < 0.05


@pytest.mark.parametrize("count", [5, 300])
def test_principal_directions_are_those_of_the_singular_value_decomposition(count: int) -> None:
    rows = rows_of_rank(60, count, 50)
    basis = principal_directions(rows, 5)
    truth = torch.linalg.svd(rows, full_matrices=False).Vh[:5].T
    assert torch.allclose(basis.T @ basis, torch.eye(5), atol=1e-4)
    assert torch.allclose(basis @ basis.T, truth @ truth.T, atol=1e-3)


def test_the_pca_codec_is_perfect_when_it_may_be() -> None:
    rows = rows_of_rank(6) + 4
    codec = PCACodec.fit(rows, 7)
    assert torch.allclose(codec.decode(codec.encode(rows)), rows, atol=1e-2)

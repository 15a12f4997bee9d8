"""The denoiser of residuals: its preconditioning, its measures and its loss."""

import pytest
import torch
from torch import Tensor

from wildpdiff.generator.diffusion import KarrasSchedule, sample_ddim
from wildpdiff.generator.residual import ResidualConfig, ResidualDenoiser, residual_loss

CONFIG = ResidualConfig(condition_dim=5, length=8, mean_width=24, width=32, depth=2)


def random_denoiser(seed: int = 0) -> ResidualDenoiser:
    """A denoiser in which every weight is at work."""
    torch.manual_seed(seed)
    denoiser = ResidualDenoiser(CONFIG)
    with torch.no_grad():
        for parameter in denoiser.parameters():
            parameter.normal_(std=0.2)
    denoiser.fit_conditions(conditions(50, seed=8))
    denoiser.centre.normal_()
    return denoiser.eval()


def conditions(count: int, *, seed: int = 1) -> Tensor:
    return 3 + 0.7 * torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def unit(count: int, *, seed: int = 2) -> Tensor:
    return torch.randn(count, 1, 8, generator=torch.Generator().manual_seed(seed))


def differences(count: int = 300, *, rank: int = 8) -> Tensor:
    """Correlated differences of very different widths, around zero."""
    rng = torch.Generator().manual_seed(3)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=rng)).Q[:, :rank]
    return (torch.randn(count, rank, generator=rng) * 0.4 ** torch.arange(rank)) @ turn.T


class Network(ResidualDenoiser):
    """A denoiser whose network is a function that the test writes down; it keeps what it was asked."""

    def __init__(self, answer: object) -> None:
        super().__init__(CONFIG)
        self.answer, self.asked = answer, []

    def network(self, noisy: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        self.asked.append((noisy, sigma, condition))
        return self.answer(noisy, sigma)  # type: ignore[operator]


def rates(sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Factors on signal and noise, in double precision: 1 / sqrt(1 + sigma^2) and sigma / sqrt(1 + sigma^2)."""
    square = sigma.double().square().view(-1, 1, 1)
    return (1 / (1 + square)).sqrt(), (square / (1 + square)).sqrt()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_the_lowest_noise_a_residual_comes_back_whatever_the_network_says(seed: int) -> None:
    denoiser, clean, noise = random_denoiser(seed), unit(100), unit(100, seed=9)
    sigma = torch.full((100,), KarrasSchedule().smallest)
    signal, spread = KarrasSchedule().rates(sigma)
    noisy = signal * clean + spread * noise
    with torch.no_grad():
        said = denoiser.network(noisy, sigma, conditions(100))
        back = denoiser(noisy, sigma, conditions(100))
    assert said.square().mean().sqrt() > 0.3
    assert (back - clean).square().mean().sqrt() < 0.02


def test_at_the_highest_noise_the_estimate_is_what_the_network_says() -> None:
    denoiser, noise = random_denoiser(), unit(50)
    sigma = torch.full((50,), KarrasSchedule().largest)
    with torch.no_grad():
        estimate = denoiser(noise, sigma, conditions(50))
        assert (estimate - denoiser.network(noise, sigma, conditions(50))).abs().max() < 0.06


def test_an_untrained_denoiser_keeps_of_its_input_what_unit_data_would_be() -> None:
    denoiser, noisy = ResidualDenoiser(CONFIG), unit(3)
    sigma = torch.tensor([0.1, 1.0, 10.0])
    assert torch.allclose(denoiser(noisy, sigma), noisy * rates(sigma)[0].float(), atol=1e-6)


def test_placing_a_residual_is_the_inverse_of_taking_it() -> None:
    denoiser, condition, latents = random_denoiser(), conditions(20), 4 * unit(20)
    denoiser.fit_residuals(differences())
    with torch.no_grad():
        assert torch.allclose(denoiser.place(denoiser.residuals(latents, condition), condition), latents, atol=1e-4)


def test_directions_that_rows_do_not_span_are_left_at_the_mean() -> None:
    denoiser, condition = random_denoiser(), conditions(300)
    inside = differences(rank=3)
    denoiser.fit_residuals(inside)
    span = torch.linalg.svd(inside, full_matrices=False).Vh[:3]
    away = unit(300)[:, 0] - unit(300)[:, 0] @ span.T @ span
    with torch.no_grad():
        mean = denoiser.mean(condition)
        back = denoiser.place(denoiser.residuals(mean + (inside + away)[:, None], condition), condition)
        assert torch.allclose(back, mean + inside[:, None], atol=1e-4)
        placed = (denoiser.place(unit(300, seed=4), condition) - mean)[:, 0]
        assert (placed - placed @ span.T @ span).abs().max() < 1e-3 < placed.abs().max()


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_measured_residuals_have_unit_scale_and_keep_the_roots_of_their_widths(rank: int, scale: float) -> None:
    denoiser, condition = random_denoiser(), torch.zeros(300, 5)
    given = scale * differences(rank=rank)
    denoiser.fit_residuals(given)
    residuals = given @ denoiser.whiten
    assert residuals.square().mean().item() == pytest.approx(1, rel=1e-3)
    products = residuals.T @ residuals / 300
    assert (products - products.diag().diag()).abs().max() < 1e-2 * products.diag().max()
    before = torch.linalg.svdvals(given)[:rank]
    after = products.diag().sort(descending=True).values[:rank]
    # Widths are singular values; dividing by their square roots leaves variances that are as they were as widths.
    assert torch.allclose(after / after[0], before / before[0], atol=1e-2)
    with torch.no_grad():
        latents = denoiser.mean(condition) + given[:, None]
        assert denoiser.residuals(latents, condition).square().mean().item() == pytest.approx(1, rel=1e-2)


def test_rows_without_any_spread_give_residuals_of_zero_and_samples_at_the_mean() -> None:
    denoiser, condition = random_denoiser(), conditions(4)
    denoiser.fit_residuals(torch.zeros(20, 8))
    with torch.no_grad():
        mean = denoiser.mean(condition)
        assert denoiser.residuals(mean + 0.1, condition).abs().max() == 0
        *_, clean = sample_ddim(lambda x, t: denoiser(x, t, condition), unit(4), KarrasSchedule(), 10)
        assert clean.isfinite().all()
        assert torch.equal(denoiser.place(clean, condition), mean)


def test_a_guidance_of_zero_is_the_centre_and_one_is_the_condition_s_mean() -> None:
    denoiser, condition = random_denoiser(), conditions(6)
    with torch.no_grad():
        full, none, half = (denoiser.mean(condition, guidance) for guidance in (1.0, 0.0, 0.5))
        assert torch.allclose(none, denoiser.centre.expand(6, 1, 8), atol=1e-6)
        assert torch.allclose(full, denoiser.mean(condition), atol=1e-6)
        assert torch.allclose(half, (full + none) / 2, atol=1e-6)
        assert (full - full[:1])[1:].abs().max() > 0.1


def test_conditions_are_measured_to_unit_scale_around_zero() -> None:
    denoiser, embeddings = ResidualDenoiser(CONFIG), conditions(40).view(10, 4, 5)
    denoiser.fit_conditions(embeddings)
    standard = (embeddings - denoiser.condition_mean) / denoiser.condition_scale
    assert standard.mean((0, 1)).abs().max() < 1e-5
    assert standard.square().mean().item() == pytest.approx(1, rel=1e-4)
    denoiser.fit_conditions(torch.ones(3, 2, 5))
    assert denoiser.mean(torch.ones(1, 5)).isfinite().all()


def test_a_dropped_condition_is_no_condition() -> None:
    denoiser, noisy, sigma = random_denoiser(), unit(6), torch.linspace(0.01, 30, 6)
    with torch.no_grad():
        none = denoiser(noisy, sigma)
        assert torch.equal(denoiser(noisy, sigma, denoiser.unconditional(6)), none)
        some = conditions(6)
        some[::2] = float("nan")
        mixed, told = denoiser(noisy, sigma, some), denoiser(noisy, sigma, conditions(6))
    assert torch.allclose(mixed[::2], none[::2], atol=1e-6)
    assert torch.allclose(mixed[1::2], told[1::2], atol=1e-6)
    assert (told - none).abs().amax((1, 2)).min() > 1e-4


def test_a_batch_is_estimated_as_its_residuals_one_by_one() -> None:
    denoiser, noisy, sigma, condition = random_denoiser(), unit(7), torch.logspace(-2, 1.8, 7), conditions(7)
    with torch.no_grad():
        together = denoiser(noisy, sigma, condition)
        alone = [denoiser(noisy[i : i + 1], sigma[i : i + 1], condition[i : i + 1]) for i in range(7)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_every_parameter_gets_a_gradient() -> None:
    denoiser, condition = random_denoiser().train(), conditions(40)
    loss = residual_loss(denoiser, unit(40), condition, torch.Generator().manual_seed(0), condition_dropout=0.5)
    (loss + denoiser.mean(condition).square().mean()).backward()
    for name, parameter in denoiser.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_the_loss_is_zero_for_a_network_that_adds_just_what_the_skipped_input_lacks() -> None:
    """The estimate is signal * noisy + spread * network; it is the clean residual for the network that is below."""
    clean = unit(200)

    def lacking(noisy: Tensor, sigma: Tensor) -> Tensor:
        signal, spread = rates(sigma)
        return ((clean.double() - signal * noisy.double()) / spread).float()

    denoiser = Network(lacking)
    loss = residual_loss(denoiser, clean, conditions(200), torch.Generator().manual_seed(0))
    assert loss.item() < 1e-6
    ((noisy, sigma, _),) = denoiser.asked
    assert torch.allclose(denoiser(noisy, sigma), clean, atol=1e-4)


def test_the_loss_is_the_estimate_s_error_over_its_noise() -> None:
    clean, condition = unit(300), conditions(300)
    denoiser = Network(lambda noisy, sigma: 0.3 * noisy - 0.1 * sigma.tanh().view(-1, 1, 1))
    loss = residual_loss(denoiser, clean, condition, torch.Generator().manual_seed(1))
    ((noisy, sigma, _),) = denoiser.asked
    wrong = (denoiser(noisy, sigma, condition) - clean).double() / rates(sigma)[1]
    assert loss.item() == pytest.approx(wrong.square().mean().item(), rel=1e-3)


def test_levels_are_log_normal_inputs_keep_unit_variance_and_conditions_are_dropped_as_often_as_asked() -> None:
    denoiser = Network(lambda noisy, sigma: torch.zeros_like(noisy))
    rng = torch.Generator().manual_seed(2)
    residual_loss(denoiser, unit(20_000), conditions(20_000), rng, condition_dropout=0.3, middle=-0.5, width=1.5)
    ((noisy, sigma, condition),) = denoiser.asked
    assert condition is not None
    assert sigma.log().mean().item() == pytest.approx(-0.5, abs=0.05)
    assert sigma.log().std().item() == pytest.approx(1.5, abs=0.05)
    assert noisy.square().mean().item() == pytest.approx(1, abs=0.02)
    dropped = condition.isnan().all(1)
    assert 0.28 < dropped.float().mean() < 0.32
    assert torch.equal(condition[~dropped], conditions(20_000)[~dropped])


@pytest.mark.parametrize("variance", [0.2, 1.0, 4.0])
def test_the_loss_is_lowest_for_the_posterior_mean_of_a_gaussian(variance: float) -> None:
    """Bayes: the mean of a clean residual is signal * variance / (signal^2 * variance + spread^2) times the noisy one,
    and its variance is variance * spread^2 / (signal^2 * variance + spread^2)."""
    clean = variance**0.5 * unit(20_000)

    def loss(turn: float) -> tuple[float, float]:
        def answer(noisy: Tensor, sigma: Tensor) -> Tensor:
            signal, spread = rates(sigma)
            posterior = signal * variance / (signal.square() * variance + spread.square())
            return (((posterior - signal) / spread + turn) * noisy).float()

        denoiser = Network(answer)
        found = residual_loss(denoiser, clean, conditions(20_000), torch.Generator().manual_seed(3))
        signal, spread = rates(denoiser.asked[0][1])
        return found.item(), (variance / (signal.square() * variance + spread.square())).mean().item()

    best, expected = loss(0.0)
    assert best == pytest.approx(expected, rel=0.02)
    assert min(loss(0.1)[0], loss(-0.1)[0]) > best

"""Samples of a condition differ as its fine-tuned rows do: the oracle is a zoo whose spread is known."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wildpdiff.bundle import Bundle
from wildpdiff.generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from wildpdiff.generator.recipe import PLAIN, GeneratorRecipe
from wildpdiff.generator.train import train_generator
from wildpdiff.network.adapter import AdapterLayout

pytestmark = pytest.mark.slow  # trainings

LAYOUT = AdapterLayout(("a", "b"), ((4, 5), (20,)))
BUNDLE = Path(__file__).parents[1] / "assets" / "savanna"
RECIPE = GeneratorRecipe(denoiser_steps=1000, mean_steps=300, ema=0.99)
RUNS, ROWS = 8, 12
#: Half the distance of a condition's two clusters, the width of a cluster, and of a run within it.
APART, WIDE, TIGHT = 1.0, 0.4, 0.05


@dataclass(frozen=True)
class Toy:
    """Two conditions of two clusters each, all in orthonormal directions: one between the conditions, one between the
    clusters of each, and three that a cluster's runs differ in."""

    directions: Tensor
    far: float

    @classmethod
    def of(cls, within_share: float) -> "Toy":
        """A zoo of whose variance the differences within a condition are that share."""
        rng = torch.Generator().manual_seed(1)
        within = APART**2 + 3 * WIDE**2
        return cls(
            torch.linalg.qr(torch.randn(LAYOUT.dim, 6, generator=rng)).Q.T, (within * (1 / within_share - 1)) ** 0.5
        )

    def centre(self, condition: int, cluster: int) -> Tensor:
        side = (-1) ** cluster * APART * self.directions[1 + condition]
        return (-1) ** condition * self.far * self.directions[0] + side

    def starts(self, condition: int, cluster: int, count: int, rng: torch.Generator) -> Tensor:
        return self.centre(condition, cluster) + WIDE * torch.randn(count, 3, generator=rng) @ self.directions[3:]

    def runs(self, condition: int, cluster: int, *, seed: int) -> Tensor:
        """Rows of a cluster's runs `[RUNS * ROWS, D]`: each run a thread much shorter than the cluster is wide."""
        rng = torch.Generator().manual_seed(seed + 10 * condition + cluster)
        starts = self.starts(condition, cluster, RUNS, rng)
        headings = TIGHT * torch.randn(RUNS, 3, generator=rng) @ self.directions[3:]
        along = torch.linspace(-1.5, 1.5, ROWS)
        return (starts[:, None] + along[:, None] * headings[:, None]).flatten(0, 1)

    def zoo(self) -> tuple[Tensor, Tensor]:
        """All rows, and the condition of each."""
        rows = torch.cat([self.runs(condition, cluster, seed=100) for condition in (0, 1) for cluster in (0, 1)])
        return rows, torch.arange(2).repeat_interleave(2 * RUNS * ROWS)

    def fresh(self, condition: int, count: int) -> Tensor:
        """Draws that no generator was shown."""
        rng = torch.Generator().manual_seed(7 + condition)
        return torch.cat([self.starts(condition, cluster, count // 2, rng) for cluster in (0, 1)])


def embeddings(conditions: int = 2) -> Tensor:
    """Four views of each condition, `[Q, 4, 6]`."""
    rng = torch.Generator().manual_seed(2)
    return torch.eye(conditions, 6)[:, None] + 0.02 * torch.randn(conditions, 4, 6, generator=rng)


def trained(rows: Tensor, index: Tensor, recipe: GeneratorRecipe, *, plain: bool = False) -> AdapterGenerator:
    config = GeneratorConfig.of(LAYOUT, condition=ConditionConfig("toy", 6), backbone_fingerprint="toy", components=8)
    generator = AdapterGenerator.untrained(config.plain() if plain else config)
    for _ in train_generator(generator, rows, embeddings(int(index.max()) + 1), index, recipe):
        pass
    return generator


def sampled(generator: AdapterGenerator, condition: int, count: int = 200, *, eta: float = 0.0) -> Tensor:
    return generator.generate(embeddings()[condition, :1].expand(count, -1), eta=eta)


def mean_distance(rows: Tensor) -> float:
    return float(torch.pdist(rows).mean())


@lru_cache(maxsize=1)
def faithful() -> AdapterGenerator:
    return trained(*Toy.of(0.01).zoo(), RECIPE)


def test_the_zoo_is_what_it_claims_to_be() -> None:
    toy = Toy.of(0.01)
    rows, index = toy.zoo()
    means = torch.stack([rows[index == condition].mean(0) for condition in (0, 1)])[index]
    share = (rows - means).square().sum() / (rows - rows.mean(0)).square().sum()
    assert 0.005 < share < 0.015
    for condition in (0, 1):
        own = rows[index == condition]
        assert mean_distance(own) == pytest.approx(mean_distance(toy.fresh(condition, 400)), rel=0.1)
        assert mean_distance(own[:ROWS]) < 0.2 * mean_distance(own)


@pytest.mark.slow
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("condition", [0, 1])
def test_samples_are_spread_as_fresh_rows_are_and_found_in_every_cluster(condition: int, eta: float) -> None:
    toy, samples = Toy.of(0.01), sampled(faithful(), condition, eta=eta)
    assert 0.8 < mean_distance(samples) / mean_distance(toy.fresh(condition, 200)) < 1.25
    centres = torch.stack([toy.centre(place, cluster) for place in (0, 1) for cluster in (0, 1)])
    distance = torch.cdist(samples, centres)
    counts = distance.argmin(1).bincount(minlength=4) / len(samples)
    assert counts[2 * condition : 2 * condition + 2].min() >= 0.25
    assert counts.sum() == counts[2 * condition : 2 * condition + 2].sum()
    # Between the clusters lies nothing: samples are rows, not averages of rows.
    assert (distance.min(1).values < 0.9 * APART).float().mean() > 0.8


@pytest.mark.slow
def test_samples_are_neither_one_adapter_nor_one_run() -> None:
    """A seed makes an adapter of its own, yet the same one each time."""
    samples = sampled(faithful(), 0, 50)
    assert torch.equal(samples, sampled(faithful(), 0, 50))
    rows, _ = Toy.of(0.01).zoo()
    runs = rows[: 2 * RUNS * ROWS].view(2 * RUNS, ROWS, -1)
    nearest = torch.cdist(samples, runs.mean(1)).argmin(1)
    assert nearest.unique().numel() >= RUNS
    assert torch.pdist(samples).min() > 0


@pytest.mark.slow
def test_the_paper_s_plain_form_collapses_on_the_same_zoo() -> None:
    toy = Toy.of(0.01)
    generator = trained(*toy.zoo(), replace(PLAIN, denoiser_steps=600), plain=True)
    for condition in (0, 1):
        samples = sampled(generator, condition)
        assert mean_distance(samples) / mean_distance(toy.fresh(condition, 200)) < 0.5
        # It has learned something all the same: samples lie with their condition.
        middle = (toy.centre(condition, 0) + toy.centre(condition, 1)) / 2
        assert (samples - middle).norm(dim=1).mean() < 0.2 * 2 * toy.far


SHORT = GeneratorRecipe(denoiser_steps=60, mean_steps=300)


@pytest.mark.parametrize("plain", [False, True], ids=["ours", "paper"])
def test_a_zoo_of_one_row_a_condition_is_learned_without_a_nan(plain: bool) -> None:
    rows = 5 * torch.randn(3, LAYOUT.dim, generator=torch.Generator().manual_seed(3))
    generator = trained(rows, torch.arange(3), SHORT, plain=plain)
    assert all(tensor.isfinite().all() for tensor in generator.state_dict().values())
    samples = generator.generate(embeddings(3)[:, 0].repeat_interleave(10, 0), steps=20)
    assert samples.isfinite().all()
    if not plain:
        assert (samples - rows.repeat_interleave(10, 0)).norm(dim=1).max() < 0.05 * torch.pdist(rows).min()


@pytest.mark.parametrize("plain", [False, True], ids=["ours", "paper"])
@pytest.mark.parametrize("count", [pytest.param(1, marks=pytest.mark.slow), 12])
def test_a_zoo_whose_rows_are_all_equal_gives_that_row(count: int, plain: bool) -> None:
    row = 5 * torch.randn(LAYOUT.dim, generator=torch.Generator().manual_seed(4))
    index = torch.arange(count) % 2
    generator = trained(row.expand(count, -1), index, replace(SHORT, mean_steps=30), plain=plain)
    assert all(tensor.isfinite().all() for tensor in generator.state_dict().values())
    for eta in (0.0, 1.0):
        samples = generator.generate(embeddings()[:1, 0].expand(10, -1), steps=20, eta=eta)
        assert torch.allclose(samples, row.expand(10, -1), atol=1e-3)


@lru_cache(maxsize=1)
def stored() -> Bundle:
    return Bundle.open(BUNDLE)


@pytest.mark.parametrize("regime", [*(pytest.param(name, marks=pytest.mark.slow) for name in "LM"), "H"])
def test_samples_of_the_stored_bundle_are_spread_as_held_out_rows_are(regime: str) -> None:
    """What 0.3.1 could not do: its samples lay a twentieth as far apart as fine-tuned rows."""
    bundle = stored()
    generator, zoo, ratios = bundle.generator(regime), bundle.zoo(regime), {}
    for location in bundle.seen:
        *_, latents = generator.path(bundle.embedding(location).expand(32, -1), seed=0)
        held_out = zoo.coded(location, "held_out")
        assert len(held_out) >= 8
        ratios[location] = mean_distance(latents[:, 0].cpu()) / mean_distance(held_out)
    assert len(ratios) == 10
    assert all(0.75 <= ratio <= 1.2 for ratio in ratios.values()), {name: round(x, 2) for name, x in ratios.items()}

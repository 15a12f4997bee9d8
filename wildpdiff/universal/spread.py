"""The distribution on top of the map: what it would write of a place, if it had seen more of it.

The map writes one mean for what is known. Of a training place it can be told more, many pictures and photographs, and
then writes something else. A small diffusion model learns that difference, given the little that is known, so a
sample's distance from the mean is what one cannot know yet of the place; the more pictures, the less is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from ..generator.diffusion import KarrasSchedule, sample_ddim
from ..training.loop import Step, cosine, rng_at

#: Share of the differences' variance that the kept directions hold together.
KEPT = 0.98


@dataclass(frozen=True)
class SpreadRecipe:
    """AdamW with cosine decay; `average` is the decay of the moving mean of the weights that is kept in the end."""

    steps: int = 3000
    batch_size: int = 128
    rate: float = 1e-3
    average: float = 0.998


class Spread(nn.Module):
    """Samples of differences `[N, C]` given inputs `[N, I]`: k whitened directions, and a denoiser in EDM's form."""

    directions: Tensor
    mean: Tensor

    def __init__(self, outputs: int, inputs: int, directions: int, hidden: int = 192) -> None:
        """A sampler that is not trained.

        Args:
            outputs: C, numbers in a difference.
            inputs: I, numbers that are known.
            directions: k.
            hidden: width of the denoiser.
        """
        super().__init__()
        self.register_buffer("directions", torch.zeros(directions, outputs))
        self.register_buffer("mean", torch.zeros(outputs))
        self.net = nn.Sequential(
            nn.Linear(directions + inputs + 1, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, directions),
        )

    @classmethod
    def of(cls, differences: Tensor, inputs: int, *, seed: int, hidden: int = 192) -> Spread:
        """One whose directions are fitted to differences `[N, C]`, so that along each they have about unit variance."""
        mean = differences.mean(dim=0)
        _, strengths, directions = torch.linalg.svd(differences - mean, full_matrices=False)
        share = strengths.square().cumsum(0) / strengths.square().sum()
        count = int((share < KEPT).sum()) + 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = cls(differences.shape[1], inputs, count, hidden)
        scale = strengths[:count] / (len(differences) - 1) ** 0.5
        made.directions.copy_(directions[:count] * scale[:, None])
        made.mean.copy_(mean)
        return made

    def whitened(self, differences: Tensor) -> Tensor:
        """Differences `[N, C]` along the directions, `[N, k]`."""
        lengths = self.directions.square().sum(dim=1)
        return (differences - self.mean) @ self.directions.T / lengths

    def denoise(self, noisy: Tensor, sigma: Tensor, inputs: Tensor) -> Tensor:
        """The estimate `[N, k]` of clean ones from `noisy` at unit variance, `sigma` `[N]` noise over signal."""
        column = sigma[:, None]
        skip, out = 1 / (1 + column.square()).sqrt(), column / (1 + column.square()).sqrt()
        told: Tensor = self.net(torch.cat([noisy, inputs, column.log() / 4], dim=1))
        return skip * noisy + out * told

    def learn(self, differences: Tensor, inputs: Tensor, recipe: SpreadRecipe, *, seed: int) -> Iterator[Step]:
        """Train in place.

        Args:
            differences: what the map wrote with more to go by, minus what it wrote, `[N, C]`.
            inputs: what was known, `[N, I]`.
            recipe: how long and how fast.
            seed: of batches and noise.
        """
        clean, schedule = self.whitened(differences), KarrasSchedule()
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=recipe.rate, weight_decay=0.01)
        average = torch.optim.swa_utils.AveragedModel(
            self.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average)
        )
        for index in range(recipe.steps):
            rng = rng_at(seed, index)
            drawn = torch.randint(len(clean), (recipe.batch_size,), generator=rng)
            sigma = (torch.randn(len(drawn), generator=rng) * 1.4 - 0.4).exp()
            sigma = sigma.clamp(schedule.smallest, schedule.largest)
            signal, noise = (rate.view(-1, 1) for rate in schedule.rates(sigma))
            noisy = signal * clean[drawn] + noise * torch.randn(clean[drawn].shape, generator=rng)
            out = sigma[:, None] / (1 + sigma[:, None].square()).sqrt()
            loss = mse_loss(self.denoise(noisy, sigma, inputs[drawn]) / out, clean[drawn] / out)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * cosine(index, recipe.steps, warmup=20)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            average.update_parameters(self.net)
            yield Step(index + 1, recipe.steps, loss.item())
        self.net.load_state_dict(average.module.state_dict())

    @torch.no_grad()
    def sample(self, inputs: Tensor, *, seed: int, steps: int = 20) -> Tensor:
        """One difference for each of N inputs, `[N, C]`; row i starts from the noise of seed + i.

        Args:
            inputs: what is known, `[N, I]`.
            seed: of the first one.
            steps: of DDIM.

        Raises:
            UserError: if `steps` is not possible.
        """
        shape = (1, len(self.directions))
        noise = torch.stack(
            [torch.randn(shape, generator=torch.Generator().manual_seed(seed + i)) for i in range(len(inputs))]
        )

        def denoise(noisy: Tensor, sigma: Tensor) -> Tensor:
            return self.denoise(noisy[:, 0], sigma, inputs)[:, None]

        *_, clean = sample_ddim(denoise, noise, KarrasSchedule(), steps)
        return clean[:, 0] @ self.directions + self.mean

"""What every training loop shares: randomness by step, the learning rate, and checkpoints."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from wildpdiff.errors import UserError
from wildpdiff.training.loop import Checkpoint, cosine, rng_at


def draw(seed: int, step: int) -> list[float]:
    return torch.rand(4, generator=rng_at(seed, step)).tolist()


def test_random_numbers_depend_on_seed_and_step_alone() -> None:
    torch.manual_seed(1)
    first = draw(3, 7)
    torch.rand(5)
    assert draw(3, 7) == first


def test_no_two_steps_or_seeds_share_random_numbers() -> None:
    drawn = [tuple(draw(seed, step)) for seed in range(-2, 6) for step in range(200)]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(
    ("step", "total", "warmup", "factor"),
    [
        (0, 10, 0, 1.0),
        (5, 10, 0, 0.5),
        (10, 10, 0, 0.0),
        (0, 10, 4, 0.25),
        (3, 10, 4, 1.0),
        (4, 10, 4, 1.0),
        (7, 10, 4, 0.5),
    ],
)
def test_the_rate_warms_up_and_falls_along_half_a_cosine(step: int, total: int, warmup: int, factor: float) -> None:
    assert cosine(step, total, warmup=warmup) == pytest.approx(factor, abs=1e-12)


def model_and_optimizer() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        loss = model(torch.randn(4, 3, generator=rng_at(0, step))).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_training_from_a_checkpoint_ends_bit_for_bit_where_the_whole_one_ends(tmp_path: Path) -> None:
    whole, optimizer = model_and_optimizer()
    train(whole, optimizer, range(9))
    part, optimizer = model_and_optimizer()
    train(part, optimizer, range(4))
    Checkpoint(tmp_path / "c.safetensors", part, optimizer).save(4)
    resumed, optimizer = model_and_optimizer()
    done = Checkpoint(tmp_path / "c.safetensors", resumed, optimizer).load()
    assert done == 4
    train(resumed, optimizer, range(done, 9))
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)


def test_nothing_saved_means_no_finished_steps(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path / "absent", *model_and_optimizer()).load() == 0


def _wider() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))


@pytest.mark.parametrize("other", [_wider, lambda: nn.Linear(3, 5)])
def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, other: Callable[[], nn.Module]) -> None:
    model, optimizer = model_and_optimizer()
    train(model, optimizer, range(1))
    Checkpoint(tmp_path / "c.safetensors", model, optimizer).save(1)
    stranger = other()
    with pytest.raises(UserError, match="another recipe"):
        Checkpoint(tmp_path / "c.safetensors", stranger, torch.optim.AdamW(stranger.parameters())).load()


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "c.safetensors", *model_and_optimizer())
    checkpoint.save(1)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:-20])
    with pytest.raises(UserError, match="damaged"):
        checkpoint.load()

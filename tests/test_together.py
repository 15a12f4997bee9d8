"""Fine-tuning several locations in one batched step, against one after the other."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.network.backbone import Backbone
from wildpdiff.training.finetune import FinetuneRecipe, finetune
from wildpdiff.training.together import faster_together, finetune_together
from wildpdiff.worlds.base import Images

RECIPE = FinetuneRecipe(converge=1, rows=2, interval=1, batch_size=3, learning_rate=1e-2, settled_rate=5e-3)
SEEDS = (5, 6)


@pytest.fixture(scope="module")
def images() -> list[Images]:
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (2, 9, 3, 32, 32), dtype=torch.uint8, generator=rng)
    return [Images(pixels[0], torch.arange(9)), Images(pixels[1, :7], torch.arange(7) + 9)]


@pytest.fixture(scope="module")
def starts(backbone: Backbone) -> Tensor:
    """Rows with no factor at zero, where rounding alone would decide which way AdamW goes first."""
    rng = torch.Generator().manual_seed(2)
    rows = torch.stack([backbone.subset.initial(backbone.network, rng) for _ in SEEDS])
    return rows + 0.02 * torch.randn(rows.shape, generator=rng)


@pytest.fixture(scope="module")
def together(backbone: Backbone, starts: Tensor, images: list[Images]) -> list[Tensor | None]:
    return [tuned.rows for tuned in finetune_together(backbone, starts, images, RECIPE, seeds=SEEDS)]


def test_rows_trained_together_are_those_trained_one_after_the_other(
    backbone: Backbone, starts: Tensor, images: list[Images], together: list[Tensor | None]
) -> None:
    assert [rows is not None for rows in together] == [False, True, True]
    for place, seed in enumerate(SEEDS):
        alone = [t.row for t in finetune(backbone, starts[place], images[place], RECIPE, seed=seed)]
        for ours, own in zip(together[1:], alone[1:], strict=True):
            assert ours is not None and own is not None
            moved = (own - starts[place]).norm()
            assert moved > 0.5
            assert (ours[place] - own).norm() < 0.02 * moved


def test_the_loss_of_a_step_is_the_mean_of_the_locations(
    backbone: Backbone, starts: Tensor, images: list[Images]
) -> None:
    both = next(finetune_together(backbone, starts, images, RECIPE, seeds=SEEDS)).step
    alone = [
        next(finetune(backbone, start, own, RECIPE, seed=seed)).step.loss
        for start, own, seed in zip(starts, images, SEEDS, strict=True)
    ]
    assert (both.index, both.total) == (1, 3)
    assert both.loss == pytest.approx(sum(alone) / 2, rel=1e-4)


def test_a_killed_run_goes_on_to_the_same_rows(
    backbone: Backbone, starts: Tensor, images: list[Images], together: list[Tensor | None], tmp_path: Path
) -> None:
    state = tmp_path / "state.safetensors"
    killed = finetune_together(backbone, starts, images, RECIPE, seeds=SEEDS, checkpoint=state, save_every=2)
    list(islice(killed, 3))
    resumed = finetune_together(backbone, starts, images, RECIPE, seeds=SEEDS, checkpoint=state, save_every=2)
    rest = list(resumed)
    assert [tuned.step.index for tuned in rest] == [3]
    assert rest[0].rows is not None and together[-1] is not None
    assert torch.equal(rest[0].rows, together[-1])


def test_unequal_numbers_of_rows_images_and_seeds_are_refused(
    backbone: Backbone, starts: Tensor, images: list[Images]
) -> None:
    for rows, own, seeds in ((starts, images[:1], SEEDS), (starts, images, (1,)), (starts[:0], [], ())):
        with pytest.raises(UserError, match="its own images"):
            next(finetune_together(backbone, rows, own, RECIPE, seeds=seeds))
    with pytest.raises(UserError, match="numbers"):
        next(finetune_together(backbone, starts[:, 1:], images, RECIPE, seeds=SEEDS))


def test_the_speed_compared_is_that_of_the_same_steps(
    backbone: Backbone, starts: Tensor, images: list[Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that counts a second a reading: J runs alone against one together is J to 1."""
    ticks = iter(range(100))
    monkeypatch.setattr("wildpdiff.training.together.time.perf_counter", lambda: float(next(ticks)))
    assert faster_together(backbone, starts, images, RECIPE, steps=1) == 2.0

"""Base, checkpoints and the rate: killed runs end with the same numbers; what teaches nothing is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pdiff_folder import TINY
from torch import Tensor
from torch.nn.functional import cross_entropy

from wildpdiff.errors import UserError
from wildpdiff.files import save_tensors
from wildpdiff.pdiff.base import train_base
from wildpdiff.pdiff.checkpoints import Checkpoints, fine_tune, gentle_rate, grow, shown, usable
from wildpdiff.pdiff.choice import subset_of
from wildpdiff.pdiff.networks import network_of
from wildpdiff.pdiff.own import buffer_notes, read_zoo
from wildpdiff.pdiff.pictures import Pictures
from wildpdiff.pdiff.recipe import (
    OPTIMIZERS,
    PAPER,
    QUICK,
    RATES,
    BaseRecipe,
    Recipe,
    RowsRecipe,
    ordered,
    recipe_named,
)
from wildpdiff.pdiff.shared import Shared
from wildpdiff.pdiff.sources import pictures_of
from wildpdiff.training.loop import Step

ROWS = RowsRecipe(runs=2, rows=6, interval=2, settle=1, rate=1e-3, batch=16, held_out=3)


@pytest.fixture(scope="module")
def digits() -> Pictures:
    return pictures_of("digits", 32)


@pytest.fixture(scope="module")
def shared(digits: Pictures) -> Shared:
    """A trained network of which rows stand for everything."""
    network = network_of("mlp-mini", 10, 32)
    for _ in train_base(network, digits, BaseRecipe(steps=120, batch=64), seed=0):
        pass
    return Shared(network, subset_of(network, "all"))


def last(steps: object) -> Tensor:
    *_, (_, rows) = steps  # type: ignore[misc]
    return rows


def test_a_killed_training_of_the_base_ends_with_the_same_weights(digits: Pictures, tmp_path: Path) -> None:
    """Of a network with batch norms and dropout, whose statistics and draws have to go on, too."""
    from torch import nn

    def fresh() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return nn.Sequential(
                nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(256, 10)
            )

    recipe, part = BaseRecipe(steps=8, batch=8), tmp_path / "part.safetensors"
    whole, first, second = fresh(), fresh(), fresh()
    for _ in train_base(whole, digits, recipe, seed=1):
        pass
    import wildpdiff.pdiff.base as module

    kept, module.SAVE_EVERY = module.SAVE_EVERY, 3
    try:
        begun = train_base(first, digits, recipe, seed=1, checkpoint=part)
        for _ in range(5):
            next(begun)
        begun.close()  # type: ignore[attr-defined]
        for _ in train_base(second, digits, recipe, seed=1, checkpoint=part):
            pass
    finally:
        module.SAVE_EVERY = kept
    assert not whole.training
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in second.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_killed_run_goes_on_with_the_same_rows(
    optimizer: str, shared: Shared, digits: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildpdiff.pdiff.checkpoints.SAVE_EVERY", 4)
    recipe, start = replace(ROWS, optimizer=optimizer), torch.zeros(shared.layout.dim)
    whole = last(fine_tune(shared, start, digits, recipe, 1e-3, seed=5)).clone()
    part = tmp_path / "part.safetensors"
    begun = fine_tune(shared, start, digits, recipe, 1e-3, seed=5, checkpoint=part)
    for _ in range(7):
        next(begun)
    assert torch.equal(last(fine_tune(shared, start, digits, recipe, 1e-3, seed=5, checkpoint=part)), whole)
    assert bool((whole[1:] != whole[:-1]).any(dim=1).all())


def test_a_row_of_plain_gradient_descent_is_what_a_hand_made_step_gives(shared: Shared, digits: Pictures) -> None:
    """One step of SGD moves the row by the rate times the gradient of the loss on the pictures that were drawn."""
    recipe = RowsRecipe(runs=1, rows=4, interval=1, settle=0, batch=2_000, optimizer="sgd")
    plain = replace(digits, flips=False)
    rows = last(fine_tune(shared, torch.zeros(shared.layout.dim), plain, recipe, 1e-2, seed=3))
    from wildpdiff.pdiff.pictures import augmented
    from wildpdiff.training.loop import rng_at

    rng = rng_at(3, 0)
    drawn = torch.randint(len(plain.train), (len(plain.train),), generator=rng)
    pixels = augmented(plain.train.pixels[drawn], rng, flips=False, shift=2)
    row = torch.zeros(shared.layout.dim, requires_grad=True)
    cross_entropy(shared.logits(row, shared.inputs(pixels)), plain.train.labels[drawn]).backward()
    assert row.grad is not None
    assert torch.allclose(rows[0], -1e-2 * row.grad, atol=1e-6)


def test_runs_grow_once_and_are_then_read(shared: Shared, digits: Pictures, tmp_path: Path) -> None:
    *_, (_, found) = grow(shared, digits, ROWS, 1e-3, seed=0, work=tmp_path)
    steps = list(grow(shared, digits, ROWS, 1e-3, seed=0, work=tmp_path))
    again = steps[-1][1]
    assert found is not None and again is not None and len(steps) == 1
    assert torch.equal(found.rows, again.rows) and found.rows.shape == (12, 66_970)
    assert found.run.tolist() == [0] * 6 + [1] * 6
    assert found.shown.tolist() == [True, True, False] * 4
    assert not torch.equal(found.rows[:6], found.rows[6:])


def test_saved_checkpoints_come_back_and_those_of_another_network_do_not(shared: Shared, tmp_path: Path) -> None:
    rows = torch.randn(4, shared.layout.dim)
    Checkpoints(rows, torch.zeros(4).long(), torch.tensor([True] * 3 + [False]), 3e-4).save(tmp_path / "r", shared)
    again = Checkpoints.load(tmp_path / "r", shared)
    assert torch.equal(again.rows, rows) and again.rate == 3e-4 and len(again.known) == 3 and len(again.held_out) == 1
    other = network_of("mlp-mini", 10, 32, seed=7)
    with pytest.raises(UserError, match="another network"):
        Checkpoints.load(tmp_path / "r", Shared(other, subset_of(other, "all")))


def tuned_with_noise(monkeypatch: pytest.MonkeyPatch, scale: Callable[[float], float]) -> None:
    """Replace fine-tuning by one step that ends in noise, as large as `scale` says of a rate."""
    import wildpdiff.pdiff.checkpoints as module

    def noise(
        shared: Shared, start: Tensor, pictures: Pictures, recipe: RowsRecipe, rate: float, **_: object
    ) -> object:
        rng = torch.Generator().manual_seed(0)
        yield Step(1, 1, 0.0), start + scale(rate) * torch.randn(recipe.rows, len(start), generator=rng)

    monkeypatch.setattr(module, "fine_tune", noise)


def test_the_gentle_rate_is_the_greatest_that_leaves_rows_no_worse_than_the_base(
    shared: Shared, digits: Pictures, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With fine-tuning replaced by noise that grows with the rate, the answer is known; a kill loses one trial."""
    tuned_with_noise(monkeypatch, lambda rate: float(rate > 3e-4))
    begun = gentle_rate(shared, digits, ROWS, seed=0, work=tmp_path)
    assert [next(begun)[1] for _ in range(2)] == list(RATES[:2])
    begun.close()
    tried = [rate for _, rate in gentle_rate(shared, digits, ROWS, seed=0, work=tmp_path)]
    assert tried == [*(rate for rate in RATES[1:] if rate >= 3e-4), 3e-4]


def test_where_every_rate_is_refused_the_gentlest_is_taken_untried(
    shared: Shared, digits: Pictures, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tuned_with_noise(monkeypatch, lambda rate: 1.0)
    assert [rate for _, rate in gentle_rate(shared, digits, ROWS, seed=0, work=tmp_path)] == list(RATES)


def test_a_rate_that_ruins_a_network_is_said_to_be_too_great(shared: Shared, digits: Pictures) -> None:
    with pytest.raises(UserError, match="lower --rate"):
        for _ in fine_tune(
            shared, torch.zeros(shared.layout.dim), digits, replace(ROWS, optimizer="sgd"), 1e30, seed=0
        ):
            pass


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (torch.ones(1, 5), "at least 4 checkpoints, but there is 1"),
        (torch.ones(6, 5), "equal"),
        (torch.tensor([[1.0, 2], [2, 1], [0, float("inf")], [1, 1]]), "Checkpoint 3 of 4"),
    ],
)
def test_rows_that_nothing_can_be_learned_from_are_refused(rows: Tensor, said: str) -> None:
    with pytest.raises(UserError, match=said):
        usable(rows, 1.0)


def test_of_few_checkpoints_the_last_one_is_held_out() -> None:
    assert shown(torch.zeros(4), 6).tolist() == [True, True, True, False]
    assert shown(torch.zeros(8), 4).tolist() == [True, True, True, False] * 2


def zoo(shared: Shared, folder: Path, rows: Tensor) -> Path:
    for place, row in enumerate(rows):
        save_tensors(folder / f"{place:03d}.safetensors", {k: v.clone() for k, v in shared.state(row).items()})
    return folder


def test_a_folder_of_state_dicts_is_read_as_differences(shared: Shared, tmp_path: Path) -> None:
    rows = 1e-2 * torch.randn(6, shared.layout.dim, generator=torch.Generator().manual_seed(0))
    found = read_zoo(shared, zoo(shared, tmp_path, rows), 3)
    assert torch.allclose(found.rows, rows, atol=1e-6) and found.shown.tolist() == [True, True, False] * 2


def test_checkpoints_that_differ_outside_the_chosen_parameters_are_refused(shared: Shared, tmp_path: Path) -> None:
    rows = torch.full((4, shared.layout.dim), 1e-2) * torch.arange(4)[:, None]
    some = Shared(shared.network, subset_of(shared.network, "last"))
    with pytest.raises(UserError, match=r"differs from the base in 'linear1.weight', which --parameters leaves out"):
        read_zoo(some, zoo(shared, tmp_path, rows), 3)


def test_buffers_that_differ_between_checkpoints_are_told_of(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    shared = Shared(network, subset_of(network, "all"))
    zoo(shared, tmp_path, 1e-2 * torch.randn(4, shared.layout.dim))
    assert buffer_notes(shared, tmp_path) == []
    with torch.no_grad():
        network.get_buffer("1.running_mean").add_(1)
    (said,) = buffer_notes(shared, tmp_path)
    assert said.startswith("1 buffers differ") and "1.running_mean" in said


def test_a_folder_with_one_checkpoint_of_another_network_is_refused(shared: Shared, tmp_path: Path) -> None:
    rows = 1e-2 * torch.randn(4, shared.layout.dim)
    zoo(shared, tmp_path, rows)
    save_tensors(tmp_path / "zz.safetensors", {"conv.weight": torch.zeros(2)})
    with pytest.raises(UserError, match=r"'zz.safetensors' is a checkpoint of another network"):
        read_zoo(shared, tmp_path, 3)


def test_recipes_have_names_and_survive_json() -> None:
    for recipe in (PAPER, QUICK, TINY):
        assert Recipe.from_json(recipe.to_json()) == recipe
    with pytest.raises(UserError, match="ours, paper, quick"):
        recipe_named("theirs")
    with pytest.raises(UserError, match="damaged"):
        Recipe.from_json({"name": "x"})


def test_the_paper_s_recipe_saves_each_of_300_steps_and_lets_its_rate_fall() -> None:
    rows = PAPER.rows
    assert (rows.interval, rows.rate, rows.runs) == (1, 3e-2, 1) and rows.rows - rows.rows // rows.held_out == 300
    assert rows.factor(0) == 1.0 and rows.factor(rows.steps - 1) < 1e-3
    assert QUICK.rows.factor(50) == 1.0


@pytest.mark.parametrize(("options", "said"), [({"rate": 0.0}, "rate"), ({"samples": 1}, "samples")])
def test_numbers_out_of_range_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ordered("ours", **options)  # type: ignore[arg-type]


def test_a_recipe_without_enough_rows_or_with_an_unknown_optimiser_is_refused() -> None:
    with pytest.raises(UserError, match="at least 4"):
        RowsRecipe(runs=1, rows=1)
    with pytest.raises(UserError, match="adamw, adam, sgd"):
        RowsRecipe(optimizer="lion")

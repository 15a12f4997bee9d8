"""Training the classifier and its rows, and the zoo that keeps them."""

import errno
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from test_files import at_most, one_sentence
from torch import Tensor
from torch.nn.functional import cross_entropy

from wildpdiff import files
from wildpdiff.build import grow as growing
from wildpdiff.errors import UserError
from wildpdiff.evaluate import accuracy
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.peft_folder import attach
from wildpdiff.network.standard import IMAGENET
from wildpdiff.training.finetune import FinetuneRecipe, Tuned, finetune
from wildpdiff.training.loop import Checkpoint, rng_at
from wildpdiff.training.pretrain import PretrainRecipe, class_chances, flipped, pretrain
from wildpdiff.worlds.base import Images
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld
from wildpdiff.zoo import Zoo

RECIPE = FinetuneRecipe(converge=2, rows=4, interval=2, batch_size=4, learning_rate=1e-2, settled_rate=1e-3)


@pytest.fixture(scope="module")
def images() -> Images:
    rng = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=rng)
    return Images(pixels, torch.randint(0, 19, (12,), generator=rng))


@pytest.fixture(scope="module")
def start(backbone: Backbone) -> Tensor:
    return backbone.subset.initial(backbone.network, torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def whole(backbone: Backbone, start: Tensor, images: Images) -> list[Tuned]:
    """A run that nothing disturbs."""
    return list(finetune(backbone, start, images, RECIPE, seed=7))


def rows_of(run: list[Tuned]) -> dict[int, Tensor]:
    return {tuned.step.index: tuned.row for tuned in run if tuned.row is not None}


def test_rows_come_at_their_interval_after_convergence(whole: list[Tuned]) -> None:
    assert [tuned.step.index for tuned in whole] == list(range(1, 11))
    assert {tuned.step.total for tuned in whole} == {RECIPE.steps} == {10}
    assert list(rows_of(whole)) == [4, 6, 8, 10]


def test_the_rate_falls_and_then_stays() -> None:
    recipe = FinetuneRecipe(converge=100, rows=3, interval=5, learning_rate=2e-3, settled_rate=4e-4)
    rates = [recipe.rate(step) for step in range(115)]
    assert rates[0] == pytest.approx(2e-3)
    assert rates[50] == pytest.approx(1.2e-3)
    assert rates[:100] == sorted(rates[:100], reverse=True)
    assert set(rates[100:]) == {4e-4}


def test_the_rows_are_those_of_a_loop_written_by_hand(
    backbone: Backbone, start: Tensor, images: Images, whole: list[Tuned]
) -> None:
    model = attach(backbone, start)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], weight_decay=0)
    for step in range(4):
        rng = rng_at(7, step)
        drawn = torch.randint(12, (4,), generator=rng)
        pixels = flipped(images.pixels[drawn], rng)
        optimizer.param_groups[0]["lr"] = [1e-2, 5.5e-3, 1e-3, 1e-3][step]
        optimizer.zero_grad()
        cross_entropy(model(IMAGENET.prepared(pixels)), images.labels[drawn]).backward()
        optimizer.step()
    expected = {
        name.removeprefix("base_model.model.").replace(".default.weight", ""): value
        for name, value in model.named_parameters()
    }
    by_hand = backbone.layout.pack({name: value.detach() for name, value in expected.items()})
    # Folding rounds otherwise, and AdamW's first steps blow up gradients that are nearly 0.
    assert float((rows_of(whole)[4] - by_hand).norm()) < 0.02 * float((by_hand - start).norm())


def test_fine_tuning_moves_the_row_and_nothing_of_the_network(
    backbone: Backbone, start: Tensor, images: Images
) -> None:
    before = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    rows = rows_of(list(finetune(backbone, start, images, RECIPE, seed=1)))
    assert float((rows[10] - start).abs().max()) > 1e-4
    for name, value in backbone.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(module.training for module in backbone.modules())


def test_fine_tuning_lowers_the_loss(backbone: Backbone, start: Tensor, images: Images) -> None:
    recipe = FinetuneRecipe(converge=12, rows=1, interval=1, batch_size=12, learning_rate=2e-2)
    losses = [tuned.step.loss for tuned in finetune(backbone, start, images, recipe, seed=1)]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


@pytest.mark.parametrize("killed_after", [1, 4, 9])
def test_a_killed_run_goes_on_with_the_same_rows(
    backbone: Backbone, start: Tensor, images: Images, whole: list[Tuned], tmp_path: Path, killed_after: int
) -> None:
    checkpoint = tmp_path / "state.safetensors"
    run = finetune(backbone, start, images, RECIPE, seed=7, checkpoint=checkpoint, save_every=3)
    first = list(islice(run, killed_after))
    del run
    second = list(finetune(backbone, start, images, RECIPE, seed=7, checkpoint=checkpoint, save_every=3))
    # The state after step 3 is saved when the caller asks for step 4.
    assert second[0].step.index == 3 * ((killed_after - 1) // 3) + 1
    rows = rows_of(first) | rows_of(second)
    assert rows.keys() == rows_of(whole).keys()
    for index, row in rows_of(whole).items():
        assert torch.equal(rows[index], row)


def test_a_state_of_another_run_is_refused(backbone: Backbone, start: Tensor, images: Images, tmp_path: Path) -> None:
    save_file({"model/x": torch.zeros(2)}, tmp_path / "state.safetensors", {"step": "3"})
    with pytest.raises(UserError, match="another recipe"):
        next(finetune(backbone, start, images, RECIPE, seed=7, checkpoint=tmp_path / "state.safetensors"))


def test_every_class_is_drawn_alike_when_balanced_and_as_often_as_it_is_when_not() -> None:
    labels = torch.tensor([0] * 6 + [2] * 3 + [5])
    even = class_chances(labels, 1.0)
    assert [float(even[labels == kind].sum()) for kind in (0, 2, 5)] == pytest.approx([1, 1, 1])
    assert class_chances(labels, 0.0).tolist() == [1] * 10
    half = class_chances(labels, 0.5)
    assert float(half[9] / half[0]) == pytest.approx(6**0.5)


def test_a_mirrored_picture_is_mirrored_left_to_right_about_every_other_time(images: Images) -> None:
    pixels = images.pixels.repeat(20, 1, 1, 1)
    out, mirrored = flipped(pixels, torch.Generator().manual_seed(0)), 0
    for before, after in zip(pixels, out, strict=True):
        turned = torch.equal(after, before.flip(2))
        assert turned or torch.equal(after, before)
        mirrored += turned
    assert 90 < mirrored < 150


SMALL = PretrainRecipe(steps=5, batch_size=4, small_size=24, small_share=0.4, save_every=2)


@pytest.mark.slow
def test_a_killed_pretraining_ends_with_the_same_weights(images: Images, tmp_path: Path) -> None:
    whole = Backbone.build(tuple("abcdefghijklmnopqrs"), seed=1)
    untrained = whole.fingerprint
    losses = [step.loss for step in pretrain(whole, images, SMALL, seed=3, checkpoint=tmp_path / "a")]
    part = Backbone.build(tuple("abcdefghijklmnopqrs"), seed=1)
    first = [step.loss for step in islice(pretrain(part, images, SMALL, seed=3, checkpoint=tmp_path / "b"), 3)]
    resumed = Backbone.build(tuple("abcdefghijklmnopqrs"), seed=9)
    second = [step.loss for step in pretrain(resumed, images, SMALL, seed=3, checkpoint=tmp_path / "b")]
    assert (first, second) == (losses[:3], losses[2:])
    assert not resumed.training
    assert whole.fingerprint != untrained
    for name, value in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value)


LAYOUT = AdapterLayout(("a", "b"), ((2, 3), (4,)))


def zoo_rows(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(count, 10, generator=rng), torch.rand(count, generator=rng)


def test_the_zoo_gives_back_rows_in_the_order_they_came(tmp_path: Path) -> None:
    zoo, (rows, shares) = Zoo(tmp_path / "zoo", LAYOUT, regime="H"), zoo_rows(5)
    assert (zoo.locations, zoo.count("R10")) == ((), 0)
    zoo.add("R10", rows[:2], shares[:2])
    zoo.add("R12", rows[2:3], shares[2:3])
    zoo.add("R10", rows[3:], shares[3:])
    again = Zoo(tmp_path / "zoo", LAYOUT, regime="H")
    assert (again.locations, again.count("R10"), again.count("R12")) == (("R10", "R12"), 4, 1)
    assert torch.equal(again.of("R10")[0], rows[[0, 1, 3, 4]])
    assert torch.equal(again.of("R10")[1], shares[[0, 1, 3, 4]])
    both, index = again.rows(["R12", "R10"])
    assert torch.equal(both, rows[[2, 0, 1, 3, 4]])
    assert index.tolist() == [0, 1, 1, 1, 1]
    assert [len(each) for each in again.accuracies(["R12", "R10"])] == [1, 4]


def test_half_precision_rows_come_back_as_float32(tmp_path: Path) -> None:
    zoo, (rows, shares) = Zoo(tmp_path, LAYOUT, regime="H"), zoo_rows(3)
    zoo.add("R10", rows, shares, dtype=torch.float16)
    assert zoo.of("R10")[0].dtype == torch.float32
    assert torch.equal(zoo.of("R10")[0], rows.half().float())


@pytest.mark.parametrize("bad", ["nan", "infinite", "another layout", "accuracy missing"])
def test_bad_rows_do_not_enter_the_zoo(tmp_path: Path, bad: str) -> None:
    zoo, (rows, shares) = Zoo(tmp_path, LAYOUT, regime="H"), zoo_rows(3)
    zoo.add("R10", *zoo_rows(1, seed=1))
    broken = rows.clone()
    broken[1, 2] = float("nan") if bad == "nan" else float("inf")
    given = {
        "nan": (broken, shares),
        "infinite": (broken, shares),
        "another layout": (rows[:, :9], shares),
        "accuracy missing": (rows, shares[:2]),
    }
    with pytest.raises(UserError) as error:
        zoo.add("R10", *given[bad])
    one_sentence(error, tmp_path)
    assert torch.equal(zoo.of("R10")[0], zoo_rows(1, seed=1)[0])


def test_a_zoo_of_another_layout_or_regime_is_refused(tmp_path: Path) -> None:
    Zoo(tmp_path, LAYOUT, regime="H").add("R10", *zoo_rows(2))
    for other in (
        Zoo(tmp_path, AdapterLayout(("a", "c"), ((2, 3), (4,))), regime="H"),
        Zoo(tmp_path, LAYOUT, regime="L"),
    ):
        for ask in (other.of, other.count, lambda name, zoo=other: zoo.add(name, *zoo_rows(1))):
            with pytest.raises(UserError) as error:
                ask("R10")
            one_sentence(error, tmp_path)
    assert Zoo(tmp_path, LAYOUT, regime="H").count("R10") == 2


def test_unknown_damaged_and_foreign_zoo_files_are_one_sentence(tmp_path: Path) -> None:
    zoo = Zoo(tmp_path, LAYOUT, regime="H")
    zoo.add("R10", *zoo_rows(2))
    (tmp_path / "R12.safetensors").write_bytes((tmp_path / "R10.safetensors").read_bytes()[:-3])
    save_file({"x": torch.zeros(1)}, tmp_path / "U11.safetensors")
    for name in ("Q08", "R12", "U11"):
        with pytest.raises(UserError) as error:
            zoo.of(name)
        assert name in one_sentence(error, tmp_path)


@pytest.mark.parametrize("real", [True, False])
def test_a_disk_that_fills_up_keeps_the_rows_that_were_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: bool
) -> None:
    zoo = Zoo(tmp_path, LAYOUT, regime="H")
    zoo.add("R10", *zoo_rows(2))
    if not real:

        def full(_: object, path: Path, *__: object) -> None:
            Path(path).write_bytes(b"half a fi")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(files, "save_file", full)
    with at_most(5_000 if real else 10**9), pytest.raises(UserError) as error:
        zoo.add("R10", *zoo_rows(1000, seed=1))
    assert "'R10.safetensors' could not be written" in one_sentence(error, tmp_path)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["R10.safetensors"]
    assert torch.equal(zoo.of("R10")[0], zoo_rows(2)[0])
    zoo.add("R10", *zoo_rows(1000, seed=1))
    assert zoo.count("R10") == 1002


GROWN = FinetuneRecipe(converge=3, rows=19, interval=1, batch_size=2, learning_rate=1e-2)
WORLD = SavannaWorld(SavannaConfig(size=32, train_images=6, eval_images=5))


def grow(backbone: Backbone, start: Tensor, folder: Path, recipe: FinetuneRecipe = GROWN) -> tuple[Tensor, Tensor]:
    zoo = Zoo(folder / "zoo", backbone.layout, regime="H")
    images, held_out = WORLD.images("R10", "train"), WORLD.images("R10", "eval")
    checkpoint = folder / "tune.safetensors"
    growing.grow_zoo(zoo, "R10", backbone, start, images, held_out, recipe, seed=4, checkpoint=checkpoint)
    return zoo.of("R10")


@pytest.fixture(scope="module")
def grown(backbone: Backbone, start: Tensor, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tensor, Tensor]:
    """A zoo whose growth nothing disturbs."""
    return grow(backbone, start, tmp_path_factory.mktemp("grown"))


def test_a_location_of_the_zoo_has_all_rows_with_their_accuracies(
    backbone: Backbone, start: Tensor, grown: tuple[Tensor, Tensor]
) -> None:
    rows = rows_of(list(finetune(backbone, start, WORLD.images("R10", "train"), GROWN, seed=4)))
    assert torch.equal(grown[0], torch.stack(list(rows.values())))
    held_out = WORLD.images("R10", "eval")
    assert torch.equal(grown[1], accuracy(backbone, grown[0], held_out.pixels, held_out.labels))


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("training", marks=pytest.mark.slow),
        "between zoo and checkpoint",
        "between checkpoint and zoo",
        pytest.param("before the end", marks=pytest.mark.slow),
    ],
)
def test_a_zoo_killed_anywhere_grows_to_the_same_rows(
    backbone: Backbone,
    start: Tensor,
    grown: tuple[Tensor, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    save, add, unlink, calls = Checkpoint.save, Zoo.add, Path.unlink, {"save": 0, "add": 0}

    def dying_save(self: Checkpoint, step: int) -> None:
        calls["save"] += 1
        if where == "between zoo and checkpoint" and calls["save"] == 2:
            raise Killed
        save(self, step)

    def dying_add(self: Zoo, *args: Any, **kwargs: Any) -> None:
        calls["add"] += 1
        if where == "between checkpoint and zoo" and calls["add"] == 2:
            raise Killed
        add(self, *args, **kwargs)

    def dying_unlink(self: Path, missing_ok: bool = False) -> None:
        if where == "before the end" and self.name == "tune.safetensors":
            raise Killed
        unlink(self, missing_ok)

    def dying_finetune(*args: Any, **kwargs: Any) -> Iterator[Tuned]:
        for tuned in finetune(*args, **kwargs):
            yield tuned
            if where == "training" and tuned.step.index == 17:
                raise Killed

    monkeypatch.setattr(Checkpoint, "save", dying_save)
    monkeypatch.setattr(Zoo, "add", dying_add)
    monkeypatch.setattr(Path, "unlink", dying_unlink)
    monkeypatch.setattr(growing, "finetune", dying_finetune)
    with pytest.raises(Killed):
        grow(backbone, start, tmp_path)
    monkeypatch.undo()
    rows, shares = grow(backbone, start, tmp_path)
    assert torch.equal(rows, grown[0])
    assert torch.equal(shares, grown[1])
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]


def test_two_runs_over_one_location_at_once_leave_its_rows_once(
    backbone: Backbone, start: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that outlives its killed parent meets the run that was started anew."""
    short = FinetuneRecipe(converge=1, rows=3, interval=1, batch_size=2, learning_rate=1e-2)

    def overtaken(*args: Any, **kwargs: Any) -> Iterator[Tuned]:
        yield from finetune(*args, **kwargs)
        monkeypatch.undo()
        grow(backbone, start, tmp_path, short)

    monkeypatch.setattr(growing, "finetune", overtaken)
    rows, _ = grow(backbone, start, tmp_path, short)
    assert len(rows) == 3

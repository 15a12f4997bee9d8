"""Which parameters to adapt: the choices, the runs, and what is made of them."""

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from wildpdiff.build.recipes import SMOKE
from wildpdiff.errors import UserError
from wildpdiff.evaluate import correct
from wildpdiff.experiments.lab import Lab
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.standard import IMAGENET
from wildpdiff.paper import parameter_runs
from wildpdiff.paper import table7 as parameters
from wildpdiff.paper.parameter_runs import Run, do, do_all
from wildpdiff.paper.table7 import KINDS, LORA, SUBSETS
from wildpdiff.training.finetune import FinetuneRecipe, finetune
from wildpdiff.training.loop import Step, rng_at
from wildpdiff.training.pretrain import flipped
from wildpdiff.workers.pool import ONE, Workers
from wildpdiff.worlds.base import Images
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld

WORLD = SavannaWorld(SavannaConfig(size=32, train_images=12, eval_images=5))
SHORT = FinetuneRecipe(converge=1, rows=2, interval=1, batch_size=2, learning_rate=1e-2, settled_rate=2e-3)


@pytest.fixture(scope="module")
def images() -> Images:
    return WORLD.images("R10", "train")


@pytest.fixture
def run(backbone: Backbone, tmp_path: Path) -> Run:
    path = tmp_path / "backbone.safetensors"
    backbone.save(path)
    chosen, folder = SUBSETS["last1"], tmp_path / "runs"
    return Run(folder, path, backbone.fingerprint, WORLD.to_json(), "R10", "last1", chosen, SHORT, 3, (2, 3))


@pytest.fixture
def lab(backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Two locations, runs of three steps, all in this process."""
    backbone.save(tmp_path / "backbone.safetensors")
    bundle = SimpleNamespace(
        folder=tmp_path, world=WORLD, backbone=backbone, seen=("R10", "U13"), unseen=("D03",), device="cpu"
    )
    monkeypatch.setattr(parameters, "BUDGET", SHORT)
    monkeypatch.setattr(parameters, "TRIAL", replace(SHORT, rows=1))
    monkeypatch.setattr(parameters, "RATES", dict.fromkeys(KINDS, (1e-3, 1e-2)))
    monkeypatch.setattr(parameters, "do_all", here)
    return Lab(bundle, replace(SMOKE, world=WORLD.to_json()), run=tmp_path, samples=2)  # type: ignore[arg-type]


def here(runs: Sequence[Run], workers: Workers) -> Iterator[Step]:
    """`do_all` without processes."""
    for place, run in enumerate(runs, 1):
        do(run)
        yield Step(place, len(runs), float("nan"))


def names(backbone: Backbone, kind: str) -> set[str]:
    return set(SUBSETS[kind].names(backbone.network))


def test_the_choices_hold_as_many_numbers_as_the_paper_says(backbone: Backbone) -> None:
    """Table 7 counts in units of 2^20; its LoRA is another one."""
    counts = {kind: subset.layout(backbone.network).dim for kind, subset in SUBSETS.items()}
    assert counts.keys() == KINDS.keys()
    for kind, count in counts.items():
        assert kind == LORA or round(count / 2**20, 2) == parameters.PAPER[kind][0]
    assert counts[LORA] == 65_580


def test_more_layers_hold_those_of_fewer(backbone: Backbone) -> None:
    for fewer, more in (
        ("first5", "first6"),
        ("first6", "first7"),
        ("last1", "last2"),
        ("last2", "last3"),
        ("bn", "all"),
    ):
        assert names(backbone, fewer) < names(backbone, more)
    assert not names(backbone, "first6") & names(backbone, "last3")
    assert names(backbone, LORA) < names(backbone, "first6")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bn", "first5", "last1", "all"])
def test_only_what_is_chosen_changes_and_statistics_never_do(backbone: Backbone, images: Images, kind: str) -> None:
    chosen = backbone.adapting(SUBSETS[kind])
    *_, tuned = finetune(chosen, torch.zeros(chosen.layout.dim), images, SHORT, seed=1)
    assert tuned.row is not None
    before, after = backbone.network.state_dict(), chosen.merged(tuned.row).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= names(backbone, kind)
    assert len(changed) > 0.9 * len(names(backbone, kind))
    if kind == "bn":
        assert all(before[name].ndim == 1 and "bn" in name for name in changed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bn", "last1", "all"])
def test_a_row_goes_the_way_of_the_parameters_themselves(backbone: Backbone, images: Images, kind: str) -> None:
    """The same batches through a network that is trained as one usually does."""
    chosen, network = backbone.adapting(SUBSETS[kind]), copy.deepcopy(backbone.network).eval()
    wanted = [value.requires_grad_() for name, value in network.named_parameters() if name in names(backbone, kind)]
    optimizer = torch.optim.AdamW(wanted, weight_decay=0.0)
    for step, tuned in enumerate(finetune(chosen, torch.zeros(chosen.layout.dim), images, SHORT, seed=1)):
        rng = rng_at(1, step)
        drawn = torch.randint(len(images), (2,), generator=rng)
        pixels = IMAGENET.prepared(flipped(images.pixels[drawn], rng))
        optimizer.param_groups[0]["lr"] = SHORT.rate(step)
        loss = cross_entropy(network(pixels), images.labels[drawn])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert tuned.step.loss == pytest.approx(loss.item(), rel=2e-2)


def test_a_run_is_measured_at_its_steps_and_done_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    do(run)
    backbone = Backbone.load(run.backbone).adapting(SUBSETS["last1"])
    start, held_out = torch.zeros(backbone.layout.dim), WORLD.images("R10", "eval")
    rows = [tuned.row for tuned in finetune(backbone, start, WORLD.images("R10", "train"), SHORT, seed=3)]
    assert rows[2] is not None
    assert torch.equal(run.right()[1:], correct(backbone, rows[2:], held_out.pixels, held_out.labels))
    assert run.right().shape == (2, 5)
    assert run.losses().shape == (3,)
    assert torch.equal(run.share(), run.right().double().mean(dim=0))
    monkeypatch.setattr(parameter_runs, "finetune", lambda *_, **__: pytest.fail("a finished run was done again"))
    do(run)


def test_a_killed_run_leaves_nothing_and_ends_with_the_same_counts(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(run)
    undisturbed = json.loads(run.file.read_text())
    run.file.unlink()

    def dying(*args: object, **kwargs: object) -> Iterator[object]:
        yield next(finetune(*args, **kwargs))  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(parameter_runs, "finetune", dying)
    with pytest.raises(KeyboardInterrupt):
        do(run)
    assert not list(run.folder.iterdir())
    monkeypatch.undo()
    do(run)
    assert json.loads(run.file.read_text()) == undisturbed


def test_another_start_seed_rate_or_classifier_is_another_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    others = [
        replace(run, seed=4),
        replace(run, fingerprint="0"),
        replace(run, choosing=True),
        replace(run, recipe=replace(SHORT, learning_rate=1)),
        replace(run, start=tmp_path / "a"),
        replace(run, start=tmp_path / "b"),
    ]
    assert len({run.file, *(other.file for other in others)}) == 7
    assert replace(run, backbone=tmp_path / "moved").file == run.file


def test_a_rate_is_chosen_without_a_look_at_evaluation_photographs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    train, seen = WORLD.images("R10", "train"), []

    def images(self: SavannaWorld, location: str, split: str, first: int | None = None) -> Images:
        seen.append(split)
        return train

    parameter_runs._images.cache_clear()
    monkeypatch.setattr(SavannaWorld, "images", images)
    own, held_out = parameter_runs._photographs(replace(run, choosing=True))
    assert seen == ["train"]
    assert torch.equal(torch.cat([own.pixels, held_out.pixels]), train.pixels)
    assert torch.equal(held_out.labels, train.labels[-3:])
    do(replace(run, choosing=True))
    parameter_runs._images.cache_clear()
    assert set(seen) == {"train"}


def test_the_rate_that_names_most_is_chosen_and_the_lowest_of_equal_ones(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = {("all", 1e-3): 0.2, ("all", 1e-2): 0.4, ("bn", 1e-3): 0.3, ("bn", 1e-2): 0.3}
    monkeypatch.setattr(Run, "share", lambda run: torch.tensor([shares[run.kind, run.recipe.learning_rate]]))
    assert parameters.chosen_rates(lab, ("all", "bn")) == {"all": 1e-2, "bn": 1e-3}


@pytest.mark.slow
def test_table_7_has_a_row_for_every_choice(lab: Lab) -> None:
    steps = list(parameters.measure_table7(lab))
    step, data = steps[-1]
    assert [own.index for own, _ in steps] == list(range(1, step.total + 1))
    assert json.loads(json.dumps(data)) == data
    assert list(data["kinds"]) == list(KINDS)
    (table,) = parameters.tables7(data)
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert len(table.rows) == 10
    assert len(parameters.figures7(data)) == 2
    assert len(parameters.findings7(data)) == 4


@pytest.mark.slow
def test_table_8_compares_at_every_location_on_the_same_photographs(lab: Lab) -> None:
    *_, (_, data) = parameters.measure_table8(lab)
    for own in data["locations"].values():
        assert own["difference"]["mean"] == pytest.approx(own["all"]["mean"] - own[LORA]["mean"])
    expected = sum(own["difference"]["mean"] for own in data["locations"].values()) / 2
    assert data["mean"]["difference"]["mean"] == pytest.approx(expected)
    (table,) = parameters.tables8(data)
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert table.rows[-1][-1] == "49.0, 98.0, 97.5"
    assert parameters.figures8(data) and parameters.findings8(data)


def test_a_difference_is_called_one_only_if_its_interval_excludes_zero() -> None:
    unclear = {"mean": 0.02, "low": -0.01, "high": 0.05, "real": False}
    clear = {"mean": -0.02, "low": -0.03, "high": -0.01, "real": True}
    assert "no difference is shown" in parameters._compared("A", "B", unclear)
    assert "A fall behind B by" in parameters._compared("A", "B", clear)


@pytest.mark.slow
def test_runs_in_processes_are_those_done_here_and_a_complaint_reaches_the_caller(run: Run, tmp_path: Path) -> None:
    do(run)
    here_done = json.loads(run.file.read_text())
    run.file.unlink()
    assert [step.index for step in do_all([run], ONE)] == [1]
    again = json.loads(run.file.read_text())
    assert again["right"] == here_done["right"]
    assert again["loss"] == pytest.approx(here_done["loss"], rel=1e-3)
    assert [(step.index, step.total) for step in do_all([run], ONE)] == [(1, 1)]
    with pytest.raises(UserError, match="'absent' is missing"):
        list(do_all([replace(run, seed=9, backbone=tmp_path / "absent")], ONE))

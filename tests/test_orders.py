"""An order of one zoo: what is refused, what it costs, and that it grows once."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from wildpdiff.build import orders as zoos
from wildpdiff.build import starts as starting
from wildpdiff.build.grow import work_on
from wildpdiff.build.jobs import zoo_folder
from wildpdiff.build.orders import Order, cost, grow_order
from wildpdiff.build.recipes import SMOKE
from wildpdiff.build.starts import start_file, starts
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.files import load_tensors
from wildpdiff.network.backbone import Backbone
from wildpdiff.training.finetune import FinetuneRecipe, finetune
from wildpdiff.training.loop import Step
from wildpdiff.workers.pool import ONE, Workers
from wildpdiff.worlds.savanna.world import SEEN, SavannaConfig, SavannaWorld
from wildpdiff.zoo import Zoo

WORLD = SavannaWorld(SavannaConfig(size=32, train_images=4, eval_images=3, background_images=1))
BRIEF = FinetuneRecipe(converge=1, rows=1, interval=1, batch_size=2)
RECIPE = replace(
    SMOKE,
    world=WORLD.to_json(),
    seen=SEEN,
    shared=BRIEF,
    finetune=BRIEF,
)
ORDER = Order("M", 1, 2, ("R10", "U11"))


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def grown(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, Step]]]:
    """The folder of an order that was carried out, and its steps; read only."""
    out = tmp_path_factory.mktemp("order")
    return out, list(grow_order(bundle, RECIPE, ORDER, out, workers=ONE))


def zoo_of(bundle: Bundle, out: Path, regime: str = "M") -> Zoo:
    return Zoo(zoo_folder(out, regime, 1), bundle.backbone.layout, regime=regime)


BAD = {
    "interval": (replace(ORDER, interval=0), "at least 1"),
    "negative interval": (replace(ORDER, interval=-5), "at least 1"),
    "rows": (replace(ORDER, rows=0), "at least 1"),
    "unknown location": (replace(ORDER, locations=("R10", "Z99")), "'Z99'"),
    "unseen location": (replace(ORDER, locations=("D03",)), "'D03'"),
    "no location": (replace(ORDER, locations=()), "R10"),
    "unknown regime": (replace(ORDER, regime="Q"), "L, M, H"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_bad_order_is_one_sentence_and_leaves_nothing(bundle: Bundle, tmp_path: Path, mistake: str) -> None:
    order, told = BAD[mistake]
    for ask in (
        lambda: order.jobs(bundle, RECIPE, tmp_path),
        lambda: cost(bundle, RECIPE, order, tmp_path, workers=ONE),
        lambda: next(grow_order(bundle, RECIPE, order, tmp_path, workers=ONE)),
    ):
        with pytest.raises(UserError, match=r"^[A-Z][^\n]*\.$") as caught:
            ask()
        assert told in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_an_order_is_a_job_a_location(bundle: Bundle, tmp_path: Path) -> None:
    jobs = Order("H", 3, 4, ("U11", "R10")).jobs(bundle, RECIPE, tmp_path)
    assert sorted(job.name for job in jobs) == ["R10", "U11"]
    assert {(job.folder, job.regime, job.recipe.interval, job.recipe.rows) for job in jobs} == {
        (tmp_path / "zoo-H-3", "H", 3, 4)
    }
    assert {job.recipe.steps for job in jobs} == {1 + 3 * 4}


@pytest.mark.parametrize(("together", "count", "rounds"), [(0.8, 1, 3), (0.8, 2, 2), (1.5, 2, 2)])
def test_the_cost_is_that_of_all_locations_one_after_the_other_at_once_or_batched(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, together: float, count: int, rounds: int
) -> None:
    """A step of 2 s and a look of 0.5 s: three locations, and 3 evaluation photographs for each of 100 rows."""
    monkeypatch.setattr(zoos, "_seconds", lambda *of: (2.0, 0.5, together))
    order = Order("M", 10, 100, ("R10", "R12", "U11"))
    price = cost(bundle, RECIPE, order, tmp_path, workers=Workers(count))
    assert price.minutes == pytest.approx(rounds * (1001 * 2.0 + 100 * 3 * 0.5) / 60)
    assert price.megabytes == pytest.approx(3 * 100 * 65_580 * 4 / 1e6)
    words = price.words(order, RECIPE, Workers(count))
    for told in ("3 locations x 1,001 steps", f"about {price.minutes:.0f} minutes", "79 MB", "2.00 s"):
        assert told in words
    assert ("batched step," in words) == (together > 1)
    assert words.endswith(".") and "\n" not in words


@pytest.mark.slow
def test_what_is_said_is_what_is_done(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Steps are counted where they are made, and compared with the sentence before."""
    made: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        for tuned in finetune(*arguments, **options):
            made.append(1)
            yield tuned

    def here(work: Callable[[Any], None], jobs: Sequence[Any], *, workers: Workers) -> Iterator[int]:
        for count, job in enumerate(jobs, start=1):
            work(job)
            yield count

    monkeypatch.setattr(starting, "finetune", counted)
    monkeypatch.setattr(starting, "each", here)
    monkeypatch.setattr(zoos, "_seconds", lambda *of: (60.0, 0.0, 0.8))
    recipe, order = replace(RECIPE, shared=replace(BRIEF, converge=4)), Order("H", 1, 2, ("R10", "U11"))
    price = cost(bundle, recipe, order, tmp_path, workers=ONE)
    assert (price.start, price.locations) == (recipe.shared.steps, 2)
    assert price.minutes == pytest.approx(recipe.shared.steps + 2 * (1 + 2))
    words = price.words(order, recipe, ONE)
    assert words.startswith(f"{recipe.shared.steps} steps for the row to start from, then 2 locations x 3 steps")
    list(grow_order(bundle, recipe, order, tmp_path, workers=ONE))
    assert len(made) == price.start
    assert zoo_of(bundle, tmp_path, "H").locations == order.locations
    again = cost(bundle, recipe, replace(order, locations=("R10", "R12")), tmp_path, workers=ONE)
    assert (again.start, again.locations) == (0, 1)
    assert cost(bundle, recipe, replace(order, regime="M"), tmp_path, workers=ONE).start == 0


def test_measuring_the_cost_changes_neither_threads_nor_files_nor_the_classifier(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    threads, fingerprint = torch.get_num_threads(), bundle.backbone.fingerprint
    price = cost(bundle, RECIPE, ORDER, tmp_path, workers=ONE)
    assert min(price.step, price.look, price.together) > 0
    assert torch.get_num_threads() == threads
    assert bundle.backbone.fingerprint == fingerprint
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_order_grows_its_rows_and_says_how_far_it_is(
    bundle: Bundle, grown: tuple[Path, list[tuple[str, Step]]]
) -> None:
    out, steps = grown
    zoo = zoo_of(bundle, out)
    assert zoo.locations == ("R10", "U11")
    for name in zoo.locations:
        rows, accuracies = zoo.of(name)
        assert len(rows.unique(dim=0)) == len(accuracies) == 2
        assert bool((accuracies * 3 - (accuracies * 3).round()).abs().max() < 1e-5), "shares of 3 photographs"
    stages = list(dict.fromkeys(stage for stage, _ in steps))
    assert stages == ["zoo M"], "a zoo of another regime than H needs no converged row"
    assert steps[-1][1].index == steps[-1][1].total == 4
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]
    assert not (out / "joint.safetensors").exists()


@pytest.mark.slow
def test_the_same_order_again_adds_nothing(bundle: Bundle, grown: tuple[Path, list[tuple[str, Step]]]) -> None:
    out = grown[0]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.safetensors")}
    assert list(grow_order(bundle, RECIPE, ORDER, out, workers=ONE)) == []
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.rglob("*.safetensors")} == before


@pytest.mark.slow
def test_a_zoo_of_another_regime_in_the_folder_is_refused_and_kept(
    bundle: Bundle, grown: tuple[Path, list[tuple[str, Step]]], tmp_path: Path
) -> None:
    shutil.copytree(grown[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "zoo-M-1").rename(tmp_path / "zoo-L-1")
    with pytest.raises(UserError, match=r"^'R10\.safetensors' is of regime M, but this zoo is of regime L\.$"):
        list(grow_order(bundle, RECIPE, replace(ORDER, regime="L"), tmp_path, workers=ONE))
    kept, original = tmp_path / "zoo-L-1" / "R10.safetensors", grown[0] / "zoo-M-1" / "R10.safetensors"
    assert kept.read_bytes() == original.read_bytes()


def test_a_damaged_start_is_what_the_worker_complains_of(bundle: Bundle, tmp_path: Path) -> None:
    """The worker runs in this process; a spawned one would take seconds to begin."""
    (job,) = replace(ORDER, locations=("Q08",)).jobs(bundle, RECIPE, tmp_path)
    start_file(tmp_path, "M", "").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"^'start-M\.safetensors' is damaged [^\n]*\.$"):
        work_on(job, bundle.folder / "backbone.safetensors", RECIPE.world, "cpu")


@pytest.fixture(scope="module")
def started(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step]]:
    """Starts that nothing disturbed, made in this process; `grown` has its start made by a worker."""
    out = tmp_path_factory.mktemp("starts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting, "each", here)
        return out, list(begin(bundle, out))


def begin(bundle: Bundle, out: Path) -> Iterator[Step]:
    recipe = replace(RECIPE, seen=SEEN[:2], shared=replace(BRIEF, converge=3))
    return starts(recipe, bundle.folder / "backbone.safetensors", out, "cpu")


def row(path: Path) -> torch.Tensor:
    return load_tensors(path)[0]["row"]


def test_the_shared_starts_are_trained_on_one_location_and_on_all(started: tuple[Path, list[Step]]) -> None:
    out, steps = started
    assert [(step.index, step.total) for step in steps] == [(1, 2), (2, 2)]
    rows = [row(path) for path in (start_file(out, "M", ""), start_file(out, "H", ""), out / "joint.safetensors")]
    assert len(torch.stack(rows).unique(dim=0)) == 3
    assert not list(out.glob("*.part"))


def here(work: Callable[[Any], None], jobs: Sequence[Any], *, workers: Workers) -> Iterator[int]:
    """As `pool.each`, in this process and like a worker on one thread: more of them round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for count, job in enumerate(jobs, start=1):
            work(job)
            yield count
    finally:
        torch.set_num_threads(threads)


class KilledError(Exception):
    """Stands for the loss of power."""


@pytest.mark.parametrize("stop", ["between", "within"])
def test_starts_that_were_stopped_go_on_and_end_the_same(
    bundle: Bundle, started: tuple[Path, list[Step]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    monkeypatch.setattr(starting, "each", here)
    trained = []

    def brittle(*of: Any, **options: Any) -> Iterator[Any]:
        """The first start is whole; of the second one half is done."""
        for tuned in finetune(*of, **options, save_every=1):
            trained.append(tuned.step.index)
            yield tuned
            if len(trained) == 6:
                raise KilledError

    if stop == "between":
        first = begin(bundle, tmp_path)
        next(first)
        first.close()  # type: ignore[attr-defined]
    else:
        monkeypatch.setattr(starting, "finetune", brittle)
        with pytest.raises(KilledError):
            list(begin(bundle, tmp_path))
    assert start_file(tmp_path, "H", "").exists() and not (tmp_path / "joint.safetensors").exists()
    assert [(step.index, step.total) for step in begin(bundle, tmp_path)] == [(1, 1)]
    assert list(begin(bundle, tmp_path)) == [] and not list(tmp_path.glob("*.part"))
    assert stop == "between" or trained == [1, 2, 3, 4, 1, 2, 2, 3, 4]
    for name in ("start-H", "joint"):
        assert torch.equal(row(tmp_path / f"{name}.safetensors"), row(started[0] / f"{name}.safetensors"))


def test_the_start_of_h_is_not_retrained_for_another_order(
    bundle: Bundle, started: tuple[Path, list[Step]], tmp_path: Path
) -> None:
    network = Backbone.load(bundle.folder / "backbone.safetensors")
    shutil.copytree(started[0], tmp_path, dirs_exist_ok=True)
    before = row(start_file(tmp_path, "H", ""))
    assert not list(
        starts(replace(RECIPE, seed=5), bundle.folder / "backbone.safetensors", tmp_path, "cpu", joint=False)
    )
    assert torch.equal(row(start_file(tmp_path, "H", "")), before)
    assert network.fingerprint == bundle.backbone.fingerprint

"""Whoever does the jobs: the same rows, one sentence where somebody cannot, and nothing lost with a lost worker."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_orders import RECIPE, WORLD

from wildpdiff.build.grow import grow
from wildpdiff.build.orders import Order, grow_order
from wildpdiff.build.shards import merge
from wildpdiff.build.starts import starts
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.workers import executors, pool, remote
from wildpdiff.workers.pool import TWO, Workers, each
from wildpdiff.workers.remote import Caller, differing, do_all, one_gpu, versions

PLACES = ("R10", "U11", "Q08")
ORDER = Order("M", 1, 2, PLACES)


def write(path: Path) -> None:
    path.write_text(str(os.getpid()))


def complain(path: Path) -> None:
    raise UserError(f"'{path.name}' is bad.")


def once_killed(path: Path) -> None:
    """Dies at the first call."""
    mark = path.with_suffix(".begun")
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    write(path)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("zoo-*/*.safetensors"))}


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def grown(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a zoo that two processes grew."""
    out = tmp_path_factory.mktemp("local")
    list(grow_order(bundle, RECIPE, ORDER, out, workers=TWO))
    return files_of(out)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dask", "slurm-local", "slurm-debug"])
def test_rows_are_the_same_bit_by_bit_whoever_grew_them(
    kind: Any, bundle: Bundle, grown: dict[str, bytes], tmp_path: Path
) -> None:
    assert len(grown) == len(PLACES)
    list(grow_order(bundle, RECIPE, ORDER, tmp_path, workers=Workers(2, kind, logs=tmp_path / "logs")))
    assert files_of(tmp_path) == grown


@pytest.mark.slow
def test_parts_that_were_grown_apart_are_the_same_zoo_when_merged(
    bundle: Bundle, grown: dict[str, bytes], tmp_path: Path
) -> None:
    parts = [tmp_path / f"part{number}" for number in (1, 2)]
    for number, part in enumerate(parts, start=1):
        order = Order(ORDER.regime, ORDER.interval, ORDER.rows, PLACES, (number, 2))
        list(grow_order(bundle, RECIPE, order, part, workers=Workers(1, "slurm-debug", logs=part / "logs")))
    assert [step.index for _, step in merge(parts, tmp_path / "zoo")] == [1, 2, 3]
    assert files_of(tmp_path / "zoo") == grown


@pytest.mark.slow
def test_ray_does_every_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is installed; the tests do not bring it along, as it is large."""
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    jobs = [tmp_path / name for name in "abc"]
    assert list(each(write, jobs, workers=Workers(2, "ray"))) == [1, 2, 3]
    assert all(path.exists() for path in jobs)


@pytest.mark.slow
def test_a_lost_worker_of_a_process_pool_costs_no_job(tmp_path: Path) -> None:
    jobs = [tmp_path / name for name in "abc"]
    assert list(each(once_killed, jobs, workers=Workers(1)))[-1] == 3
    assert all(path.exists() for path in jobs)


def children_of(process: int) -> list[psutil.Process]:
    """Workers: spawned processes, and not the one that watches over their resources."""
    found = psutil.Process(process).children(recursive=True)
    return [child for child in found if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_workers_are_deaf_to_ctrl_c_from_their_birth_and_the_caller_is_not() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with executors.local(Workers(2), 2) as executor:
            done = [executor.submit(time.sleep, 0) for _ in range(2)]
            newborn = multiprocessing.active_children()
            assert len(newborn) == 2 and all(deaf(child.pid) for child in newborn)
            assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
            assert [future.result() for future in done] == [None, None]
    finally:
        signal.signal(signal.SIGINT, before)


def deaf(process: int | None) -> bool:
    """Whether Linux would keep Ctrl-C from a process: blocked or ignored."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return bool((int(status["SigBlk"], 16) | int(status["SigIgn"], 16)) & 1 << (signal.SIGINT - 1))


@pytest.mark.slow
def test_rows_survive_kills_of_workers_at_random(bundle: Bundle, grown: dict[str, bytes], tmp_path: Path) -> None:
    """Nothing is lost, and nothing there twice: the rows are those of a run that nobody disturbed.

    `tests/measure_workers.py` does the same with ten kills.
    """
    assert survived(bundle, ORDER, tmp_path, kills=2) == grown


def survived(bundle: Bundle, order: Order, out: Path, *, kills: int) -> dict[str, bytes]:
    """The files of a zoo whose workers are killed at random; who gives up is called again."""
    chance, backbone = random.Random(0), bundle.folder / "backbone.safetensors"
    list(starts(RECIPE, backbone, out, "cpu", regimes=["M"], joint=False))
    while True:
        try:
            for _ in grow(order.jobs(bundle, RECIPE, out), backbone, WORLD.to_json(), workers=TWO):
                if kills and (workers := children_of(os.getpid())):
                    chance.choice(workers).kill()
                    kills -= 1
            assert not kills
            return files_of(out)
        except UserError as error:
            assert "run the same command again" in str(error)


@pytest.mark.slow
def test_what_a_lost_scheduler_left_undone_is_done_by_the_next(tmp_path: Path) -> None:
    """The same command again, with a new scheduler at another port."""
    jobs = [tmp_path / name for name in "ab"]
    lost = cluster(tmp_path / "one")
    with pytest.raises(UserError) as told, lost as address:
        for _ in each(linger, jobs, workers=Workers(1, "dask", address), every=0.5):
            if (tmp_path / "a.begun").exists():
                end(lost_processes)
    assert "Dask" in str(told.value) and "\n" not in str(told.value)
    with cluster(tmp_path / "two") as address:
        assert list(each(write, jobs, workers=Workers(1, "dask", address))) == [1, 2]


lost_processes: list[subprocess.Popen[bytes]] = []


def linger(path: Path) -> None:
    path.with_suffix(".begun").touch()
    time.sleep(600)


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.kill()
        process.wait()


@contextmanager
def cluster(folder: Path, threads: int = 1) -> Iterator[str]:
    """A scheduler and a worker of Dask in processes of their own; the scheduler's address."""
    folder.mkdir()
    file, python = folder / "scheduler.json", [sys.executable, "-m"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    how: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    port = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    worker = ["--scheduler-file", str(file), "--nthreads", str(threads), "--no-dashboard", "--no-nanny"]
    lost_processes[:] = [subprocess.Popen([*python, "distributed.cli.dask_scheduler", *port], **how)]
    lost_processes.append(subprocess.Popen([*python, "distributed.cli.dask_worker", *worker], cwd=folder, **how))
    try:
        begun = time.monotonic()
        while not file.exists() or not file.read_text():
            assert time.monotonic() - begun < 90
            time.sleep(0.1)
        yield str(json.loads(file.read_text())["address"])
    finally:
        end(lost_processes)


@pytest.mark.slow
def test_a_dask_worker_that_lacks_the_package_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the package there lacks a module: here one that this process alone can import."""
    (tmp_path / "nowhere_else.py").write_text("def work(job):\n    pass\n")
    with cluster(tmp_path / "less") as address:
        monkeypatch.syspath_prepend(tmp_path)
        from nowhere_else import work  # type: ignore[import-not-found]

        with pytest.raises(UserError, match=r"^A worker could not read its job; install the same version .*\.$"):
            list(each(work, [1], workers=Workers(1, "dask", address)))


@pytest.mark.slow
def test_a_dask_worker_of_several_threads_is_refused(tmp_path: Path) -> None:
    with cluster(tmp_path / "many", threads=2) as address, pytest.raises(UserError, match=r"one thread each; .*\.$"):
        list(each(write, [tmp_path / "a"], workers=Workers(1, "dask", address)))


@pytest.mark.slow
def test_an_address_where_nobody_answers_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "ANSWER", 1)
    with pytest.raises(
        UserError, match=r"^No Dask scheduler answers at 'tcp://127\.0\.0\.1:9'; see `dask scheduler`\.$"
    ):
        list(each(write, [tmp_path / "a"], workers=Workers(1, "dask", "tcp://127.0.0.1:9")))
    with pytest.raises(UserError, match=r"^No Dask scheduler answers at 'nonsense://x'; see `dask scheduler`\.$"):
        list(each(write, [tmp_path / "a"], workers=Workers(1, "dask", "nonsense://x")))


@pytest.mark.parametrize(("kind", "name"), [("dask", "distributed"), ("slurm-local", "submitit"), ("ray", "ray")])
def test_an_executor_that_is_not_installed_is_named_with_its_extra(
    kind: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    extra = kind.removesuffix("-local")
    with pytest.raises(
        UserError, match=rf"^That executor needs '{name}'; install it by `pip install 'wildpdiff\[{extra}\]'`\.$"
    ):
        list(each(write, [tmp_path / "a"], workers=Workers(1, kind)))


def test_slurm_where_there_is_none_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"^There is no Slurm here \(no `sbatch`\); .*slurm-local.*\.$"):
        list(each(write, [tmp_path / "a"], workers=Workers(1, "slurm", logs=tmp_path / "logs")))


def test_a_parameter_that_slurm_does_not_know_is_one_sentence(tmp_path: Path) -> None:
    own = Workers(1, "slurm-debug", slurm={"walltime": 5}, logs=tmp_path / "logs")
    with pytest.raises(UserError, match=r"^Slurm's parameters are not right: [^\n]*walltime[^\n]*$"):
        list(each(write, [tmp_path / "a"], workers=own))


def test_a_complaint_passes_through_any_executor_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^'a' is bad\.$"):
        list(each(complain, [tmp_path / "a"], workers=Workers(1, "slurm-debug", logs=tmp_path / "logs")))


@pytest.mark.parametrize(("count", "kind", "told"), [
    (0, "local", r"^At least 1 worker is needed, not 0\.$"),
    (-3, "dask", r"^At least 1 worker is needed, not -3\.$"),
    (2, "cloud", r"^Executor 'cloud' is not known; choose one of: local, dask, slurm, slurm-local, .*, ray\.$"),
])  # fmt: skip
def test_workers_that_cannot_be_are_refused(count: int, kind: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        Workers(count, kind)


def test_a_worker_with_another_version_is_named_and_does_nothing(tmp_path: Path) -> None:
    other = replace(Caller.here(), versions=versions() | {"torch": "1.0"})
    told = do_all(write, [tmp_path / "a"], other)
    assert told is not None and f"torch {versions()['torch']}, this computer 1.0" in told and told.endswith(".")
    assert not (tmp_path / "a").exists()
    assert differing(versions(), versions()) == ""
    assert differing(versions(), {}).startswith("wildpdiff none")


def test_a_worker_that_does_not_see_the_folder_says_so_and_does_nothing(tmp_path: Path) -> None:
    elsewhere = replace(Caller.here(), folder=str(tmp_path / "runs"))
    told = do_all(write, [tmp_path / "a"], elsewhere)
    assert told is not None and told.endswith("does not see the folder 'runs'; start in one that all workers share.")
    assert not (tmp_path / "a").exists() and str(tmp_path) not in told


@pytest.mark.slow
def test_a_worker_elsewhere_writes_into_the_callers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File names that are typed are relative, and a Dask worker begins in a folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with cluster(tmp_path / "there") as address:
        assert list(each(write, [Path("a")], workers=Workers(1, "dask", address))) == [1]
    assert (tmp_path / "here" / "a").exists() and not (tmp_path / "there" / "a").exists()


def test_every_package_of_the_versions_is_installed() -> None:
    assert set(versions()) == set(remote.PACKAGES) and "none" not in versions().values()


@pytest.mark.parametrize(
    ("number", "count", "seen"), [(1, 4, "1"), (4, 4, "0"), (6, 4, "2"), (3, 1, None), (1, 0, None)]
)
def test_workers_share_several_gpus_one_each(
    number: int, count: int, seen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    one_gpu(number, count)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == seen


def test_who_chose_gpus_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    one_gpu(1, 4)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5"


class Fragile(Executor):
    """Does jobs at once in this process, and loses its worker at the calls that are named."""

    def __init__(self, lost: set[int], calls: list[int]) -> None:
        self.lost, self.calls = lost, calls

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls.append(len(self.calls))
        if self.calls[-1] in self.lost:
            future.set_exception(BrokenExecutor("lost"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def fragile(monkeypatch: pytest.MonkeyPatch, lost: set[int]) -> list[int]:
    """Put it in the place of processes; returns the list of calls."""
    calls: list[int] = []

    @contextmanager
    def opened(own: Workers, jobs: int) -> Iterator[Executor]:
        yield Fragile(lost, calls)

    monkeypatch.setitem(pool.EXECUTORS, "local", opened)
    return calls


def test_only_what_was_lost_is_handed_out_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fragile(monkeypatch, {1, 4})  # of five jobs the second, and at the second try again the first
    jobs = [tmp_path / name for name in "abcde"]
    assert list(each(write, jobs, workers=TWO))[-1] == 5
    assert len(calls) == 5 + 2 and all(path.exists() for path in jobs)


def test_after_three_losses_without_a_finished_job_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fragile(monkeypatch, set(range(99)))
    with pytest.raises(UserError, match=r"^Workers were stopped 3 times .* run the same command again to go on\.$"):
        list(each(write, [tmp_path / "a"], workers=TWO))
    assert len(calls) == 3


def test_no_thread_waits_after_the_end(tmp_path: Path) -> None:
    before = threading.active_count()
    list(each(write, [tmp_path / "a"], workers=Workers(2, "slurm-debug", logs=tmp_path / "logs")))
    assert threading.active_count() == before

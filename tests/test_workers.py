"""The pool: one thread a process, complaints reach the caller, and no worker outlives who waits for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from wildpdiff.errors import UserError
from wildpdiff.workers.pool import ONE, TWO, each

WAIT = 60


def _mark(path: Path) -> None:
    if path.name == "bad":
        raise UserError("This one is bad.")
    if path.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "long":
        path.write_text(str(os.getpid()))
        time.sleep(WAIT)
    if path.name == "slow":
        time.sleep(1)
    path.write_text(str(torch.get_num_threads()))


def _gone(process: int) -> bool:
    """Whether a process has ended within some seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.2)
    return False


def _number_in(path: Path) -> int:
    begun = time.monotonic()
    while not (path.exists() and path.read_text()):
        assert time.monotonic() - begun < WAIT
        time.sleep(0.1)
    return int(path.read_text())


@pytest.mark.slow
def test_the_pool_does_every_job_in_a_process_of_one_thread(tmp_path: Path) -> None:
    jobs = [tmp_path / name for name in ("one", "two", "three")]
    assert list(each(_mark, jobs, workers=TWO)) == [1, 2, 3]
    assert {path.read_text() for path in jobs} == {"1"}
    assert list(each(_mark, [], workers=TWO)) == []


@pytest.mark.slow
def test_it_says_again_how_far_it_is_while_a_job_lasts(tmp_path: Path) -> None:
    said = list(each(_mark, [tmp_path / "slow"], workers=ONE, every=0.2))
    assert said[-1] == 1 and said.count(0) >= 3 and set(said) == {0, 1}


@pytest.mark.slow
def test_what_a_worker_complains_of_reaches_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="This one is bad"):
        list(each(_mark, [tmp_path / "bad"], workers=ONE))


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^Workers were stopped 3 times [^\n]* again to go on\.$"):
        list(each(_mark, [tmp_path / "killed", tmp_path / "one"], workers=ONE))


@pytest.mark.slow
def test_who_stops_waiting_ends_the_workers(tmp_path: Path) -> None:
    run = each(_mark, [tmp_path / "long"], workers=ONE, every=0.1)
    next(run)
    worker = _number_in(tmp_path / "long")
    run.close()  # type: ignore[attr-defined]
    assert _gone(worker)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_worker_dies_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from test_workers import ONE, _mark, each\n"
        f"if __name__ == '__main__': list(each(_mark, [Path({str(tmp_path / 'long')!r})], workers=ONE))"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    parent = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": paths})
    worker = _number_in(tmp_path / "long")
    parent.kill()
    parent.wait()
    assert _gone(worker)

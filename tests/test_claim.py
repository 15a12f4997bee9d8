"""A folder that something is made in belongs to one run; a killed or stopped run says how to go on, and does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wildpdiff.build.claim import RUNNING, claimed
from wildpdiff.build.generators import Task
from wildpdiff.build.recipes import SMOKE
from wildpdiff.build.stages import _kept, build
from wildpdiff.errors import UserError

ROOT = str(Path(__file__).parent.parent)
REFUSED = r"^Another run is at work in 'mine'; wait for its end, or choose another --out\.$"


def test_a_second_run_into_the_same_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with claimed(tmp_path, "mine"), pytest.raises(UserError, match=REFUSED), claimed(tmp_path, "mine"):
        pass
    assert not list(tmp_path.iterdir())
    with claimed(tmp_path, "mine"):
        pass


def test_a_training_does_not_go_into_a_folder_where_one_is_at_work(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    with claimed(out / "work", "mine"), pytest.raises(UserError, match=REFUSED):
        next(build(SMOKE, out))
    assert [path.name for path in out.rglob("*")] == ["work"]


def test_what_was_measured_at_a_location_before_a_kill_is_not_measured_again(tmp_path: Path) -> None:
    task, measured = Task(SMOKE, tmp_path, tmp_path, "H", "cpu"), []

    def measure() -> dict[str, int]:
        measured.append(1)
        return {"right": 3}

    assert _kept(task, "R10", measure) == _kept(task, "R10", measure) == {"right": 3}
    assert len(measured) == 1
    assert _kept(task, "R12", measure) == {"right": 3} and len(measured) == 2


def _started(out: Path) -> subprocess.Popen[str]:
    """A training that has workers by now."""
    # A test run in a shell's background inherits that Ctrl-C is ignored, and would hand that on.
    train = ["-m", "wildpdiff", "train", "--recipe", "smoke", "--out", str(out)]
    command = ["/usr/bin/env", "--default-signal=INT", sys.executable, *train]
    given = {**os.environ, "PYTHONPATH": ROOT}
    run = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=given, start_new_session=True
    )
    begun = time.monotonic()
    while len(_children(run.pid)) < 2:  # a worker, and what looks after semaphores
        assert time.monotonic() - begun < 300 and run.poll() is None, run.stderr and run.stderr.read()
        time.sleep(0.2)
    return run


def _children(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def _alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _gone(processes: list[int]) -> bool:
    """Whether all of some processes end within two seconds."""
    until = time.monotonic() + 2
    while any(map(_alive, processes)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(_alive, processes))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_killed_training_leaves_no_worker_and_a_stopped_one_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "mine"
    first = _started(out)
    workers = _children(first.pid)
    assert (out / "work" / RUNNING).exists()
    second = subprocess.run(
        [sys.executable, "-m", "wildpdiff", "train", "--recipe", "smoke", "--out", str(out)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ROOT}, check=False,
    )  # fmt: skip
    assert second.returncode == 2 and second.stderr.strip().startswith("wildpdiff: Another run is at work in 'mine'")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert _gone(workers)
    again = _started(out)
    workers = _children(again.pid)
    os.killpg(again.pid, signal.SIGINT)  # as Ctrl-C in a terminal: the workers hear it, too
    _, told = again.communicate(timeout=60)
    assert again.returncode == 130 and "Traceback" not in told
    assert told.strip().endswith("wildpdiff: stopped; run the same command again to go on.")
    assert _gone(workers) and not (out / "work" / RUNNING).exists()

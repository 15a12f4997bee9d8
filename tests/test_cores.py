"""Cores that a process may use: its affinity and the quota of its container, not the machine's number."""

import os
from pathlib import Path

import pytest

from wildpdiff.cores import cores


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 16 cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_any_limit_all_cores_are_ours(system: Path) -> None:
    put(system / "sys/fs/cgroup/cpu.max", "max 100000\n")
    put(system / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    put(system / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cores(system) == 16


def test_the_affinity_is_respected(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    assert cores(system) == 2


@pytest.mark.parametrize(("quota", "expected"), [(200_000, 2), (250_000, 3), (50_000, 1), (9_900_000, 16)])
def test_the_quota_of_a_container_is_respected_in_both_versions(system: Path, quota: int, expected: int) -> None:
    put(system / "sys/fs/cgroup/cpu.max", f"{quota} 100000\n")
    assert cores(system) == expected
    (system / "sys/fs/cgroup/cpu.max").unlink()
    put(system / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", f"{quota}\n")
    put(system / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert cores(system) == expected


def test_the_tightest_group_around_the_process_counts(system: Path) -> None:
    put(system / "proc/self/cgroup", "0::/user.slice/app.scope\n")
    put(system / "sys/fs/cgroup/user.slice/cpu.max", "300000 100000\n")
    put(system / "sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n")
    assert cores(system) == 3


def test_what_is_no_number_is_no_limit(system: Path) -> None:
    put(system / "proc/self/cgroup", "nonsense\n")
    put(system / "sys/fs/cgroup/cpu.max", "a lot\n")
    assert cores(system) == 16

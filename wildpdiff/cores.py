"""How many processor cores this process may use: those of its affinity, and what a container's quota allows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def cores(system: Path = Path("/")) -> int:
    """Cores that are ours, at least 1.

    Args:
        system: where `proc` and `sys` lie.
    """
    try:
        own = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        own = os.cpu_count() or 1
    quotas = [quota for quota in _quotas(system) if quota > 0]
    return max(1, min([own, *(int(quota + 0.5) for quota in quotas)]))


def _quotas(system: Path) -> Iterator[float]:
    """Cores that each control group around this process allows."""
    groups = system / "sys/fs/cgroup"
    for path in _paths(system / "proc/self/cgroup"):
        for folder in (groups / path, *(groups / parent for parent in path.parents)):
            most, _, period = _text(folder / "cpu.max").partition(" ")
            if most.isdigit() and period.strip().isdigit():
                yield int(most) / max(1, int(period))
        for folder in (groups / "cpu" / path, groups / "cpu"):
            quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
            if quota.isdigit() and period.isdigit():
                yield int(quota) / max(1, int(period))


def _paths(listed: Path) -> list[Path]:
    lines = [line.split(":", 2) for line in _text(listed).splitlines()]
    found = [
        Path(parts[2].lstrip("/")) for parts in lines if len(parts) == 3 and parts[1] in ("", "cpu", "cpu,cpuacct")
    ]
    return found or [Path()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""

"""How long a list of jobs takes with many workers, some of whose tries fail: simulated, the longest job first."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence


def makespan(jobs: Sequence[float], workers: int, *, failing: float = 0.0, seed: int = 0) -> float:
    """Seconds until the last job is done.

    Whoever is free takes the longest job that is left. A try that fails does so somewhere on its way, and its job is
    handed out again whole.

    Args:
        jobs: seconds of each.
        workers: how many work at once.
        failing: share of tries that fail, below 1.
        seed: of what fails and when.
    """
    chance = random.Random(seed)
    waiting = [-seconds for seconds in jobs]
    heapq.heapify(waiting)
    free, end = [0.0] * min(workers, max(1, len(jobs))), 0.0
    lost: list[tuple[float, float]] = []  # when a failed job can be handed out again
    while waiting or lost:
        now = heapq.heappop(free)
        if not waiting:
            now = max(now, min(lost)[0])
        for at, seconds in [one for one in lost if one[0] <= now]:
            lost.remove((at, seconds))
            heapq.heappush(waiting, seconds)
        seconds = -heapq.heappop(waiting)
        if chance.random() < failing:
            now += chance.random() * seconds
            lost.append((now, -seconds))
        else:
            now += seconds
            end = max(end, now)
        heapq.heappush(free, now)
    return end


def ideal(jobs: Sequence[float], workers: int) -> float:
    """Seconds that no schedule can be faster than: all work evenly shared, or the longest job."""
    return max(sum(jobs) / workers, max(jobs, default=0.0))

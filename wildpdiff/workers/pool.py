"""Doing many independent jobs at once: in processes here, or wherever an executor of `concurrent.futures` leads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import UserError
from .executors import EXECUTORS
from .remote import Caller, do_all

#: Where jobs are done: processes of this computer, a Dask or Ray cluster, Slurm, and two ways to try Slurm without one.
Kind = Literal["local", "dask", "slurm", "slurm-local", "slurm-debug", "ray"]
#: So often may workers be stopped without that a job was finished in between.
PATIENCE = 3
#: Jobs that wait in a queue are handed out in so many parts a worker, so that none of them waits long at the end.
PARTS = 4


@dataclass(frozen=True)
class Workers:
    """Who does independent jobs.

    Attributes:
        count: jobs at once; a Dask or Ray cluster does as many as it has workers.
        kind: the executor that they are handed to.
        scheduler: address of Dask's scheduler or Ray's head; none begins a cluster on this computer.
        slurm: parameters of Slurm as submitit calls them, such as `slurm_partition`.
        logs: folder that every worker sees, for what Slurm's jobs write.
    """

    count: int = 2
    kind: Kind = "local"
    scheduler: str = ""
    slurm: Mapping[str, str | int] = field(default_factory=dict)
    logs: Path | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UserError(f"At least 1 worker is needed, not {self.count}.")
        if self.kind not in get_args(Kind):
            raise UserError(f"Executor '{self.kind}' is not known; choose one of: {', '.join(get_args(Kind))}.")

    @property
    def words(self) -> str:
        """Where they work, as the end of a sentence."""
        many = "es" if self.count > 1 else ""
        return f"in {self.count} process{many}" if self.kind == "local" else f"in {self.count} workers ({self.kind})"


#: One process of this computer, and two: what is done by default.
ONE, TWO = Workers(1), Workers(2)


def each(
    work: Callable[[Any], None], jobs: Sequence[Any], *, workers: Workers, every: float | None = None
) -> Iterator[int]:
    """Call `work` on every job, several at once; yields how many are done.

    A job keeps what it found in a file of its own, so that a killed run goes on with the jobs that are not finished.
    When a worker is lost, what was not finished is handed out again.

    Args:
        work: a function of a module, so that another process can import it.
        jobs: what to call it on; picklable.
        workers: who works.
        every: seconds after which to say it again, though no job was finished.

    Raises:
        UserError: what a worker complained of; that workers were stopped again and again; or what stands in the way
            of the executor: it is not installed, does not answer, or has other versions.
    """
    waiting, patience = dict(enumerate(jobs)), PATIENCE
    while waiting:
        try:
            for finished in _handed_out(work, waiting, workers, every):
                for number in finished:
                    del waiting[number]
                    patience = PATIENCE
                yield len(jobs) - len(waiting)
        except BrokenExecutor as error:
            patience -= 1
            if not patience:
                raise UserError(
                    f"Workers were stopped {PATIENCE} times without finishing a job (too little memory, or other "
                    "packages?); run the same command again to go on."
                ) from error


def _handed_out(
    work: Callable[[Any], None], jobs: Mapping[int, Any], workers: Workers, every: float | None
) -> Iterator[tuple[int, ...]]:
    """Hand jobs to an executor; yields the numbers of those that were finished since."""
    with EXECUTORS[workers.kind](workers, len(jobs)) as executor:
        running = dict(_submitted(executor, work, jobs, _grain(workers, len(jobs))))
        while running:
            done, _ = wait(running, every, FIRST_COMPLETED)
            for future in sorted(done, key=_failed):  # what was finished counts, also where a worker was lost
                if complaint := future.result():
                    raise UserError(complaint)
                yield running.pop(future)
            if not done:
                yield ()


def _submitted(
    executor: Executor, work: Callable[[Any], None], jobs: Mapping[int, Any], grain: int
) -> Iterator[tuple[Future[str | None], tuple[int, ...]]]:
    numbers, caller = list(jobs), Caller.here()
    for first in range(0, len(numbers), grain):
        part = tuple(numbers[first : first + grain])
        yield executor.submit(do_all, work, [jobs[number] for number in part], caller), part


def _failed(future: Future[Any]) -> bool:
    return future.cancelled() or future.exception() is not None


def _grain(workers: Workers, jobs: int) -> int:
    """Jobs to hand out at once: more than one only where each part waits in a queue."""
    return max(1, jobs // (workers.count * PARTS)) if workers.kind in ("slurm", "slurm-local") else 1

"""Doing many independent jobs in processes of one thread each, which die with their parent."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..errors import UserError
from .mortal import begin, unheard


def each(
    work: Callable[[Any], None], jobs: Sequence[Any], *, workers: int, every: float | None = None
) -> Iterator[int]:
    """Call `work` on every job, `workers` at once; yields how many are done.

    A job keeps what it found in a file of its own, so that a killed run goes on with the jobs that are not finished.

    Args:
        work: a function of a module, so that another process can import it.
        jobs: what to call it on; picklable.
        workers: processes at once.
        every: seconds after which to say it again, though no job was finished.

    Raises:
        UserError: what a worker complained of, or that one was stopped.
    """
    if not jobs:
        return
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    with unheard():
        pool = ProcessPoolExecutor(max(1, min(workers, len(jobs))), mp_context=context, initializer=begin)
        waiting, done = {pool.submit(work, job) for job in jobs}, 0
    try:
        while waiting:
            finished, waiting = wait(waiting, every, FIRST_COMPLETED)
            for future in finished:
                future.result()
                done += 1
                yield done
            if not finished:
                yield done
    except BaseException as error:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        if isinstance(error, BrokenProcessPool):
            raise UserError("A worker was stopped; run the same command again.") from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)

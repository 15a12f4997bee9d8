"""Executors of `concurrent.futures` to hand jobs to: each opens, and says `BrokenExecutor` where a worker was lost."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from logging import ERROR
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .mortal import begin, unheard

if TYPE_CHECKING:
    from .pool import Workers

#: Of workers that lack what a job is made of.
UNLIKE = "A worker could not read its job; install the same version of wildpdiff, and of its packages, on all of them."
#: Seconds to wait for a cluster's answer.
ANSWER = 20
#: What a Dask cluster that is begun here leaves out: looking at its threads a hundred times a second, which a training
#: pays for.
CALM = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}


@contextmanager
def local(workers: Workers, jobs: int) -> Iterator[Executor]:
    """Processes of this computer, one thread each, which die with their parent."""
    import torch

    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    about = (context.Value("i", 0), torch.cuda.device_count())
    pool = _LocalExecutor(min(workers.count, jobs), context, initializer=begin, initargs=about)
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _LocalExecutor(ProcessPoolExecutor):
    """A pool whose processes, born when a job is handed in, leave Ctrl-C to their parent from the first."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with unheard():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def dask(workers: Workers, jobs: int) -> Iterator[Executor]:
    """A Dask cluster: the one at an address, or one of processes here."""
    distributed = _installed("distributed", "dask")
    lost = (distributed.scheduler.KilledWorker, distributed.comm.core.CommClosedError, CancelledError)
    try:
        with _dask_client(distributed, workers, jobs) as client:
            _check_dask(client)
            yield client.get_executor(pure=False)
    except lost as error:
        raise BrokenExecutor("a Dask worker or scheduler was lost") from error
    except RuntimeError as error:
        if isinstance(error.__cause__, ImportError):
            raise UserError(UNLIKE) from error
        raise


@contextmanager
def _dask_client(distributed: Any, workers: Workers, jobs: int) -> Iterator[Any]:
    if workers.scheduler:
        try:
            client = distributed.Client(workers.scheduler, timeout=ANSWER, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(f"No Dask scheduler answers at '{workers.scheduler}'; see `dask scheduler`.") from error
        with client:
            yield client
        return
    how = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": ERROR}
    with (
        import_module("dask").config.set(CALM),
        distributed.LocalCluster(n_workers=min(workers.count, jobs), **how) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _check_dask(client: Any) -> None:
    """See that there are workers, and that each does one job at a time, as a job needs its network for itself.

    Raises:
        UserError: if not.
    """
    try:
        client.wait_for_workers(1, timeout=ANSWER)
    except TimeoutError as error:
        raise UserError(
            "Dask's scheduler has no workers; start some with `dask worker ADDRESS --nthreads 1`."
        ) from error
    if any(threads != 1 for threads in client.nthreads().values()):
        raise UserError("Dask's workers need one thread each; start them with `dask worker ADDRESS --nthreads 1`.")


@contextmanager
def ray(workers: Workers, jobs: int) -> Iterator[Executor]:
    """A Ray cluster: the one at an address, or one on this computer."""
    package = _installed("ray", "ray")
    where = {"address": workers.scheduler} if workers.scheduler else {"num_cpus": min(workers.count, jobs)}
    try:
        package.init(**where, include_dashboard=False if not workers.scheduler else None, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"No Ray cluster answers at '{workers.scheduler}'; see `ray start --head`.") from error
    try:
        yield _RayExecutor(package)
    except (package.exceptions.WorkerCrashedError, package.exceptions.NodeDiedError) as error:
        raise BrokenExecutor("a Ray worker was lost") from error
    except package.exceptions.RaySystemError as error:
        raise UserError(UNLIKE) from error
    finally:
        package.shutdown()


class _RayExecutor(Executor):
    """Ray's remote functions behind the interface of `concurrent.futures`."""

    def __init__(self, package: Any) -> None:
        self._remote = package.remote(num_cpus=1, max_retries=0)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._remote(fn).remote(*args, **kwargs).future()  # type: ignore[no-any-return]


@contextmanager
def slurm(workers: Workers, jobs: int) -> Iterator[Executor]:
    """Slurm by submitit, `count` jobs in its queue at once; or submitit's own modes, which need no Slurm."""
    submitit = _installed("submitit", "slurm")
    if workers.kind == "slurm" and shutil.which("sbatch") is None:
        raise UserError("There is no Slurm here (no `sbatch`); --executor slurm-local tries the same way in processes.")
    cluster = workers.kind.removeprefix("slurm-")
    queue = submitit.AutoExecutor(folder=_logs(workers) / "%j", cluster=cluster)
    try:
        queue.update_parameters(**{"timeout_min": 24 * 60, "cpus_per_task": 1, **workers.slurm})
    except (NameError, ValueError, AssertionError, TypeError) as error:
        raise UserError(f"Slurm's parameters are not right: {str(error).splitlines()[0]}") from error
    with _SlurmExecutor(submitit, queue, min(workers.count, jobs)) as executor:
        yield executor


class _SlurmExecutor(ThreadPoolExecutor):
    """So many threads, each of which waits for one job of Slurm's."""

    def __init__(self, submitit: Any, queue: Any, count: int) -> None:
        super().__init__(count)
        self._queue, self._lost = queue, submitit.core.utils.UncompletedJobError

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(self._done, fn, args, kwargs)

    def _done(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        job = self._queue.submit(fn, *args, **kwargs)
        try:
            return job.result()
        except self._lost as error:
            raise BrokenExecutor("a job of Slurm's was lost") from error


def _logs(workers: Workers) -> Path:
    return workers.logs or Path.cwd() / "slurm"


def _installed(name: str, extra: str) -> Any:
    """A package of an extra.

    Raises:
        UserError: naming the extra, if it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(f"That executor needs '{name}'; install it by `pip install 'wildpdiff[{extra}]'`.") from error


EXECUTORS: dict[str, Callable[[Workers, int], AbstractContextManager[Executor]]] = {
    "local": local,
    "dask": dask,
    "slurm": slurm,
    "slurm-local": slurm,
    "slurm-debug": slurm,
    "ray": ray,
}

"""A folder that something is made in belongs to one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import UserError

#: The file whose lock says that a run is at work; a killed run's lock is nobody's.
RUNNING = ".running"


@contextmanager
def claimed(folder: Path, name: str, option: str = "--out") -> Iterator[None]:
    """A folder for this run alone.

    Args:
        folder: where the lock goes.
        name: what to call it to others.
        option: that names it on the command line.

    Raises:
        UserError: if another run is at work in it, or nothing can be written there.
    """
    lock = FileLock(folder / RUNNING, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"Another run is at work in '{name}'; wait for its end, or choose another {option}.") from None
    except OSError as error:
        raise UserError(f"'{name}' could not be written ({error.strerror}).") from error
    try:
        yield
    finally:
        with suppress(OSError):  # before the lock is let go, so that nobody waits for a file that goes
            (folder / RUNNING).unlink(missing_ok=True)
        lock.release()

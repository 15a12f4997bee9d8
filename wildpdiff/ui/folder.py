"""The folder of what visitors send and fetch: one for each server, swept at its start and end, with a cap."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from ..errors import UserError

#: Where Gradio keeps files, as its users may have set it.
VARIABLE = "GRADIO_TEMP_DIR"
PREFIX, LOCK = "wildpdiff-app-", ".lock"
#: Bytes that all files may have together.
CAP = 1_000_000_000
#: Seconds for which a file is left alone: somebody is about to use it.
YOUNG = 20.0
#: Seconds between two looks at the size.
EVERY = 30.0


@dataclass(frozen=True)
class Folder:
    """A folder of one server."""

    path: Path
    lock: BaseFileLock = field(repr=False)

    def close(self) -> None:
        """Delete it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.release()


def room(path: Path, more: int = 0, *, cap: int | None = None) -> bool:
    """Whether so many bytes more have room in a server's folder; what is oldest goes for them, but nothing young.

    A folder that is no server's own is left as it is.
    """
    if not path.name.startswith(PREFIX):
        return True
    files, cap, late = sorted(_files(path)), CAP if cap is None else cap, time.time() - YOUNG
    size = sum(bytes_of for _, bytes_of, _ in files)
    for when, bytes_of, file in files:
        if size + more <= cap or when > late:
            break
        file.unlink(missing_ok=True)
        with suppress(OSError):
            file.parent.rmdir()
        size -= bytes_of
    return size + more <= cap


def _files(path: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was written, how large it is, and where it lies."""
    for file in path.rglob("*"):
        with suppress(OSError):
            if file.name != LOCK and file.is_file():
                yield file.stat().st_mtime, file.stat().st_size, file


@contextmanager
def folder_of_its_own() -> Iterator[Folder]:
    """A folder that Gradio uses until the end, below what `GRADIO_TEMP_DIR` names or else the system's place for such.

    Raises:
        UserError: if nothing can be written there.
    """
    before, base = os.environ.get(VARIABLE), _base()
    sweep(base)
    made, done = _made(base), threading.Event()
    os.environ[VARIABLE] = str(made.path)
    threading.Thread(target=_watched, args=(made, done), name="folder", daemon=True).start()
    try:
        yield made
    finally:
        done.set()
        made.close()
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def sweep(base: Path) -> None:
    """Delete what servers left that were killed: their lock is nobody's any more."""
    for left in base.glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            about = left.lstat()
            mine = not hasattr(os, "getuid") or about.st_uid == os.getuid()
            if left.is_symlink() or not mine or not (left / LOCK).exists():
                continue
            with FileLock(left / LOCK, timeout=0):
                shutil.rmtree(left, ignore_errors=True)


def _base() -> Path:
    return Path(os.environ.get(VARIABLE) or tempfile.gettempdir()).expanduser().absolute()


def _made(base: Path) -> Folder:
    try:
        base.mkdir(parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)).resolve()
        lock = FileLock(path / LOCK, timeout=0)
        lock.acquire()
    except OSError as error:
        raise UserError(
            f"Nothing can be written to '{base}' ({error.strerror or 'unknown reason'}), where visitors' files go for "
            f"a while; set {VARIABLE} to a folder that you may write to."
        ) from None
    return Folder(path, lock)


def _watched(folder: Folder, done: threading.Event) -> None:
    """Keep a folder below its cap."""
    while not done.wait(EVERY):
        room(folder.path)

"""How a worker begins: it ends with its parent, however that ends, and leaves Ctrl-C to it.

Nothing heavy is imported here: a process that has just been born gets here first.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.sharedctypes import Synchronized

from .remote import one_gpu

#: Of Linux's prctl: the signal that a process gets when its parent dies.
PARENT_DEATH_SIGNAL = 1


@contextmanager
def unheard() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C, not even while they are born; here it is heard afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # starting it would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin(numbers: Synchronized[int], gpus: int) -> None:
    """Prepare a worker: a GPU of its own, if there are several, one thread of PyTorch's, and an end with its parent's.

    `numbers` counts the workers of a pool, for which there are `gpus`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with numbers.get_lock():
        numbers.value += 1
        one_gpu(numbers.value, gpus)
    import torch

    torch.set_num_threads(1)


def _die_with_parent() -> None:
    """For other systems, and for a parent that died before it could be known."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

"""What a worker does, wherever it is: one thread, the caller's versions, and mistakes as sentences.

Nothing heavy is imported here before the work is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import UserError

#: Packages on whose versions rows depend to the last bit, or their reading at all.
PACKAGES = ("wildpdiff", "torch", "timm")
#: What `mallopt` is told: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h, in bytes; the latter at its largest.
MALLOC = {-1: 512 * 2**20, -3: 32 * 2**20}


def versions() -> dict[str, str]:
    """The versions that all who work on the same rows have to share."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    if name == "wildpdiff":
        from .. import __version__

        return __version__
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


@dataclass(frozen=True)
class Caller:
    """Who hands jobs out: the folder that file names start from, and the versions there."""

    folder: str
    versions: Mapping[str, str]

    @classmethod
    def here(cls) -> Caller:
        """This process."""
        return cls(str(Path.cwd()), versions())


def do_all(work: Callable[[Any], None], jobs: Sequence[Any], caller: Caller) -> str | None:
    """Do some jobs one after the other with one thread of PyTorch's, in the caller's folder; what a user has to be
    told, or None."""
    if other := differing(caller.versions, versions()):
        return f"The worker on {platform.node()} has {other}; install the same versions everywhere."
    try:
        os.chdir(caller.folder)  # a worker elsewhere began in a folder of its own
    except OSError:
        name = Path(caller.folder).name
        return f"The worker on {platform.node()} does not see the folder '{name}'; start in one that all workers share."
    import torch

    torch.set_num_threads(1)
    keep_memory()
    try:
        for job in jobs:
            work(job)
    except UserError as error:
        return str(error)
    return None


def keep_memory() -> None:
    """Let glibc keep what a step frees for the next one.

    Dask tells its workers to hand memory back at once, so that every step of a training fetches all of it anew and
    takes more than twice as long.
    """
    if sys.platform == "linux" and "MALLOC_TRIM_THRESHOLD_" in os.environ:
        for parameter, size in MALLOC.items():
            ctypes.CDLL(None).mallopt(parameter, size)


def differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    """The first package of which a worker has another version than is wanted, in words; nothing if there is none."""
    for name, own in wanted.items():
        if found.get(name) != own:
            return f"{name} {found.get(name, 'none')}, this computer {own}"
    return ""


def one_gpu(number: int, count: int) -> None:
    """Leave a worker one of several GPUs: the next after its neighbour's. Comes before PyTorch looks for them."""
    if count > 1 and "CUDA_VISIBLE_DEVICES" not in os.environ:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(number % count)

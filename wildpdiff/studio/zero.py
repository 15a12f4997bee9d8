"""ZeroGPU, the graphics card that a Hugging Face Space borrows for seconds: asked for large wishes, never relied on.

The function that runs there runs in a forked process, so it takes and gives plain values, and no lock of this process
may be needed in it. Nothing here imports `spaces` before it is asked to: elsewhere the package is not there.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..bundle import Bundle

#: (embeddings of A and of B `[2, E]`, blend weight, steps, samples, seed, regime, way) -> raw rows `[N, D]`, or None
#: where the CPU shall write them, and a sentence for the visitor, which may be empty.
Writer = Callable[[np.ndarray, float, int, int, int, str, str], tuple[np.ndarray | None, str]]

#: Sampler steps of all adapters together from which on a graphics card is asked for: the CPU takes about two seconds
#: for so many, less than it takes to be lent a card. One adapter of 50 steps, as the page begins with, needs none.
WORTH = 800
USED_UP = "The free GPU time for today is used; this answer was computed on the CPU."
FAILED = "No GPU could be had for this answer; it was computed on the CPU."
LOG = logging.getLogger("wildpdiff.ui")


def on_zero() -> bool:
    """Whether this is a Space with ZeroGPU."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def begin() -> bool:
    """Let `spaces` prepare PyTorch, if this is a Space with ZeroGPU; call before anything imports PyTorch."""
    if on_zero():
        import spaces  # noqa: F401 - importing it is what prepares
    return on_zero()


def seconds(ends: np.ndarray, weight: float, steps: int, samples: int, *rest: object) -> int:
    """How long the card is asked for: its start, the steps, and decoding the adapters; well above what they take, and
    well below the default of 60, which a visitor with little time left would be refused."""
    return min(20, 5 + round(0.03 * steps + 0.2 * samples))


def gpu_writer(bundle: Bundle, device: str = "cuda") -> Writer:
    """A writer for a studio on ZeroGPU; call before the page is launched.

    Args:
        bundle: opened on the CPU; its generators are loaded now, so that the forked process has them.
        device: where the forked process writes.
    """
    import spaces
    import torch

    generators = {(own.regime, own.way): bundle.generator(own.regime, way=own.way) for own in bundle.variants}

    def write(
        ends: np.ndarray, weight: float, steps: int, samples: int, seed: int, regime: str, way: str
    ) -> np.ndarray:
        # The threads of PyTorch are not forked along, and little is left to the CPU here.
        torch.set_num_threads(1)
        generator = copy.deepcopy(generators[regime, way]).to(device)
        first, last = (end.expand(samples, -1) for end in torch.from_numpy(ends))
        rows: np.ndarray = generator.generate(first, other=last, weight=weight, steps=steps, seed=seed).cpu().numpy()
        return rows

    lent = spaces.GPU(write, duration=seconds)

    def ask(
        ends: np.ndarray, weight: float, steps: int, samples: int, seed: int, regime: str, way: str
    ) -> tuple[np.ndarray | None, str]:
        if steps * samples < WORTH:
            return None, ""
        try:
            return lent(ends, weight, steps, samples, seed, regime, way), ""
        except Exception as error:
            LOG.warning("ZeroGPU did not write: %s", error)
            return None, refusal(error)

    return ask


def refusal(error: Exception) -> str:
    """What to tell a visitor of an error that ZeroGPU raised: its quota errors are titled so."""
    title = str(getattr(error, "title", "")).lower()
    return USED_UP if "quota" in title or "credits" in title else FAILED

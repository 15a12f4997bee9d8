"""How fast this computer writes and measures adapters: measured once, to say what a sweep costs before it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..bundle import Bundle
from ..network.folded import Folded

_PACES: dict[str, Pace] = {}
_DRAWING: dict[str, float] = {}
_LOCK = threading.Lock()
_IMAGES = 32


@dataclass(frozen=True)
class Pace:
    """Seconds.

    Attributes:
        step: one step of the sampler, for the first adapter of a batch.
        more: the same for each further adapter of the batch.
        decode: latents to a row, and its comparison with the known ones, an adapter.
        wear: one adapter into the classifier.
        name: one photograph named.
        begin: a private classifier, once a sweep.
    """

    step: float
    more: float
    decode: float
    wear: float
    name: float
    begin: float

    def batch(self, adapters: int, *, steps: int, images: int) -> float:
        """Seconds for `adapters` written together and each measured on `images` photographs in all."""
        written = steps * (self.step + (adapters - 1) * self.more)
        return written + adapters * (self.decode + self.wear + images * self.name)


def pace(bundle: Bundle) -> Pace:
    """The pace of this process on the bundle's device; the first call measures for about a second."""
    device = bundle.device.type
    with _LOCK:
        if device not in _PACES:
            _PACES[device] = _measure(bundle)
        return _PACES[device]


def drawing(bundle: Bundle) -> float:
    """Seconds to draw one photograph of the bundle's world; the first call measures."""
    with _LOCK:
        if "cpu" not in _DRAWING:
            world = bundle.world
            world.images(bundle.seen[0], "eval", first=1)  # what a first one costs is not told
            _DRAWING["cpu"] = _seconds(lambda: world.images(bundle.seen[0], "eval", first=4), rounds=1) / 4
        return _DRAWING["cpu"]


def _measure(bundle: Bundle) -> Pace:
    generator, folded = bundle.generator(bundle.regime), []
    condition = bundle.embedding(bundle.seen[0])[None]

    def steps(adapters: int, count: int = 3) -> float:
        batch = condition.expand(adapters, -1)
        return _seconds(lambda: list(generator.path(batch, steps=count))) / count

    steps(1, 1)
    one, four = steps(1), steps(4)
    row = generator.generate(condition, steps=1)
    latents = generator.encode(row)
    begin = _seconds(lambda: folded.append(Folded(bundle.backbone)), rounds=1)
    size = bundle.world.size
    network = folded[0].set_adapter(row[0])
    shown = torch.zeros(_IMAGES, 3, size, size, dtype=torch.uint8, device=bundle.device)
    pixels = network.standard.prepared(shown)
    network(pixels)
    naming = _seconds(lambda: network(pixels).cpu()) / _IMAGES
    wearing = _seconds(lambda: network.set_adapter(row[0]))
    decoding = _seconds(lambda: generator.decode(latents).cpu())
    return Pace(one, max(0.0, (four - one) / 3), 1.5 * decoding, wearing, naming, begin)


def _seconds(work: Callable[[], object], *, rounds: int = 3) -> float:
    """The shortest of some rounds: what else the computer does only ever adds."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)

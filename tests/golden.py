"""What the bundled world writes and counts at fixed seeds: `python tests/golden.py` stores it, `test_golden` compares.

Store it anew only when a bundle is replaced or a change of its numbers is meant, and say so in the commit.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wildpdiff.bundle import WAYS, Bundle
from wildpdiff.evaluate import correct

BUNDLE = Path(__file__).parents[1] / "assets" / "savanna"
STORED = Path(__file__).with_name("golden.json")
#: Settings of one adapter: location, partner, blend weight, seed, sampling steps, guidance, eta.
SETTINGS = (
    ("R10", None, 0.0, 0, 50, 1.0, 0.0),
    ("S12", None, 0.0, 7, 10, 1.5, 1.0),
    ("R10", "R12", 0.5, 0, 50, 1.0, 0.0),
    ("D09", "H13", 0.25, 3, 20, 1.0, 0.5),
    ("U11", "M08", 0.8, 11, 5, 0.5, 0.0),
)
IMAGES = 40


def machine() -> str:
    """What has to be equal for floating-point numbers to be so bit by bit."""
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {_model()}"


def _model() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else "another processor"


def cells(bundle: Bundle) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every regime, way and setting by name: the row's checksum, eight of its numbers, and how many photographs it
    names correctly at both locations; on one thread, so that sums have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for regime in bundle.regimes:
            for way in WAYS:
                for place, setting in enumerate(SETTINGS):
                    row = written(bundle, regime, way, *setting)
                    yield f"{regime} {way} {place}", described(row) | {"right": counted(bundle, row, *setting[:2])}
    finally:
        torch.set_num_threads(threads)


def written(
    bundle: Bundle, regime: str, way: str, first: str, second: str | None, weight: float, seed: int, steps: int,
    guidance: float, eta: float,
) -> Tensor:  # fmt: skip
    """The raw row `[D]` of a setting."""
    generator = bundle.generator(regime, way=way)
    other = None if second is None else bundle.embedding(second)[None]
    options = {"steps": steps, "guidance": guidance, "seed": seed, "eta": eta}
    return generator.generate(bundle.embedding(first)[None], other=other, weight=weight, **options)[0].cpu()


def described(row: Tensor) -> dict[str, Any]:
    digest = hashlib.sha256(row.numpy().tobytes()).hexdigest()[:16]
    return {"sha256": digest, "numbers": row[:: len(row) // 8][:8].tolist(), "norm": float(row.norm())}


def counted(bundle: Bundle, row: Tensor, first: str, second: str | None) -> list[int]:
    """Of how many of the first photographs a row is right about, at one or both locations."""
    found = []
    for name in (first, second or first):
        images = bundle.world.images(name, "eval")
        found.append(int(correct(bundle.backbone, row[None], images.pixels[:IMAGES], images.labels[:IMAGES]).sum()))
    return found


if __name__ == "__main__":
    document = {"machine": machine(), "cells": dict(cells(Bundle.open(BUNDLE)))}
    STORED.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{len(document['cells'])} cells on {document['machine']}")

"""Speed as ratios: each pair is measured in turn, round after round, and medians are reported."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import timm
import torch
from torch.nn.functional import cross_entropy

from ..bundle import Bundle
from ..errors import UserError
from ..evaluate import accuracy, best_batch
from ..network.folded import Folded

STEPS, BATCH, DRAWN = 50, 16, 100


def run_bench(folder: Path, device: str, *, rounds: int = 7) -> dict[str, Any]:
    """Seconds and ratios on this machine.

    `generate_over_fine_tune_step`: one adapter (DDIM 50 steps, decoded) over one LoRA training step of batch 16.
    `evaluate.ratio`: images a second with an adapter swapped in (merging included) over those of plain timm, same
    images, same batch. `import_seconds` is a fresh interpreter's `import wildpdiff`.

    Raises:
        UserError: if `rounds` is not positive, or the bundle cannot be opened.
    """
    if rounds < 1:
        raise UserError(f"The number of rounds must be at least 1, not {rounds}.")
    bundle = Bundle.open(folder, device)
    tasks = {
        "generate": _generate(bundle),
        "fine_tune": _fine_tune_step(bundle),
        "adapted": _adapted(bundle),
        "plain": _plain_timm(bundle),
        "world": lambda: bundle.world.images(bundle.seen[0], "eval", first=DRAWN),
    }
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for round_index in range(rounds + 1):
        for name, task in tasks.items():
            spent = _seconds(task, device)
            if round_index:
                seconds[name].append(spent)
    middle = {name: median(values) for name, values in seconds.items()}
    images, drawn = len(_images(bundle)), len(bundle.world.images(bundle.seen[0], "eval", first=DRAWN))
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "generator_parameters": bundle.generator(bundle.regime).numbers,
        "generate": {"seconds": middle["generate"], "steps": STEPS, "batch": 1},
        "fine_tune_step_seconds": middle["fine_tune"],
        "generate_over_fine_tune_step": median(
            a / b for a, b in zip(seconds["generate"], seconds["fine_tune"], strict=True)
        ),
        "evaluate": {
            "images_per_second": images / middle["adapted"],
            "plain_timm_images_per_second": images / middle["plain"],
            "ratio": median(b / a for a, b in zip(seconds["adapted"], seconds["plain"], strict=True)),
        },
        "world_images_per_second": drawn / middle["world"],
        "import_seconds": _import_seconds(),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rounds": rounds,
    }


def _seconds(task: Callable[[], object], device: str) -> float:
    begun = time.perf_counter()
    task()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def _images(bundle: Bundle) -> torch.Tensor:
    return bundle.world.images(bundle.seen[0], "eval").pixels


def _generate(bundle: Bundle) -> Callable[[], object]:
    condition, generator = bundle.embedding(bundle.seen[0])[None], bundle.generator(bundle.regime)
    return lambda: generator.generate(condition, steps=STEPS, seed=0)


def _fine_tune_step(bundle: Bundle) -> Callable[[], object]:
    row = bundle.means(bundle.regime)[0].to(bundle.device)
    folded, row = Folded(bundle.backbone), torch.nn.Parameter(row)
    optimizer = torch.optim.AdamW([row], lr=1e-4)
    photographs = bundle.world.images(bundle.seen[0], "eval", first=BATCH)
    pixels, labels = photographs.pixels.to(bundle.device), photographs.labels.to(bundle.device)

    def step() -> None:
        loss = cross_entropy(folded.logits(row, folded.standard.prepared(pixels)), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def _adapted(bundle: Bundle) -> Callable[[], object]:
    images = bundle.world.images(bundle.seen[0], "eval")
    row = bundle.means(bundle.regime)[:1]
    return lambda: accuracy(bundle.backbone, row, images.pixels, images.labels)


def _plain_timm(bundle: Bundle) -> Callable[[], object]:
    """timm's own network as it comes, in the same memory format, on the same pixels."""
    network = timm.create_model(bundle.backbone.architecture, num_classes=len(bundle.backbone.species))
    network = network.eval().to(bundle.device).to(memory_format=torch.channels_last)
    pixels = _images(bundle)

    @torch.inference_mode()
    def forward() -> None:
        for batch in pixels.split(best_batch(bundle.device)):
            network(bundle.backbone.prepared(batch.to(bundle.device))).argmax(dim=1).cpu()

    return forward


def _import_seconds() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import wildpdiff"], check=True)
    return time.perf_counter() - begun

"""What several tests of p-diff share: a network of one's own, a tiny recipe, and pictures in folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from wildpdiff.pdiff.recipe import QUICK, BaseRecipe, Recipe, RowsRecipe

#: A network in a file, as a stranger would write it; it asks for `view`, which channels-last pictures do not bear.
OWN = '''"""A network of one's own."""

import torch
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.out = nn.Linear(8 * 16, 10)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.second(x))
        return self.out(x.view(x.size(0), -1))


def make():
    return Small()


def three_classes():
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 3))


def no_network():
    return 3


def fails():
    raise RuntimeError("no weights today")
'''
#: Seconds, not minutes.
TINY: Recipe = replace(
    QUICK,
    base=BaseRecipe(steps=60, batch=32),
    rows=RowsRecipe(runs=2, rows=20, interval=2, settle=2, rate=1e-3, batch=32, held_out=4),
    components=16,
    width=32,
    denoiser_steps=60,
    samples=10,
    selection=60,
    test=60,
)


def own_file(folder: Path) -> str:
    """Write the network of one's own; returns what to call it."""
    (folder / "own_network.py").write_text(OWN, encoding="utf-8")
    return f"{folder / 'own_network.py'}:make"


def write_pictures(folder: Path, counts: dict[str, int], size: int = 12) -> Path:
    """A folder of random pictures for each class."""
    rng = torch.Generator().manual_seed(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for place in range(count):
            pixels = torch.randint(0, 256, (size, size + 3, 3), dtype=torch.uint8, generator=rng)
            Image.fromarray(pixels.numpy()).save(folder / name / f"{place}.png")
    return folder

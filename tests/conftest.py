"""What several test files share."""

import os

# One thread in each of the processes that share the cores (see pyproject.toml), in their threads and children, too.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from tiny_bundle import write_tiny_bundle

from wildpdiff.network.backbone import Backbone
from wildpdiff.worlds.savanna.world import SPECIES

settings.register_profile("calm", deadline=None, derandomize=True)  # the same cases everywhere, on a busy machine too
settings.load_profile("calm")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle in which every part is real and nothing is trained; read only."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def backbone() -> Iterator[Backbone]:
    """An untrained classifier in evaluation mode; at the end of the run not a bit of it may have changed.

    Its batch norms have measured some noise, or its answers would fade to nothing on the way through the network.
    """
    built = _awake(Backbone.build(SPECIES, seed=0))
    before = {name: value.clone() for name, value in built.network.state_dict().items()}
    yield built
    for name, value in built.network.state_dict().items():
        assert torch.equal(value, before[name]), f"some test changed the shared network's '{name}'"


def _awake(backbone: Backbone) -> Backbone:
    norms = [module for module in backbone.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        backbone.train()(torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8, generator=rng))
    for norm in norms:
        norm.momentum = 0.1
    return backbone.eval()

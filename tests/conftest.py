"""What several test files share."""

import os
import signal

# One thread in each of the processes that share the cores (see pyproject.toml), in their threads and children, too.
os.environ["OMP_NUM_THREADS"] = "1"

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

# Heavy packages are imported where they are needed: the process that hands out the tests runs none of them.
if TYPE_CHECKING:
    from wildpdiff.network.backbone import Backbone

#: Files of the longest tests, which are begun first: so no process is alone with one at the end.
LONGEST = ("whole_flow", "unseen_study", "browser", "executors", "pdiff_system", "own", "installed", "pdiff_study")

settings.register_profile("calm", deadline=None, derandomize=True)  # the same cases everywhere, on a busy machine too
settings.load_profile("calm")
# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them press.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle in which every part is real and nothing is trained; read only.

    All processes of a run share one; the first that needs it writes it.
    """
    from tiny_bundle import write_tiny_bundle

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "bundles" / "tiny"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            write_tiny_bundle(folder.with_suffix(".part")).rename(folder)
    return folder


@pytest.fixture(scope="session")
def backbone() -> "Iterator[Backbone]":
    """An untrained classifier in evaluation mode; at the end of the run not a bit of it may have changed.

    Its batch norms have measured some noise, or its answers would fade to nothing on the way through the network.
    """
    import torch
    from tiny_bundle import awake

    from wildpdiff.network.backbone import Backbone
    from wildpdiff.worlds.savanna.world import SPECIES

    rng = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (16, 3, 64, 64), dtype=torch.uint8, generator=rng)
    built = awake(Backbone.build(SPECIES, seed=0), noise)
    before = {name: value.clone() for name, value in built.network.state_dict().items()}
    yield built
    for name, value in built.network.state_dict().items():
        assert torch.equal(value, before[name]), f"some test changed the shared network's '{name}'"

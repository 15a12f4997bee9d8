"""All locations of a zoo in one batched step: the same rows as one after the other, and no row lost to a kill."""

from pathlib import Path

import pytest
import torch

from wildpdiff.build.grow import do
from wildpdiff.build.grow_together import grow_together
from wildpdiff.build.jobs import Job
from wildpdiff.build.starts import save_row
from wildpdiff.network.backbone import Backbone
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.worlds import open_world
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld
from wildpdiff.zoo import Zoo

WORLD = SavannaWorld(SavannaConfig(size=32, train_images=6, eval_images=4)).to_json()
RECIPE = FinetuneRecipe(converge=1, rows=12, interval=1, batch_size=2)


def jobs(folder: Path, backbone: Backbone) -> list[Job]:
    start = folder / "start.safetensors"
    save_row(start, backbone.subset.initial(backbone.network, torch.Generator().manual_seed(0)), backbone)
    return [
        Job(folder / "zoo", "M", name, start, ((name, 1.0),), RECIPE, seed) for seed, name in enumerate(("R10", "R12"))
    ]


@pytest.fixture(scope="module")
def saved(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "backbone.safetensors"
    backbone.save(path)
    return path


@pytest.mark.slow
def test_a_zoo_grown_together_is_the_one_grown_location_by_location(saved: Path, tmp_path: Path) -> None:
    network = Backbone.load(saved)
    steps = list(grow_together(jobs(tmp_path / "a", network), saved, WORLD, device="cpu"))
    for job in jobs(tmp_path / "b", network):
        do(job, network, open_world(WORLD))
    together, alone = (Zoo(tmp_path / side / "zoo", network.layout, regime="M") for side in "ab")
    for name in ("R10", "R12"):
        rows, own = together.of(name)[0], alone.of(name)[0]
        start = network.subset.initial(network.network, torch.Generator().manual_seed(0))
        assert rows.shape == own.shape == (RECIPE.rows, network.layout.dim)
        # Alone the network is folded, together it is not: it rounds otherwise, and AdamW blows up gradients near 0.
        assert float((rows[0] - own[0]).norm()) < 0.1 * float((own[0] - start).norm())
    assert (steps[-1].index, steps[-1].total) == (24, 24)
    assert sorted(path.name for path in (tmp_path / "a" / "zoo").iterdir()) == ["R10.safetensors", "R12.safetensors"]


@pytest.mark.slow
def test_a_zoo_grown_together_goes_on_after_a_stop_and_then_has_nothing_to_do(saved: Path, tmp_path: Path) -> None:
    network = Backbone.load(saved)
    run = grow_together(jobs(tmp_path / "a", network), saved, WORLD, device="cpu")
    first = next(run)
    assert 0 < first.index < first.total
    run.close()  # type: ignore[attr-defined]
    list(grow_together(jobs(tmp_path / "a", network), saved, WORLD, device="cpu"))
    list(grow_together(jobs(tmp_path / "b", network), saved, WORLD, device="cpu"))
    stopped, whole = (Zoo(tmp_path / side / "zoo", network.layout, regime="M") for side in "ab")
    for name in ("R10", "R12"):
        assert torch.equal(stopped.of(name)[0], whole.of(name)[0])
    assert not list(grow_together(jobs(tmp_path / "a", network), saved, WORLD, device="cpu"))

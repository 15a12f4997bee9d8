"""Generation without a condition: what is trained, measured, and said."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from laboratory import fake_bundle
from torch import Tensor

from wildpdiff.build.jobs import zoo_folder
from wildpdiff.build.recipes import SMOKE
from wildpdiff.errors import UserError
from wildpdiff.experiments.lab import Lab
from wildpdiff.files import save_tensors
from wildpdiff.network.backbone import Backbone
from wildpdiff.paper import alone, table1
from wildpdiff.zoo import Zoo

pytestmark = pytest.mark.slow  # trainings

ROWS = 5
RECIPE = replace(SMOKE, finetune=replace(SMOKE.finetune, rows=ROWS), long_rows=ROWS)


def path_rows(start: Tensor, interval: int) -> Tensor:
    """Rows along a random walk, `interval` small steps apart, the same for every interval."""
    walk = torch.randn(ROWS * 100, len(start), generator=torch.Generator().manual_seed(2)).cumsum(dim=0)
    return start + 0.001 * walk[torch.arange(1, ROWS + 1) * interval - 1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab whose checkpoints are grown already."""
    folder = tmp_path_factory.mktemp("run")
    backbone = Backbone.build(("a", "b"), seed=0).round_to_half().eval()
    backbone.save(folder / "backbone.safetensors")
    mean = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    conditions = {"mean": mean, "views": mean[:, None].clone()}
    save_tensors(folder / "conditions.safetensors", conditions, {"condition": "tiny"})
    bundle = fake_bundle(RECIPE.seen, ("M",), folder=folder, backbone=backbone)
    lab = Lab(bundle, RECIPE, run=folder, samples=3)
    start = backbone.subset.initial(backbone.network, torch.Generator().manual_seed(0))
    for interval in alone.INTERVALS:
        zoo = Zoo(zoo_folder(lab.work, "M", interval), bundle.backbone.layout, regime="M")
        zoo.add("R10", path_rows(start, interval), torch.full((ROWS,), 0.5))
    return lab


def last(measure: Callable[[Lab], Any], lab: Lab) -> dict[str, Any]:
    *_, (step, data) = measure(lab)
    assert step.index == step.total
    return json.loads(json.dumps(data))


@pytest.fixture(scope="module")
def accuracies(lab: Lab) -> dict[str, Any]:
    return last(table1.measure_table1, lab)


@pytest.fixture(scope="module")
def new(lab: Lab) -> dict[str, Any]:
    return last(table1.measure_figure5, lab)


def test_every_interval_gets_a_generator_that_is_trained_once(lab: Lab, accuracies: dict[str, Any]) -> None:
    files = [lab.work / f"alone-R10-{interval}" / "model.safetensors" for interval in (1, 10, 100)]
    before = [path.stat().st_mtime_ns for path in files]
    assert list(alone.ready(lab)) == []
    assert [path.stat().st_mtime_ns for path in files] == before


def test_every_accuracy_says_what_it_was_measured_on(accuracies: dict[str, Any]) -> None:
    for cell in accuracies["intervals"].values():
        assert cell["generated"]["n"] == cell["fine_tuned"]["n"] == cell["codec"]["n"] == 3
        assert cell["ensemble"]["n"] == 1
        assert cell["generated"]["images"] == 4
        gap = cell["generated"]["mean"] - cell["fine_tuned"]["mean"]
        assert cell["gap"]["mean"] == pytest.approx(gap)


@pytest.fixture(scope="module")
def similar(lab: Lab) -> dict[str, Any]:
    return last(table1.measure_figure4, lab)


def test_larger_intervals_lead_further_away(similar: dict[str, Any]) -> None:
    found = similar["intervals"]
    ends = [found[name]["from_first"][-1] for name in ("1", "10", "100")]
    assert ends == sorted(ends, reverse=True)
    assert found["1"]["from_first"][0] == pytest.approx(1)
    least = [min(found[name]["smallest"]) for name in ("1", "10", "100")]
    assert least == sorted(least, reverse=True)


def test_noise_is_as_far_from_the_checkpoints_as_generated_adapters(new: dict[str, Any]) -> None:
    for found in new["intervals"].values():
        assert found["noise"]["distance"] == pytest.approx(found["generated"]["distance"], rel=1e-2)
        assert found["scaled_noise"]["distance"] == pytest.approx(found["generated"]["distance"], rel=1e-2)


def test_a_checkpoint_is_not_its_own_neighbour(new: dict[str, Any]) -> None:
    for found in new["intervals"].values():
        assert min(found["held_out"]["distance"]) > 0.05
        assert set(found) == set(table1.KINDS)


@pytest.mark.parametrize("experiment", table1.EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_the_findings_can_be_read_and_drawn(
    experiment: Any, accuracies: dict[str, Any], similar: dict[str, Any], new: dict[str, Any]
) -> None:
    data = {"table1": accuracies, "figure4": similar, "figure5": new}[experiment.name]
    for table in experiment.tables(data):
        assert table.rows
        assert all(len(row) == len(table.head) for row in table.rows)
    assert experiment.figures(data)
    assert len(experiment.findings(data)) >= 3


def test_a_difference_is_only_called_one_if_its_interval_excludes_zero() -> None:
    gap = {"mean": 0.02, "low": -0.01, "high": 0.05, "real": False}
    data = {"intervals": {"1": {"gap": gap}}}
    assert "no difference in accuracy is shown" in table1.findings_of_table1(data)[0]
    gap |= {"low": 0.01, "real": True}
    assert "better" in table1.findings_of_table1(data)[0]


def test_without_a_training_folder_one_is_asked_for(lab: Lab) -> None:
    with pytest.raises(UserError, match="--run"):
        next(table1.measure_table1(replace(lab, run=None)))

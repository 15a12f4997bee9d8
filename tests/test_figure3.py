"""Generated adapters as a start for fine-tuning."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_table7 import here
from torch import Tensor

from wildpdiff.build.recipes import SMOKE
from wildpdiff.errors import UserError
from wildpdiff.evaluate import correct
from wildpdiff.experiments.lab import Data, Lab
from wildpdiff.files import load_tensors
from wildpdiff.network.backbone import Backbone
from wildpdiff.paper import figure3
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld
from wildpdiff.zoo import CodedZoo

WORLD = SavannaWorld(SavannaConfig(size=32, train_images=8, eval_images=6))
TINY = FinetuneRecipe(converge=0, rows=2, interval=1, batch_size=2, settled_rate=1e-2)


class Bundle(SimpleNamespace):
    """What the experiment asks of a bundle; regime M has no generator, and no regime has fine-tuned rows."""

    def embedding(self, location: str) -> Tensor:
        return torch.ones(4)

    def zoo(self, regime: str) -> CodedZoo:
        return CodedZoo((), torch.zeros(0, 1, 1, 4), torch.ones(1, 1, dtype=torch.bool), torch.zeros(0, 1, 1), None)  # type: ignore[arg-type]

    def generator(self, regime: str) -> object:
        if regime == "M":
            raise UserError("There is no generator of regime M.")
        return SimpleNamespace(generate=lambda condition, seed: self.joint[None] * (0.5 if regime == "L" else 2.0))


@pytest.fixture(scope="module")
def lab(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("figure3")
    backbone.save(folder / "backbone.safetensors")
    rng = torch.Generator().manual_seed(5)
    joint = backbone.subset.initial(backbone.network, rng) + 0.02 * torch.randn(backbone.layout.dim, generator=rng)
    bundle = Bundle(
        folder=folder, world=WORLD, backbone=backbone, seen=("R10",), unseen=("D03", "E03"), regimes=("L", "M", "H"),
        joint=joint, device="cpu",
    )  # fmt: skip
    return Lab(bundle, replace(SMOKE, world=WORLD.to_json()), run=folder, samples=100)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(lab: Lab) -> Iterator[Data]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure3, "BUDGET", TINY)
        patch.setattr(figure3, "AT", (0, 1, 2, 40))
        patch.setattr(figure3, "do_all", here)
        *_, (step, found) = figure3.measure(lab)
        assert step.index == step.total == 8
        yield found


def test_what_the_bundle_lacks_is_left_out_and_said_so(lab: Lab, data: Data) -> None:
    assert list(data["mean"]) == ["gaussian", "L", "H", "joint"]
    assert "There is no generator of regime M." in lab.left_out
    assert any("R10" in sentence for sentence in lab.left_out)


def test_before_the_first_step_each_start_is_as_good_as_its_row(lab: Lab, data: Data, backbone: Backbone) -> None:
    loaded = Backbone.load(lab.bundle.folder / "backbone.safetensors")
    for location, own in data["locations"].items():
        held_out = WORLD.images(location, "eval")
        for name, factor in (("joint", 1.0), ("L", 0.5), ("H", 2.0)):
            right = correct(loaded, lab.bundle.joint[None] * factor, held_out.pixels, held_out.labels)
            assert own[name]["accuracy"][0]["mean"] == pytest.approx(float(right.double().mean()))


def test_the_gaussian_start_changes_nothing_and_differs_by_location(lab: Lab, data: Data) -> None:
    rows = [
        load_tensors(lab.work / "figure3" / f"start-{name}-gaussian.safetensors")[0]["row"] for name in ("D03", "E03")
    ]
    assert not torch.equal(rows[0], rows[1])
    factors = lab.bundle.backbone.layout.unpack(rows[0])
    assert all(bool((value == 0).all()) for name, value in factors.items() if name.endswith("lora_B"))


def test_differences_are_those_of_the_accuracies(data: Data) -> None:
    assert data["at"] == [0, 1, 2]
    assert json.loads(json.dumps(data)) == data
    for name, gap in data["against"].items():
        for step in range(3):
            means = [
                own[name]["accuracy"][step]["mean"] - own["gaussian"]["accuracy"][step]["mean"]
                for own in data["locations"].values()
            ]
            assert gap["accuracy"][step]["mean"] == pytest.approx(sum(means) / 2)
        assert not gap["loss"]["real"]


def test_tables_figures_and_sentences_have_every_start(data: Data) -> None:
    first, second = figure3.tables(data)
    for table in (first, second):
        assert {len(row) for row in table.rows} == {len(table.head)}
    assert (len(first.rows), len(second.rows)) == (4, 3)
    assert len(figure3.figures(data)) == 2
    assert len(figure3.findings(data)) == 4


def test_a_curve_is_the_mean_of_blocks() -> None:
    assert figure3.curve(torch.arange(25.0)) == [4.5, 14.5, 22.0]


def test_a_loss_is_lower_only_if_its_interval_says_so() -> None:
    value = {"mean": -0.1, "low": -0.2, "high": -0.05, "real": True}
    assert figure3._worded(value).startswith("lower")
    assert "no difference" in figure3._worded(value | {"high": 0.1, "real": False})


def test_a_second_measurement_trains_nothing(lab: Lab, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    files = sorted(Path(lab.work / "figure3").glob("*.json"))
    assert len(files) == 8
    monkeypatch.setattr("wildpdiff.paper.parameter_runs.finetune", lambda *_, **__: pytest.fail("trained again"))
    *_, (_, again) = figure3.measure(lab)
    assert again == data

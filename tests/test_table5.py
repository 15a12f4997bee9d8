"""The counts of photographs."""

from dataclasses import replace

import pytest
import torch
from laboratory import fake_bundle

from wildpdiff.build.recipes import SMOKE
from wildpdiff.evaluate import NONE, accuracy
from wildpdiff.experiments.lab import Data, Lab
from wildpdiff.network.backbone import Backbone
from wildpdiff.paper import table5
from wildpdiff.worlds.base import Split
from wildpdiff.worlds.savanna.world import SavannaConfig, SavannaWorld

WORLD = SavannaWorld(SavannaConfig(size=32, train_images=30, eval_images=10))


@pytest.fixture(scope="module")
def lab(backbone: Backbone) -> Lab:
    bundle = fake_bundle(("R10", "U13"), (), unseen=("D03",), world=WORLD, backbone=backbone)
    return Lab(bundle, replace(SMOKE, world=WORLD.to_json()), samples=2)


@pytest.fixture(scope="module")
def data(lab: Lab) -> Data:
    *_, (step, data) = table5.measure(lab)
    assert step.index == step.total
    return data


@pytest.mark.parametrize(("name", "stream", "count"), [("R10", "train", 40), ("D03", "eval", 7), ("P003", "train", 25)])
def test_labels_drawn_without_painting_are_those_of_the_photographs(name: str, stream: Split, count: int) -> None:
    painted = WORLD.photograph(WORLD.location(name), stream, count).labels
    assert torch.equal(WORLD.labels(name, stream, first=count), painted)


def test_photographs_are_counted_with_and_without_empty_ones(lab: Lab, data: Data) -> None:
    for name, kind in (("R10", "seen"), ("U13", "seen"), ("D03", "unseen")):
        labels = torch.cat([WORLD.images(name, "train").labels, WORLD.images(name, "eval").labels]).tolist()
        own = data["locations"][name]
        assert (own["kind"], own["train"], own["eval"], own["photographs"]) == (kind, 30, 10, 40)
        assert own["with_animal"] == sum(label != 18 for label in labels)
        assert own["species"] == len({label for label in labels if label != 18})
        assert own["by_species"] == [labels.count(label) for label in range(19)]
        held_out = lab.images(name)
        assert own["pretrained"]["mean"] == pytest.approx(
            float(accuracy(lab.bundle.backbone, [NONE], held_out.pixels, held_out.labels))
        )


def test_the_pretraining_locations_are_counted_together(data: Data) -> None:
    labels = [
        label
        for name in ("P000", "P001")
        for label in WORLD.photograph(WORLD.location(name), "train", 24).labels.tolist()
    ]
    own = data["pretraining"]
    assert (own["locations"], own["photographs"]) == (2, 48)
    assert own["with_animal"] == sum(label != 18 for label in labels)


def test_tables_are_rectangular_and_the_paper_s_numbers_stand_beside_ours(data: Data) -> None:
    first, second = table5.tables(data)
    for table in (first, second):
        assert {len(row) for row in table.rows} == {len(table.head)}
    rows = {row[0]: row for row in first.rows}
    assert rows["U13"][7:] == ("403", "51", "362", "41", "17.0")
    assert rows["D03 (unseen)"][7:] == ("", "", "", "", "96.6")
    totals = {row[0]: row[1:3] for row in second.rows}
    assert totals["train set (pretraining and seen)"] == ("4", "128")
    assert totals["test set (unseen)"] == ("1", "40")


def test_the_figures_and_sentences_are_of_every_location(data: Data) -> None:
    accuracy, species = table5.figures(data)
    assert [row[0] for row in accuracy["table"]["rows"]] == ["R10", "U13", "D03"]
    columns = zip(*species["data"][0]["z"], strict=True)
    assert [sum(column) for column in columns] == pytest.approx([100, 100, 100])
    assert "20% to 87%" in table5.findings(data)[0]

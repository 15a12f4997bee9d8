"""Curves: the counts of every pair along the blend, done by processes that may be killed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import only

from wildpdiff.build.recipes import SMOKE
from wildpdiff.bundle import Bundle
from wildpdiff.condition.base import blend
from wildpdiff.errors import UserError
from wildpdiff.evaluate import accuracy
from wildpdiff.experiments.lab import Lab
from wildpdiff.paper import curves
from wildpdiff.paper.curves import CURVES, Curve, curve_pairs, work_on
from wildpdiff.workers.pool import Workers


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "WEIGHTS", (0.0, 0.5, 1.0))
        patch.setattr(curves, "IMAGES", 2)
        patch.setattr(curves, "STEPS", 2)
        yield patch


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


def lab_of(bundle: Bundle, folder: Path) -> Lab:
    return Lab(bundle, replace(SMOKE, name="tiny"), folder)


@pytest.fixture(scope="module")
def data(bundle: Bundle, few: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The findings on two pairs in two regimes, worked on in this process."""
    bundle = only(bundle, "L", "H")

    def here(work: Any, jobs: Any, *, workers: Workers) -> Any:
        for count, job in enumerate(jobs, start=1):
            work(job)
            yield count

    with few.context() as patch:
        patch.setattr(curves, "each", here)
        patch.setattr(curves, "curve_pairs", lambda bundle: (("R10", "R12"), ("R10", "D03")))
        *_, (step, found) = curves.measure(lab_of(bundle, tmp_path_factory.mktemp("curves")))
    assert step.index == step.total
    return found


def test_all_pairs_of_seen_locations_and_every_unseen_one_have_a_curve(bundle: Bundle) -> None:
    pairs = curve_pairs(bundle)
    assert len(pairs) == len(set(pairs)) == 45 + len(bundle.unseen)
    assert ("R10", "R12") in pairs and ("R10", bundle.unseen[0]) in pairs


def test_a_count_is_that_of_the_adapter_at_its_weight(bundle: Bundle, data: dict[str, Any]) -> None:
    condition = blend(bundle.embedding("R10"), bundle.embedding("R12"), 0.5)
    row = bundle.generator("L", way="paper").generate(condition[None], steps=2, seed=0)
    images = bundle.world.images("R12", "eval", first=2)
    expected = float(accuracy(bundle.backbone, row, images.pixels, images.labels))
    assert data["curves"]["L"]["R10+R12"]["paper"][1][1] == round(2 * expected)


def test_an_unseen_end_has_no_average_of_weights(data: dict[str, Any]) -> None:
    assert set(data["curves"]["H"]["R10+D03"]) == {"ours", "paper"}
    assert set(data["curves"]["H"]["R10+R12"]) == {"ours", "paper", "weights"}


def test_the_findings_are_json_and_can_be_told(data: dict[str, Any]) -> None:
    found = json.loads(json.dumps(data, allow_nan=False))
    (table,) = CURVES.tables(found)
    assert table.rows and all(len(row) == len(table.head) for row in table.rows)
    assert len(CURVES.findings(found)) == 2 * 3 and CURVES.figures(found)


def test_a_finished_curve_is_not_measured_again(bundle: Bundle, tmp_path: Path) -> None:
    curve = Curve(tmp_path / "one.json", bundle.folder, "H", "R10", "R12")
    curve.file.write_text('{"kept": true}')
    work_on(curve)
    assert json.loads(curve.file.read_text()) == {"kept": True}


def test_without_a_training_folder_there_is_one_sentence(bundle: Bundle) -> None:
    with pytest.raises(UserError, match="--run DIR"):
        next(curves.measure(Lab(bundle, SMOKE)))


def test_of_a_location_with_fewer_photographs_the_share_is_of_those(data: dict[str, Any]) -> None:
    assert set(data["photographs"].values()) == {2} and curves.of({"images": 9}, "R10") == 9
    ones = {"ours": [[1, 1, 1], [1, 1, 1]], "weights": [[1, 1, 1], [1, 1, 1]], "paper": [[1, 1, 1], [1, 1, 1]]}
    made = data | {"images": 100, "curves": {"H": {"R10+R12": ones}}, "photographs": {"R10": 4, "R12": 2}}
    assert any("25.0 (25.0 to 25.0)% at the weaker" in sentence for sentence in curves.findings(made))
    assert any(
        "1.0 (1.0 to 1.0)% at the weaker" in sentence for sentence in curves.findings(made | {"photographs": {}})
    )

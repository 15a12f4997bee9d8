"""Tables 2 and 3: generated adapters against the others, by a rule instead of photographs."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from laboratory import RuledLab, fake_bundle, planes
from test_generator import LAYOUT, small_generator
from tiny_bundle import only
from torch import Tensor

from wildpdiff.build.jobs import zoo_folder
from wildpdiff.build.recipes import SMOKE
from wildpdiff.build.runs import run_file
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.experiments.lab import Lab
from wildpdiff.files import save_tensors
from wildpdiff.paper import table2, table3
from wildpdiff.zoo import Zoo

SEEN, UNSEEN, REGIMES = ("R10", "R12", "U11", "Q08"), ("D03", "E01"), ("L", "H")
IMAGES = 12
#: Rows of a location that the generator knows: of SMOKE's three runs of four rows, three rows of each of the first two.
ROWS = 6

#: A lab, and what tables 2 and 3 find in it.
Found = tuple[Lab, dict[str, Any], dict[str, Any]]


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab to change."""
    return ruled(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A lab to leave as it is, and what tables 2 and 3 find in it."""
    lab = ruled(tmp_path_factory.mktemp("lab"))
    return lab, measured(table2, lab), measured(table3, lab)


def ruled(folder: Path) -> Lab:
    """Four seen and two unseen locations, two regimes, 50 numbers in a row."""
    names = (*SEEN, *UNSEEN)
    embeddings = dict(zip(names, torch.randn(len(names), 6, generator=rng(1)), strict=True))
    generators = {
        (regime, way): small_generator(10 * place + number, plain=way == "paper")
        for place, regime in enumerate(REGIMES)
        for number, way in enumerate(("ours", "paper"))
    }
    bundle = fake_bundle(
        SEEN,
        REGIMES,
        lambda regime, name: known(regime, name).round(decimals=1),
        folder=folder,
        unseen=UNSEEN,
        embedding=embeddings.__getitem__,
        generator=lambda regime, *, way="ours": generators[regime, way],
        joint=torch.randn(LAYOUT.dim, generator=rng(2)),
        backbone=SimpleNamespace(layout=LAYOUT),
        means=lambda regime: torch.stack([known(regime, name).mean(dim=0) for name in SEEN]),
    )
    lab = RuledLab(bundle, SMOKE, folder, samples=3, seed=4, rule=planes(names, IMAGES, offset=3))
    for regime in REGIMES:
        for name in SEEN:
            for number, rows in enumerate(runs_of(regime, name)):
                save_run(lab, regime, name, number, rows)
    return lab


def runs_of(regime: str, name: str) -> Tensor:
    """All rows of a location's runs, `[3, 4, D]`."""
    return torch.randn(3, 4, LAYOUT.dim, generator=rng(100 * REGIMES.index(regime) + SEEN.index(name)))


def known(regime: str, name: str) -> Tensor:
    """The rows of a location that the generator knows."""
    return runs_of(regime, name)[:2, :3].flatten(0, 1)


def save_run(lab: Lab, regime: str, name: str, number: int, rows: Tensor) -> None:
    save_tensors(run_file(lab.work, regime, name, number), {"rows": rows}, {"layout": LAYOUT.fingerprint})


def measured(table: ModuleType, lab: Lab) -> dict[str, Any]:
    """The last data of an experiment, through JSON that knows no NaN."""
    steps = []
    for step, data in table.measure(lab):
        steps.append(step)
        assert 1 <= step.index <= step.total
        json.dumps(data)
    assert steps[-1].index == steps[-1].total
    return json.loads(json.dumps(data, allow_nan=False))


def share(lab: Lab, rows: Tensor, location: str) -> float:
    return float(lab.correct(rows, location).double().mean())


def made(lab: Lab, regime: str, location: str, count: int = 3, way: str = "ours") -> Tensor:
    """Generated rows, one seed after the other."""
    condition, generator = lab.bundle.embedding(location)[None], lab.bundle.generator(regime, way=way)
    return torch.cat([generator.generate(condition, seed=lab.seed + i) for i in range(count)])


def test_the_gap_is_generated_minus_fine_tuned(whole: Found) -> None:
    lab, data, _ = whole
    gaps = {}
    for regime in REGIMES:
        for name in SEEN:
            own, tuned = data["regimes"][regime]["locations"][name], known(regime, name)
            generated = share(lab, made(lab, regime, name), name)
            assert own["generated"]["mean"] == pytest.approx(generated, abs=0.03)
            assert own["fine_tuned"]["mean"] == pytest.approx(share(lab, tuned, name))
            assert own["gap"]["mean"] == pytest.approx(own["generated"]["mean"] - own["fine_tuned"]["mean"])
            gaps[regime, name] = own["gap"]["mean"]
        mean = sum(gaps[regime, name] for name in SEEN) / 4
        assert data["regimes"][regime]["mean"]["gap"]["mean"] == pytest.approx(mean)
        assert data["regimes"][regime]["mean"]["worst"] == min(gaps[regime, name] for name in SEEN)
    assert max(map(abs, gaps.values())) > 0.02, "or nothing was compared"


def test_the_parts_of_the_gap_add_up(whole: Found) -> None:
    for part in whole[1]["regimes"].values():
        for cells in (*part["locations"].values(), part["mean"]):
            parts = cells["codec_gap"]["mean"] + cells["diffusion_gap"]["mean"]
            assert cells["gap"]["mean"] == pytest.approx(parts)
            lost = cells["codec"]["mean"] - cells["fine_tuned"]["mean"]
            assert cells["codec_gap"]["mean"] == pytest.approx(lost)


def test_every_cell_says_what_it_was_measured_on(whole: Found) -> None:
    _, data, _ = whole
    assert data["samples"] == 3
    for part in data["regimes"].values():
        for cells in part["locations"].values():
            assert {way: cells[way]["images"] for way in table2.WAYS} == dict.fromkeys(table2.WAYS, IMAGES)
            count = {way: cells[way]["n"] for way in table2.WAYS}
            assert count["generated"] == count["paper"] == 3
            assert count["fine_tuned"] == count["codec"] == ROWS
            assert {count[way] for way in ("pretrained", "ensemble", "joint", "zoo_mean", "nearest", "softmax")} == {1}
            assert all(0 <= cells[way]["low"] <= cells[way]["mean"] <= cells[way]["high"] <= 1 for way in table2.WAYS)


def test_single_rows_are_what_their_names_say(whole: Found) -> None:
    lab, data, _ = whole
    for regime in REGIMES:
        zoo = {name: known(regime, name) for name in SEEN}
        for name in SEEN:
            cells = data["regimes"][regime]["locations"][name]
            embedding = lab.bundle.embedding(name)
            others = [other for other in SEEN if other != name]
            alike = [torch.cosine_similarity(embedding, lab.bundle.embedding(other), dim=0) for other in others]
            nearest = others[int(torch.stack(alike).argmax())]
            expected = {
                "pretrained": torch.zeros(LAYOUT.dim),
                "ensemble": zoo[name].mean(dim=0),
                "joint": lab.bundle.joint,
                "zoo_mean": torch.stack([zoo[other].mean(dim=0) for other in SEEN]).mean(dim=0),
                "nearest": zoo[nearest].mean(dim=0),
            }
            for way, row in expected.items():
                assert cells[way]["mean"] == pytest.approx(share(lab, row[None], name), abs=0.09), (way, name)


def test_common_mistakes_are_told_of_fine_tuned_of_generated_and_between_both(whole: Found) -> None:
    lab, data, _ = whole

    def common(first: Tensor, second: Tensor) -> float:
        shares = [
            int((one & other).sum()) / max(1, int((one | other).sum()))
            for place, one in enumerate(first)
            for at, other in enumerate(second)
            if first is not second or place != at
        ]
        return sum(shares) / len(shares)

    found = data["regimes"]["H"]["locations"]["R12"]["wrong_overlap"]
    tuned, generated = (~lab.correct(rows, "R12") for rows in (known("H", "R12"), made(lab, "H", "R12")))
    expected = {"fine_tuned": (tuned, tuned), "generated": (generated, generated), "between": (generated, tuned)}
    assert found == {part: pytest.approx(common(*both), abs=0.05) for part, both in expected.items()}


def test_noise_is_as_far_from_the_zoo_as_generated_adapters(whole: Found) -> None:
    lab = whole[0]
    shared = table2._Shared(lab, "H")
    rows = table2.candidates(lab, shared, "R10")
    tuned = lab.rows("H", "R10")
    distances = torch.cdist(rows["generated"], tuned).min(dim=1).values
    moved = (rows["noise"] - tuned[:3]).norm(dim=1)
    assert torch.allclose(moved, distances, rtol=1e-3)


@pytest.mark.parametrize("samples", [2, 9])
def test_few_and_many_samples_can_be_measured(lab: Lab, samples: int) -> None:
    lab = replace(lab, samples=samples)
    data = measured(table2, lab)
    assert data["regimes"]["L"]["locations"]["R10"]["generated"]["n"] == samples
    unseen = measured(table3, lab)
    assert unseen["regimes"]["L"]["locations"]["D03"]["generated"]["n"] == samples


@pytest.mark.parametrize("table", [table2, table3])
def test_the_tables_are_rectangular_and_the_figures_drawn(whole: Found, table: ModuleType) -> None:
    data = whole[1 if table is table2 else 2]
    (experiment,) = table.EXPERIMENTS
    for found in experiment.tables(data):
        assert found.rows
        assert {len(row) for row in found.rows} == {len(found.head)}
        assert all(isinstance(cell, str) for row in (found.head, *found.rows) for cell in row)
    assert experiment.figures(data)
    assert all(sentence.endswith(".") for sentence in experiment.findings(data))


def test_each_location_has_its_row_with_the_paper_s_figures_beside(
    whole: Found,
) -> None:
    _, seen, unseen = whole
    low = next(table for table in table2.tables(seen) if "Regime L" in table.title)
    assert [row[0] for row in low.rows] == list(SEEN)
    assert low.rows[0][-3:] == ("94.2", "93.8", "-0.4")
    there = table3.tables(unseen)[1]
    assert [row[0] for row in there.rows] == list(UNSEEN)
    assert there.rows[1][-4:] == ("97.9", "97.7", "97.1", "96.2")


def test_the_paper_s_mean_gaps_are_those_that_it_reports() -> None:
    """`shared/field.md`, from the paper's text."""
    for regime, expected in (("L", -0.04), ("M", -0.81), ("H", -0.86)):
        gaps = [generated - tuned for tuned, generated in table2.PAPER[regime].values()]
        assert len(gaps) == 10
        assert sum(gaps) / 10 == pytest.approx(expected, abs=0.01)
        assert float(table2.paper_gap(regime).replace("\u2212", "-")) == pytest.approx(expected, abs=0.01)
    high = {name: generated - tuned for name, (tuned, generated) in table2.PAPER["H"].items()}
    assert min(high, key=high.__getitem__) == "U11" and high["U11"] == pytest.approx(-2.72)


def test_the_paper_s_means_at_unseen_locations_are_those_that_it_reports() -> None:
    columns = zip(*table3.PAPER.values(), strict=True)
    assert [sum(column) / 5 for column in columns] == pytest.approx([86.63, 86.61, 86.34, 85.29], abs=0.01)


def gap(mean: float, reach: float) -> dict[str, Any]:
    low, high = mean - reach, mean + reach
    return {"mean": mean, "low": low, "high": high, "se": reach / 1.96, "real": low > 0 or high < 0, "n": 10}


GAPS = [gap(mean, reach) for mean in (-0.031, -0.004, 0.0, 0.004, 0.031) for reach in (0.002, 0.01, 0.05)]
CALLED = ("better", "worse", "gains", "costs", "is a difference")


@pytest.mark.parametrize("found", GAPS, ids=lambda found: f"{found['low']:+.3f} to {found['high']:+.3f}")
def test_a_difference_is_only_called_one_if_its_interval_excludes_zero(found: dict[str, Any]) -> None:
    even = gap(0.0, 0.01)
    seen = table2.findings({"regimes": {"M": {"mean": {"gap": found, "over_ensemble": even}}}})
    over = table2.findings({"regimes": {"M": {"mean": {"gap": even, "over_ensemble": found}}}})[1:]
    unseen = table3.findings({"regimes": {"M": {"mean": {"generated_gain": found}}}, "mean": {"joint_gain": even}})[:1]
    joint = table3.findings({"regimes": {}, "mean": {"joint_gain": found}})
    for sentences in (seen[:1], over, unseen, joint):
        assert any(word in sentences[0] for word in CALLED) == found["real"]
        assert ("no difference" in sentences[0]) != found["real"]
    if found["real"]:
        assert ("better" in seen[0]) == ("better" in over[0]) == ("gains" in unseen[0]) == (found["mean"] > 0)
        size = f"{abs(100 * found['mean']):.1f}"
        assert size in seen[0] and size in unseen[0] and size in joint[0]


def test_table3_measures_gains_over_the_pretrained_network(whole: Found) -> None:
    lab, _, data = whole
    for name in UNSEEN:
        plain = share(lab, torch.zeros(1, LAYOUT.dim), name)
        shared = data["shared"][name]
        assert shared["pretrained"]["mean"] == pytest.approx(plain)
        assert shared["joint_gain"]["mean"] == pytest.approx(share(lab, lab.bundle.joint[None], name) - plain)
        for regime in REGIMES:
            cells = data["regimes"][regime]["locations"][name]
            for way, key in (("ours", "generated"), ("paper", "paper")):
                rows = made(lab, regime, name, way=way)
                assert cells[key]["mean"] == pytest.approx(share(lab, rows, name), abs=0.03)
            assert cells["generated_gain"]["mean"] == pytest.approx(cells["generated"]["mean"] - plain)
    assert not torch.allclose(made(lab, "L", "D03"), made(lab, "L", "D03", way="paper"), atol=1e-2)


def harm(lab: Lab, how: str) -> None:
    """Make location R12 unusable in regime H."""
    path = run_file(lab.work, "H", "R12", 1)
    if how == "missing":
        path.unlink()
    elif how == "damaged":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        for number in range(SMOKE.runs):
            save_run(lab, "H", "R12", number, torch.full((4, LAYOUT.dim), math.nan))


@pytest.mark.parametrize("how", ["missing", "damaged", "not finite"])
def test_an_unusable_location_is_left_out_and_named_and_the_rest_goes_on(lab: Lab, how: str) -> None:
    harm(lab, how)
    data = measured(table2, lab)
    assert list(data["regimes"]["H"]["locations"]) == ["R10", "U11", "Q08"]
    assert list(data["regimes"]["L"]["locations"]) == list(SEEN)
    assert data["regimes"]["H"]["mean"]["gap"]["n"] == 3
    assert lab.left_out and all("R12" in sentence and sentence.endswith(".") for sentence in lab.left_out)
    assert len(lab.left_out) == len(set(lab.left_out)) <= 2
    assert str(lab.bundle.folder) not in " ".join(lab.left_out)
    assert table2.tables(data) and table2.findings(data)


@pytest.mark.parametrize("how", ["missing", "damaged", "not finite"])
def test_unseen_locations_are_measured_without_an_unusable_seen_one(lab: Lab, how: str) -> None:
    harm(lab, how)
    data = measured(table3, lab)
    assert list(data["regimes"]["H"]["locations"]) == list(UNSEEN)
    means = torch.stack([known("H", name).mean(dim=0) for name in ("R10", "U11", "Q08")])
    expected = share(lab, means.mean(dim=0)[None], "D03")
    assert data["regimes"]["H"]["locations"]["D03"]["zoo_mean"]["mean"] == pytest.approx(expected, abs=0.09)
    assert "R12" in lab.left_out[0]


def test_single_rows_that_are_not_finite_are_left_out_and_counted(lab: Lab) -> None:
    rows = runs_of("H", "R12")
    rows[0, 1, 7], rows[1, 0] = math.inf, math.nan
    for number in range(2):
        save_run(lab, "H", "R12", number, rows[number])
    assert torch.equal(lab.rows("H", "R12"), torch.cat([rows[0, [0, 2]], rows[1, [1, 2]]]))
    assert lab.locations("H") == SEEN
    assert lab.left_out == ["2 rows of R12 in regime H are not finite."]


def test_rows_are_thinned_evenly_and_in_order(lab: Lab) -> None:
    every = known("L", "R10")
    assert torch.equal(lab.rows("L", "R10", at_most=3), every[[0, 2, 5]])
    assert torch.equal(lab.rows("L", "R10", at_most=9), every)
    assert torch.equal(lab.means("L")[2], known("L", "U11").mean(dim=0))


def test_rows_are_those_that_were_trained_where_they_are_kept_and_else_those_of_the_codec(
    lab: Lab, tmp_path: Path
) -> None:
    assert torch.equal(lab.rows("L", "R10"), known("L", "R10"))
    for run in (None, tmp_path / "an empty one"):
        assert torch.equal(replace(lab, run=run).rows("L", "R10"), known("L", "R10").round(decimals=1))


def test_rows_of_a_long_run_are_asked_for_by_their_interval(lab: Lab) -> None:
    whole = Zoo(zoo_folder(lab.work, "L", 7), LAYOUT, regime="L")
    whole.add("R10", torch.ones(2, LAYOUT.dim), torch.zeros(2))
    assert torch.equal(lab.rows("L", "R10", interval=7), torch.ones(2, LAYOUT.dim))
    assert torch.equal(lab.rows("L", "R10"), known("L", "R10"))
    with pytest.raises(UserError, match="no rows of location 'R12'"):
        lab.rows("L", "R12", interval=7)
    with pytest.raises(UserError, match="--run"):
        replace(lab, run=None).work  # noqa: B018


class ShortLab(Lab):
    """A lab that measures at two of the seen locations."""

    def locations(self, regime: str, interval: int | None = None) -> tuple[str, ...]:
        return super().locations(regime, interval)[:2]


@pytest.fixture
def real(tiny_bundle: Path) -> Iterator[Lab]:
    """The tiny bundle, shortened to one regime, two seen locations and one unseen one."""
    bundle = Bundle.open(tiny_bundle)
    bundle = only(bundle, "M")
    bundle.conditions  # noqa: B018  (by all names, before they are shortened)
    bundle.manifest["unseen"] = ["D03"]
    yield ShortLab(bundle, SMOKE, samples=2)


@pytest.mark.parametrize("table", [pytest.param(table2, marks=pytest.mark.slow), table3])
def test_a_real_bundle_can_be_measured_and_stays_as_it_was(real: Lab, table: ModuleType) -> None:
    before = real.bundle.backbone.fingerprint
    data = measured(table, real)
    (names,) = ([*part["locations"]] for part in data["regimes"].values())
    assert names == (["R10", "R12"] if table is table2 else ["D03"])
    for cells in data["regimes"]["M"]["locations"].values():
        assert cells["generated"]["images"] == 4 and cells["generated"]["n"] == 2
    assert real.bundle.backbone.fingerprint == before
    assert real.left_out == []
    assert table.tables(data) and table.figures(data) and table.findings(data)

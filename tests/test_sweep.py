"""Sweeps: every combination once, measured as a single adapter is, compared with known rows; files of them."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wildpdiff.bundle import Bundle
from wildpdiff.condition.base import blend
from wildpdiff.errors import UserError
from wildpdiff.evaluate import accuracy, wilson
from wildpdiff.measure.statistics import difference
from wildpdiff.similarity import exact_cosine
from wildpdiff.sweep import Cell, Gathered, Made, Sweep, by_weight, compare, run
from wildpdiff.sweep.known import Known
from wildpdiff.sweep.pace import Pace, pace
from wildpdiff.sweep.record import COLUMNS, Record, write_npz
from wildpdiff.sweep.spec import names_of, pairs_of, weights_of
from wildpdiff.sweep.written import about, as_table, run_into, save

SWEEP = Sweep(
    (("R10", "R12"), ("R10", "D03")), (0.0, 0.5), seeds=2, regimes=("H", "L"), ways=("ours",), steps=2, images=4, seed=5
)
SMALL = replace(SWEEP, pairs=SWEEP.pairs[:1], regimes=("H",))


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def made(bundle: Bundle) -> list[Made]:
    return list(run(bundle, SWEEP))


@pytest.fixture(scope="module")
def gathered(made: list[Made]) -> Gathered:
    found = Gathered()
    for one in made:
        found.add(one)
    return found


def test_every_combination_is_there_once_in_order(made: list[Made]) -> None:
    assert len(made) == SWEEP.size == 16
    found = [(r.regime, r.way, r.a, r.b, r.weight, r.seed) for r in (one.record for one in made)]
    assert found == [
        (regime, "ours", "R10", b, weight, seed)
        for regime in ("H", "L")
        for b in ("R12", "D03")
        for weight in (0.0, 0.5)
        for seed in (5, 6)
    ]


@pytest.mark.parametrize("place", [0, 3, 6, 15])
def test_a_record_is_what_a_single_evaluation_says(bundle: Bundle, made: list[Made], place: int) -> None:
    record = made[place].record
    condition = blend(bundle.embedding(record.a), bundle.embedding(record.b), record.weight)
    row = bundle.generator(record.regime, way=record.way).generate(condition[None], steps=2, seed=record.seed)
    assert torch.allclose(made[place].row, row[0], atol=1e-5)
    for name, share, right, low, high in (
        (record.a, record.accuracy_a, record.right_a, record.low_a, record.high_a),
        (record.b, record.accuracy_b, record.right_b, record.low_b, record.high_b),
    ):
        images = bundle.world.images(name, "eval", first=4)
        assert share == pytest.approx(float(accuracy(bundle.backbone, row, images.pixels, images.labels)[0]))
        assert (right, record.images) == (round(share * 4), 4)
        assert (low, high) == pytest.approx(wilson(right, 4))
    mean = bundle.means(record.regime)[bundle.seen.index(record.a)]
    assert record.cosine_a == pytest.approx(float(torch.cosine_similarity(row, mean[None])), abs=1e-5)
    assert record.norm == pytest.approx(float(row.norm()), rel=1e-5)


def test_an_unseen_location_has_no_fine_tuned_rows_to_be_like(made: list[Made]) -> None:
    assert [one.record.cosine_b is None for one in made] == [one.record.b == "D03" for one in made]


def test_the_ways_and_regimes_give_other_adapters(bundle: Bundle) -> None:
    both = replace(SMALL, weights=(0.5,), seeds=1, regimes=("L", "M"), ways=("ours", "paper"))
    rows = [one.row for one in run(bundle, both)]
    assert len(rows) == 4
    assert all(not torch.equal(a, b) for place, a in enumerate(rows) for b in rows[place + 1 :])


@pytest.mark.slow
def test_photographs_that_are_handed_in_are_used(bundle: Bundle) -> None:
    world, asked = bundle.world, list[tuple[str, int]]()

    def photographs(location: str, count: int) -> Any:
        asked.append((location, count))
        return world.images(location, "eval", first=count + 3)

    found = [one.record for one in run(bundle, SMALL, photographs=photographs)]
    assert found == [one.record for one in run(bundle, SMALL)]
    assert set(asked) == {("R10", 4), ("R12", 4)}


def test_a_stop_ends_the_run_and_keeps_what_is_there(bundle: Bundle, made: list[Made]) -> None:
    found: list[Made] = []
    for one in run(bundle, SWEEP, lambda: len(found) < 3):
        found.append(one)
    assert [one.record for one in found] == [one.record for one in made[:3]]
    assert list(run(bundle, SWEEP, lambda: False)) == []


def test_the_network_is_left_as_it_was(bundle: Bundle) -> None:
    before = {name: value.clone() for name, value in bundle.backbone.network.state_dict().items()}
    list(run(bundle, SMALL))
    assert all(torch.equal(value, before[name]) for name, value in bundle.backbone.network.state_dict().items())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pairs": ()}, "at least one pair"),
        ({"weights": ()}, "at least one blend weight"),
        ({"pairs": (("R10", "R10"),)}, "two different locations, not R10 twice"),
        ({"pairs": (("R10", "R12"), ("R10", "R12"))}, "R10:R12 is there twice"),
        ({"weights": (0.5, 0.5)}, "0.5 is there twice"),
        ({"weights": (1.5,)}, "0..1"),
        ({"weights": (math.nan,)}, "0..1"),
        ({"seeds": 0}, "1..16"),
        ({"seeds": 17}, "1..16"),
        ({"regimes": ()}, "at least one regime"),
        ({"ways": ("ours", "ours")}, "ours is there twice"),
        ({"steps": 0}, "1..200"),
        ({"images": 0}, "1..200"),
        ({"seed": -1}, "first seed"),
        ({"weights": tuple(i / 1000 for i in range(1000)), "seeds": 16}, "at most 2,000"),
    ],
)
def test_a_sweep_out_of_range_is_refused_in_one_sentence(change: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        replace(SWEEP, **change)
    assert str(caught.value).endswith(".") and ". " not in str(caught.value)


@pytest.mark.parametrize("change", [{"pairs": (("R10", "Z99"),)}, {"pairs": (("own", "R10"),)}])
def test_a_location_that_is_not_in_the_bundle_is_refused(bundle: Bundle, change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="not known"):
        next(run(bundle, replace(SWEEP, **change)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"regimes": ("X",)}, "Regime 'X' is not in this bundle; choose one of: L, M, H"),
        ({"ways": ("theirs",)}, "ours, paper"),
    ],
)
def test_what_is_not_in_the_bundle_is_refused_before_anything_is_written(
    bundle: Bundle, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        replace(SWEEP, **change).cost(bundle)


def test_json_makes_the_same_sweep_again() -> None:
    assert Sweep.of(json.loads(json.dumps(SWEEP.to_json()))) == SWEEP
    assert Sweep.of({"pairs": [["R10", "R12"]], "weights": [0]}) == Sweep((("R10", "R12"),), (0.0,))


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"pairs": [["R10", "R12"]]},
        {"pairs": [["R10"]], "weights": [0]},
        {"pairs": 7, "weights": [0]},
        {"pairs": [["R10", "R12"]], "weights": ["a"]},
        {"pairs": [["R10", "R12"]], "weights": [0], "seeds": 1.5},
        {"pairs": [["R10", "R12"]], "weights": [0], "seeds": "many"},
        {"pairs": [["R10", "R12"]], "weights": [0], "steps": math.inf},
        None,
        [1],
    ],
)
def test_what_is_no_sweep_is_refused_in_a_sentence(value: Any) -> None:
    with pytest.raises(UserError):
        Sweep.of(value)


def test_typed_lists_are_read() -> None:
    assert pairs_of("R10:R12, R10:U11") == (("R10", "R12"), ("R10", "U11"))
    assert weights_of("0,0.5, 1") == (0.0, 0.5, 1.0)
    assert names_of("L, H") == ("L", "H")
    for read, wrong in ((pairs_of, "R10"), (pairs_of, "R10:"), (pairs_of, "a:b:c"), (weights_of, "0,half")):
        with pytest.raises(UserError, match="written like"):
            read(wrong)


def test_the_command_line_of_a_sweep_names_all_of_it() -> None:
    told = SWEEP.command.split()
    given = dict(zip(told[2::2], told[3::2], strict=True))
    again = Sweep(
        pairs_of(given["--pairs"]), weights_of(given["--weights"]), int(given["--seeds"]),
        names_of(given["--regime"]), names_of(given["--way"]), int(given["--steps"]),
        int(given["--images"]), int(given["--seed"]),
    )  # fmt: skip
    assert again == SWEEP


def test_cost_grows_with_adapters_steps_and_photographs(bundle: Bundle) -> None:
    cost = SWEEP.cost(bundle, drawn=True)
    assert 0 < cost < SWEEP.cost(bundle)
    for change in ({"seeds": 4}, {"steps": 20}, {"images": 8}, {"weights": (0.0, 0.5, 1.0)}):
        assert replace(SWEEP, **change).cost(bundle, drawn=True) > cost
    assert pace(bundle) is pace(bundle)


def test_a_batch_costs_its_first_adapter_and_less_for_the_others() -> None:
    known = Pace(step=0.1, more=0.02, decode=0.5, wear=0.25, name=0.01, begin=9.0)
    assert known.batch(1, steps=10, images=100) == pytest.approx(1.0 + 0.75 + 1.0)
    assert known.batch(3, steps=10, images=100) == pytest.approx(1.4 + 3 * 1.75)


def test_a_known_row_is_not_new_and_is_its_own_nearest(bundle: Bundle) -> None:
    lost = float(bundle.zoo("H").beyond.max())
    rows = torch.stack([bundle.zoo("H").rows(location)[1] for location in ("R12", "S12")])
    for found, location in zip(Known.of(bundle, "H").near(rows), ("R12", "S12"), strict=True):
        assert found["novelty"] == pytest.approx(0, abs=1e-9)
        assert (found["near_location"], found["near_row"]) == (location, 1)
        assert found["near_cosine"] == pytest.approx(1)
        assert found["near_distance"] == 0
        assert found["map_location"] == location
        assert found["map_distance"] < 2 * lost, "the map is drawn of rows as they were, not as the codec keeps them"


def test_novelty_is_what_is_missing_to_the_most_alike_kept_row(bundle: Bundle, made: list[Made]) -> None:
    for one in made[::8]:
        parts = [bundle.zoo(one.record.regime).rows(name) for name in bundle.seen]
        rows, index = torch.cat(parts), torch.arange(len(parts)).repeat_interleave(len(parts[0]))
        alike = torch.cosine_similarity(one.row[None].double(), rows.double())
        assert one.record.novelty == pytest.approx(1 - float(alike.max()), abs=1e-9)
        assert one.record.near_location == bundle.seen[int(index[alike.argmax()])]
        assert one.record.near_distance == pytest.approx(float((one.row - rows[alike.argmax()]).norm()), rel=1e-5)


def test_how_far_checkpoints_lie_apart_is_said_with_their_number(bundle: Bundle) -> None:
    known = Known.of(bundle, "H")
    assert known.apart > 0
    assert "240 fine-tuned rows" in known.words and "24 a location" in known.words and "approximate" in known.words


def test_a_cell_has_its_weaker_location_and_how_alike_its_adapters_are(made: list[Made], gathered: Gathered) -> None:
    assert len(gathered.cells) == 8
    assert all(tuple(found.right.shape) == (2, 2, 4) for found in gathered.cells)
    for place, cell in enumerate(gathered.cells):
        own = made[2 * place : 2 * place + 2]
        shares = [sum(getattr(one.record, f"accuracy_{side}") for one in own) / 2 for side in "ab"]
        assert cell.at["mean"] == pytest.approx(min(shares))
        assert cell.weaker == (cell.a if shares[0] <= shares[1] else cell.b)
        assert cell.alike == pytest.approx(float(exact_cosine(own[0].row[None], own[1].row[None])))
        assert cell.diversity == pytest.approx(1 - cell.alike)
        assert cell.novelty == pytest.approx(sum(one.record.novelty for one in own) / 2)
        assert cell.at["n"] == 2 and cell.at["low"] <= cell.at["mean"] <= cell.at["high"]


def test_one_adapter_alone_has_no_diversity(made: list[Made]) -> None:
    found = Gathered()
    found.add(made[0])
    (cell,) = found.cells
    assert cell.alike is None and cell.diversity is None
    found.add(made[1])
    assert len(found.cells) == 1 and found.cells[0].alike is not None


def cell(weight: float, mean: float, pair: tuple[str, str] = ("R10", "R12"), **change: Any) -> Cell:
    at = {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "se": 0.05, "n": 2, "images": 10}
    return replace(Cell(*pair, weight, "H", "ours", pair[0], at, 0.1, 0.9, torch.zeros(2, 2, 10)), **change)


def test_cells_are_averaged_over_pairs_by_weight_regime_and_way() -> None:
    cells = [cell(0.0, 0.5), cell(0.0, 0.7, ("R10", "U11")), cell(1.0, 0.9), cell(0.0, 0.2, regime="L")]
    found = by_weight(cells)
    assert set(found) == {("H", "ours"), ("L", "ours")}
    assert found["H", "ours"][0.0]["mean"] == pytest.approx(0.6)
    assert found["H", "ours"][0.0]["n"] == 2
    assert found["H", "ours"][0.0]["low"] == pytest.approx(0.6 - 1.96 * 0.05 / 2**0.5)
    assert found["H", "ours"][1.0] == cells[2].at


def right(at_a: float, at_b: float, *, adapters: int = 2, images: int = 100, seed: int = 0) -> torch.Tensor:
    """Right and wrong `[2, N, M]` with such shares."""
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.rand(2, adapters, images, generator=rng)
    return torch.stack([drawn[0] < at_a, drawn[1] < at_b])


def test_two_runs_are_compared_where_both_have_the_pair_and_weight() -> None:
    first = [cell(w, 0, right=right(0.9, 0.5, seed=place)) for place, w in enumerate((0.0, 0.5, 1.0))]
    second = [cell(w, 0, way="paper", right=right(0.9, 0.7, seed=place)) for place, w in enumerate((0.0, 0.5, 0.75))]
    found = compare(first, second)
    assert found is not None and (found.cells, found.images) == (2, 100)
    parts = [difference(second[place].right[1], first[place].right[1]) for place in range(2)]
    assert found.difference["mean"] == pytest.approx(sum(part["mean"] for part in parts) / 2)
    assert found.difference["se"] == pytest.approx(sum(part["se"] for part in parts) / 2)
    assert found.difference["real"]
    back = compare(second, first)
    assert back is not None and back.difference["mean"] == pytest.approx(-found.difference["mean"])
    assert compare(first, [cell(0.25, 0.5)]) is None


def test_cells_at_different_locations_are_independent_and_those_at_one_are_not() -> None:
    own = right(0.9, 0.6, seed=1), right(0.9, 0.7, seed=2)
    for other, share in ((("R10", "R12"), 1.0), (("R10", "U11"), 0.5**0.5)):
        first, second = ([cell(0.0, 0, right=part), cell(0.5, 0, other, right=part)] for part in own)
        found, alone = compare(first, second), compare(first[:1], second[:1])
        assert found is not None and alone is not None
        assert found.difference["se"] == pytest.approx(alone.difference["se"] * share)


def test_a_run_does_not_differ_from_itself_and_fewer_photographs_are_compared() -> None:
    first, fewer = cell(0.0, 0, right=right(0.9, 0.5)), cell(0.0, 0, right=right(0.9, 0.5)[..., :32])
    found = compare([first], [fewer])
    assert found is not None and found.images == 32
    assert found.difference["mean"] == 0 and not found.difference["real"]


def test_what_a_run_varied_besides_is_pooled() -> None:
    parts = [right(0.9, share, seed=place) for place, share in enumerate((0.4, 0.6))]
    first = [cell(0.0, 0, right=parts[0]), cell(0.0, 0, right=parts[1], regime="L")]
    second = [cell(0.0, 0, right=right(0.9, 0.8, seed=3))]
    found = compare(first, second)
    assert found is not None and found.cells == 1
    pooled = torch.cat([part[1] for part in parts]).double().mean()
    assert found.difference["mean"] == pytest.approx(float(second[0].right[1].double().mean() - pooled))


def of_csv(text: str, name: str) -> Any:
    kind: Callable[[str], Any] = {"str": str, "int": int}.get(Record.__annotations__[name].split(" ")[0], float)
    return None if text == "" else kind(text)


def test_a_csv_holds_every_record(bundle: Bundle, gathered: Gathered, tmp_path: Path) -> None:
    save(tmp_path / "new" / "a.csv", bundle, SWEEP, gathered)
    lines = list(csv.DictReader((tmp_path / "new" / "a.csv").open()))
    assert tuple(lines[0]) == COLUMNS
    assert [Record(**{name: of_csv(text, name) for name, text in line.items()}) for line in lines] == gathered.records


def test_a_json_document_holds_the_sweep_and_every_record(bundle: Bundle, gathered: Gathered, tmp_path: Path) -> None:
    save(tmp_path / "a.json", bundle, SWEEP, gathered)
    found = json.loads((tmp_path / "a.json").read_text())
    assert Sweep.of(found["sweep"]) == SWEEP
    assert [Record(**record) for record in found["records"]] == gathered.records
    assert len(found["cells"]) == 8 and found["bundle"] == bundle.manifest["sum"]
    assert set(found["known"]) == {"H", "L"}


def test_an_npz_holds_rows_in_half_precision_beside_their_records(
    bundle: Bundle, gathered: Gathered, made: list[Made], tmp_path: Path
) -> None:
    save(tmp_path / "a.npz", bundle, SWEEP, gathered)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found["rows"].dtype == np.float16
        assert np.array_equal(found["rows"], torch.stack([one.row for one in made]).half().numpy())
        assert found["seed"].tolist() == [record.seed for record in gathered.records]
        assert found["b"].tolist() == [record.b for record in gathered.records]
        assert np.isnan(found["cosine_b"]).tolist() == [record.cosine_b is None for record in gathered.records]


def test_an_npz_holds_the_first_rows_and_their_records_alone(gathered: Gathered, tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", gathered.records, gathered.rows[:3])
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert len(found["rows"]) == len(found["a"]) == 3
    with pytest.raises(UserError, match="no adapter"):
        write_npz(tmp_path / "b.npz", [], [])


def test_rows_are_kept_up_to_a_limit(made: list[Made], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildpdiff.sweep.cells.KEPT_ROWS", 5)
    found = Gathered()
    for one in made:
        found.add(one)
    assert (len(found.rows), len(found.records)) == (5, 16)


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.npz"])
def test_a_run_into_a_file_that_is_closed_early_leaves_what_it_has(bundle: Bundle, tmp_path: Path, name: str) -> None:
    steps = run_into(bundle, SMALL, tmp_path / name)
    seen = [(step.index, step.total) for step, _ in islice(steps, 3)]
    steps.close()
    assert seen == [(1, 4), (2, 4), (3, 4)]
    if name == "a.csv":
        assert len(list(csv.DictReader((tmp_path / name).open()))) == 3
    elif name == "a.json":
        assert len(json.loads((tmp_path / name).read_text())["records"]) == 3
    else:
        with np.load(tmp_path / name) as found:
            assert len(found["rows"]) == 3


def test_a_csv_grows_while_the_run_goes_on(bundle: Bundle, tmp_path: Path) -> None:
    counts = [len((tmp_path / "a.csv").read_text().splitlines()) for _ in run_into(bundle, SMALL, tmp_path / "a.csv")]
    assert counts == [2, 3, 4, 5]


@pytest.mark.parametrize("name", ["a.txt", "a"])
def test_another_kind_of_file_is_refused_before_anything_runs(bundle: Bundle, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"\.csv, \.json, \.npz"):
        next(run_into(bundle, SMALL, tmp_path / name))


def test_a_file_that_cannot_be_written_is_one_sentence_without_its_folder(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("a.csv", "a.json"):
        with pytest.raises(UserError, match="could not be written") as caught:
            list(run_into(bundle, SMALL, tmp_path / "file" / name))
        assert str(tmp_path) not in str(caught.value)


def test_the_text_table_has_a_line_a_cell(gathered: Gathered) -> None:
    lines = as_table(gathered.cells).splitlines()
    assert len(lines) == 9
    assert lines[0].startswith("pair") and lines[1].startswith("R10:R12")


def test_what_stands_beside_the_records_is_plain_json(bundle: Bundle, gathered: Gathered) -> None:
    json.dumps(about(bundle, SWEEP, gathered.cells))

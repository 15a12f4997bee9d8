"""Zoos in parts: what a folder's deed says, and that nothing but a whole zoo is put together."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_orders import RECIPE

from wildpdiff.build.claim import claimed
from wildpdiff.build.orders import Order, shard_of
from wildpdiff.build.shards import DEED, Deed, merge
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.files import load_json, save_tensors
from wildpdiff.zoo import Zoo

ORDER = Order("M", 1, 2, ("R10", "U11", "Q08"))


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def grown(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two parts of a zoo, `a` and `b`, of rows that nobody fine-tuned; read only."""
    root = tmp_path_factory.mktemp("parts")
    for place, name in enumerate("ab", start=1):
        write_part(bundle, root / name, replace(ORDER, shard=(place, 2)))
    return root


def write_part(bundle: Bundle, folder: Path, order: Order, rows: int = 2) -> None:
    jobs, layout = order.jobs(bundle, RECIPE, folder), bundle.backbone.layout
    Deed.of(jobs, order.locations, layout, RECIPE).write(jobs[0].folder)
    save_tensors(folder / "start-M.safetensors", {"row": torch.zeros(layout.dim)})
    for job in jobs:
        torch.manual_seed(job.seed)
        Zoo(job.folder, layout, regime="M").add(job.name, torch.randn(rows, layout.dim), torch.ones(rows) / 2)


@pytest.fixture
def parts(grown: Path, tmp_path: Path) -> list[Path]:
    """A copy of both parts."""
    shutil.copytree(grown, tmp_path / "parts")
    return [tmp_path / "parts" / name for name in "ab"]


def test_parts_share_the_locations_evenly_and_leave_none_out(bundle: Bundle, tmp_path: Path) -> None:
    shares = [[job.name for job in replace(ORDER, shard=(part, 2)).jobs(bundle, RECIPE, tmp_path)] for part in (1, 2)]
    assert sorted(map(len, shares)) == [1, 2]
    assert sorted(name for own in shares for name in own) == sorted(ORDER.locations)


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 4), (1, 0)])
def test_a_shard_out_of_range_is_refused(bundle: Bundle, tmp_path: Path, shard: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=rf"^Shard {shard[0]}/{shard[1]} has no location; of 3, I/N needs .*\.$"):
        replace(ORDER, shard=shard).jobs(bundle, RECIPE, tmp_path)


@pytest.mark.parametrize("text", ["3", "3/", "/8", "a/b", "1.5/2", "-1/2", "", "1/2/3"])
def test_a_text_that_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^A shard is a part of how many, like 3/8, not '[^\n]*'\.$"):
        shard_of(text)
    assert shard_of("3/8") == (3, 8)


def test_merged_parts_are_all_rows_as_they_were(bundle: Bundle, parts: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert [(name, step.index, step.total) for name, step in merge(parts, out)] == [
        ("zoo-M-1", 1, 3), ("zoo-M-1", 2, 3), ("zoo-M-1", 3, 3)
    ]  # fmt: skip
    zoo = Zoo(out / "zoo-M-1", bundle.backbone.layout, regime="M")
    assert zoo.locations == tuple(sorted(ORDER.locations))
    for part in parts:
        own = Zoo(part / "zoo-M-1", bundle.backbone.layout, regime="M")
        for name in own.locations:
            assert torch.equal(zoo.of(name)[0], own.of(name)[0])
    deed = Deed.read(out / "zoo-M-1")
    assert deed.own == deed.whole == tuple(sorted(ORDER.locations)) and deed.rows == 2
    assert (out / "start-M.safetensors").exists()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def lose_a_row(parts: list[Path]) -> None:
    path = next((parts[0] / "zoo-M-1").glob("*.safetensors"))
    path.unlink()


def lose_a_file(parts: list[Path]) -> None:
    parts.pop()


def name_one_twice(parts: list[Path]) -> None:
    parts.append(shutil.copytree(parts[0], parts[0].with_name("c")))  # type: ignore[arg-type]


def change(key: str, value: object) -> Callable[[list[Path]], None]:
    def apply(parts: list[Path]) -> None:
        path = parts[1] / "zoo-M-1" / DEED
        path.write_text(json.dumps(load_json(path) | {key: value}))

    return apply


def start_elsewhere(parts: list[Path]) -> None:
    save_tensors(parts[1] / "start-M.safetensors", {"row": torch.ones(65_580)})


def damage(parts: list[Path]) -> None:
    path = next((parts[0] / "zoo-M-1").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-100])


def spoil(parts: list[Path]) -> None:
    (parts[1] / "zoo-M-1" / DEED).write_text('{"rows": 3}')


WRONG = {
    "a location's rows are missing": (lose_a_row, r"has 0 of 2 rows; go on with that part\.$"),
    "a part is missing": (lose_a_file, r"^'zoo-M-1' lacks \d locations, '...' first; name all its parts\.$"),
    "a part is there twice": (name_one_twice, r"is in both 'a' and 'c'; name each part once\.$"),
    "a part of another recipe": (change("recipe", "x"), r"in 'b' is of another order than the first; .*\.$"),
    "a part with more rows": (change("rows", 3), r"in 'b' is of another order than the first; .*\.$"),
    "a part of another whole": (change("whole", ["R10"]), r"in 'b' is of another order than the first; .*\.$"),
    "another start": (start_elsewhere, r"^'start-M\.safetensors' in 'b' is another row than the first part's\.$"),
    "half a file": (damage, r"is damaged"),
    "half a deed": (spoil, r"^'zoo\.json' of 'zoo-M-1' is damaged; grow that part anew\.$"),
}


@pytest.mark.parametrize("what", WRONG)
def test_nothing_is_written_of_parts_that_make_no_whole(what: str, parts: list[Path], tmp_path: Path) -> None:
    spoiled, told = WRONG[what]
    spoiled(parts)
    with pytest.raises(UserError, match=told):
        list(merge(parts, tmp_path / "out"))
    assert not list((tmp_path / "out").glob("*"))


def test_a_zoo_that_is_there_is_not_overwritten(parts: list[Path], tmp_path: Path) -> None:
    list(merge(parts, tmp_path / "out"))
    with pytest.raises(UserError, match=r"^'out' has a 'zoo-M-1' already; choose another --out folder\.$"):
        list(merge(parts, tmp_path / "out"))


def test_what_a_killed_merge_left_is_made_anew(parts: list[Path], tmp_path: Path) -> None:
    left = tmp_path / "out" / ".zoo-M-1.part"
    left.mkdir(parents=True)
    (left / "old.safetensors").write_text("half")
    list(merge(parts, tmp_path / "out"))
    assert not left.exists() and not (tmp_path / "out" / "zoo-M-1" / "old.safetensors").exists()


def test_a_folder_that_another_run_is_at_work_in_is_left_alone(parts: list[Path], tmp_path: Path) -> None:
    with claimed(tmp_path / "out", "out"), pytest.raises(UserError, match="Another run is at work in 'out'"):
        list(merge(parts, tmp_path / "out"))


def test_folders_without_a_zoo_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^There is no zoo in these folders; name those that .* wrote\.$"):
        list(merge([tmp_path], tmp_path / "out"))


def test_a_zoo_that_was_begun_by_another_recipe_is_refused(bundle: Bundle, parts: list[Path]) -> None:
    jobs = ORDER.jobs(bundle, RECIPE, parts[0])
    other = replace(RECIPE, seed=RECIPE.seed + 1)
    with pytest.raises(UserError, match=r"^'zoo-M-1' was begun with another recipe; choose another --out folder\.$"):
        Deed.of(jobs, ORDER.locations, bundle.backbone.layout, other).write(parts[0] / "zoo-M-1")


def test_more_locations_and_rows_of_the_same_recipe_belong_to_the_zoo(bundle: Bundle, parts: list[Path]) -> None:
    wider = replace(ORDER, rows=5, locations=(*ORDER.locations, "R12"))
    jobs, folder = wider.jobs(bundle, RECIPE, parts[0]), parts[0] / "zoo-M-1"
    Deed.of(jobs, wider.locations, bundle.backbone.layout, RECIPE).write(folder)
    deed = Deed.read(folder)
    assert deed.rows == 5 and set(deed.own) == set(deed.whole) == {*ORDER.locations, "R12"}

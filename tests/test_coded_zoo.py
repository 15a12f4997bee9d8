"""The zoo inside a bundle: all rows as latents, and which of them the generator was shown."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_files import one_sentence
from torch import Tensor

from wildpdiff.build.recipes import SAVANNA, SMOKE
from wildpdiff.build.runs import shown
from wildpdiff.errors import UserError
from wildpdiff.generator import AdapterGenerator, ConditionConfig, GeneratorConfig
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.zoo import CodedZoo, Kind

LAYOUT = AdapterLayout(("a", "b"), ((10, 20), (100,)))
PLACES, RUNS, ROWS, K = ("R10", "R12", "U11"), 5, 8, 4
KINDS: tuple[Kind, ...] = ("shown", "held_out", "other_runs")
#: As of three runs that were shown and two that were not.
SHOWN = shown(replace(SMOKE, runs=RUNS, held_out_runs=2, run=replace(SMOKE.run, rows=ROWS)))


def generator(seed: int = 0) -> AdapterGenerator:
    """A generator with a codec of four directions, fitted to wide rows along just those."""
    config = GeneratorConfig.of(LAYOUT, condition=ConditionConfig("toy", 3), backbone_fingerprint="b", components=K)
    built = AdapterGenerator.untrained(config, seed=seed)
    built.codec.fit(inside(200, seed=100 + seed, span=seed))
    return built.eval()


def directions(span: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(50 + span)
    return torch.linalg.qr(torch.randn(LAYOUT.dim, K, generator=rng)).Q


def inside(count: int, *, seed: int, span: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 1 + torch.randn(count, K, generator=rng) @ (3 * directions(span).T)


def raw(seed: int = 1) -> list[Tensor]:
    """Rows `[R, J, D]` of each location, all inside the codec's span."""
    return [inside(RUNS * ROWS, seed=seed + place).view(RUNS, ROWS, -1) for place in range(len(PLACES))]


@pytest.fixture(scope="module")
def made() -> AdapterGenerator:
    return generator()


@pytest.fixture(scope="module")
def zoo(made: AdapterGenerator) -> CodedZoo:
    return CodedZoo.of_rows(PLACES, raw(), SHOWN, made)


def test_the_three_kinds_part_all_rows(zoo: CodedZoo) -> None:
    for place, location in enumerate(PLACES):
        parts = [zoo.coded(location, kind) for kind in KINDS]
        assert [len(part) for part in parts] == [3 * 6, 3 * 2, 2 * 8]
        together = {tuple(row.tolist()) for row in torch.cat(parts)}
        assert together == {tuple(row.tolist()) for row in zoo.latents[place].flatten(0, 1)}
        assert len(together) == RUNS * ROWS


def test_each_kind_holds_its_rows_in_their_order(zoo: CodedZoo, made: AdapterGenerator) -> None:
    for location, rows in zip(PLACES, raw(), strict=True):
        known = {
            "shown": [rows[run, row] for run in range(3) for row in range(8) if row % 4 != 3],
            "held_out": [rows[run, row] for run in range(3) for row in (3, 7)],
            "other_runs": [rows[run, row] for run in (3, 4) for row in range(8)],
        }
        for kind in KINDS:
            wanted = torch.stack(known[kind])
            assert torch.allclose(zoo.coded(location, kind), made.encode(wanted)[:, 0], atol=1e-5)
            assert torch.allclose(zoo.rows(location, kind), wanted, atol=0.2)
    assert torch.equal(zoo.coded("R12"), zoo.coded("R12", "shown"))


def test_distances_between_latents_times_the_unit_are_those_between_rows(zoo: CodedZoo) -> None:
    rows = raw()[1].flatten(0, 1)
    latents = zoo.latents[1].flatten(0, 1)
    assert torch.allclose(torch.pdist(latents) * zoo.unit, torch.pdist(rows), rtol=0.05, atol=0.05)


def test_what_the_codec_loses_is_kept_as_a_distance(made: AdapterGenerator) -> None:
    rows, span = raw(), directions()
    away = torch.randn(rows[0].shape, generator=torch.Generator().manual_seed(9))
    away = 5 * torch.nn.functional.normalize(away - away @ span @ span.T, dim=2)
    zoo = CodedZoo.of_rows(PLACES, [rows[0] + away, *rows[1:]], SHOWN, made)
    assert zoo.beyond.shape == (3, RUNS, ROWS)
    assert torch.allclose(zoo.beyond[0], torch.full((RUNS, ROWS), 5.0), rtol=0.02)
    assert zoo.beyond[1:].max() < 0.2


def test_a_few_rows_are_spaced_evenly_from_the_first_to_the_last(zoo: CodedZoo) -> None:
    rows = zoo.rows("U11")
    assert torch.equal(zoo.rows("U11", at_most=18), rows) and torch.equal(zoo.rows("U11", at_most=99), rows)
    few = zoo.rows("U11", at_most=4)
    assert torch.allclose(few, rows[[0, 6, 11, 17]], atol=1e-5)
    assert torch.allclose(zoo.rows("U11", at_most=1), rows[:1], atol=1e-5)
    assert len(zoo.rows("U11", "other_runs", at_most=5)) == 5


def test_a_location_without_rows_is_refused(zoo: CodedZoo, tmp_path: Path) -> None:
    for ask in (zoo.coded, zoo.rows):
        with pytest.raises(UserError) as error:
            ask("Q08")
        text = one_sentence(error, tmp_path)
        assert "'Q08'" in text and "R10, R12, U11" in text


def test_a_stored_zoo_comes_back_in_half_precision(zoo: CodedZoo, made: AdapterGenerator, tmp_path: Path) -> None:
    zoo.save(tmp_path / "zoo-H.safetensors")
    again = CodedZoo.load(tmp_path / "zoo-H.safetensors", PLACES, made)
    assert (again.locations, again.unit) == (PLACES, zoo.unit)
    assert torch.equal(again.latents, zoo.latents.half().float())
    assert torch.equal(again.beyond, zoo.beyond.half().float())
    assert again.shown.dtype == torch.bool and torch.equal(again.shown, SHOWN)
    for kind in KINDS:
        assert torch.allclose(again.rows("R12", kind), zoo.rows("R12", kind), atol=1e-2)


def test_a_zoo_belongs_to_the_stored_generator_as_to_the_one_in_memory(tmp_path: Path) -> None:
    made = generator().half_precision_()
    CodedZoo.of_rows(PLACES, raw(), SHOWN, made).save(tmp_path / "zoo.safetensors")
    made.save_pretrained(tmp_path / "generator", torch.float16)
    loaded = AdapterGenerator.from_pretrained(tmp_path / "generator")
    again = CodedZoo.load(tmp_path / "zoo.safetensors", PLACES, loaded)
    assert torch.allclose(again.rows("R10"), CodedZoo.of_rows(PLACES, raw(), SHOWN, made).rows("R10"), atol=1e-2)
    # Another denoiser over the same codec changes nothing.
    CodedZoo.load(tmp_path / "zoo.safetensors", PLACES, loaded.with_fresh_denoiser(seed=9))


def test_a_zoo_of_another_codec_is_refused(zoo: CodedZoo, tmp_path: Path) -> None:
    zoo.save(tmp_path / "zoo.safetensors")
    with pytest.raises(UserError) as error:
        CodedZoo.load(tmp_path / "zoo.safetensors", PLACES, generator(seed=1))
    assert "another codec" in one_sentence(error, tmp_path)


@pytest.mark.parametrize("harm", ["missing", "cut", "other locations"])
def test_a_missing_or_damaged_zoo_or_one_of_other_locations_is_refused(
    zoo: CodedZoo, made: AdapterGenerator, tmp_path: Path, harm: str
) -> None:
    path, places = tmp_path / "zoo.safetensors", PLACES
    zoo.save(path)
    if harm == "missing":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        places = ("R12", "R10", "U11")
    with pytest.raises(UserError) as error:
        CodedZoo.load(path, places, made)
    one_sentence(error, tmp_path)


@pytest.mark.parametrize("recipe", [SAVANNA, SMOKE], ids=lambda recipe: recipe.name)
def test_the_generator_is_shown_all_but_every_fourth_row_and_the_last_runs(recipe: object) -> None:
    learned = shown(recipe)  # type: ignore[arg-type]
    runs, held, rows = recipe.runs, recipe.held_out_runs, recipe.run.rows  # type: ignore[attr-defined]
    assert 0 < held < runs
    expected = [[run < runs - held and row % 4 != 3 for row in range(rows)] for run in range(runs)]
    assert learned.tolist() == expected


def test_without_held_out_runs_only_every_fourth_row_is_kept_back() -> None:
    recipe = replace(SMOKE, runs=2, held_out_runs=0, run=replace(SMOKE.run, rows=5))
    assert shown(recipe).tolist() == [[True, True, True, False, True]] * 2

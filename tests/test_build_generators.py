"""From rows to generators: curves between pairs, a denoiser of its own over a shared codec, and one without a
condition."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_generator import LAYOUT, small_generator
from torch import Tensor

from wildpdiff.build import generators
from wildpdiff.build.generators import (
    Task,
    config_of,
    connect_regime,
    curves_file,
    curves_of,
    discard,
    learned_rows,
    training_pairs,
    views_of,
)
from wildpdiff.build.jobs import held_out_pairs
from wildpdiff.build.recipes import SMOKE, Recipe
from wildpdiff.build.runs import run_file, shown
from wildpdiff.errors import UserError
from wildpdiff.files import load_tensors, save_tensors
from wildpdiff.generator import AdapterGenerator, ConditionConfig
from wildpdiff.generator.denoiser import Denoiser
from wildpdiff.generator.recipe import GeneratorRecipe
from wildpdiff.generator.residual import ResidualDenoiser
from wildpdiff.generator.train import train_generator, train_over_codec
from wildpdiff.network.backbone import Backbone
from wildpdiff.worlds.savanna.world import SEEN, SavannaConfig, SavannaWorld

E, VIEWS = 6, 3
BRIEF = GeneratorRecipe(vae_steps=4, vae_batch=4, denoiser_steps=6, denoiser_batch=4, mean_steps=5, mean_batch=4)
FORMS = pytest.mark.parametrize("plain", [False, True], ids=["ours", "plain"])


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def condition() -> Tensor:
    return torch.randn(3, E, generator=rng(7))


def task_in(folder: Path, recipe: Recipe = SMOKE, regime: str = "M") -> Task:
    return Task(recipe, folder, folder / "work", regime, "cpu")


def write_runs(task: Task, dim: int, fingerprint: str) -> Tensor:
    """Rows of every run of every seen location, `[Q, R, J, D]`, all of them random."""
    recipe = task.recipe
    rows = torch.randn(len(recipe.seen), recipe.runs, recipe.run.rows, dim, generator=rng(4))
    for place, name in enumerate(recipe.seen):
        for number in range(recipe.runs):
            path = run_file(task.work, task.regime, name, number)
            save_tensors(path, {"rows": rows[place, number]}, {"layout": fingerprint})
    return rows


def test_of_the_runs_the_last_and_of_the_others_every_fourth_row_are_kept_from_the_generator() -> None:
    recipe = replace(SMOKE, runs=5, held_out_runs=2, run=replace(SMOKE.run, rows=9))
    learned = shown(recipe)
    assert learned.shape == (5, 9) and not learned[3:].any()
    assert [place for place in range(9) if not learned[0, place]] == [3, 7]
    assert torch.equal(learned[0].expand(3, -1), learned[:3])


def test_the_generator_learns_of_the_shown_rows_alone_each_with_its_location(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    every = write_runs(task, LAYOUT.dim, LAYOUT.fingerprint)
    rows, index = learned_rows(task, SimpleNamespace(layout=LAYOUT))
    assert len(rows) == len(index) == 3 * int(shown(SMOKE).sum()) == 3 * 6
    for place in range(3):
        assert torch.equal(rows[index == place], every[place, :2, :3].flatten(0, 1))


@pytest.mark.parametrize("harm", ["missing", "of another layout"])
def test_a_run_that_cannot_be_used_is_one_sentence(tmp_path: Path, harm: str) -> None:
    task = task_in(tmp_path)
    write_runs(task, LAYOUT.dim, LAYOUT.fingerprint if harm == "missing" else "another")
    if harm == "missing":
        run_file(task.work, "M", SMOKE.seen[1], 2).unlink()
    with pytest.raises(UserError, match=r"^'\w+-\d\.safetensors' [^\n]*\.$"):
        learned_rows(task, SimpleNamespace(layout=LAYOUT))


def test_no_held_out_pair_s_curve_is_trained_and_every_other_one_is() -> None:
    trained = {(SEEN[a], SEEN[b]) for a, b in training_pairs(SEEN)}
    assert len(trained) == len(training_pairs(SEEN)) == 30
    assert not trained & set(held_out_pairs(SEEN))


@pytest.fixture
def connected(tmp_path: Path, tiny_bundle: Path) -> tuple[Task, Tensor]:
    """A task whose curves are trained, and all rows of its runs."""
    task = task_in(tmp_path, replace(SMOKE, world=SavannaWorld(SavannaConfig(size=32, train_images=6)).to_json()))
    data = (tiny_bundle / "backbone.safetensors").read_bytes()
    (task.out / "backbone.safetensors").write_bytes(data)
    layout = Backbone.load(task.out / "backbone.safetensors").layout
    rows = 0.01 * write_runs(task, layout.dim, layout.fingerprint)
    for place, name in enumerate(task.recipe.seen):
        for number in range(task.recipe.runs):
            path = run_file(task.work, task.regime, name, number)
            save_tensors(path, {"rows": rows[place, number]}, {"layout": layout.fingerprint})
    connect_regime(task)
    return task, rows


def test_curves_lead_from_mean_row_to_mean_row_over_hubs_that_were_trained(connected: tuple[Task, Tensor]) -> None:
    task, rows = connected
    curves = curves_of(task)
    assert torch.allclose(curves.anchors, rows[:, :2, :3].flatten(1, 2).mean(dim=1), atol=1e-6)
    assert curves.pairs == training_pairs(task.recipe.seen) == ((0, 1), (0, 2), (1, 2))
    assert bool(((curves.hubs - curves.anchors).abs().amax(dim=1) > 1e-5).all())
    assert [path.name for path in task.work.glob("curves*")] == [curves_file(task.work, "M").name]


def test_curves_that_are_there_are_not_trained_again(
    connected: tuple[Task, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generators, "connect", lambda *_, **__: pytest.fail("trained again"))
    connect_regime(connected[0])


def test_a_location_s_views_are_the_mean_first_and_shape_the_generator(tmp_path: Path, backbone: Backbone) -> None:
    views, mean = torch.randn(5, VIEWS, E, generator=rng(4)), torch.randn(5, E, generator=rng(5))
    save_tensors(tmp_path / "conditions.safetensors", {"mean": mean, "views": views}, {"condition": "eyes"})
    found, name = views_of(tmp_path, 2)
    assert name == "eyes"
    assert torch.equal(found, torch.cat([mean[:2, None], views[:2]], dim=1))
    ours, alone = (config_of(SMOKE, backbone, tmp_path, alone=alone) for alone in (False, True))
    assert ours.latent_shape == (1, SMOKE.components) and alone.latent_shape == (1, SMOKE.alone_components)
    assert (ours.condition, ours.denoiser.condition_dim) == (ConditionConfig("eyes", E), E)
    assert (alone.condition, alone.denoiser.condition_dim) == (None, 0)
    for config in (ours, alone):
        assert config.backbone_fingerprint == backbone.fingerprint and config.layout == backbone.layout


def test_a_fresh_denoiser_has_the_same_codec_and_leaves_the_original_alone(condition: Tensor) -> None:
    generator = small_generator()
    before, rows = generator.fingerprint, generator.generate(condition, steps=3)
    twin = generator.with_fresh_denoiser(seed=4)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.add_(1.0)
    assert generator.fingerprint == before
    assert torch.equal(generator.generate(condition, steps=3), rows)


def test_a_fresh_denoiser_is_the_seed_s_alone() -> None:
    generator = small_generator()
    state = torch.random.get_rng_state()
    first, second, other = (generator.with_fresh_denoiser(seed=seed) for seed in (4, 4, 5))
    assert torch.equal(state, torch.random.get_rng_state())
    assert first.fingerprint == second.fingerprint != other.fingerprint
    assert generator.fingerprint not in (first.fingerprint, other.fingerprint)
    assert first.codec_fingerprint == other.codec_fingerprint == generator.codec_fingerprint


@pytest.mark.parametrize(
    ("plain", "name"),
    [
        (False, "codec.basis"),
        (False, "codec.unit"),
        (False, "denoiser.null"),
        (False, "denoiser.colour"),
        (True, "codec.vae.local"),
        (True, "codec.standardizer.scale"),
        (True, "denoiser.null"),
    ],
)
def test_the_codec_s_fingerprint_knows_the_codec_and_not_the_denoiser(plain: bool, name: str) -> None:
    generator = small_generator(plain=plain)
    before = generator.codec_fingerprint
    with torch.no_grad():
        tensor = generator.state_dict()[name].view(-1)
        tensor[0] = tensor[0] + 1 if tensor.dtype == torch.int8 else tensor[0] + 1e-3
    assert (generator.codec_fingerprint == before) == name.startswith("denoiser.")


@pytest.mark.parametrize("shape", ["the same", "the paper's"])
@pytest.mark.parametrize("half", [False, True])
def test_a_saved_denoiser_generates_bit_identically(tmp_path: Path, condition: Tensor, half: bool, shape: str) -> None:
    generator = small_generator()
    twin = generator.with_fresh_denoiser(None if shape == "the same" else generator.config.plain().denoiser, seed=1)
    assert isinstance(twin.denoiser, ResidualDenoiser if shape == "the same" else Denoiser)
    with torch.no_grad():
        for weight in twin.denoiser.state_dict().values():
            weight.add_(0.01)
    if half:
        generator.half_precision_()
        twin.half_precision_()
    before = generator.fingerprint
    twin.save_denoiser(tmp_path / "twin.safetensors", torch.float16 if half else torch.float32)
    loaded = generator.with_denoiser(tmp_path / "twin.safetensors")
    assert bool(loaded.generate(condition, steps=5).isfinite().all())
    assert not loaded.training and loaded.config == twin.config
    assert torch.equal(loaded.generate(condition, steps=5), twin.eval().generate(condition, steps=5))
    assert not torch.allclose(loaded.generate(condition, steps=5), generator.generate(condition, steps=5))
    assert generator.fingerprint == before


def test_a_denoiser_over_another_codec_is_refused_in_one_sentence(tmp_path: Path) -> None:
    small_generator(1).save_denoiser(tmp_path / "twin.safetensors")
    with pytest.raises(UserError, match=r"^'twin\.safetensors' belongs to another codec; [^.]*\.$"):
        small_generator().with_denoiser(tmp_path / "twin.safetensors")


@pytest.mark.parametrize("harm", ["missing", "damaged", "another shape", "no shape", "an unknown shape"])
def test_a_denoiser_that_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, harm: str) -> None:
    generator, path = small_generator(), tmp_path / "twin.safetensors"
    generator.save_denoiser(path)
    if harm == "missing":
        path.unlink()
    elif harm == "damaged":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        about = {"codec": generator.codec_fingerprint}
        if harm == "another shape":
            about["denoiser"] = load_tensors(path)[1]["denoiser"]
        if harm == "an unknown shape":
            about["denoiser"] = '{"kind": "Transformer"}'
        save_tensors(path, {"null": torch.zeros(3)}, about)
    with pytest.raises(UserError, match=r"^'twin\.safetensors' [^\n]*\.$") as caught:
        generator.with_denoiser(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.fixture
def rows() -> Tensor:
    return torch.randn(12, LAYOUT.dim, generator=rng(0))


def codec_of(generator: AdapterGenerator) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in generator.state_dict().items() if not name.startswith("denoiser.")}


@FORMS
def test_retraining_the_denoiser_leaves_the_codec_bit_identical(rows: Tensor, plain: bool) -> None:
    generator = small_generator(plain=plain)
    codec, null = codec_of(generator), generator.denoiser.null.detach().clone()
    embeddings, index = torch.randn(2, 3, E, generator=rng(1)), torch.arange(12) % 2
    steps = list(train_over_codec(generator, rows, embeddings, index, replace(BRIEF, condition_dropout=0.5)))
    mean = [] if plain else [("mean", index) for index in range(1, 6)]
    assert [(stage, step.index) for stage, step in steps] == mean + [("denoiser", index) for index in range(1, 7)]
    after = codec_of(generator)
    assert all(torch.equal(after[name], value) for name, value in codec.items())
    assert not torch.equal(generator.denoiser.null, null)
    assert not generator.training


def test_a_twin_s_training_leaves_the_first_generator_alone(rows: Tensor) -> None:
    generator = small_generator()
    before = generator.fingerprint
    twin = generator.with_fresh_denoiser(generator.config.plain().denoiser, seed=3)
    list(train_over_codec(twin, rows, torch.zeros(1, 1, E), torch.zeros(12, dtype=torch.int64), BRIEF))
    assert generator.fingerprint == before != twin.fingerprint


def test_rows_that_do_not_belong_to_the_conditions_are_refused(rows: Tensor) -> None:
    with pytest.raises(UserError, match="one condition"):
        next(train_over_codec(small_generator(), rows, torch.zeros(1, 1, E), torch.ones(12, dtype=torch.int64), BRIEF))


def test_conditions_and_a_generator_that_takes_none_do_not_go_together(rows: Tensor) -> None:
    index = torch.zeros(12, dtype=torch.int64)
    for alone, views, numbers in ((True, torch.zeros(1, 1, E), index), (False, None, None), (False, None, index)):
        with pytest.raises(UserError, match="Conditions belong"):
            next(train_generator(small_generator(alone=alone), rows, views, numbers, BRIEF))


@FORMS
def test_unconditional_training_counts_every_stage_and_leaves_no_half_done_file(
    rows: Tensor, tmp_path: Path, plain: bool
) -> None:
    generator = small_generator(plain=plain, alone=True)
    steps = list(train_generator(generator, rows, None, None, BRIEF, folder=tmp_path / "work"))
    stages = [4, 6] if plain else [1, 6]
    assert [(step.index, step.total) for _, step in steps] == [
        (index, total) for total in stages for index in range(1, total + 1)
    ]
    assert list(tmp_path.rglob("*.safetensors"))
    discard(tmp_path / "work")
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize("plain", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["ours", "plain"])
def test_what_is_generated_without_condition_lies_nearer_to_the_rows_after_training(
    tmp_path: Path, plain: bool
) -> None:
    """Rows around two far points: an untrained denoiser writes what lies between them, a trained one either."""
    centre, apart = 5 * torch.randn(2, LAYOUT.dim, generator=rng(8))
    sides = torch.where(torch.arange(20) % 2 == 0, 1.0, -1.0)[:, None]
    rows = centre + sides * apart + 0.1 * torch.randn(20, LAYOUT.dim, generator=rng(9))
    generator = small_generator(plain=plain, alone=True)
    recipe = replace(BRIEF, vae_steps=60, denoiser_steps=500, denoiser_batch=32, denoiser_learning_rate=3e-3, ema=0.98)
    list(train_generator(generator, rows, None, None, recipe, folder=tmp_path / "work"))
    untrained = generator.with_fresh_denoiser(seed=0).eval()
    made, plainly = (each.generate(count=16, steps=20) for each in (generator, untrained))
    off, plain_off = (torch.cdist(samples, rows).min(dim=1).values.mean() for samples in (made, plainly))
    assert off < 0.5 * plain_off
    near = torch.cdist(made, torch.stack([centre - apart, centre + apart])).argmin(dim=1)
    assert set(near.tolist()) == {0, 1}

"""From rows to generators: soups, blends, a denoiser of its own over a shared codec, and one without a condition."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_generator import LAYOUT, small_generator
from torch import Tensor

from wildpdiff.denoiser import Denoiser
from wildpdiff.errors import UserError
from wildpdiff.experiments.generators import (
    Examples,
    blend_examples,
    discard,
    means,
    own_examples,
    soups,
    train_unconditional,
    views_of,
)
from wildpdiff.experiments.jobs import BLEND, WEIGHTS, blend_name, held_out_pairs, pairs, zoo_folder
from wildpdiff.experiments.recipes import SMOKE, Recipe
from wildpdiff.files import save_tensors
from wildpdiff.finetune import FinetuneRecipe
from wildpdiff.generator import AdapterGenerator
from wildpdiff.train import GeneratorRecipe, retrain_denoiser
from wildpdiff.worlds.savanna.world import SEEN
from wildpdiff.zoo import Zoo

E, VIEWS = 6, 3
TEN = replace(SMOKE, seen=SEEN, middle=FinetuneRecipe(interval=3), flank=FinetuneRecipe(interval=7))
BRIEF = GeneratorRecipe(vae_steps=4, vae_batch=4, denoiser_steps=6, denoiser_batch=4)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def condition() -> Tensor:
    return torch.randn(3, E, generator=rng(7))


@pytest.fixture
def examples() -> Examples:
    """Rows of 5 numbers, linear in their conditions; 7 conditions of 40 rows."""
    embeddings = torch.randn(7, VIEWS, E, generator=rng(1))
    index = torch.randint(7, (40,), generator=rng(2))
    return Examples(linear(embeddings[index, 0]), embeddings, index)


def linear(conditions: Tensor) -> Tensor:
    return conditions @ torch.randn(E, 5, generator=rng(3))


def test_a_soup_of_linear_rows_is_the_row_of_its_condition(examples: Examples) -> None:
    made = soups(examples, 30, seed=0)
    assert made.rows.shape == (30, 5) and made.embeddings.shape == (30, VIEWS, E) and len(made.index) == 30
    assert torch.allclose(made.rows, linear(made.embeddings[made.index, 0]), atol=1e-5)


def test_every_view_of_a_soup_s_condition_is_mixed_alike() -> None:
    embeddings = torch.eye(9)[:, None] * torch.tensor([1.0, 2.0, 3.0])[:, None]
    made = soups(Examples(torch.eye(9), embeddings, torch.arange(9)), 20, seed=0)
    for view in range(3):
        assert torch.allclose(made.embeddings[:, view], (view + 1) * made.rows)


def test_a_soup_is_the_mean_of_two_to_four_rows() -> None:
    every = 500
    made = soups(Examples(torch.eye(every), torch.zeros(every, 1, 1), torch.arange(every)), 60, seed=0)
    assert torch.allclose(made.rows.sum(dim=1), torch.ones(60))
    sizes = (1 / made.rows.masked_fill(made.rows == 0, 2).min(dim=1).values).round().int()
    assert set(sizes.tolist()) == {2, 3, 4}
    whole = made.rows * sizes[:, None]
    assert torch.allclose(whole, whole.round(), atol=1e-5)
    assert int((made.rows > 0).any(dim=0).sum()) > 100, "all rows take part"


def test_soups_are_the_seed_s(examples: Examples) -> None:
    first, second, other = (soups(examples, 5, seed=seed).rows for seed in (0, 0, 1))
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_added_examples_keep_each_row_with_its_condition(examples: Examples) -> None:
    made = soups(examples, 8, seed=0)
    both = examples + made + examples
    assert len(both.rows) == len(both.index) == 88
    assert torch.allclose(both.rows, linear(both.embeddings[both.index, 0]), atol=1e-5)


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """A folder of blends of all pairs, held-out ones too; a row tells by two numbers what it is a blend of."""
    views = torch.randn(len(SEEN) + 2, VIEWS, E, generator=rng(4))
    mean = torch.randn(len(SEEN) + 2, E, generator=rng(5))
    save_tensors(tmp_path / "conditions.safetensors", {"mean": mean, "views": views}, {"condition": "eyes"})
    for a, b in pairs(SEEN):
        for weight in WEIGHTS:
            interval = 3 if weight == 0.5 else 7
            zoo = Zoo(zoo_folder(tmp_path / "work", BLEND, interval), LAYOUT, regime=BLEND)
            zoo.add(blend_name(a, b, weight), torch.stack([shares(a, b, weight)] * 2), torch.zeros(2))
    return tmp_path


def shares(a: str, b: str, weight: float) -> Tensor:
    """A row whose first ten numbers are the shares of the ten locations."""
    row = torch.zeros(LAYOUT.dim)
    row[SEEN.index(a)], row[SEEN.index(b)] = 1 - weight, weight
    return row


def read(recipe: Recipe, folder: Path) -> Examples:
    found = blend_examples(recipe, folder, folder / "work", LAYOUT)
    assert found is not None
    return found


def test_no_held_out_pair_is_learned_from_and_every_other_one_is(grown: Path) -> None:
    found = read(TEN, grown)
    mixed = {tuple(SEEN[int(place)] for place in row.nonzero().flatten()) for row in found.rows}
    assert not mixed & set(held_out_pairs(SEEN))
    assert mixed == set(pairs(SEEN)) - set(held_out_pairs(SEEN))
    assert len(found.rows) == 30 * 3 * 2 and len(found.embeddings) == 30 * 3


def test_each_row_of_a_blend_has_the_condition_of_its_blend(grown: Path) -> None:
    found, (views, name) = read(TEN, grown), views_of(grown, len(SEEN))
    assert name == "eyes" and views.shape == (10, VIEWS + 1, E)
    expected = torch.einsum("nq,qve->nve", found.rows[:, :10], views)
    assert torch.allclose(found.embeddings[found.index], expected, atol=1e-5)


def test_where_every_pair_is_held_out_there_are_no_blends(grown: Path) -> None:
    four = replace(TEN, seen=SEEN[:4])
    assert set(held_out_pairs(four.seen)) == set(pairs(four.seen))
    assert blend_examples(four, grown, grown / "work", LAYOUT) is None


def test_a_blend_that_was_not_grown_is_one_sentence(grown: Path) -> None:
    pair = next(pair for pair in pairs(SEEN) if pair not in held_out_pairs(SEEN))
    (zoo_folder(grown / "work", BLEND, 7) / f"{blend_name(*pair, 0.25)}.safetensors").unlink()
    with pytest.raises(UserError, match=r"no rows of location '\w+\+\w+@0\.25'"):
        read(TEN, grown)


def test_a_location_s_rows_have_its_views_the_mean_first(tmp_path: Path) -> None:
    recipe = replace(SMOKE, seen=SEEN[:2])
    views, mean = torch.randn(5, VIEWS, E, generator=rng(4)), torch.randn(5, E, generator=rng(5))
    save_tensors(tmp_path / "conditions.safetensors", {"mean": mean, "views": views}, {"condition": "eyes"})
    zoo = Zoo(zoo_folder(tmp_path / "work", "M", recipe.finetune.interval), LAYOUT, regime="M")
    for place, name in enumerate(recipe.seen):
        zoo.add(name, torch.full((2 + place, LAYOUT.dim), float(place)), torch.zeros(2 + place))
    own = own_examples(recipe, tmp_path, tmp_path / "work", LAYOUT, "M")
    assert own.rows[:, 0].tolist() == own.index.tolist() == [0, 0, 1, 1, 1]
    assert torch.equal(own.embeddings, torch.cat([mean[:2, None], views[:2]], dim=1))


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


@pytest.mark.parametrize("name", ["vae.local", "standardizer.scale", "denoiser.null"])
def test_the_codec_s_fingerprint_knows_the_codec_and_not_the_denoiser(name: str) -> None:
    generator = small_generator()
    before = generator.codec_fingerprint
    with torch.no_grad():
        generator.state_dict()[name].view(-1)[0].add_(1e-3)
    assert (generator.codec_fingerprint == before) == name.startswith("denoiser.")


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_denoiser_generates_bit_identically(tmp_path: Path, condition: Tensor, half: bool) -> None:
    generator = small_generator()
    twin = generator.with_fresh_denoiser(seed=1)
    with torch.no_grad():
        for weight in twin.denoiser.state_dict().values():
            weight.add_(0.3)
    if half:
        generator.half_precision_()
        twin.half_precision_()
    before = generator.fingerprint
    twin.save_denoiser(tmp_path / "twin.safetensors", torch.float16 if half else torch.float32)
    loaded = generator.with_denoiser(tmp_path / "twin.safetensors")
    assert not loaded.training
    assert torch.equal(loaded.generate(condition, steps=5), twin.eval().generate(condition, steps=5))
    assert not torch.allclose(loaded.generate(condition, steps=5), generator.generate(condition, steps=5))
    assert generator.fingerprint == before


def test_a_denoiser_over_another_codec_is_refused_in_one_sentence(tmp_path: Path) -> None:
    small_generator(1).save_denoiser(tmp_path / "twin.safetensors")
    with pytest.raises(UserError, match=r"^'twin\.safetensors' belongs to another codec; [^.]*\.$"):
        small_generator().with_denoiser(tmp_path / "twin.safetensors")


@pytest.mark.parametrize("harm", ["missing", "damaged", "another shape"])
def test_a_denoiser_that_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, harm: str) -> None:
    generator, path = small_generator(), tmp_path / "twin.safetensors"
    generator.save_denoiser(path)
    if harm == "missing":
        path.unlink()
    elif harm == "damaged":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        save_tensors(path, {"null": torch.zeros(3)}, {"codec": generator.codec_fingerprint})
    with pytest.raises(UserError, match=r"^'twin\.safetensors' [^\n]*\.$") as caught:
        generator.with_denoiser(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.fixture
def rows() -> Tensor:
    return torch.randn(12, LAYOUT.dim, generator=rng(0))


def codec_of(generator: AdapterGenerator) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in generator.state_dict().items() if not name.startswith("denoiser.")}


def test_retraining_the_denoiser_leaves_the_codec_bit_identical(rows: Tensor) -> None:
    generator = small_generator()
    codec, null = codec_of(generator), generator.denoiser.null.detach().clone()
    embeddings, index = torch.randn(2, 3, E, generator=rng(1)), torch.arange(12) % 2
    steps = list(retrain_denoiser(generator, rows, embeddings, index, replace(BRIEF, condition_dropout=0.5)))
    assert [step.index for step in steps] == list(range(1, 7))
    after = codec_of(generator)
    assert all(torch.equal(after[name], value) for name, value in codec.items())
    assert not torch.equal(generator.denoiser.null, null)
    assert not generator.training


def test_a_twin_s_training_leaves_the_first_generator_alone(rows: Tensor) -> None:
    generator = small_generator()
    before = generator.fingerprint
    twin = generator.with_fresh_denoiser(seed=3)
    list(retrain_denoiser(twin, rows, torch.zeros(1, 1, E), torch.zeros(12, dtype=torch.int64), BRIEF))
    assert generator.fingerprint == before != twin.fingerprint


def test_rows_that_do_not_belong_to_the_conditions_are_refused(rows: Tensor) -> None:
    with pytest.raises(UserError, match="one condition"):
        next(retrain_denoiser(small_generator(), rows, torch.zeros(1, 1, E), torch.ones(12, dtype=torch.int64), BRIEF))


def test_means_are_those_of_two_to_four_of_the_rows() -> None:
    """Rows of powers of five: the digits of a sum say how often each row is in it."""
    rows = 5.0 ** torch.arange(8)[:, None].double()
    sizes = []
    for mean in means(rows, 40, seed=3).flatten().tolist():
        sums = {size: round(mean * size) for size in (2, 3, 4) if abs(mean * size - round(mean * size)) < 1e-6}
        counted = {size: sum(total // 5**place % 5 for place in range(8)) for size, total in sums.items()}
        sizes.append({size for size, rows_in_it in counted.items() if rows_in_it == size})
    assert all(sizes) and set().union(*sizes) == {2, 3, 4}
    assert torch.equal(means(rows, 4, seed=3), means(rows, 4, seed=3)) and means(rows, 0, seed=3).shape == (0, 1)


@pytest.fixture
def alone(rows: Tensor, tmp_path: Path) -> AdapterGenerator:
    generator = small_generator()
    list(train_unconditional(generator, rows, BRIEF, soups=5, folder=tmp_path / "work"))
    return generator


def test_without_guidance_the_condition_makes_no_difference(alone: AdapterGenerator, condition: Tensor) -> None:
    made = alone.generate(condition, guidance=0, steps=4)
    assert made.isfinite().all() and len(made.unique(dim=0)) == 3
    assert torch.equal(made, alone.generate(100 * condition.flip(0), guidance=0, steps=4))


def test_without_a_condition_only_the_null_condition_is_learned(rows: Tensor, tmp_path: Path) -> None:
    """Whatever share of samples the recipe says."""
    generator, seen = small_generator(), []
    before = generator.denoiser.null.detach().clone()

    def look(module: Denoiser, arguments: tuple[Tensor, ...]) -> None:
        seen.append(torch.equal(arguments[2], module.unconditional(len(arguments[0]))))

    generator.denoiser.register_forward_pre_hook(look)
    list(train_unconditional(generator, rows, replace(BRIEF, condition_dropout=0.1), soups=0, folder=tmp_path / "work"))
    assert seen == [True] * BRIEF.denoiser_steps
    assert not torch.equal(generator.denoiser.null, before)


def test_unconditional_training_counts_through_and_leaves_no_half_done_file(rows: Tensor, tmp_path: Path) -> None:
    steps = list(train_unconditional(small_generator(), rows, BRIEF, soups=0, folder=tmp_path / "work"))
    assert [(step.index, step.total) for step in steps] == [(index, 10) for index in range(1, 11)]
    discard(tmp_path / "work")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_what_is_generated_without_condition_lies_nearer_to_the_rows_after_training(tmp_path: Path) -> None:
    """Rows around one far point: an untrained denoiser misses it, a trained one need not know any condition."""
    centre = 5 * torch.randn(LAYOUT.dim, generator=rng(8))
    rows = centre + 0.1 * torch.randn(20, LAYOUT.dim, generator=rng(9))
    spread = rows - rows.mean(dim=0)
    generator = small_generator()
    recipe = replace(BRIEF, vae_steps=60, denoiser_steps=200, denoiser_batch=16)
    list(train_unconditional(generator, rows, recipe, soups=0, folder=tmp_path / "work"))
    untrained = generator.with_fresh_denoiser(seed=0).eval()
    noise = torch.zeros(8, E)
    trained_off, plain_off = (
        (made.generate(noise, guidance=0, steps=10) - rows.mean(dim=0)).norm(dim=1).mean()
        for made in (generator, untrained)
    )
    assert trained_off < 2 * spread.norm(dim=1).mean()
    assert trained_off < plain_off

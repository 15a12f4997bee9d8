"""The small CLIP: it learns, it resumes, and plain open_clip opens what is saved."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from torch import Tensor

from wildpdiff.condition.clip import ClipCondition
from wildpdiff.errors import UserError
from wildpdiff.training.clip_training import ClipConfig, ClipRecipe, build_clip, retrieval, save_clip, train_clip

pytestmark = pytest.mark.slow  # trainings

COLOURS = {"red": (220, 40, 40), "green": (40, 200, 60), "blue": (40, 60, 220), "yellow": (220, 210, 50)}
PATTERNS = ("plain", "stripes from left to right", "stripes from top to bottom")
SMALL = ClipConfig(
    embedding=32, image_size=32, patch_size=8, image_width=64, image_layers=2, text_width=32, text_layers=1
)
SHORT = ClipRecipe(steps=140, batch_size=32, learning_rate=1e-3, warmup=10, checkpoint_every=4)


def painted(colour: str, pattern: str, rng: torch.Generator) -> Tensor:
    """A noisy picture of one colour, dark stripes over it: uint8 `[3, 32, 32]`."""
    picture = torch.tensor(COLOURS[colour])[:, None, None].expand(3, 32, 32).float().clone()
    stripes = (torch.arange(32) + int(torch.randint(8, (), generator=rng))) % 8 < 4
    if pattern == PATTERNS[1]:
        picture[:, stripes] *= 0.3
    elif pattern == PATTERNS[2]:
        picture[:, :, stripes] *= 0.3
    return (picture + 15 * torch.randn(3, 32, 32, generator=rng)).clamp(0, 255).byte()


def toy_pairs(rng: torch.Generator, count: int) -> tuple[Tensor, list[str]]:
    colours = [list(COLOURS)[index] for index in torch.randint(4, (count,), generator=rng)]
    patterns = [PATTERNS[index] for index in torch.randint(3, (count,), generator=rng)]
    pixels = torch.stack([painted(*kind, rng) for kind in zip(colours, patterns, strict=True)])
    return pixels, [f"{colour} ground, {pattern}" for colour, pattern in zip(colours, patterns, strict=True)]


def rng_of(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights(model: torch.nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in model.state_dict().values()])


@pytest.fixture(scope="module")
def trained() -> open_clip.CLIP:
    model = build_clip(SMALL, seed=0)
    for _ in train_clip(model, toy_pairs, SHORT, seed=0):
        pass
    return model


def test_training_finds_the_captions_of_unseen_pictures(trained: open_clip.CLIP) -> None:
    pixels, captions = toy_pairs(rng_of(99), 200)
    chance = retrieval(build_clip(SMALL, seed=0), pixels, captions)
    assert chance < 0.3
    assert retrieval(trained, pixels, captions) > 0.6


def test_captions_of_other_pictures_are_not_found(trained: open_clip.CLIP) -> None:
    pixels, captions = toy_pairs(rng_of(98), 200)
    assert retrieval(trained, pixels, captions[1:] + captions[:1]) < 0.3


def test_every_step_is_yielded_and_the_loss_falls() -> None:
    steps = list(train_clip(build_clip(SMALL, seed=0), toy_pairs, replace(SHORT, steps=30), seed=0))
    assert [step.index for step in steps] == list(range(1, 31)) and steps[0].total == 30
    assert sum(step.loss for step in steps[-5:]) < sum(step.loss for step in steps[:5])


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    recipe = replace(SHORT, steps=8)
    whole = build_clip(SMALL, seed=0)
    list(train_clip(whole, toy_pairs, recipe, seed=3))
    killed = train_clip(build_clip(SMALL, seed=0), toy_pairs, recipe, seed=3, checkpoint=tmp_path / "clip.safetensors")
    list(islice(killed, 6))  # the checkpoint is of step 4
    resumed = build_clip(SMALL, seed=77)
    steps = list(train_clip(resumed, toy_pairs, recipe, seed=3, checkpoint=tmp_path / "clip.safetensors"))
    assert [step.index for step in steps] == [5, 6, 7, 8] and torch.equal(weights(resumed), weights(whole))
    again = build_clip(SMALL, seed=77)
    assert not list(train_clip(again, toy_pairs, recipe, seed=3, checkpoint=tmp_path / "clip.safetensors"))
    assert torch.equal(weights(again), weights(whole))


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    file, recipe = tmp_path / "clip.safetensors", replace(SHORT, steps=4)
    list(train_clip(build_clip(SMALL, seed=0), toy_pairs, recipe, seed=0, checkpoint=file))
    other = build_clip(replace(SMALL, embedding=16), seed=0)
    with pytest.raises(UserError, match="another recipe"):
        next(train_clip(other, toy_pairs, recipe, seed=0, checkpoint=file))


def test_every_weight_learns_and_the_tokens_that_never_occur_end_as_zero() -> None:
    model = build_clip(SMALL, seed=0)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    list(train_clip(model, toy_pairs, replace(SHORT, steps=3), seed=0))
    for name, value in model.named_parameters():
        assert not torch.equal(value, before[name]), name
    seen = model.token_embedding.weight.abs().sum(dim=1).nonzero().flatten().tolist()
    words = {*COLOURS, "ground", ",", "plain", "stripes", "from", "left", "to", "right", "top", "bottom"}
    assert len(seen) == len(words) + 2  # start and end


def test_a_seed_gives_the_same_fresh_model_and_leaves_the_global_randomness_alone() -> None:
    torch.manual_seed(5)
    first = build_clip(SMALL, seed=1)
    following = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(following, torch.rand(1))
    assert torch.equal(weights(first), weights(build_clip(SMALL, seed=1)))
    assert not torch.equal(weights(first), weights(build_clip(SMALL, seed=2)))


def test_what_is_saved_is_opened_by_plain_open_clip_and_by_the_condition(
    trained: open_clip.CLIP, tmp_path: Path
) -> None:
    save_clip(trained, SMALL, tmp_path / "clip", name="toy")
    pixels, captions = toy_pairs(rng_of(7), 6)
    opened, _, transform = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'clip'}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'clip'}")(captions)
    with torch.no_grad():
        images = torch.stack([transform(Image.fromarray(picture.permute(1, 2, 0).numpy())) for picture in pixels])
        views, texts = opened.eval().encode_image(images, normalize=True), opened.encode_text(tokens, normalize=True)
    assert tokens.shape == (6, SMALL.context_length) and torch.equal(weights(opened), weights(trained))
    condition = ClipCondition.load(f"local-dir:{tmp_path / 'clip'}")
    assert condition.dim == 32 and condition.name.startswith("toy/")
    assert torch.allclose(condition.views(pixels), views, atol=1e-6)
    assert torch.allclose(condition.text(captions), texts, atol=1e-6)


def test_the_full_size_fits_into_the_repository(tmp_path: Path) -> None:
    save_clip(build_clip(ClipConfig(), seed=0), ClipConfig(), tmp_path, name="savanna-clip")
    assert (tmp_path / "open_clip_model.safetensors").stat().st_size < 9_500_000
    condition = ClipCondition.load(f"local-dir:{tmp_path}")
    assert condition.dim == 128 and condition.preprocess.size == 96

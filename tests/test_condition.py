"""The CLIP condition: equal to open_clip itself, from every kind of source, and clear about what is missing."""

import json
import logging
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from wildpdiff.condition.clip import ClipCondition, create_clip
from wildpdiff.condition.kept import keep_clip
from wildpdiff.condition.preprocess import Preprocess
from wildpdiff.errors import UserError

MODEL = "ViT-S-32-alt"  # the smallest of open_clip's own
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


def pictures(count: int, height: int = 40, width: int = 56, seed: int = 0) -> Tensor:
    """Smooth random pictures: uint8 `[count, 3, height, width]`."""
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1) * 255).byte()


def tiny(**changes: object) -> ClipCondition:
    torch.manual_seed(0)
    settings = {"size": 32, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)} | changes
    return ClipCondition("tiny", 16, create_clip(TINY, Preprocess(**settings)), model=MODEL)


def folder_of(condition: ClipCondition, folder: Path, **extra: object) -> str:
    folder.mkdir()
    preprocess = open_clip.get_model_preprocess_cfg(condition.network)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": preprocess} | extra))
    save_file(condition.network.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def refusal(model: str, pretrained: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        ClipCondition.load(model, pretrained)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and "/tmp" not in sentence
    return sentence


@pytest.mark.parametrize("mode", ["shortest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", [(40, 56), (133, 90), (17, 20), (32, 32)])
def test_preprocessing_equals_open_clips_own(mode: str, interpolation: str, shape: tuple[int, int]) -> None:
    condition = tiny(resize_mode=mode, interpolation=interpolation)
    config = open_clip.transform.PreprocessCfg(**open_clip.get_model_preprocess_cfg(condition.network))
    transform = open_clip.transform.image_transform_v2(config, is_train=False)
    noise = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    for picture in (pictures(1, *shape)[0], torch.from_numpy(noise)):
        expected = transform(Image.fromarray(picture.permute(1, 2, 0).numpy()))
        ours = condition.preprocess(picture[None])[0]
        one_level = 1 / 255 / torch.tensor(condition.preprocess.std)[:, None, None]
        assert ours.shape == expected.shape and ((ours - expected).abs() <= 1.01 * one_level).all()
        assert (ours - expected).abs().mean() < 0.05 * one_level.mean()


def test_views_are_the_networks_own_embeddings_of_length_one() -> None:
    condition = tiny()
    with torch.no_grad():
        expected = condition.network.encode_image(condition.preprocess(pictures(3)))
    views = condition.views(pictures(3))
    assert torch.allclose(views, expected / expected.norm(dim=1, keepdim=True), atol=1e-6)


def test_many_views_equal_one_by_one() -> None:
    condition, backgrounds = tiny(), pictures(70)
    alone = torch.cat([condition.views(backgrounds[index : index + 1]) for index in range(70)])
    assert torch.allclose(condition.views(backgrounds), alone, atol=1e-6)


def test_a_place_is_the_direction_of_its_mean_view() -> None:
    condition, backgrounds = tiny(), pictures(5)
    embedding, mean = condition(backgrounds), condition.views(backgrounds).mean(dim=0)
    assert embedding.shape == (condition.dim,) and embedding.norm().item() == pytest.approx(1)
    assert (embedding @ mean).item() == pytest.approx(mean.norm().item())
    assert torch.allclose(condition(backgrounds.flip(0)), embedding, atol=1e-6)


@pytest.mark.parametrize("backgrounds", [pictures(1)[0], pictures(2).float(), pictures(2)[:0], pictures(2)[:, :1]])
def test_backgrounds_of_another_form_are_refused(backgrounds: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        tiny()(backgrounds)


def test_a_folder_gives_the_same_embeddings_as_the_network_that_was_saved(tmp_path: Path) -> None:
    original = tiny()
    loaded = ClipCondition.load(folder_of(original, tmp_path / "savanna-clip"))
    assert loaded.dim == 16 and torch.equal(loaded(pictures(4)), original(pictures(4)))


def test_the_name_follows_the_weights_and_not_the_path(tmp_path: Path) -> None:
    original = tiny()
    first = ClipCondition.load(folder_of(original, tmp_path / "a", name="savanna-clip")).name
    again = ClipCondition.load(folder_of(original, tmp_path / "b", name="savanna-clip")).name
    original.network.logit_scale.data += 1
    changed = ClipCondition.load(folder_of(original, tmp_path / "c", name="savanna-clip")).name
    assert first == again != changed and first.startswith("savanna-clip/") and str(tmp_path) not in first


@pytest.fixture(scope="module")
def architecture(tmp_path_factory: pytest.TempPathFactory) -> tuple[open_clip.CLIP, Path]:
    """A true architecture of open_clip with random weights, and the file that holds them."""
    torch.manual_seed(1)
    network = open_clip.create_model(MODEL).eval()
    file = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_file(network.state_dict(), file)
    return network, file


def test_a_true_architecture_with_weights_from_a_file_embeds_like_open_clip(
    architecture: tuple[open_clip.CLIP, Path],
) -> None:
    network, file = architecture
    condition = ClipCondition.load(MODEL, str(file))
    transform = open_clip.image_transform(network.visual.image_size, is_train=False)
    picture, captions = pictures(1, 300, 400), ["open grassland", "a dark forest at night"]
    with torch.no_grad():
        image = transform(Image.fromarray(picture[0].permute(1, 2, 0).numpy()))[None]
        expected = F.normalize(network.encode_image(image))[0]
        texts = F.normalize(network.encode_text(open_clip.get_tokenizer(MODEL)(captions)))
    assert condition.dim == 256 and torch.allclose(condition(picture), expected, atol=2e-3)
    assert torch.allclose(condition.text(captions), texts, atol=1e-5)
    assert condition.name.startswith(f"{MODEL}/") and "mine" not in condition.name


@pytest.mark.slow
def test_a_named_clip_is_kept_in_a_folder_that_embeds_like_it(
    architecture: tuple[open_clip.CLIP, Path], tmp_path: Path
) -> None:
    keep_clip(f"{MODEL}/{architecture[1]}", tmp_path / "clip")
    kept, named = ClipCondition.load(f"local-dir:{tmp_path / 'clip'}"), ClipCondition.load(MODEL, str(architecture[1]))
    backgrounds = torch.randint(0, 256, (2, 3, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kept.views(backgrounds), named.views(backgrounds))
    assert kept.name.startswith(f"{MODEL}/") and kept.preprocess == named.preprocess


def test_weights_of_another_architecture_are_refused(architecture: tuple[open_clip.CLIP, Path]) -> None:
    assert "another architecture" in refusal("ViT-S-32", str(architecture[1]))


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    assert "damaged" in refusal(MODEL, str(tmp_path / "cut.safetensors"))


def test_an_unknown_model_is_refused_with_names_near_it() -> None:
    assert "ViT-B-32" in refusal("VitB32", "openai")
    assert "secret" not in refusal("/secret/place/model.bin", "openai")


def test_a_model_without_weights_is_refused_with_the_weights_that_exist() -> None:
    assert "openai" in refusal("ViT-B-32")
    assert "openai" in refusal("ViT-B-32", "no_such_tag")
    assert ".safetensors" in refusal(MODEL)


def test_weights_in_a_pickle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "old.pt").write_bytes(b"anything")
    assert ".safetensors" in refusal(MODEL, str(tmp_path / "old.pt"))


def test_a_folder_without_weights_or_config_is_refused(tmp_path: Path) -> None:
    model = folder_of(tiny(), tmp_path / "mine")
    assert "leave the second name away" in refusal(model, "openai")
    (tmp_path / "mine" / "open_clip_model.safetensors").unlink()
    assert "no 'open_clip_model.safetensors'" in refusal(model)
    (tmp_path / "mine" / "open_clip_config.json").write_text("[]")
    assert "'mine' has no" in refusal(f"local-dir:{tmp_path}/missing/../mine")
    assert "'missing' has no 'open_clip_config.json'" in refusal(f"local-dir:{tmp_path}/missing")


def test_published_weights_out_of_reach_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(open_clip, "download_pretrained", offline)
    monkeypatch.setattr(open_clip.factory, "download_pretrained_from_hf", offline)
    assert "connect to the internet" in refusal("ViT-B-32", "openai")
    logging.disable(logging.CRITICAL)
    assert "out of reach" in refusal("hf-hub:someone/a-clip")
    logging.disable(logging.NOTSET)


def test_published_weights_get_the_activation_that_they_were_trained_with(
    architecture: tuple[open_clip.CLIP, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def published(*_: object) -> dict[str, object]:
        return {"file": str(architecture[1]), "quick_gelu": True, "mean": (0.5,) * 3, "std": (0.5,) * 3}

    monkeypatch.setattr(open_clip, "get_pretrained_cfg", published)
    monkeypatch.setattr(open_clip.factory, "get_pretrained_cfg", published)
    condition = ClipCondition.load(MODEL, "OpenAI")
    assert condition.name == f"{MODEL}/openai" and condition.preprocess.mean == (0.5,) * 3
    assert any(isinstance(module, open_clip.transformer.QuickGELU) for module in condition.network.visual.modules())

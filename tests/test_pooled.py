"""Pooled ImageNet features as a bundle's condition, where there is no CLIP."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import gradio as gr
import pytest
import torch
from corpus import changed_json, stream, unclear, written_oddly
from PIL import Image
from test_files import one_sentence
from tiny_bundle import write_tiny_bundle
from torch import Tensor

from wildpdiff.bundle import Bundle
from wildpdiff.condition.base import Condition
from wildpdiff.condition.pooled import CENTRE, TRUNK, PooledCondition
from wildpdiff.errors import UserError
from wildpdiff.files import load_json, save_json, save_tensors
from wildpdiff.network import lite
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.makers import imagenet_network
from wildpdiff.studio.learn import glossary
from wildpdiff.studio.learn.lessons import cards
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.upload import Strangers
from wildpdiff.ui.page import Page
from wildpdiff.ui.unseen import Unseen

pytestmark = pytest.mark.skipif(lite.weights_file() is None, reason="the package with ImageNet weights is not there")
SIZE, NAMES = 64, ("zebra", "lion", "empty")


def places(count: int, views: int = 3) -> list[Tensor]:
    """Made-up backgrounds: each place has its own colours and stripes, each view its own noise."""
    rng, made = torch.Generator().manual_seed(0), []
    for place in range(count):
        colour = torch.randint(40, 216, (1, 3, 1, 1), generator=rng).float()
        stripes = 30 * torch.sin(torch.arange(48) * (0.2 + 0.3 * place))[None, None, :, None]
        noise = 12 * torch.randn(views, 3, 48, 48, generator=rng)
        made.append((colour + stripes + noise).clamp(0, 255).byte())
    return made


@pytest.fixture(scope="module")
def classifier() -> Backbone:
    return Backbone.build(NAMES, architecture=lite.ARCHITECTURE, pretrained=True).round_to_half().eval()


@pytest.fixture(scope="module")
def condition() -> PooledCondition:
    return PooledCondition.of_imagenet(lite.ARCHITECTURE, places(4), size=SIZE)


def test_an_embedding_is_the_direction_of_pooled_features_from_those_of_known_places(
    condition: PooledCondition,
) -> None:
    known = places(4)
    network, pixels = imagenet_network(lite.ARCHITECTURE).eval(), condition.preprocess(known[0])
    halves = {name: value.half().to(value.dtype) for name, value in network.state_dict().items()}
    network.load_state_dict(halves)  # as files hold them
    with torch.no_grad():
        expected = network.forward_features(pixels).mean(dim=(2, 3))
        centre = torch.stack([
            network.forward_features(condition.preprocess(each)).mean(dim=(2, 3)).mean(dim=0) for each in known
        ]).mean(dim=0)  # fmt: skip
    assert condition.dim == expected.shape[1] == 1280
    assert torch.allclose(condition.pooled(known[0]), expected, atol=1e-4)
    directions = torch.nn.functional.normalize(expected - centre, dim=1)
    assert float((condition.views(known[0]) * directions).sum(dim=1).min()) > 0.999
    mean = condition(known[0])
    assert float(mean.norm()) == pytest.approx(1) and mean.device.type == "cpu" and mean.dtype == torch.float32


def test_places_that_point_one_way_as_they_are_are_told_apart_once_centred(condition: PooledCondition) -> None:
    known = places(4)
    raw = torch.nn.functional.normalize(torch.stack([condition.pooled(each).mean(dim=0) for each in known]), dim=1)
    own = torch.stack([condition(each) for each in known])
    others = ~torch.eye(4, dtype=torch.bool)
    assert float((own @ own.T)[others].mean()) < 0 < 0.5 < float((raw @ raw.T)[others].mean())
    views = torch.stack([condition.views(each) for each in known])
    assert float((views[:, 0] @ views[:, 1].T).diagonal().min()) > float((own @ own.T)[others].max())


def test_the_name_says_what_it_is_and_tells_centres_and_sizes_apart(condition: PooledCondition) -> None:
    asked: Condition = condition
    assert asked.name.startswith("pooled-tf_efficientnet_lite0/") and len(asked.name.partition("/")[2]) == 12
    names = {asked.name}
    names.add(PooledCondition.of_imagenet(lite.ARCHITECTURE, places(3), size=SIZE).name)
    names.add(PooledCondition(condition.network, lite.ARCHITECTURE, condition.centre, size=96).name)
    assert len(names) == 3
    assert PooledCondition.of_imagenet(lite.ARCHITECTURE, places(4), size=SIZE).name == asked.name


def test_beside_a_classifier_with_the_same_trunk_no_weight_is_written_twice(
    condition: PooledCondition, classifier: Backbone, tmp_path: Path
) -> None:
    classifier.save(tmp_path / "backbone.safetensors")
    condition.save(tmp_path / "pooled", classifier)
    assert {path.name for path in (tmp_path / "pooled").iterdir()} == {"pooled.json", CENTRE}
    read = PooledCondition.load(tmp_path / "pooled", Backbone.load(tmp_path / "backbone.safetensors"))
    assert read.name == condition.name
    assert torch.equal(read(places(1)[0]), condition(places(1)[0]))


def test_beside_another_classifier_the_trunk_is_kept_and_read_back(
    condition: PooledCondition, tmp_path: Path, backbone: Backbone
) -> None:
    condition.save(tmp_path, backbone)
    assert (tmp_path / TRUNK).stat().st_size < 8_000_000
    read = PooledCondition.load(tmp_path, backbone)
    assert read.name == condition.name and torch.equal(read(places(1)[0]), condition(places(1)[0]))


def _without_architecture(folder: Path) -> None:
    save_json(folder / "pooled.json", {"size": SIZE})


def _another_size(folder: Path) -> None:
    save_json(folder / "pooled.json", load_json(folder / "pooled.json") | {"size": 10**9})


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / CENTRE).unlink(),
        lambda folder: (folder / "pooled.json").unlink(),
        lambda folder: (folder / "pooled.json").write_text("[1]"),
        _without_architecture,
        _another_size,
        lambda folder: save_tensors(folder / CENTRE, {"other": torch.zeros(3)}),
        lambda folder: save_tensors(folder / CENTRE, {"centre": torch.full((1280,), float("nan"))}),
        lambda folder: save_tensors(folder / CENTRE, {"centre": torch.zeros(7)}),
    ],
)
def test_a_damaged_folder_is_one_sentence(
    condition: PooledCondition, classifier: Backbone, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    condition.save(tmp_path, classifier)
    damage(tmp_path)
    with pytest.raises(UserError) as error:
        PooledCondition.load(tmp_path, classifier)
    one_sentence(error, tmp_path)


@pytest.mark.slow
def test_whatever_its_json_says_is_read_or_refused_in_one_sentence(
    condition: PooledCondition, classifier: Backbone, tmp_path: Path
) -> None:
    condition.save(tmp_path, classifier)
    rng, whole, file = stream("pooled"), load_json(tmp_path / "pooled.json"), tmp_path / "pooled.json"
    odd = [json.dumps(changed_json(rng, whole)[1]).encode("utf-8", "surrogatepass") for _ in range(40)]
    refused = 0
    for content in (*odd, *written_oddly(whole).values()):
        file.write_bytes(content)
        try:
            assert PooledCondition.load(tmp_path, classifier).dim == condition.dim
        except UserError as error:
            assert not unclear(str(error)), error
            refused += 1
    assert refused > 20


def test_another_classifier_lends_it_no_weights(
    condition: PooledCondition, classifier: Backbone, tmp_path: Path
) -> None:
    condition.save(tmp_path, classifier)
    with pytest.raises(UserError, match="another classifier") as error:
        PooledCondition.load(tmp_path, Backbone.build(NAMES, architecture=lite.ARCHITECTURE))
    one_sentence(error, tmp_path)


def test_one_place_has_no_centre_to_differ_from(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two known places") as error:
        PooledCondition.of_imagenet(lite.ARCHITECTURE, places(1), size=SIZE)
    one_sentence(error, tmp_path)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose classifier is Lite0 with ImageNet's trunk, and whose condition are its pooled features."""
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("pooled") / "bundle", pooled=lite.ARCHITECTURE))


def test_a_bundle_with_pooled_features_writes_adapters_for_a_place_and_for_a_picture(bundle: Bundle) -> None:
    assert not (bundle.folder / "pooled" / TRUNK).exists()
    assert bundle.generator("H").condition is not None
    assert bundle.condition.name == bundle.generator("H").condition.name
    picture = bundle.world.backgrounds(bundle.seen[0])[:1]
    computed, kept = bundle.condition(bundle.world.backgrounds(bundle.seen[0])), bundle.embedding(bundle.seen[0])
    assert torch.allclose(computed, kept, atol=1e-4)
    studio = Studio(bundle)
    upload = studio.upload(_png(picture[0]))
    assert upload.nearest[0][0] == bundle.seen[0]
    row = bundle.generator("H").generate(upload.embedding[None], steps=2, seed=0)
    assert row.shape == (1, bundle.layout.dim) and bool(row.isfinite().all())


def test_it_is_named_as_what_it_is_and_no_text_speaks_of_clip(bundle: Bundle, tiny_bundle: Path) -> None:
    assert bundle.condition_words == "pooled ImageNet features of tf_efficientnet_lite0"
    told = [sentence for card in cards(bundle) for sentence in card.text] + [
        text for pair in glossary(bundle) for text in pair
    ]
    assert not [text for text in told if "CLIP" in text]
    assert sum(bundle.condition_words in text for text in told) == 2
    other = Bundle.open(tiny_bundle)
    assert other.condition_words == "a CLIP embedding" and "CLIP" in dict(glossary(other))


def test_words_are_not_offered_and_are_refused_in_one_sentence(
    bundle: Bundle, tiny_bundle: Path, tmp_path: Path
) -> None:
    assert not bundle.reads_words and Bundle.open(tiny_bundle).reads_words
    with pytest.raises(UserError, match="give a picture") as error:
        Strangers(Studio(bundle)).words("open plain")
    one_sentence(error, tmp_path)
    for opened, offered in ((bundle, False), (Bundle.open(tiny_bundle), True)):
        with gr.Blocks(analytics_enabled=False) as blocks:
            Unseen(Page(Studio(opened), gr.HTML(), gr.State(""))).build()
        ids = {block.elem_id for block in blocks.blocks.values()}
        assert "unseen-picture" in ids and ("unseen-words" in ids) == offered


def test_its_files_are_the_bundles_condition_and_change_its_fingerprint(bundle: Bundle) -> None:
    files = [name for name in bundle.manifest["files"] if name.startswith("pooled/")]
    assert set(files) == {"pooled/pooled.json", f"pooled/{CENTRE}"} and "pooled" not in bundle.fingerprints
    changed = {name: "0" if name in files else own for name, own in bundle.manifest["files"].items()}
    other = Bundle(bundle.folder, bundle.manifest | {"files": changed}, bundle.device)
    assert [part for part, own in bundle.fingerprints.items() if other.fingerprints[part] != own] == ["condition"]


def test_a_bundle_with_both_kinds_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    for kind in ("clip", "pooled"):
        (tmp_path / kind).mkdir()
    with pytest.raises(UserError, match="both") as error:
        Bundle(tmp_path, bundle.manifest, bundle.device).condition  # noqa: B018
    one_sentence(error, tmp_path.parent)


def _png(picture: Tensor) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).resize((256, 256)).save(stream, "PNG")
    return stream.getvalue()

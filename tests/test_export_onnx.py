"""One ONNX file with its preprocessing inside: what it says of photographs is what the classifier says."""

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_parts import PHOTOS, row_of, write_adapter
from PIL import Image
from test_cli import Run, document, run
from test_files import one_sentence
from tiny_bundle import write_tiny_bundle
from torch import Tensor

from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.export import onnx_file
from wildpdiff.export.adapted import NONE, Adapted
from wildpdiff.export.ordered import Order, export_adapter
from wildpdiff.network import lite
from wildpdiff.picture import picture_of, read_frame

onnx = pytest.importorskip("onnx")
SUFFIXES = (".jpg", ".jpeg", ".png")
__all__ = ["run"]


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def lite_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of Lite0, whose convolutions pad as TensorFlow's, and whose pixels lie in -1..1."""
    if lite.weights_file() is None:
        pytest.skip("the package with ImageNet weights is not installed")
    return Bundle.open(write_tiny_bundle(tmp_path_factory.mktemp("lite") / "bundle", pooled=lite.ARCHITECTURE))


@pytest.fixture(scope="module")
def adapted(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    return Adapted.of(bundle, str(write_adapter(bundle, tmp_path_factory.mktemp("a") / "adapter-3")))


def session(adapted: Adapted, **options: float) -> Any:
    return onnx_file.session_of(onnx_file.onnx_model(adapted, **options).SerializeToString())


def by_torch(adapted: Adapted, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return adapted.backbone(pixels, adapted.row)


def photographs(size: int) -> list[tuple[Tensor, Tensor]]:
    """Real photographs at their own size and as the house reads them: `[1, 3, H, W]` and `[1, 3, size, size]`."""
    folders = (PHOTOS / "serengeti", PHOTOS / "gorongosa")
    files = [file for folder in folders for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES]
    own = [picture_of(Image.open(file))[None] for file in files]
    return [(one, read_frame(file, size, size).pixels[None]) for one, file in zip(own, files, strict=True)]


def test_scores_and_logits_are_the_classifiers_on_its_own_photographs(bundle: Bundle, adapted: Adapted) -> None:
    pixels = bundle.world.images(bundle.seen[0], "eval").pixels
    scores, logits = onnx_file.run(session(adapted), pixels)
    expected = by_torch(adapted, pixels)
    assert float((torch.from_numpy(logits) - expected).abs().max()) < 1e-3 * max(1.0, float(expected.abs().max()))
    assert torch.allclose(torch.from_numpy(scores), torch.from_numpy(logits).softmax(dim=1), atol=1e-6)
    assert scores.shape == (len(pixels), len(bundle.backbone.species))


def test_no_adapter_is_the_pretrained_classifier(bundle: Bundle) -> None:
    pixels = bundle.world.images(bundle.seen[0], "eval").pixels
    plain = Adapted.of(bundle, NONE)
    logits = torch.from_numpy(onnx_file.run(session(plain), pixels)[1])
    assert float((logits - by_torch(plain, pixels)).abs().max()) < 1e-3


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="../shared is not there")
@pytest.mark.slow
def test_real_photographs_of_any_size_are_named_as_the_house_reads_and_names_them(lite_bundle: Bundle) -> None:
    """283 photographs of up to 766 x 400 pixels: each has the same name, and logits lie within 1e-3 on the same pixels.

    Where the graph itself resizes and rounds some level otherwise than Pillow, they lie within 1e-2 (.004 measured).
    """
    adapted = Adapted(lite_bundle.backbone, row_of(lite_bundle), "a", 160, {})
    file, found = session(adapted), photographs(160)
    assert len(found) == 283
    whole = np.concatenate([onnx_file.run(file, frame)[1] for frame, _ in found])
    same = np.concatenate([onnx_file.run(file, pixels)[1] for _, pixels in found])
    expected = np.concatenate([by_torch(adapted, pixels).numpy() for _, pixels in found])
    assert len(set(expected.argmax(axis=1))) > 2
    assert (same.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert (whole.argmax(axis=1) == expected.argmax(axis=1)).all()
    assert float(np.abs(same - expected).max()) < 1e-3
    assert float(np.abs(whole - expected).max()) < 1e-2


@pytest.mark.parametrize("shape", [(40, 300), (96, 96), (37, 41), (500, 32)])
def test_pictures_are_resized_as_pillow_resizes_but_for_one_level(adapted: Adapted, shape: tuple[int, int]) -> None:
    model = onnx_file.onnx_model(adapted)
    model.graph.output.append(onnx.helper.make_tensor_value_info("small", onnx.TensorProto.UINT8, None))
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    file = onnx_file.session_of(model.SerializeToString())
    found = file.run(["small"], {"photographs": picture[None]})[0][0].astype(np.float32)
    small = Image.fromarray(picture).resize((adapted.size, adapted.size), Image.Resampling.BILINEAR)
    apart = np.abs(found - np.array(small, dtype=np.float32))
    assert apart.max() <= 1 and (apart > 0).mean() < 0.05


def test_the_file_says_everything_that_one_has_to_know(adapted: Adapted, bundle: Bundle) -> None:
    model = onnx_file.onnx_model(adapted, around=1.5)
    said = {one.key: json.loads(one.value) for one in model.metadata_props}
    assert said["species"] == list(bundle.backbone.species) and said["adapter"] == "adapter-3"
    assert said["mean"] == list(bundle.backbone.standard.mean) and said["around"] == 1.5
    assert said["classifier"] == bundle.backbone.fingerprint and said["origin"]["seed"] == "3"
    (entering,), leaving = model.graph.input, model.graph.output
    shape = [axis.dim_param or axis.dim_value for axis in entering.type.tensor_type.shape.dim]
    assert (entering.name, shape) == ("photographs", ["M", "H", "W", 3])
    assert [one.name for one in leaving] == ["scores", "logits"]


@pytest.mark.slow
def test_the_command_writes_file_and_script_and_says_size_and_time(
    run: Run, lite_bundle: Bundle, tmp_path: Path
) -> None:
    adapter = write_adapter(lite_bundle, tmp_path / "adapter")
    options = ("--adapter", adapter, "--format", "onnx", "--out", tmp_path / "x" / "n.onnx", "--photographs", 3)
    ended = run("export", *options, "--json", "--bundle", lite_bundle.folder, "--device", "cpu")
    told = document(ended)
    assert told["files"] == ["n.onnx", "name_photographs.py"]
    assert {path.name for path in (tmp_path / "x").iterdir()} == set(told["files"])
    assert told["photographs"] == 3 * len((*lite_bundle.seen, *lite_bundle.unseen))
    assert told["difference"] < 1e-3 and told["milliseconds"] > 0
    assert told["megabytes"] == pytest.approx((tmp_path / "x" / "n.onnx").stat().st_size / 1e6)
    assert "MB" in ended.err and "ms a photograph" in ended.err


def test_a_second_file_shares_the_script_and_a_strangers_script_is_kept(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_adapter(bundle, Order(NONE, "onnx", tmp_path / f"{name}.onnx", photographs=1))
    assert len(list(tmp_path.iterdir())) == 3
    (tmp_path / onnx_file.SCRIPT).write_text("mine")
    with pytest.raises(UserError, match="exists") as error:
        export_adapter(bundle, Order(NONE, "onnx", tmp_path / "c.onnx", photographs=1))
    one_sentence(error, tmp_path)
    assert (tmp_path / onnx_file.SCRIPT).read_text() == "mine"


def test_a_file_that_names_photographs_otherwise_is_not_written(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_adapter(bundle, tmp_path / "other", seed=5)
    wrong = onnx_file.onnx_model(Adapted.of(bundle, str(other)))
    monkeypatch.setattr(onnx_file, "onnx_model", lambda *_, **__: wrong)
    with pytest.raises(UserError, match="not written") as error:
        export_adapter(bundle, Order(NONE, "onnx", tmp_path / "n.onnx", photographs=2))
    one_sentence(error, tmp_path)
    assert not (tmp_path / "n.onnx").exists()


def test_without_the_packages_one_sentence_names_the_extra(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("onnx"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install wildpdiff\[onnx\]") as error:
        export_adapter(bundle, Order(NONE, "onnx", tmp_path / "n.onnx"))
    one_sentence(error, tmp_path)

"""The script beside the ONNX file: a folder of photographs named by a process that has no torch."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from corpus import changed_json, stream, unclear, written_oddly
from export_parts import PHOTOS, write_adapter
from PIL import Image

from wildpdiff.bundle import Bundle
from wildpdiff.export.ordered import Order, export_adapter
from wildpdiff.picture import read_frame

pytest.importorskip("onnxruntime")
from wildpdiff.export.name_photographs import Boxes, cut


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture(scope="module")
def tools(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the ONNX file and its script."""
    folder = tmp_path_factory.mktemp("tools")
    adapter = write_adapter(bundle, folder / "adapter-3")
    export_adapter(bundle, Order(str(adapter), "onnx", folder / "n.onnx", photographs=1))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two cameras' photographs, one of them in grey, one upside down by its EXIF, one unreadable, and a text."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    for place, name in enumerate(("a/1.jpg", "a/2.JPG", "b ü/3.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((200 + 40 * place, 150), Image.Resampling.BICUBIC).save(path)
    Image.open(folder / "a/1.jpg").convert("L").save(folder / "a/4.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(folder / "a/1.jpg").rotate(180).save(folder / "a/5.jpg", exif=exif, quality=100)
    (folder / "a/6.jpg").write_bytes(b"no picture")
    (folder / "a/notes.txt").write_text("no photograph")
    return folder


#: Runs a script as `python script` would, in a process that cannot import torch.
ALONE = """
import runpy, sys
sys.modules["torch"] = sys.modules["wildpdiff"] = sys.modules["timm"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def name(tools: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", ALONE, str(tools / "name_photographs.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def result(tools: Path, photos: Path, out: Path, *arguments: object) -> dict[str, Any]:
    ended = name(tools, photos, "--out", out, *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(out.read_text(encoding="utf-8"))


def expected(bundle: Bundle, tools: Path, path: Path, box: tuple[int, int, int, int] | None = None) -> torch.Tensor:
    """Scores `[K]` by the classifier itself; `box` in pixels."""
    from wildpdiff.network.peft_folder import load_peft

    size = bundle.world.size
    if box is not None:
        picture = Image.open(path).convert("RGB").crop(box).resize((size, size), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    else:
        pixels = read_frame(path, size, size).pixels
    with torch.no_grad():
        return bundle.backbone(pixels[None], load_peft(bundle.backbone, tools / "adapter-3"))[0].softmax(dim=0)


def assert_named(one: dict[str, Any], scores: torch.Tensor) -> None:
    assert int(one["classifications"][0][0]) == int(scores.argmax())
    for index, score in one["classifications"]:
        assert score == pytest.approx(float(scores[int(index)]), abs=1e-3)
    told = [score for _, score in one["classifications"]]
    assert told == sorted(told, reverse=True) and len(told) <= 5


@pytest.mark.slow
def test_whole_frames_are_one_detection_each_and_the_file_says_so(
    bundle: Bundle, tools: Path, photos: Path, tmp_path: Path
) -> None:
    found = result(tools, photos, tmp_path / "named.json")
    assert found["info"]["format_version"] == "1.6" and "No detector looked" in found["info"]["note"]
    assert "adapter-3" in found["info"]["classifier"]
    assert list(found["classification_categories"].values()) == list(bundle.backbone.species)
    assert found["detection_categories"]["1"] == "animal"
    files = [image["file"] for image in found["images"]]
    assert files == ["a/1.jpg", "a/2.JPG", "a/4.png", "a/5.jpg", "a/6.jpg", "b ü/3.png"]
    for image in found["images"]:
        if image["file"] == "a/6.jpg":
            assert image["detections"] is None and image["failure"]
            continue
        (one,) = image["detections"]
        scores = expected(bundle, tools, photos / image["file"])
        assert one["bbox"] == [0, 0, 1, 1] and one["category"] == "1"
        assert one["conf"] == pytest.approx(1 - float(scores[bundle.backbone.species.index("empty")]), abs=1e-3)
        assert_named(one, scores)


def boxes() -> dict[str, Any]:
    animal = {"category": "1", "conf": 0.9, "bbox": [0.25, 0.2, 0.5, 0.4]}
    return {
        "info": {"detector": "a detector", "format_version": "1.2"},
        "detection_categories": {"1": "animal", "2": "person"},
        "images": [
            {"file": "a\\1.jpg", "detections": [animal, {"category": "2", "conf": 0.8, "bbox": [0, 0, 0.1, 0.1]}]},
            {"file": "a/2.JPG", "detections": [animal | {"conf": 0.1, "classifications": [["7", 1.0]]}]},
            {"file": "a/4.png", "detections": []},
            {
                "file": "a/5.jpg",
                "detections": [
                    animal,
                    {"bbox": "odd"},
                    animal | {"bbox": [2, 2, 0, 0]},
                    animal | {"bbox": [0, 0, 1, 10**400]},
                ],
            },
        ],
    }


@pytest.mark.slow
def test_with_boxes_animals_are_named_by_what_is_inside_and_all_else_stays(
    bundle: Bundle, tools: Path, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "md.json").write_text(json.dumps(boxes()))
    found = result(tools, photos, tmp_path / "named.json", "--boxes", tmp_path / "md.json")
    images = {image["file"]: image for image in found["images"]}
    assert found["info"]["detector"] == "a detector" and "a square around its box" in found["info"]["note"]
    assert found["detection_categories"] == {"1": "animal", "2": "person"}
    animal, person = images["a/1.jpg"]["detections"]
    assert_named(animal, expected(bundle, tools, photos / "a/1.jpg", (40, 0, 160, 120)))
    assert person == {"category": "2", "conf": 0.8, "bbox": [0, 0, 0.1, 0.1]}
    assert "classifications" not in images["a/2.JPG"]["detections"][0]
    assert images["a/4.png"]["detections"] == []
    assert len(images["a/5.jpg"]["detections"]) == 2
    assert all(set(one) == {"category", "conf", "bbox", "classifications"} for one in images["a/5.jpg"]["detections"])
    assert images["b ü/3.png"]["failure"] == "The file of boxes does not name it"
    low = result(tools, photos, tmp_path / "low.json", "--boxes", tmp_path / "md.json", "--least", 0.05)
    assert "classifications" in next(one for one in low["images"] if one["file"] == "a/2.JPG")["detections"][0]


def test_whatever_a_file_of_boxes_says_is_read_or_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, file, refused = stream("boxes"), tmp_path / "boxes.json", 0
    odd = [json.dumps(changed_json(rng, boxes())[1]).encode("utf-8", "surrogatepass") for _ in range(200)]
    for content in (*odd, *written_oddly(boxes()).values()):
        file.write_bytes(content)
        try:
            for one in Boxes(file).of("a/1.jpg") or ():
                cut(Image.new("RGB", (40, 30)), one["bbox"], 1.2).load()
        except SystemExit as error:
            told = capsys.readouterr().err.strip()
            assert error.code == 2 and not unclear(told), told
            refused += 1
    assert 10 < refused < 150


def _two_models(tools: Path) -> list[object]:
    shutil.copy(tools / "n.onnx", tools / "second.onnx")
    return []


def _odd_boxes(tools: Path) -> list[object]:
    (tools / "boxes.json").write_text('{"images": 3}')
    return ["--boxes", tools / "boxes.json"]


def _odd_model(tools: Path) -> list[object]:
    (tools / "odd.onnx").write_bytes(b"no model")
    return ["--model", tools / "odd.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "word"), [(_two_models, "--model"), (_odd_boxes, "MegaDetector"), (_odd_model, "no ONNX file")]
)
def test_a_mistake_is_one_sentence_without_a_trace_and_writes_nothing(
    tools: Path, photos: Path, tmp_path: Path, change: Any, word: str
) -> None:
    copied = shutil.copytree(tools, tmp_path / "tools")
    ended = name(copied, photos, "--out", tmp_path / "named.json", *change(copied))
    assert ended.returncode == 2 and word in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1 and "Traceback" not in ended.stderr
    assert not (tmp_path / "named.json").exists()


@pytest.mark.slow
def test_it_refuses_folders_without_photographs_and_files_that_exist(tools: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.json").write_text("precious")
    cases = (
        (tmp_path / "none", tmp_path / "a.json", "no folder"),
        (tmp_path / "empty", tmp_path / "a.json", "no photographs"),
        (photos, tmp_path / "there.json", "exists"),
        (photos, tmp_path / "no" / "a.json", "does not exist"),
    )
    for folder, out, word in cases:
        ended = name(tools, folder, "--out", out)
        assert ended.returncode == 2 and word in ended.stderr and len(ended.stderr.strip().splitlines()) == 1
    assert (tmp_path / "there.json").read_text() == "precious"


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="../shared is not there")
@pytest.mark.slow
def test_real_photographs_have_the_scores_that_the_house_gives_them(
    bundle: Bundle, tools: Path, tmp_path: Path
) -> None:
    """108 files as cameras and phones wrote them: greys, profiles, transparency."""
    folder = PHOTOS / "gorongosa"
    found = result(tools, folder, tmp_path / "named.json")
    assert len(found["images"]) == 108
    for image in found["images"]:
        assert_named(image["detections"][0], expected(bundle, tools, folder / image["file"]))


@pytest.mark.slow
def test_a_large_photograph_is_read_as_the_house_reads_it(bundle: Bundle, tools: Path, tmp_path: Path) -> None:
    folder, rng = tmp_path / "photos", np.random.default_rng(1)
    folder.mkdir()
    small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    small.resize((2048, 1536), Image.Resampling.BICUBIC).save(folder / "1.jpg")
    (image,) = result(tools, folder, tmp_path / "named.json")["images"]
    assert_named(image["detections"][0], expected(bundle, tools, folder / "1.jpg"))

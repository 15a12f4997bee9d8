"""One file gives one adapter, whichever door it comes in by: studio, API, command line, library."""

import base64
import contextlib
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from wildpdiff import Bundle, cli, load_peft, load_picture
from wildpdiff.picture import SIDE
from wildpdiff.studio.api.endpoints import Answers
from wildpdiff.studio.api.lookups import Lookups
from wildpdiff.studio.download import download
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.snippet import PICTURE, python_of
from wildpdiff.studio.studio import Studio


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture that is neither square nor small, in the folder where we are."""
    monkeypatch.chdir(tmp_path)
    path = Path(PICTURE.format(side="a"))
    Image.effect_mandelbrot((640, 410), (-2, -1.2, 1, 1.2), 60).convert("RGB").save(path, quality=90)
    return path


@pytest.mark.slow
def test_studio_command_line_and_library_write_the_same_row_from_one_file(
    tiny_bundle: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    studio = Studio.open(tiny_bundle)
    place = studio.pictures.add("me", studio.upload(file.read_bytes()))
    own = Setting(place, place, steps=2, seed=3)
    row = studio.write(own)

    bundle = Bundle.open(tiny_bundle)
    condition = bundle.condition(load_picture(file)[None])
    assert torch.equal(bundle.generator("H").generate(condition[None], steps=2, seed=3), row)

    command = f"generate --background {file} --steps 2 --seed 3 --out adapters --bundle {tiny_bundle} --json"
    monkeypatch.setattr(sys, "argv", ["wildpdiff", *command.split()])
    with contextlib.suppress(SystemExit):
        cli.main()
    folder = json.loads(capsys.readouterr().out)["adapters"][0]["folder"]
    read = load_peft(bundle.backbone, Path("adapters") / folder)
    saved = download(studio, own, Path("studio").absolute())
    assert torch.equal(read, load_peft(bundle.backbone, saved.with_suffix("")))
    assert torch.allclose(read, row[0], atol=1e-5)

    names: dict[str, torch.Tensor] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(python_of(replace(own, b="R12"), tiny_bundle.as_posix()), names)
    assert torch.equal(names["rows"], studio.write(replace(own, b="R12")))


def test_the_api_reads_the_same_condition_from_one_file(tiny_bundle: Path, file: Path) -> None:
    studio = Studio.open(tiny_bundle)
    found = Answers(Lookups(studio)).unseen(base64.b64encode(file.read_bytes()).decode())
    condition = studio.bundle.condition(load_picture(file)[None])
    cosines = {name: float(condition @ studio.bundle.embedding(name)) for name in studio.bundle.seen}
    assert {one["location"]: one["cosine"] for one in found["nearest"]} == pytest.approx(
        {one["location"]: cosines[one["location"]] for one in found["nearest"]}, abs=2e-5
    )


def test_what_the_page_shows_of_a_picture_is_what_the_condition_reads(tiny_bundle: Path, file: Path) -> None:
    upload = Studio.open(tiny_bundle).upload(file.read_bytes())
    assert torch.equal(upload.picture, load_picture(file)) and upload.picture.shape == (3, SIDE, SIDE)

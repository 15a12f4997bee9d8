"""Generator U in the product: the page's tab Unseen, invented places, the command line, files for other programs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_bundle import write_tiny_bundle

from wildpdiff.bundle import Bundle
from wildpdiff.bundled import bundled
from wildpdiff.errors import UserError
from wildpdiff.evaluate import logits
from wildpdiff.export.ordered import Order, export_adapter
from wildpdiff.files import load_tensors
from wildpdiff.generate import Request, write_adapters
from wildpdiff.network.makers import timm_network
from wildpdiff.network.peft_folder import PRIOR, load_peft, load_prior
from wildpdiff.picture import read_picture
from wildpdiff.studio.invent import findings, inventing_in, upload
from wildpdiff.studio.learn.stored import Stored
from wildpdiff.studio.learn.studies import beginnings, by_places
from wildpdiff.studio.pictures import HOUSE
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.studio.universal import Halves, alike, expected, served, trusted
from wildpdiff.studio.upload import Strangers
from wildpdiff.universal.gate import far_conditions
from wildpdiff.unseen.ways import STARTS
from wildpdiff.web import template


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("u") / "bundle", universal=True)


@pytest.fixture(scope="module")
def studio(folder: Path) -> Studio:
    return Studio.open(folder)


@pytest.fixture(scope="module")
def picture(folder: Path) -> Path:
    path = folder.parent / "place.png"
    pixels = Bundle.open(folder).world.backgrounds("D03")[0]
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
    return path


def request(picture: Path | None, *, samples: int = 1, regime: str = "", location: str | None = None) -> Request:
    return Request(location, None, 0.0, picture, samples, 0, 2, regime)


# the command line's door


def test_a_picture_is_written_for_by_u_and_a_named_location_by_its_own_generator(
    folder: Path, picture: Path, tmp_path: Path
) -> None:
    bundle = Bundle.open(folder)
    by_picture = write_adapters(bundle, request(picture), tmp_path / "a")
    by_name = write_adapters(bundle, request(None, location="R10"), tmp_path / "b")
    asked = write_adapters(bundle, request(picture, regime="H"), tmp_path / "c")
    assert by_picture["generator"].startswith("U ")
    assert by_name["generator"] == asked["generator"] == bundle.generator("H").fingerprint
    assert (tmp_path / "a" / "adapter-0" / PRIOR).exists()
    assert not (tmp_path / "b" / "adapter-0" / PRIOR).exists()
    assert "prior.json" in (tmp_path / "a" / "adapter-0" / "README.md").read_text(encoding="utf-8")


def test_what_is_written_is_what_u_says_of_the_picture(folder: Path, picture: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(folder)
    write_adapters(bundle, request(picture, samples=2), tmp_path)
    universal = bundle.universal
    assert universal
    shown = read_picture(picture)[0]
    written = universal.write(universal.known(bundle.backbone, shown[None]), samples=2, seed=0, steps=2)
    for index in (0, 1):
        own = tmp_path / f"adapter-{index}"
        assert torch.allclose(load_peft(bundle.backbone, own), written.rows[index].detach(), atol=1e-6)
        told = load_prior(bundle.backbone, own)
        assert told is not None
        assert torch.allclose(told, written.log_prior[index], atol=1e-5)


def test_u_is_refused_for_a_name_and_in_a_bundle_that_has_none(
    folder: Path, tiny_bundle: Path, picture: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="give a picture with --background"):
        write_adapters(Bundle.open(folder), request(None, location="R10", regime="U"), tmp_path)
    with pytest.raises(UserError, match="no generator U; choose one of: L, M, H"):
        write_adapters(Bundle.open(tiny_bundle), request(picture, regime="U"), tmp_path)


def test_an_export_has_the_prior_merged_in(folder: Path, picture: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(folder)
    write_adapters(bundle, request(picture), tmp_path)
    own = tmp_path / "adapter-0"
    export_adapter(bundle, Order(str(own), "timm", tmp_path / "whole.safetensors"))
    network = timm_network("efficientnet_b0", len(bundle.backbone.species)).eval()
    network.load_state_dict(load_tensors(tmp_path / "whole.safetensors")[0])
    pixels = bundle.world.images("R10", "eval").pixels
    prior = load_prior(bundle.backbone, own)
    assert prior is not None
    wanted = logits(bundle.backbone, load_peft(bundle.backbone, own), pixels) + prior
    with torch.no_grad():
        found = network(bundle.backbone.prepared(pixels))
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.std()))
    export_adapter(bundle, Order(str(own), "peft", tmp_path / "again"))
    again = load_prior(bundle.backbone, tmp_path / "again")
    assert again is not None
    assert torch.allclose(again, prior)


def test_a_prior_of_other_species_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    backbone = Bundle.open(folder).backbone
    for wrong in ({"cat": 0.0}, [1.0], dict.fromkeys(backbone.species, 1e300), dict.fromkeys(backbone.species, "a")):
        (tmp_path / PRIOR).write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(UserError, match="for each of the classifier's 19 classes"):
            load_prior(backbone, tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"location": "R10"}, "Name one place"),
        ({"blend_with": "R12"}, "stands alone"),
        ({"regime": "U", "way": "paper"}, "neither --way nor --eta"),
        ({"regime": "U", "eta": 0.5}, "neither --way nor --eta"),
        ({"samples": 2, "seed": 2**63}, "seed must be a whole number"),
        ({"samples": 2, "steps": 0}, "0 sampling steps are not possible"),
    ],
)
def test_what_u_does_not_know_is_refused_and_not_left_out(
    folder: Path, picture: Path, tmp_path: Path, changes: dict, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        write_adapters(Bundle.open(folder), replace(request(picture), **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_papers_way_for_a_picture_is_the_old_generators(folder: Path, picture: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(folder)
    written = write_adapters(bundle, replace(request(picture), way="paper"), tmp_path)
    assert written["generator"] == bundle.generator("H", way="paper").fingerprint


# the page


def test_a_picture_gets_its_adapter_its_expected_species_and_its_trust(studio: Studio, picture: Path) -> None:
    strangers = Strangers(studio)
    name = studio.pictures.add(HOUSE, strangers.picture(picture.read_bytes()))
    *_, frame = strangers.adapted(Setting(name, name, regime="H"), picture=True)
    assert frame["by"] == "U"
    assert frame["stage"] == "measured"
    shares = [share for _, share, *_ in frame["prior"]]
    assert shares == sorted(shares, reverse=True)
    assert all(low <= high and 0 <= usual <= 1 for _, _, low, high, usual in frame["prior"])
    assert 0 <= frame["trust"] <= 1
    assert len(frame["rows"]) == len(studio.bundle.seen)
    assert set(frame["at"]["right"]) == {"pretrained", "generated", "noise"}


def test_switched_off_halves_are_the_adapter_for_all_places(studio: Studio, picture: Path) -> None:
    universal = studio.bundle.universal
    assert universal
    known = studio.upload(picture.read_bytes()).known
    assert known is not None
    bare = served(studio, universal, known, Halves(residual=False, prior=False))
    assert not bare.beside.any()
    assert torch.equal(bare.row, universal.model.joint.detach())
    assert Halves.of({"prior": False}) == Halves(residual=True, prior=False)
    assert Halves.of({}) == Halves()


def test_what_is_expected_comes_with_the_span_of_what_a_picture_leaves_open(studio: Studio, picture: Path) -> None:
    universal = studio.bundle.universal
    assert universal
    known = studio.upload(picture.read_bytes()).known
    assert known is not None
    rows = expected(studio, universal, known)
    assert any(high > low for _, _, low, high, _ in rows)
    assert expected(studio, universal, known) == rows


def test_trust_is_told_in_words(studio: Studio) -> None:
    universal = studio.bundle.universal
    assert universal
    known = studio.known(far_conditions(96, 1))
    assert known is not None
    full, part, none = (replace(known, trust=torch.tensor([trust])) for trust in (1.0, 0.25, 0.0))
    assert "gate is closed" in trusted(served(studio, universal, none))
    assert "in full" in trusted(served(studio, universal, full))
    assert "25% of its word" in trusted(served(studio, universal, part))
    assert trusted(served(studio, universal, part), picture=False).startswith("Generator U knows 25% of these words")
    assert "none of these words" in trusted(served(studio, universal, none), picture=False)
    assert "all of these words" in trusted(served(studio, universal, full), picture=False)
    bare = Halves(residual=False, prior=False)
    assert "switched off" in trusted(served(studio, universal, full, bare), bare)


def test_nothing_beside_the_joint_row_is_like_nothing() -> None:
    assert alike(torch.zeros(4), torch.ones(2, 4)) == [0.0, 0.0]


def test_words_are_read_by_us_own_ear(studio: Studio) -> None:
    strangers, universal = Strangers(studio), studio.bundle.universal
    assert universal
    caption = strangers.caption("D03")
    brought = strangers.words(caption)
    assert brought.known is not None
    assert torch.equal(brought.known.embedding, universal.condition.text([caption]))


def test_an_invented_place_is_served_by_u_first_and_measured_beside_the_others(studio: Studio) -> None:
    place = inventing_in(studio).surprise(5)
    setting = Setting(studio.bundle.seen[0], studio.bundle.seen[0], regime="H", steps=2)
    *_, last = findings(studio, place, setting, 24)
    assert last.score.arms[:3] == ("generated by U", "pretrained", "for all places")
    assert "generated, H" in last.score.arms
    off = Halves(residual=False, prior=False)
    *_, bare = findings(studio, place, setting, 24, off)
    assert torch.equal(bare.score.named[0], bare.score.named[2])
    assert upload(studio, place).known is not None


def test_the_curve_by_training_places_has_a_point_for_each_count_inside_its_axis() -> None:
    """Of the bundle that comes along; the drawing says its numbers to a screen reader, too."""
    bundle = Bundle.open(bundled())
    curve = by_places(Stored.of(bundle))
    assert curve is not None
    assert [name for name, *_ in curve.points] == ["10", "30", "100", "300", "1,000"]
    for _, low, share, high in curve.points:
        assert curve.floor <= low < share < high <= curve.top
    drawn = str(template("curve").curve(curve))
    assert drawn.count("<circle") == 5 and drawn.count("<path") == len(curve.ticks) + 5 + 4
    for name, low, share, high in curve.points:
        assert f"{name}: {share:.1%}, {low:.1%} to {high:.1%}" in drawn
    heights = [float(part.partition('"')[0]) for part in drawn.split(' cy="')[1:]]
    shares = [share for _, _, share, _ in curve.points]
    assert sorted(heights, reverse=True) == [heights[place] for place in sorted(range(5), key=shares.__getitem__)]


def test_where_fine_tuning_begins_is_told_for_four_starts_after_none_some_and_all_steps() -> None:
    bundle = Bundle.open(bundled())
    stored = Stored.of(bundle)
    study = beginnings(stored)
    assert study is not None and study.head == ("Start", "0 steps", "10 steps", "40 steps", "150 steps")
    curves = stored.results["unseen-start"].data["curves"]
    for (name, cells), (start, curve) in zip(study.rows, curves.items(), strict=True):
        assert name == STARTS[start]
        assert [figure for figure, _ in cells] == [
            f"{100 * curve[step]['mean']:.1f}" for step in ("0", "10", "40", "150")
        ]


def test_no_curve_is_drawn_of_what_was_not_measured(tiny_bundle: Path) -> None:
    stored = Stored.of(Bundle.open(tiny_bundle))
    assert by_places(stored) is None and beginnings(stored) is None

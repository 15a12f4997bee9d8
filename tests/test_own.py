"""Own cameras: the recipe for a data set, heads on frozen features, held-out cameras and what is told of them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from coco_set import drawn_map, here, write_set
from typer.testing import CliRunner

from wildpdiff.build import own as own_build
from wildpdiff.build import stages, starts
from wildpdiff.build.own import OwnData, cast, own_recipe
from wildpdiff.build.recipes import Recipe
from wildpdiff.bundle import Bundle
from wildpdiff.cli import app
from wildpdiff.errors import UserError
from wildpdiff.experiments.lab import Lab
from wildpdiff.generator.recipe import GeneratorRecipe
from wildpdiff.measure.by_location import crossed_conditions, evaluate_locations
from wildpdiff.network import lite
from wildpdiff.network.backbone import Backbone
from wildpdiff.own import held_out
from wildpdiff.own.advice import sentences
from wildpdiff.own.cell import FOLDS, Answers, Cell, Plan, fold_of, together, worlds_of
from wildpdiff.own.frames import detector, differences, of_frames
from wildpdiff.own.measures import by_camera, by_class, of_camera, over_seeds, summary
from wildpdiff.own.methods import NAMES, answer
from wildpdiff.studio.learn.stored import Stored
from wildpdiff.studio.learn.studies import real_cameras
from wildpdiff.training.connect import ConnectRecipe
from wildpdiff.training.finetune import FinetuneRecipe
from wildpdiff.training.head import HeadRecipe, fitted
from wildpdiff.training.pretrain import PretrainRecipe
from wildpdiff.ui.learn import PARTS
from wildpdiff.worlds.cameras import CameraWorld

needs_lite = pytest.mark.skipif(lite.weights_file() is None, reason="the package of Lite0's weights is not installed")
FEW = GeneratorRecipe(mean_steps=2, denoiser_steps=4, denoiser_batch=4)
SHORT = FinetuneRecipe(converge=2, rows=2, interval=1, batch_size=4)
TINY = Plan(joint=SHORT, place=SHORT, places=3, pasted=4, generator=FEW, samples=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    write_set(root, bursts=24)
    return root


@pytest.fixture(scope="module")
def data(folder: Path) -> OwnData:
    return OwnData(folder / "forest.json", folder / "photos", size=32)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every length at toy size, and no process or UMAP, which take seconds to begin."""
    lengths = own_build.LENGTHS | {
        "shared": replace(SHORT, rows=1), "finetune": SHORT, "run": replace(SHORT, rows=4), "runs": 3,
        "connect": ConnectRecipe(steps=2, batch_size=4), "components": 4, "long_rows": 2, "samples": 2,
        "generator": FEW, "plain": replace(own_build.PLAIN, denoiser_steps=4, denoiser_batch=4),
    }  # fmt: skip
    monkeypatch.setattr(own_build, "LENGTHS", lengths)
    monkeypatch.setattr(own_build, "PASTED", 4)
    monkeypatch.setattr(held_out, "QUICK", TINY)
    monkeypatch.setattr("wildpdiff.reproduce.OF_ANY_BUNDLE", ("table3",))
    for module in (stages, starts, held_out):
        monkeypatch.setattr(module, "each", here)
    for measure in (evaluate_locations, crossed_conditions):
        monkeypatch.setattr(stages, measure.__name__, partial(measure, steps=2))
    monkeypatch.setattr(stages.Map, "of", drawn_map)


def test_a_head_on_separable_features_names_them_and_never_a_class_that_nobody_saw() -> None:
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    features = torch.nn.functional.one_hot(labels, 5).float() * 4 + torch.randn(90, 5, generator=rng)
    weight, bias = fitted(features, labels, 4, HeadRecipe(strength=1.0))
    logits = features @ weight.T + bias
    assert float((logits.argmax(dim=1) == labels).double().mean()) > 0.95
    assert weight.shape == (4, 5) and not bool((logits.argmax(dim=1) == 3).any())


def test_a_head_of_two_classes_is_as_sure_of_one_as_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = torch.Generator().manual_seed(1)
    labels = torch.arange(60) % 2
    features = torch.randn(60, 3, generator=rng) + labels[:, None]
    weight, bias = fitted(features, labels, 2, HeadRecipe(strength=0.5, balance=0.0))
    scaled = ((features - features.mean(dim=0)) / features.std(dim=0)).double().numpy()
    expected = torch.tensor(LogisticRegression(C=0.5, max_iter=500).fit(scaled, labels.numpy()).predict_proba(scaled))
    assert torch.allclose((features @ weight.T + bias).softmax(dim=1).double(), expected, atol=1e-3)


def test_one_class_alone_is_no_lesson() -> None:
    with pytest.raises(UserError, match=r"^The photographs to learn from show one class alone; "):
        fitted(torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64), 2, HeadRecipe())


def test_the_cameras_are_cast_and_nothing_learns_at_a_held_out_one(data: OwnData) -> None:
    parts = cast(data.world())
    assert len(parts.seen) == 4 and len(parts.unseen) == 1
    assert set(parts.seen) <= set(parts.learned) and not set(parts.unseen) & set(parts.learned)


def some(root: Path, *locations: str) -> OwnData:
    """The made set with some of its cameras alone."""
    write_set(root, bursts=24)
    document = json.loads((root / "forest.json").read_text())
    document["images"] = [image for image in document["images"] if image["location"] in locations]
    (root / "some.json").write_text(json.dumps(document))
    return OwnData(root / "some.json", root / "photos", size=16)


def test_two_cameras_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"at least three are needed"):
        cast(some(tmp_path, "heath", "mire").world())


def test_three_cameras_are_enough_and_make_three_folds(tmp_path: Path) -> None:
    data = some(tmp_path, "heath", "mire", "brook")
    recipe, _, _ = own_recipe(data)
    assert len(recipe.seen) == 2 and len(recipe.unseen) == 1
    lab = Lab(SimpleNamespace(), recipe, tmp_path, quick=True)  # type: ignore[arg-type]
    cells = held_out.cells_of(lab)
    assert [cell.fold for cell in cells] == [0, 1, 2] and all(worlds_of(cell)[1] for cell in cells)


def test_the_recipe_says_what_is_too_little_for_what(data: OwnData) -> None:
    recipe, world, notes = own_recipe(data)
    assert recipe.regimes == ("H",) and recipe.start == "joint" and recipe.world == world.to_json()
    assert any("the generator learns from 4 places" in note for note in notes)


def test_every_camera_is_in_one_fold_and_a_fold_learns_nothing_of_its_own(data: OwnData, tmp_path: Path) -> None:
    names = data.world().locations
    folds = {name: fold_of(name, names, 3) for name in names}
    assert set(folds.values()) == set(range(FOLDS))
    for fold in range(FOLDS):
        world, out = worlds_of(Cell(fold, 3, data.world().to_json(), "", "", tmp_path, TINY))
        assert set(out) == {name for name, own in folds.items() if own == fold}
        assert all(not world.shots_at(name, "train") for name in out)


def chances(*named: int, classes: int = 3) -> torch.Tensor:
    """Chances of .7 for the named classes."""
    return torch.nn.functional.one_hot(torch.tensor(named), classes) * 0.6 + 0.4 / classes


def test_measures_of_a_camera_by_hand() -> None:
    said, labels = chances(0, 1, 2, 2, 0), torch.tensor([0, 0, 0, 2, 2])
    found = of_camera(said, labels, torch.tensor([7, 7, 8, 8, 8]))
    assert found["accuracy"] == pytest.approx(2 / 5)
    assert found["species"] == pytest.approx(2 / 3)  # of a frame called empty, the first of two equal species
    assert found["event"] == pytest.approx(1.0)  # two events: in the first the mean is undecided, and the first wins
    assert found["empty"] == pytest.approx(1 / 2)


def answers(right: dict[str, float]) -> Answers:
    """Three cameras of four photographs, named right by each way with its share."""
    labels = torch.tensor([0, 1, 0, 2] * 3)
    said = {}
    for way, share in right.items():
        named = labels.clone()
        wrong = torch.arange(12) >= round(12 * share)
        named[wrong] = (labels[wrong] + 1) % 3
        said[way] = chances(*named.tolist())
    return Answers(said, labels, torch.arange(3).repeat_interleave(4), torch.arange(12) // 2, ("a", "b", "c"))


def test_differences_are_paired_by_camera_and_an_interval_over_them_says_if_there_is_one() -> None:
    one = answers({"joint": 0.5, "same": 0.5, "best": 1.0})
    base = over_seeds([one], "joint")
    assert summary(over_seeds([one], "same"), base)["accuracy"]["mean"] == 0
    gain = summary(over_seeds([one], "best"), base)["accuracy"]
    assert gain["mean"] == pytest.approx(0.5) and gain["n"] == 3
    assert by_class([one], "best", ("fox", "hare", "empty"))["mean"] == 1.0
    assert set(by_class([one], "joint", ("fox", "hare", "empty"))["classes"]) == {"fox", "hare", "empty"}


def test_seeds_are_averaged_before_cameras_are_compared() -> None:
    two = [answers({"joint": 1.0}), answers({"joint": 0.0})]
    assert {own["accuracy"] for own in over_seeds(two, "joint").values()} == {0.5}


def test_what_a_way_did_not_say_is_no_answer() -> None:
    one = answers({"joint": 1.0})
    one.chances["joint"][:4] = float("nan")
    assert set(by_camera(one, "joint")) == {"b", "c"}


def test_folds_are_put_together_without_mixing_cameras_or_bursts(tmp_path: Path) -> None:
    one = answers({"joint": 1.0})
    one.save(tmp_path / "one.safetensors")
    both = together([Answers.load(tmp_path / "one.safetensors"), replace(one, names=("d", "e", "f"))])
    assert both.names == ("a", "b", "c", "d", "e", "f") and len(both.labels) == 24
    assert both.cameras.unique().tolist() == [0, 1, 2, 3, 4, 5] and len(both.bursts.unique()) == 12


def test_an_image_difference_to_an_empty_of_the_place_tells_the_painted_animals(folder: Path) -> None:
    world = CameraWorld.open(folder / "forest.json", images=folder / "photos", size=32)
    found = differences(world)
    assert set(found) == {"another burst"}  # one frame a burst
    assert found["another burst"]["mean"] > 0.9 and found["another burst"]["n"] == 5


def test_the_detectors_errors_are_counted_apart(folder: Path) -> None:
    world = CameraWorld.open(folder / "forest.json", images=folder / "photos", size=32)
    assert detector(world) == {"animals": 90, "missed": 0, "empties": 30, "false": 0}


def counted(gain: float, real: bool) -> dict[str, Any]:
    """Data as `held_out` counts it, with a gain of generated adapters and one camera that labels help."""
    minus = {"mean": gain, "low": gain - 0.01, "high": gain + 0.01, "n": 9, "real": real}
    nothing = {"accuracy": minus | {"mean": 0.0, "low": -0.02, "high": 0.02, "real": False, "n": 2}}
    return {
        "ways": {"generated": {"minus": {"accuracy": minus}}, "labels": {"minus": nothing}},
        "by_camera": {"joint": {"a": {"accuracy": 0.5}, "b": {"accuracy": 0.1}}, "labels": {"a": {"accuracy": 0.9}}},
        "counts": {"a": {"photographs": 10, "events": 2}, "b": {"photographs": 20, "events": 1}},
    }


def test_an_owner_is_told_whether_an_adapter_helps_and_where_labels_would() -> None:
    helped, harmed, none = (" ".join(sentences(counted(*case))) for case in ((0.05, True), (-0.05, True), (0.0, False)))
    assert "helps here: 5.0 (4.0 to 6.0) points" in helped
    assert "harms here: use the shared one" in harmed
    assert "does not help you here as far as 9 cameras can tell" in none
    assert "Twenty labels helped most at a (+40 points, 10 photographs)" in none
    assert "errs most at b (10% of 20 photographs)" in none


@needs_lite
@pytest.mark.slow
def test_a_fold_is_answered_by_every_way_once(data: OwnData, tmp_path: Path) -> None:
    cell = Cell(0, 0, data.world().to_json(), lite.ARCHITECTURE, "imagenet", tmp_path / "work", TINY)
    answer(cell)
    found = Answers.load(cell.path)
    assert set(found.chances) == set(NAMES) and len(found.labels) > 0
    for way, said in found.chances.items():
        assert torch.allclose(said.sum(dim=1), torch.ones(len(said)), atol=5e-3), way
    assert not torch.equal(found.chances["paste"], found.chances["joint"])
    before = cell.path.stat().st_mtime_ns
    answer(cell)
    assert cell.path.stat().st_mtime_ns == before


@pytest.fixture(scope="module")
def command(folder: Path) -> Iterator[tuple[str, ...]]:
    yield ("train", "--recipe", "own", "--data", str(folder / "forest.json"), "--images", str(folder / "photos"))


@needs_lite
@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_one_command_leads_from_photographs_to_a_bundle_and_a_report(command: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "mine"
    ended = CliRunner().invoke(app, [*command, "--size", "32", "--out", str(out), "--workers", "1"])
    assert ended.exit_code == 0, (ended.output, ended.exception)
    assert "5 cameras: 4 to learn from, 4 of them seen by the generator, 1 held out" in ended.output
    bundle = Bundle.open(out)
    assert bundle.regimes == ("H",) and bundle.world.kind == "stored" and bundle.world.size == 32
    assert bundle.backbone.architecture == lite.ARCHITECTURE
    assert bundle.condition_words == "pooled ImageNet features of tf_efficientnet_lite0"
    rows = bundle.generator("H").generate(bundle.embedding(bundle.unseen[0])[None], seed=0)
    assert rows.shape == (1, bundle.backbone.layout.dim) and bool(rows.isfinite().all())
    text = (out / "report" / "report.html").read_text()
    assert "Your own cameras" in text and "savanna" not in text.lower()
    assert "cameras" in {path.stem for path in (out / "results").iterdir()}


@needs_lite
@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_the_papers_recipe_trains_on_photographs(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At toy size, without CLIP's weights: its rank and widths are the bundle's, and the whole network has learned."""
    brief = PretrainRecipe(images_per_location=8, steps=2, batch_size=4)
    lengths = {"rank": 2, "thaw": True, "pretrain": brief, "regimes": ("M",), "start": "first", "widths": "paper"}
    monkeypatch.setattr(own_build, "PAPER_LENGTHS", lengths | {"components": 8})
    monkeypatch.setattr(held_out, "steps_of", lambda world, quick: 0)
    monkeypatch.setattr("wildpdiff.cli.training._report_own", lambda *about: None)
    words = [*(word if word != "own" else "paper" for word in command), "--size", "32", "--condition", "pooled"]
    words += ["--network", lite.ARCHITECTURE, "--out", str(tmp_path / "mine")]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    bundle = Bundle.open(tmp_path / "mine")
    assert bundle.manifest["recipe"]["name"] == "paper" and bundle.backbone.lora.rank == 2
    assert bundle.generator("M", way="paper").config.denoiser.widths == (64, 128, 256, 512)
    began = Backbone.build(bundle.world.species, architecture=lite.ARCHITECTURE, pretrained=True).round_to_half()
    pairs = zip(began.parameters(), bundle.backbone.parameters(), strict=True)
    moved = [not torch.equal(first, last) for first, last in pairs]
    assert sum(moved) > len(moved) / 2, "not the last layer alone"


def test_the_papers_recipe_of_a_data_set_is_the_papers_but_for_its_cameras(folder: Path) -> None:
    about = {"images": folder / "photos"}
    recipe, world, _ = own_build.own_recipe(OwnData.of_paper(folder / "forest.json", **about))
    assert (recipe.name, recipe.rank, recipe.architecture) == ("paper", 22, "efficientnet_b0")
    assert world.size == 224 and recipe.condition == "ViT-B-32/openai" and recipe.regimes == ("L", "M", "H")
    assert recipe.runs * recipe.run.rows == 300 and set(recipe.seen) < set(world.locations)
    assert Recipe.from_json(recipe.to_json(), "it") == recipe


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--recipe", "paper"), "need both: --recipe paper and --data PATH"),
        (("--recipe", "own"), "need both: --recipe own and --data PATH"),
        (("--data", "x.json"), "need both: --recipe own and --data PATH"),
        (("--recipe", "own", "--data", "no.json"), "no.json"),
        (("--recipe", "own", "--data", "x.csv", "--columns", "path"), "path=NAME"),
    ],
)
def test_what_does_not_fit_together_is_told(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["train", *words, "--out", str(tmp_path / "out")])
    assert isinstance(ended.exception, UserError) and sentence in str(ended.exception)
    assert "\n" not in str(ended.exception) and not (tmp_path / "out").exists()


@needs_lite
def test_a_checkpoint_of_timms_lends_its_trunk(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    network = timm.create_model("resnet10t", num_classes=7)
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    backbone = Backbone.of_checkpoint(tmp_path / "mine.safetensors", ("fox", "empty"), architecture="resnet10t")
    mine = dict(backbone.network.named_parameters())
    assert all(
        torch.equal(value, mine[name]) for name, value in network.named_parameters() if not name.startswith("fc")
    )
    assert mine["fc.weight"].shape[0] == 2
    with pytest.raises(UserError, match=r"^'mine.safetensors' (is no|holds weights of other shapes)"):
        Backbone.of_checkpoint(tmp_path / "mine.safetensors", ("fox", "empty"))


@pytest.fixture(scope="module")
def told(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a study counts of made answers: the generated adapters are right, the shared one half of the time."""
    work = tmp_path_factory.mktemp("answers")
    spec = OwnData(folder / "forest.json", folder / "photos", size=32).world().to_json()
    cells = [Cell(fold, seed, spec, "resnet10t", "imagenet", work, TINY) for seed in (0, 1) for fold in range(FOLDS)]
    frames = [of_frames(cell) for cell in cells]
    for cell in (*cells, *frames):
        one = answers(dict.fromkeys(NAMES, 0.5) | {"generated": 1.0})
        one.chances["labels"][4:] = float("nan")
        cell.path.parent.mkdir(parents=True, exist_ok=True)
        replace(one, names=tuple(f"{name}{cell.fold}" for name in one.names)).save(cell.path)
    return held_out.counted(cells, frames)


def test_a_study_is_told_in_tables_figures_and_sentences(told: dict[str, Any]) -> None:
    assert json.loads(json.dumps(told)) == told
    first, second, third = held_out.tables(told)
    assert {len(row) for row in first.rows} == {len(first.head)} and {len(row) for row in second.rows} == {
        len(second.head)
    }
    generated = next(row for row in first.rows if row[0] == NAMES["generated"])
    assert generated[1] == "100.0 (100.0 to 100.0)"
    assert "12 cameras in 4 folds, 48 real photographs" in first.note and "2 seed(s)" in first.note
    assert third.rows[0] == ("animals without a box, frames", "0 of 90")
    assert len(held_out.figures(told)) == 1
    assert [row[1] for row in held_out.rows(told)][3] == "100.0 (100.0 to 100.0)"
    sentences = " ".join(held_out.findings(told))
    assert "Generated from this camera's empties: gains 50.0" in sentences
    assert "no difference to one shared adapter is shown, all photographs: +0.0" in sentences


def test_the_page_shows_the_study_where_a_bundle_stores_it(told: dict[str, Any]) -> None:
    result = SimpleNamespace(data=told)
    study = real_cameras(Stored({held_out.STUDY: result}))  # type: ignore[dict-item]
    assert study is not None and len(study.head) == 1 + len(study.rows[0][1])
    text = str(PARTS.real(study))
    assert "100.0<small>100.0 to 100.0</small>" in text and study.sentences[0].split("'")[0] in text
    assert real_cameras(Stored({})) is None
    assert real_cameras(Stored({held_out.STUDY: SimpleNamespace(data={"ways": {}})})) is None  # type: ignore[dict-item]


def test_the_study_asks_for_a_bundle_of_ones_own(tiny_bundle: Path, tmp_path: Path) -> None:
    from tiny_bundle import RECIPE

    lab = Lab(Bundle.open(tiny_bundle), RECIPE, tmp_path)
    with pytest.raises(UserError, match=r"^This asks a survey of cameras; "):
        held_out.cells_of(lab)

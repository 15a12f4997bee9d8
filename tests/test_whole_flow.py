"""From nothing to a bundle that generates: the smoke recipe end to end, killed once on its way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from peft import PeftModel
from safetensors.torch import load_file

from wildpdiff.build.generators import Task
from wildpdiff.build.jobs import zoo_folder
from wildpdiff.build.recipes import SAVANNA, SMOKE
from wildpdiff.build.runs import rows_at, shown
from wildpdiff.build.stages import build, measure_regime
from wildpdiff.bundle import BACKBONE, Bundle
from wildpdiff.errors import UserError
from wildpdiff.files import load_json, save_json
from wildpdiff.generate import Request, write_adapters
from wildpdiff.manifest import MANIFEST
from wildpdiff.measure.by_location import evaluate_locations
from wildpdiff.network.standard import IMAGENET
from wildpdiff.workers.pool import ONE, TWO
from wildpdiff.zoo import Zoo

STAGES = [
    *("backbone", "clip", "starts", "rows", "conditions"),
    *("curves", "generators", "gallery", "figures", "seal"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[str]]:
    """The folder, and the stages that were seen before and after the run was stopped among its rows."""
    out = tmp_path_factory.mktemp("whole") / "smoke"
    run, before, seen = build(SMOKE, out, workers=TWO), [], []
    for stage, step in run:
        before.append(stage)
        if (stage, step.index) == ("rows", 4):
            break
    run.close()  # type: ignore[attr-defined]
    for stage, step in build(SMOKE, out, workers=ONE):
        assert 1 <= step.index <= step.total
        seen.append(stage)
    return out, list(dict.fromkeys(before)), list(dict.fromkeys(seen))


@pytest.mark.slow
def test_a_stopped_build_goes_on_where_it_was(built: tuple[Path, list[str], list[str]]) -> None:
    _, before, after = built
    assert before == STAGES[:4]
    assert after == STAGES[3:]


@pytest.mark.slow
def test_every_location_has_all_its_rows_once(built: tuple[Path, list[str], list[str]]) -> None:
    out = built[0]
    bundle = Bundle.open(out)
    layout, first = bundle.backbone.layout, SMOKE.seen[0]
    for regime in ("L", "M", "H"):
        kept = bundle.zoo(regime)
        assert kept.locations == SMOKE.seen and torch.equal(kept.shown, shown(SMOKE))
        for place, name in enumerate(SMOKE.seen):
            rows = rows_at(SMOKE, out / "work", layout, regime, name)
            assert rows.shape == (SMOKE.runs, SMOKE.run.rows, layout.dim)
            assert len(rows.flatten(0, 1).unique(dim=0)) == SMOKE.runs * SMOKE.run.rows
            off = (kept.generator.decode(kept.latents[place].flatten(0, 1)[:, None]) - rows.flatten(0, 1)).norm(dim=1)
            assert torch.allclose(off, kept.beyond[place].flatten(), rtol=0.02, atol=1e-3)
    rows, shares = Zoo(zoo_folder(out / "work", "M", SMOKE.alone_interval), layout, regime="M").of(first)
    assert len(rows.unique(dim=0)) == len(shares) == SMOKE.finetune.rows


@pytest.mark.slow
def test_the_mean_rows_of_a_bundle_are_those_of_the_rows_that_its_generators_know(
    built: tuple[Path, list[str], list[str]],
) -> None:
    bundle = Bundle.open(built[0])
    for place, name in enumerate(SMOKE.seen):
        known = rows_at(SMOKE, built[0] / "work", bundle.backbone.layout, "L", name)[shown(SMOKE)]
        spread = float(torch.pdist(bundle.means("L")).mean())
        assert float((bundle.means("L")[place] - known.mean(dim=0)).norm()) < 0.2 * spread


@pytest.mark.slow
def test_of_few_held_out_rows_no_fidelity_is_claimed(built: tuple[Path, list[str], list[str]]) -> None:
    bundle = Bundle.open(built[0])
    assert {regime: list(bundle.figures(regime)["fidelity"]) for regime in bundle.regimes} == {
        regime: ["problem"] for regime in ("L", "M", "H")
    }
    assert "claim nothing" in bundle.figures("H")["fidelity"]["problem"]


@pytest.mark.slow
def test_nothing_half_done_is_left(built: tuple[Path, list[str], list[str]]) -> None:
    work = {path.relative_to(built[0] / "work").parts[0] for path in (built[0] / "work").rglob("*")}
    assert work == {
        *(
            "recipe.json",
            "seconds.json",
            "clip.json",
            "joint.safetensors",
            "start-M.safetensors",
            "start-H.safetensors",
        ),
        *(f"start-L-{name}.safetensors" for name in SMOKE.seen),
        *("runs-L", "runs-M", "runs-H", "zoo-M-2"),
        *("curves-L.safetensors", "curves-M.safetensors", "curves-H.safetensors"),
        *("generator-L", "generator-M", "generator-H", "generator-R10"),
    }
    assert not list(built[0].rglob(".*"))
    assert not list((built[0] / "work").rglob("generator-*/*"))


@pytest.mark.slow
def test_the_bundle_evaluates_as_its_figures_say(built: tuple[Path, list[str], list[str]]) -> None:
    bundle = Bundle.open(built[0])
    *_, (step, report) = evaluate_locations(bundle, SMOKE.seen[:1], regime="H", samples=SMOKE.samples, seed=0)
    assert step.index == step.total == 1
    assert report["locations"][SMOKE.seen[0]] == bundle.figures("H")["locations"][SMOKE.seen[0]]
    assert set(bundle.figures("H")["unseen"]) == set(SMOKE.unseen)
    assert set(bundle.figures("H")["crossed"]["drop"]) == set(SMOKE.seen)


@pytest.mark.slow
def test_the_bundle_generates_an_adapter_that_plain_peft_and_timm_load(
    built: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    bundle = Bundle.open(built[0])
    request = Request(SMOKE.seen[0], SMOKE.seen[1], 0.5, None, samples=1, seed=3, steps=5)
    written = write_adapters(bundle, request, tmp_path)
    network = timm.create_model("efficientnet_b0", num_classes=19)
    network.load_state_dict(load_file(built[0] / "backbone.safetensors"))
    plain = PeftModel.from_pretrained(network, str(tmp_path / written["adapters"][0]["folder"])).eval()
    pixels = bundle.world.images(SMOKE.seen[0], "eval").pixels
    condition = (bundle.embedding(SMOKE.seen[0]) + bundle.embedding(SMOKE.seen[1])) / 2
    row = bundle.generator("H").generate(condition[None], steps=5, seed=3)[0]
    with torch.no_grad():
        expected = bundle.backbone.eval()(pixels, row)
        assert float((plain(IMAGENET.prepared(pixels)) - expected).abs().max()) < 1e-3 * float(expected.std())


@pytest.mark.slow
def test_another_recipe_does_not_go_on_in_the_folder(built: tuple[Path, list[str], list[str]]) -> None:
    with pytest.raises(UserError, match="another recipe"):
        next(build(SAVANNA, built[0]))


@pytest.mark.slow
def test_a_finished_build_that_is_started_and_stopped_again_loses_nothing(
    built: tuple[Path, list[str], list[str]],
) -> None:
    before = {path: path.stat().st_mtime_ns for path in built[0].rglob("*.safetensors")}
    again = build(SMOKE, built[0])
    next(again, None)
    again.close()  # type: ignore[attr-defined]
    assert {path: path.stat().st_mtime_ns for path in built[0].rglob("*.safetensors")} == before
    assert set(Bundle.open(built[0]).figures("H").get("locations", {})) == set(SMOKE.seen)


def test_a_regime_that_was_measured_before_a_kill_is_not_measured_again(tmp_path: Path) -> None:
    save_json(tmp_path / "figures-H.json", {"measured": "earlier"})
    measure_regime(Task(SMOKE, tmp_path / "there is no bundle", tmp_path, "H", "cpu"))
    assert load_json(tmp_path / "figures-H.json") == {"measured": "earlier"}


@pytest.mark.slow
def test_two_processes_make_of_the_same_rows_the_classifier_and_generators_of_one(
    built: tuple[Path, list[str], list[str]], tmp_path: Path
) -> None:
    """`torchrun` in a copy that lacks what they share; what one process measured stands for its figures."""
    one, two = built[0], tmp_path / "smoke"
    shutil.copytree(one, two)
    for folder in two.glob("generator-*"):
        shutil.rmtree(folder)
    for name in (BACKBONE, MANIFEST):
        (two / name).unlink()
    for regime, figures in load_json(one / MANIFEST)["figures"].items():
        save_json(two / "work" / f"figures-{regime}.json", figures)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launcher, "-m", "wildpdiff", "train", "--recipe", "smoke", "--device", "cpu", "--out", str(two)]
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **paths})
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("The bundle is ready") == 1
    assert Bundle.open(two).regimes == Bundle.open(one).regimes
    for path in (BACKBONE, *(f"generator-{name}/model.safetensors" for name in ("L", "M", "H", SMOKE.seen[0]))):
        ours, theirs = load_file(one / path), load_file(two / path)
        assert set(ours) == set(theirs)
        off = sum(float((ours[name].double() - theirs[name].double()).square().sum()) for name in ours)
        assert off < 1e-5 * sum(float(value.double().square().sum()) for value in ours.values()), path

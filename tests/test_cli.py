"""The command line: one JSON document on stdout, one sentence for a mistake."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from wildpdiff import cli
from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.peft_folder import load_peft
from wildpdiff.worlds.savanna.world import SEEN

COMMANDS = ("serve", "world", "train", "generate", "export", "evaluate", "bench", "sweep", "pdiff")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process, as the shell would."""

    def command(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["wildpdiff", *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = 0 if end.code is None else int(end.code)
        captured = capfd.readouterr()
        return Ended(status, captured.out, captured.err)

    return command


def document(ended: Ended) -> Any:
    """The one JSON document on stdout."""
    assert ended.status == 0, ended.err
    assert len(ended.out.splitlines()) == 1
    return json.loads(ended.out)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.status == 0
    assert f"wildpdiff {command}" in ended.out
    assert "--out" in ended.out or "--bundle" in ended.out


def test_the_help_lists_the_commands(run: Run) -> None:
    ended = run("--help")
    assert ended.status == 0
    for command in COMMANDS:
        assert command in ended.out


def test_every_command_that_computes_takes_a_device(run: Run) -> None:
    for command in set(COMMANDS) - {"world"}:
        assert "--device" in run(command, "--help").out


def test_serve_is_for_this_computer_alone_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    app = pytest.importorskip("wildpdiff.ui.app")
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(app, "serve", lambda bundle, **how: asked.append(how))
    assert run("serve").status == 0
    assert run("serve", "--host", "0.0.0.0", "--port", "9").status == 0
    assert [(how["host"], how["port"]) for how in asked] == [("127.0.0.1", 7860), ("0.0.0.0", 9)]


@pytest.mark.slow
def test_evaluate_prints_one_document_with_the_issues_keys(run: Run, tiny_bundle: Path) -> None:
    report = document(
        run("evaluate", "--locations", "R10, R12", "--samples", 2, "--json", "--device", "cpu", "--bundle", tiny_bundle)
    )
    assert {"regime", "samples", "seed", "locations", "mean"} <= set(report)
    assert (report["regime"], report["samples"], report["seed"]) == ("H", 2, 0)
    assert list(report["locations"]) == ["R10", "R12"]
    for row in report["locations"].values():
        assert row["images"] == 4
        assert 0 <= row["pretrained"] <= 1
        for column, count in (("fine_tuned", 8), ("generated", 2)):
            assert set(row[column]) == {"mean", "std", "n"}
            assert row[column]["n"] == count
            assert 0 <= row[column]["mean"] <= 1
    for column in ("fine_tuned", "generated"):
        values = [row[column]["mean"] for row in report["locations"].values()]
        assert report["mean"][column] == pytest.approx(sum(values) / 2)
    assert report["mean"]["pretrained"] == pytest.approx(
        sum(row["pretrained"] for row in report["locations"].values()) / 2
    )


@pytest.mark.slow
def test_evaluate_counts_right(run: Run, tiny_bundle: Path) -> None:
    """The held-out fine-tuned rows of R10, counted without the library's own accuracy."""
    report = document(run("evaluate", "--locations", "R10", "--samples", 1, "--json", "--bundle", tiny_bundle))
    bundle = Bundle.open(tiny_bundle)
    images, shares = bundle.world.images("R10", "eval"), []
    for row in bundle.zoo("H").rows("R10", "held_out"):
        with torch.no_grad():
            shares.append(float((bundle.backbone(images.pixels, row).argmax(dim=1) == images.labels).float().mean()))
    assert report["locations"]["R10"]["fine_tuned"]["mean"] == pytest.approx(sum(shares) / 8)
    assert report["locations"]["R10"]["generated"] == pytest.approx(
        {**report["locations"]["R10"]["generated"], "std": 0.0, "n": 1}
    )


@pytest.mark.slow
def test_evaluate_tells_how_samples_are_spread_if_it_is_asked(
    run: Run, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wildpdiff.fidelity.ROUNDS", 2)
    arguments = ("evaluate", "--locations", "R10", "--samples", 1, "--fidelity", "--bundle", tiny_bundle)
    found = document(run(*arguments, "--json"))["fidelity"]
    assert found["samples"] == 100 and list(found["locations"]) == ["R10"]
    cell = found["locations"]["R10"]["held_out"]["generated"]
    assert (cell["samples"], cell["held_out"], cell["training"]) == (100, 8, 24)
    assert found["mean"]["held_out"]["generated"] == cell
    told = run(*arguments).out
    assert "against held-out rows" in told and f"{cell['energy']:.3f}" in told


@pytest.mark.slow
def test_where_there_are_no_fine_tuned_rows_no_fidelity_is_claimed(run: Run, tiny_bundle: Path) -> None:
    ended = run("evaluate", "--locations", "D03", "--samples", 1, "--fidelity", "--bundle", tiny_bundle)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines()[-1].endswith("name one of them.") and "Traceback" not in ended.err


def test_unseen_locations_have_no_fine_tuned_rows(run: Run, tiny_bundle: Path) -> None:
    report = document(run("evaluate", "--locations", "D03", "--samples", 1, "--json", "--bundle", tiny_bundle))
    assert set(report["locations"]["D03"]) == {"images", "pretrained", "generated", "one_picture"}


@pytest.mark.slow
def test_a_table_for_people_stands_on_stdout_and_progress_beside_it(run: Run, tiny_bundle: Path) -> None:
    ended = run("evaluate", "--locations", "R10", "--samples", 1, "--bundle", tiny_bundle)
    assert ended.status == 0
    assert "R10" in ended.out
    assert "fine tuned" in ended.out
    assert "evaluate 1/1" in ended.err


@pytest.mark.parametrize("eta", [0, 0.5])
def test_generate_writes_peft_folders_and_prints_one_document(
    run: Run, tiny_bundle: Path, tmp_path: Path, eta: float
) -> None:
    arguments = (
        "--location",
        "R10",
        "--blend-with",
        "R12",
        "--weight",
        0.25,
        "--samples",
        2,
        "--seed",
        5,
        "--steps",
        3,
        "--eta",
        eta,
    )
    written = document(
        run("generate", *arguments, "--json", "--bundle", tiny_bundle, "--out", tmp_path / "new" / "out")
    )
    assert [adapter["seed"] for adapter in written["adapters"]] == [5, 6]
    bundle = Bundle.open(tiny_bundle)
    mixed = 0.75 * bundle.embedding("R10") + 0.25 * bundle.embedding("R12")
    expected = bundle.generator("H").generate(mixed.expand(2, -1), steps=3, seed=5, eta=eta)
    for adapter, row in zip(written["adapters"], expected, strict=True):
        folder = tmp_path / "new" / "out" / adapter["folder"]
        assert torch.allclose(load_peft(bundle.backbone, folder), row, atol=1e-5)
        card = (folder / "README.md").read_text()
        told_eta = f"fresh noise (eta): {eta:g}"
        for told in (
            *(f"seed: {adapter['seed']}", "R10 blended with R12", bundle.generator("H").fingerprint),
            *("way: ours", told_eta),
        ):
            assert told in card


def test_one_seed_is_one_adapter(run: Run, tiny_bundle: Path, tmp_path: Path, backbone: Backbone) -> None:
    for out, arguments in (("a", ("--samples", 2, "--seed", 1)), ("b", ("--seed", 2))):
        ended = run(
            "generate", "--location", "R10", "--steps", 2, *arguments, "--bundle", tiny_bundle, "--out", tmp_path / out
        )
        assert (ended.status, ended.out) == (0, "")
    rows = [load_peft(backbone, tmp_path / out / "adapter-2") for out in ("a", "b")]
    assert torch.allclose(*rows, atol=1e-5)


def test_a_background_of_ones_own_makes_an_adapter(run: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    Image.effect_noise((320, 240), 60).convert("RGB").save(tmp_path / "place.jpg")
    arguments = ("--background", tmp_path / "place.jpg", "--steps", 2, "--out", tmp_path / "out")
    written = document(run("generate", *arguments, "--json", "--bundle", tiny_bundle))
    assert (tmp_path / "out" / written["adapters"][0]["folder"] / "adapter_model.safetensors").exists()
    assert str(tmp_path) not in json.dumps(written)


def cut(path: Path) -> None:
    """A photograph as some cameras write it: without its end mark."""
    Image.effect_noise((320, 240), 60).convert("RGB").save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-2])


def test_a_photograph_without_its_end_is_used_and_the_answer_says_so(
    run: Run, tiny_bundle: Path, tmp_path: Path
) -> None:
    cut(tmp_path / "place.jpg")
    arguments = ("generate", "--background", tmp_path / "place.jpg", "--steps", 1, "--out", tmp_path / "out")
    ended = run(*arguments, "--json", "--bundle", tiny_bundle)
    assert "the end of the picture is missing" in document(ended)["condition"]
    assert "the end of the picture is missing" in ended.err
    assert "the end of the picture is missing" in (tmp_path / "out" / "adapter-0" / "README.md").read_text()


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", "schöne Aussicht ❤.jpg".encode(), b"two\nlines \x1b[31m.jpg"])
def test_any_name_that_the_system_allows_is_a_background(
    run: Run, tiny_bundle: Path, tmp_path: Path, name: bytes
) -> None:
    place = tmp_path / os.fsdecode(name)
    Image.effect_noise((64, 64), 60).convert("RGB").save(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").rename(place)
    out = ("--steps", 1, "--out", tmp_path / os.fsdecode(b"o\xe9ut"), "--bundle", tiny_bundle)
    ended = run("generate", "--background", place, *out, "--json")
    assert document(ended)["condition"].startswith("the picture ")
    assert len(ended.err.splitlines()) == 1 and "\x1b" not in ended.err
    place.write_bytes(b"")
    ended = run("generate", "--background", place, *out)
    assert ended.status == 2 and len(ended.err.splitlines()) == 1 and "JPEG, PNG or WebP" in ended.err


def alone(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, as `python -m wildpdiff`."""
    command = [sys.executable, "-m", "wildpdiff", *arguments]
    return subprocess.run(command, capture_output=True, env=os.environ | variables, timeout=120)


def test_the_package_is_the_command() -> None:
    ended = alone("--help")
    assert ended.returncode == 0 and b"wildpdiff [OPTIONS] COMMAND" in ended.stdout and b"evaluate" in ended.stdout


@pytest.mark.slow
def test_a_terminal_that_lacks_a_letter_gets_another_one(tiny_bundle: Path) -> None:
    arguments = ("evaluate", "--locations", "R10", "--samples", "1", "--bundle", str(tiny_bundle))
    ended = alone(*arguments, PYTHONIOENCODING="ascii")
    assert ended.returncode == 0 and b"R10" in ended.stdout and b"Traceback" not in ended.stderr
    assert ended.stdout.isascii()


def test_a_file_that_the_system_refuses_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/secret/place/bundle.json")

    monkeypatch.setattr(Bundle, "open", refuse)
    check_mistake(run("evaluate"), "'bundle.json' cannot be read or written (Permission denied)")


@pytest.mark.parametrize("port", ["70000", "-1", "65536"])
def test_a_port_that_is_none_is_one_sentence(run: Run, port: str) -> None:
    check_mistake(run("serve", "--port", port), "A port is a number from 1 to 65535")


@pytest.mark.slow
def test_bench_prints_one_document_with_the_issues_keys(run: Run, tiny_bundle: Path) -> None:
    figures = document(run("bench", "--rounds", 1, "--json", "--device", "cpu", "--bundle", tiny_bundle))
    assert set(figures) >= {
        "device", "threads", "generator_parameters", "generate", "fine_tune_step_seconds",
        "generate_over_fine_tune_step",
        "evaluate", "world_images_per_second", "import_seconds", "peak_memory_mb",
    }  # fmt: skip
    assert set(figures["generate"]) == {"seconds", "steps", "batch"}
    assert set(figures["evaluate"]) == {"images_per_second", "plain_timm_images_per_second", "ratio"}
    assert (figures["device"], figures["threads"]) == ("cpu", torch.get_num_threads())
    assert figures["generate_over_fine_tune_step"] == pytest.approx(
        figures["generate"]["seconds"] / figures["fine_tune_step_seconds"]
    )
    speed = figures["evaluate"]
    assert speed["ratio"] == pytest.approx(speed["images_per_second"] / speed["plain_timm_images_per_second"])
    assert figures["generator_parameters"] <= 12_000_000
    assert 50 < figures["peak_memory_mb"] < 100_000


SWEEP = ("sweep", "--pairs", "R10:R12, R10:D03", "--weights", "0,0.5", "--seeds", 2, "--steps", 2, "--images", 3)


@pytest.mark.slow
def test_sweep_writes_a_csv_and_prints_one_document_with_the_same_records(
    run: Run, tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "sweep.csv"
    found = document(run(*SWEEP, "--out", out, "--json", "--device", "cpu", "--bundle", tiny_bundle))
    lines = list(csv.DictReader(out.open()))
    assert len(lines) == len(found["records"]) == 8
    for line, record in zip(lines, found["records"], strict=True):
        assert line == {name: "" if value is None else str(value) for name, value in record.items()}
    assert [cell["at"]["n"] for cell in found["cells"]] == [2] * 4
    assert found["records"][-1]["cosine_b"] is None


def test_sweep_says_its_cost_first_and_a_table_last(run: Run, tiny_bundle: Path) -> None:
    ended = run(*SWEEP, "--bundle", tiny_bundle)
    assert ended.status == 0
    assert ended.err.startswith("8 adapters, about ")
    assert "sweep 8/8" in ended.err
    assert len(ended.out.splitlines()) == 5


def test_a_sweep_that_is_stopped_leaves_what_it_has(
    run: Run, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wildpdiff.sweep import written

    whole = written.run

    def interrupted(*arguments: Any) -> Any:
        made = whole(*arguments)
        yield next(made)
        yield next(made)
        raise KeyboardInterrupt

    monkeypatch.setattr(written, "run", interrupted)
    for out in (tmp_path / "some.csv", tmp_path / "some.json"):
        ended = run(*SWEEP, "--out", out, "--bundle", tiny_bundle)
        assert ended.status == 130
        assert "Stopped after 2 adapters; they are in" in ended.err
        assert "Traceback" not in ended.err
    assert len(list(csv.DictReader((tmp_path / "some.csv").open()))) == 2
    assert len(json.loads((tmp_path / "some.json").read_text())["records"]) == 2


R10 = ("generate", "--out", "OUT", "--location", "R10")
MISTAKES = {
    "unknown location": (("evaluate", "--locations", "Z99"), "Z99"),
    "no location": (("evaluate", "--locations", ""), "not known"),
    "no samples": (("evaluate", "--samples", "0"), "at least 1"),
    "unknown device": (("evaluate", "--device", "tpu"), "auto, cpu or cuda"),
    "huge seed": (("evaluate", "--locations", "R10", "--seed", "1" + "0" * 30), "seed"),
    "no rounds": (("bench", "--rounds", "0"), "at least 1"),
    "no place": (("generate", "--out", "OUT"), "--location"),
    "two places": (("generate", "--out", "OUT", "--location", "R10", "--background", "x.png"), "--location"),
    "unknown place": (("generate", "--out", "OUT", "--location", "Z99"), "Z99"),
    "unknown blend": (("generate", "--out", "OUT", "--location", "R10", "--blend-with", "Z99"), "Z99"),
    "weight": ((*R10, "--blend-with", "R12", "--weight", "1.5"), "0..1"),
    "weight not a number": ((*R10, "--blend-with", "U11", "--weight", "nan"), "0..1"),
    "blended picture": (("generate", "--out", "OUT", "--background", "x.png", "--blend-with", "R12"), "--blend-with"),
    "missing picture": (("generate", "--out", "OUT", "--background", "absent.png"), "absent.png"),
    "no picture": (("generate", "--out", "OUT", "--background", "FILE"), "file.txt"),
    "eta": (("generate", "--out", "OUT", "--location", "R10", "--eta", "1.5"), "0..1"),
    "steps": (("generate", "--out", "OUT", "--location", "R10", "--steps", "0"), "sampling steps"),
    "samples": (("generate", "--out", "OUT", "--location", "R10", "--samples", "-1"), "at least 1"),
    "seed too large": (("generate", "--out", "OUT", "--location", "R10", "--seed", "1" + "0" * 30), "seed"),
    "a pair of one": (("sweep", "--pairs", "R10"), "A:B"),
    "a pair of equals": (("sweep", "--pairs", "R10:R10"), "two different"),
    "unknown end": (("sweep", "--pairs", "R10:Z99"), "Z99"),
    "words for weights": (("sweep", "--pairs", "R10:R12", "--weights", "half"), "0,0.5,1"),
    "too many": (("sweep", "--pairs", "R10:R12", "--weights", "0,1", "--seeds", "17"), "1..16"),
    "unknown regime": (("sweep", "--pairs", "R10:R12", "--regime", "X"), "L, M, H"),
    "unknown suffix": (("sweep", "--pairs", "R10:R12", "--out", "OUT"), ".csv"),
    "out is a file": (("generate", "--out", "FILE", "--location", "R10", "--steps", "1"), "could not be written"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_ends_with_status_2_and_one_sentence(
    run: Run, tiny_bundle: Path, tmp_path: Path, mistake: str
) -> None:
    arguments, told = MISTAKES[mistake]
    (tmp_path / "file.txt").write_text("no picture")
    words = [{"OUT": str(tmp_path / "out"), "FILE": str(tmp_path / "file.txt")}.get(word, word) for word in arguments]
    check_mistake(run(*words, "--bundle", tiny_bundle), told)
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("command", ["evaluate", "bench", "generate"])
def test_a_folder_that_is_no_bundle_is_one_sentence(run: Run, tmp_path: Path, command: str) -> None:
    out = ("--out", tmp_path / "out", "--location", "R10") if command == "generate" else ()
    check_mistake(run(command, "--bundle", tmp_path, *out), "is not a bundle")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train", "--recipe", "nope", "--out", "OUT"), "savanna, smoke"),
        (("train", "--recipe", "smoke", "--out", "FILE"), "could not be written"),
        (("world", "--by", "nope", "--out", "OUT"), "location, species or both"),
        (("world", "--height", "1", "--out", "OUT"), "32 to 1080"),
        (("train",), "--out"),
        (("nope",), "nope"),
        (("generate", "--out", "OUT", "--samples", "many"), "--samples"),
    ],
)
def test_other_mistakes_end_with_status_2_too(run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    (tmp_path / "file.txt").write_text("")
    ended = run(
        *({"OUT": str(tmp_path / "out"), "FILE": str(tmp_path / "file.txt")}.get(word, word) for word in arguments)
    )
    check_mistake(ended, told)


def test_an_option_that_does_not_fit_says_where_the_options_are(run: Run) -> None:
    for arguments in (
        ("generate", "--out", "x", "--steps", "many"),
        ("generate", "more", "--out", "x"),
        ("reproduce", "-1"),
    ):
        check_mistake(run(*arguments), f"see `wildpdiff {arguments[0]} --help`.")
    nothing = run()
    assert nothing.status == 2 and "Commands" in nothing.out + nothing.err and "Traceback" not in nothing.err


def test_a_training_begun_with_another_recipe_is_not_mixed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "recipe.json").write_text('{"name": "other"}')
    check_mistake(run("train", "--recipe", "smoke", "--out", tmp_path), "another recipe")
    assert json.loads((tmp_path / "work" / "recipe.json").read_text()) == {"name": "other"}


@pytest.mark.slow
def test_the_sheet_is_written_where_asked(run: Run, tmp_path: Path) -> None:
    ended = run("world", "--by", "location", "--height", 32, "--columns", 1, "--out", tmp_path / "new" / "sheet.png")
    assert (ended.status, ended.out) == (0, "")
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.height == 15 * 32


def test_a_stop_by_the_user_is_no_stack_trace(run: Run, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Bundle, "open", stopped)
    ended = run("evaluate", "--bundle", tiny_bundle)
    assert ended.status == 130
    assert "Traceback" not in ended.err


def test_auto_means_cuda_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [cli.device_of(name) for name in ("auto", "cpu", "cuda")] == ["cuda", "cpu", "cuda"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.device_of("auto") == "cpu"
    with pytest.raises(UserError, match="no CUDA device"):
        cli.device_of("cuda")


def test_the_default_bundle_is_the_one_that_comes_with_the_project() -> None:
    assert Path(__file__).resolve().parent.parent / "assets" / "savanna" == cli.DEFAULT_BUNDLE
    assert len(SEEN) == 10


def check_mistake(ended: Ended, told: str) -> None:
    """Status 2, nothing on stdout, and one sentence on stderr."""
    assert ended.status == 2, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    (line,) = [line for line in ended.err.splitlines() if line.strip()]
    assert line.startswith("wildpdiff: ")
    assert line.endswith(".")
    assert told in line

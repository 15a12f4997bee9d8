"""ZeroGPU and the Space: what is asked of a lent graphics card, what happens without one, and what a Space installs."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_architecture import MODULES, _outside

from wildpdiff.studio import zero

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
HERE = np.zeros((2, 4), dtype=np.float32)


@pytest.fixture(scope="module")
def told(tiny_bundle: Path) -> Any:
    """What a writer did in a process under ZeroGPU's emulation, at each answer of the server that lends cards."""
    if importlib.util.find_spec("spaces") is None:
        pytest.skip("the package spaces is not installed: pip install spaces")
    ended = subprocess.run(
        [sys.executable, TESTS / "zero_device.py", tiny_bundle],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_lent_card_writes_the_adapters_that_the_cpu_would_write(told: Any) -> None:
    assert told["began"] and told["cuda"], "the emulation is not what a Space sees"
    assert told["at"]["lent"] == {"written": True, "same": True, "note": ""}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "note"),
    [("quota", zero.USED_UP), ("too long", zero.FAILED), ("killed", zero.FAILED), ("away", zero.FAILED)],
)
def test_where_no_card_is_lent_the_cpu_writes_and_the_visitor_is_told(told: Any, answer: str, note: str) -> None:
    assert told["at"][answer] == {"written": False, "same": False, "note": note}
    assert note.endswith("computed on the CPU.")


@pytest.mark.slow
def test_a_card_is_asked_for_seconds_and_never_for_a_small_wish(told: Any) -> None:
    assert told["durations"] == [zero.seconds(HERE, 0.0, 2, 2)] * 4
    assert (told["small"], told["asked_for_small"]) == ([True, ""], 0)


def test_the_time_asked_for_grows_with_the_work_and_stays_within_twenty_seconds() -> None:
    asked = [zero.seconds(HERE, 0.0, steps, samples) for steps, samples in ((50, 1), (50, 16), (200, 16), (1000, 16))]
    assert asked == sorted(asked) and asked[0] >= 5 and asked[-1] == 20 and len(set(asked)) > 2


def test_the_adapter_that_the_page_begins_with_needs_no_card() -> None:
    assert 50 * 1 < zero.WORTH <= 50 * 16


@pytest.mark.parametrize(
    ("title", "note"),
    [("ZeroGPU quota exceeded", zero.USED_UP), ("ZeroGPU pending credits exceeded", zero.USED_UP), ("", zero.FAILED)],
)
def test_only_a_quota_is_called_used_up(title: str, note: str) -> None:
    error = RuntimeError("boom")
    error.title = title  # type: ignore[attr-defined]
    assert zero.refusal(error) == note


def test_elsewhere_nothing_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace())
    assert not zero.on_zero() and not zero.begin()


def test_spaces_is_prepared_before_pytorch_is_imported() -> None:
    code = "import wildpdiff.studio.zero, sys; print(*{'torch', 'gradio', 'spaces'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
    started = (ROOT / "app.py").read_text()
    imported = [line.split()[1] for line in started.splitlines() if re.match(r"from wildpdiff", line)]
    assert imported == ["wildpdiff.studio.zero"]
    assert started.index("begin()") < started.index("wildpdiff.ui.app")


def front_matter() -> dict[str, str]:
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    return dict(line.split(": ", 1) for line in block.splitlines())


def test_the_front_matter_is_what_a_space_takes() -> None:
    about = front_matter()
    assert (about["sdk"], about["app_file"]) == ("gradio", "app.py") and (ROOT / about["app_file"]).exists()
    assert len(about["short_description"]) <= 60
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {about["colorFrom"], about["colorTo"]} <= colours
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert about["python_version"].strip('"') == "3.12" and project["requires-python"] == ">=3.11"
    (gradio,) = (line for line in project["dependencies"] if line.startswith("gradio"))
    least, below = re.findall(r"\d+", gradio)[:2], re.findall(r"<(\d+)", gradio)
    version = [int(part) for part in about["sdk_version"].split(".")]
    assert [int(part) for part in least] <= version[:2] and version[0] < int(below[0])


def required() -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    return {re.split(r"[<>=\[ ]", line)[0].lower().replace("_", "-"): line for line in lines if line}


def test_a_space_installs_all_that_the_app_imports() -> None:
    ours = {"wildpdiff", *(module.partition("/")[0] for module in MODULES)}
    imported = {name for tree in MODULES.values() for name in _outside(tree)} - set(sys.stdlib_module_names) - ours
    # The image of a Space brings gradio, spaces and huggingface_hub; gradio brings its client, httpx, jinja2, orjson
    # and pydantic, peft brings accelerate; UMAP and scikit-learn are needed only where a bundle is made and measured,
    # and the bundle holds what they find. What an adapter leaves the house with is a command, with an extra of its own.
    brought = {
        "gradio",
        "gradio_client",
        "httpx",
        "accelerate",
        "jinja2",
        "spaces",
        "huggingface_hub",
        "pydantic",
        "umap",
        "sklearn",
        "onnx",
        "onnxruntime",
    }
    distributions = packages_distributions()
    needed = {distributions[name][0].lower().replace("_", "-") for name in imported - brought}
    assert needed <= set(required())


def test_a_space_brings_its_own_gradio() -> None:
    assert not {"gradio", "spaces", "huggingface-hub"} & set(required())

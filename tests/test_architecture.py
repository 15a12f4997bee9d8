"""Imports point down, every big dependency has one door, and the library is silent."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

import wildpdiff

ROOT = Path(wildpdiff.__file__).parent
MODULES = {
    path.relative_to(ROOT).with_suffix("").as_posix(): ast.parse(path.read_text())
    for path in sorted(ROOT.rglob("*.py"))
}

#: From the ground up; a module may import modules of lower lines only.
RANKS = (
    ("errors", "outside", "plots/common"),
    ("plots/__init__", "plots/denoise", "plots/invent", "plots/heat", "plots/map", "plots/probe"),
    ("files", "adapter", "codec", "diffusion", "denoiser", "fidelity", "picture", "residual", "worlds/base"),
    ("labelled", "loop", "normalize", "backbone", "condition", "weightspace", "similarity"),
    ("folded", "vae"),
    ("evaluate", "lora", "pretrain", "clip_training", "generator"),
    ("connect", "finetune", "zoo"),
    ("together", "train"),
    ("worlds/coco_metadata", "worlds/savanna/outline", "worlds/savanna/location", "worlds/savanna/paint"),
    ("worlds/coco", "worlds/savanna/anatomy", "worlds/savanna/plate"),
    ("worlds/savanna/quadruped",),
    ("worlds/savanna/markings",),
    (
        "worlds/savanna/antelopes",
        "worlds/savanna/big",
        "worlds/savanna/birds",
        "worlds/savanna/gazelles",
        "worlds/savanna/others",
        "worlds/savanna/pachyderms",
    ),
    ("worlds/savanna/animals",),
    ("worlds/savanna/prior", "worlds/savanna/shot"),
    ("worlds/savanna/world", "worlds/savanna/caption"),
    ("worlds/savanna/sheet", "bundle"),
    ("experiments/recipes", "experiments/seen", "experiments/generate", "experiments/bench", "experiments/statistics"),
    ("sweep/pace", "sweep/record"),
    ("sweep/spec", "sweep/known"),
    ("sweep/run",),
    ("sweep/cells",),
    ("sweep/__init__", "sweep/written"),
    ("experiments/chart_series",),
    ("experiments/chart_traces",),
    ("experiments/charts", "experiments/baselines", "experiments/parameter_kinds", "experiments/pool"),
    ("experiments/chart_grid", "experiments/grow"),
    ("experiments/jobs", "experiments/parameter_runs", "experiments/grow_together"),
    ("experiments/runs", "experiments/zoos"),
    ("experiments/generators", "experiments/lab"),
    ("experiments/faithful",),
    ("experiments/build", "experiments/blending", "experiments/ablation_runs", "experiments/report"),
    ("experiments/ablation_report", "experiments/alone", "experiments/figure7"),
    ("experiments/ablation_figures",),
    (
        "experiments/ablations",
        "experiments/curves",
        "experiments/figure2",
        "experiments/figure3",
        "experiments/figure6",
        "experiments/parameters",
        "experiments/slider",
        "experiments/table1",
        "experiments/table2",
        "experiments/table3",
        "experiments/table5",
    ),
    ("experiments/reproduce",),
    ("experiments/readme",),
    ("ui/packed",),
    (
        "ui/chart", "ui/drawings", "ui/factors", "ui/glossary", "ui/layers", "ui/peft_zip", "ui/phrase", "ui/probing",
        "ui/setting", "ui/stored", "ui/theme", "ui/verdict", "ui/wishes", "ui/words", "ui/zero",
    ),
    ("ui/answer", "ui/ask", "ui/beside", "ui/guesses", "ui/snippet", "ui/studio"),
    ("ui/page", "ui/places", "ui/stories", "ui/trial"),
    ("ui/lessons",),
    (
        "ui/denoise", "ui/flips", "ui/frame", "ui/invention", "ui/journey", "ui/lookups", "ui/own_trial", "ui/probe",
        "ui/tours",
    ),
    ("ui/atlas", "ui/changed", "ui/film", "ui/invent", "ui/learn", "ui/stranger"),
    ("ui/answers", "ui/own_photos", "ui/play", "ui/stranger_panel", "ui/watch"),
    ("ui/api", "ui/unseen"),
    ("ui/app",),
    ("cli",),
)  # fmt: skip
RANK = {module: rank for rank, modules in enumerate(RANKS) for module in modules}

#: Where a dependency may be imported, and where its name may stand in the code at all.
DOORS = {
    "timm": ("backbone", "experiments/bench"),
    "peft": ("lora",),
    "open_clip": ("condition",),
    "umap": ("weightspace",),
    "gradio": (
        "ui/api",
        "ui/app",
        "ui/atlas",
        "ui/changed",
        "ui/chart",
        "ui/frame",
        "ui/invent",
        "ui/learn",
        "ui/own_photos",
        "ui/page",
        "ui/play",
        "ui/probe",
        "ui/stranger_panel",
        "ui/theme",
        "ui/unseen",
        "ui/watch",
        "ui/wishes",
    ),
    "plotly": ("ui/*", "experiments/report"),
    "typer": ("cli",),
    "safetensors": ("files", "lora", "ui/peft_zip"),
    "spaces": ("ui/zero",),
}


def _inside(module: str, tree: ast.Module) -> Iterator[str]:
    """Modules of the package that a module imports, at its top or in a function."""
    parts = module.split("/")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level]
            names = [node.module.replace(".", "/")] if node.module else [alias.name for alias in node.names]
            found = ("/".join([*base, name]) for name in names)
            yield from (name if name in MODULES else f"{name}/__init__" for name in found)
        assert not (isinstance(node, ast.ImportFrom) and not node.level and str(node.module).startswith("wildpdiff"))


def _outside(tree: ast.AST) -> Iterator[str]:
    """Top names of everything else that is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def _names() -> list[str]:
    return [module for module in MODULES if not module.endswith("__init__") or module in RANK]


def test_every_module_has_its_rank() -> None:
    assert sorted(RANK) == sorted(_names())


@pytest.mark.parametrize("module", _names())
def test_imports_point_down(module: str) -> None:
    for other in _inside(module, MODULES[module]):
        assert RANK[other] < RANK[module], f"{module} imports {other}, which is not below it"


@pytest.mark.parametrize("dependency", DOORS)
def test_each_big_dependency_has_one_door(dependency: str) -> None:
    users = [module for module, tree in MODULES.items() if dependency in set(_outside(tree))]
    strangers = [module for module in users if not any(fnmatch(module, door) for door in DOORS[dependency])]
    assert not strangers
    assert users


def test_umap_is_imported_only_when_a_map_is_made() -> None:
    top = [node for node in MODULES["weightspace"].body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "umap" not in set(_outside(ast.Module(body=list(top), type_ignores=[])))


@pytest.mark.parametrize("module", [name for name in _names() if name != "cli"])
def test_the_library_never_prints(module: str) -> None:
    calls = [node.func for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("module", list(MODULES))
def test_nothing_is_pickled(module: str) -> None:
    tree = MODULES[module]
    assert not set(_outside(tree)) & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {"torch.load", "torch.save", "np.load", "numpy.load"} & set(calls)


@pytest.mark.parametrize("module", [name for name in _names() if name not in ("cli", "experiments/bench")])
def test_no_user_meets_an_assertion(module: str) -> None:
    assert not [node.lineno for node in ast.walk(MODULES[module]) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import wildpdiff", {"gradio", "umap", "plotly", "open_clip", "peft", "timm"}),
        ("import wildpdiff.cli", {"torch", "gradio", "umap", "plotly"}),
        ("import wildpdiff.ui.studio", {"gradio", "umap"}),
    ],
)
def test_importing_a_part_does_not_load_what_it_does_not_need(code: str, absent: set[str]) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not absent & set(told.stdout.split())

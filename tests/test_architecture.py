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
    path.relative_to(ROOT).with_suffix("").as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(ROOT.rglob("*.py"))
}

#: Where a dependency may be imported.
DOORS = {
    "timm": ("network/makers", "measure/bench"),
    "peft": ("network/peft_folder",),
    "accelerate": ("training/team",),
    "open_clip": ("condition/*",),
    "umap": ("weightspace",),
    "gradio": ("ui/*",),
    "plotly": ("web/packed", "experiments/report"),
    "typer": ("cli/*",),
    "safetensors": ("files", "network/peft_folder", "studio/peft_zip"),
    "spaces": ("studio/zero",),
    "onnx": ("export/onnx_file",),
    "onnxruntime": ("export/onnx_file", "export/name_photographs"),
    "orjson": ("survey/json_parts",),
    "httpx": ("fetch/*",),
    "huggingface_hub": ("hub", "share/card"),
}


def _outside(tree: ast.AST) -> Iterator[str]:
    """Top names of what a module imports that is not of the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def _calls(tree: ast.AST) -> set[str]:
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_imports_point_down_as_pyproject_lays_the_rooms_out() -> None:
    """In a process of its own: import-linter silences every logger that it finds."""
    config = str(ROOT.parent / "pyproject.toml")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    ended = subprocess.run([*command, "--config", config], capture_output=True, text=True, cwd=ROOT.parent, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_package_imports_itself_by_relative_names_only() -> None:
    assert not [name for name, tree in MODULES.items() if "wildpdiff" in set(_outside(tree))]


@pytest.mark.parametrize("dependency", DOORS)
def test_each_big_dependency_has_one_door(dependency: str) -> None:
    users = [module for module, tree in MODULES.items() if dependency in set(_outside(tree))]
    assert users
    assert not [module for module in users if not any(fnmatch(module, door) for door in DOORS[dependency])]


def test_umap_is_imported_only_when_a_map_is_made() -> None:
    top = [node for node in MODULES["weightspace"].body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "umap" not in set(_outside(ast.Module(body=list(top), type_ignores=[])))


def test_no_module_but_its_own_and_the_recipes_names_the_drawn_world() -> None:
    """A Space opens the bundle of that name; its path is all that is said outside."""
    named = [
        f"{path.relative_to(ROOT.parent)}: {line.strip()}"
        for path in sorted((*ROOT.rglob("*"), ROOT.parent / "app.py"))
        if path.suffix in (".py", ".js", ".css", ".html", ".toml", ".json")
        and not path.is_relative_to(ROOT / "worlds" / "savanna")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "savanna" in line.lower()
    ]
    recipes = "wildpdiff/build/recipes.py: "
    assert [line for line in named if not line.startswith(recipes)] == [
        'app.py: BUNDLE = Path(__file__).parent / "assets" / "savanna"',
    ]
    assert any(line.startswith(recipes) for line in named)


def test_the_library_never_prints() -> None:
    assert {name.partition("/")[0] for name, tree in MODULES.items() if "print" in _calls(tree)} == {"cli"}


def test_nothing_is_pickled() -> None:
    for name, tree in MODULES.items():
        assert not set(_outside(tree)) & {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}, name
        assert not _calls(tree) & {"torch.load", "torch.save", "np.load", "numpy.load"}, name


def test_no_user_meets_an_assertion() -> None:
    users = {name for name, tree in MODULES.items() if any(isinstance(node, ast.Assert) for node in ast.walk(tree))}
    assert users <= {"measure/bench"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import wildpdiff", {"gradio", "umap", "plotly", "open_clip", "peft", "timm"}),
        ("import wildpdiff.cli", {"torch", "gradio", "umap", "plotly"}),
        pytest.param("import wildpdiff.studio.studio", {"gradio", "umap"}, marks=pytest.mark.slow),
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

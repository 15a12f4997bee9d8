"""What a wheel installs, far from any checkout: the bundle comes along, measures, and is served."""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays as it was."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("wildpdiff", "assets/savanna"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    subprocess.run(
        [*_pip("wheel"), "--no-build-isolation", "--wheel-dir", str(out), str(copy)], check=True, capture_output=True
    )
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed into; what it depends on is taken from this environment."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run([*_pip("install"), "--target", str(folder), str(wheel)], check=True, capture_output=True)
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Iterator[list[str]]:
    """The installed command, to be run in an empty folder."""
    yield [sys.executable, str(site / "bin" / "wildpdiff")]
    assert not list(tmp_path.iterdir())


def _pip(verb: str) -> list[str]:
    return [sys.executable, "-m", "pip", verb, "--quiet", "--no-deps", "--disable-pip-version-check"]


def _surroundings(site: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(site)}


def test_the_wheel_is_as_large_as_readme_says_and_brings_every_file_of_the_bundle(wheel: Path, site: Path) -> None:
    megabytes = wheel.stat().st_size / 1e6
    assert f"{megabytes:.0f} MB" in (ROOT / "README.md").read_text(encoding="utf-8")
    inside, outside = site / "wildpdiff" / "assets" / "savanna", ROOT / "assets" / "savanna"
    names = {path.relative_to(outside).as_posix() for path in outside.rglob("*") if path.is_file()}
    assert {path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file()} == names


def test_the_wheel_brings_every_file_of_the_package(site: Path) -> None:
    here = {path.relative_to(ROOT) for path in (ROOT / "wildpdiff").rglob("*") if path.is_file()}
    wanted = {path for path in here if "__pycache__" not in path.parts and path.suffix != ".pyi"}
    assert not [str(path) for path in wanted if not (site / path).is_file()]


def test_from_another_folder_the_library_opens_its_own_bundle(site: Path, tmp_path: Path) -> None:
    code = "import wildpdiff as w; print(w.__file__, w.Bundle.open().folder, w.__version__, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=_surroundings(site), check=True, capture_output=True, text=True
    )
    package, folder, version = done.stdout.split()
    assert Path(package).parent == site / "wildpdiff" and Path(folder) == site / "wildpdiff" / "assets" / "savanna"
    assert (site / f"wildpdiff-{version}.dist-info").is_dir()


def test_from_another_folder_the_command_measures(run: list[str], site: Path, tmp_path: Path) -> None:
    command = [*run, "evaluate", "--locations", "U11", "--samples", "1"]
    done = subprocess.run(command, cwd=tmp_path, env=_surroundings(site), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("U11") for line in done.stdout.splitlines())


def test_from_another_folder_the_app_is_served(run: list[str], site: Path, tmp_path: Path) -> None:
    port = "7987"
    with (
        subprocess.Popen(
            [*run, "serve", "--port", port], cwd=tmp_path, env=_surroundings(site), stderr=subprocess.PIPE
        ) as server,
    ):
        try:
            page = _answered(f"http://127.0.0.1:{port}/", server)
        finally:
            server.terminate()
    assert "Wild-P-Diff" in page


def _answered(address: str, server: subprocess.Popen[bytes]) -> str:
    """The page at an address, as soon as it is there."""
    for _ in range(240):
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(address, timeout=5) as page:
                return page.read().decode()
        except OSError:
            time.sleep(1)
    raise AssertionError(f"no answer from {address}")

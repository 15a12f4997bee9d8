# The verbs of this project; `just` alone lists them. Each is one line that can be typed without just, too.

python := ".venv/bin/python"

_list:
    @just --list --unsorted

# a virtual environment with all that is needed to work here (no GPU, account or download beyond the package registry)
setup:
    python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]'

# the same with the versions that the tests last passed with
setup-locked:
    python3 -m venv .venv && .venv/bin/pip install -q -r requirements.lock && .venv/bin/pip install -q --no-deps -e .

# the app at http://127.0.0.1:7860
serve *options:
    .venv/bin/wildpdiff serve {{options}}

# all tests; needs Chromium for those of the page
test *options:
    {{python}} -m pytest {{options}}

# the tests that need neither Chromium nor more than a few seconds; two minutes on two cores
fast *options:
    {{python}} -m pytest -m "not slow and not browser" {{options}}

# all tests but those in a browser, which lines and branches they never run, and whether that is above the floor
coverage *options:
    {{python}} -m pytest -m "not browser" --cov --cov-report=term {{options}}

# style, types, and which room may import which
lint:
    .venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

# speed, as ratios measured in the same run
bench *options:
    .venv/bin/wildpdiff bench {{options}}

# measure a stored result anew, e.g. `just measure table5`, and keep it in the bundle
measure name *options:
    .venv/bin/wildpdiff reproduce {{name}} --store --out runs/report {{options}}

# write down the versions of a fresh environment, after all tests passed in it
lock:
    head -2 requirements.lock > requirements.new
    .venv/bin/pip freeze --exclude-editable | grep -v '^setuptools==' | sed 's/+cpu$//' >> requirements.new
    mv requirements.new requirements.lock

# a wheel with the bundle in it, in dist/
wheel:
    {{python}} -m pip wheel . --no-deps --wheel-dir dist

# the p-diff systems of the tab p-diff, made anew and kept in the bundle; five minutes on two cores
pairs:
    .venv/bin/wildpdiff pdiff --network convnet-mini --parameters all --rate 1e-3 --recipe small --out runs/pairs/convnet-mini --store convnet-mini
    .venv/bin/wildpdiff pdiff --network resnet-mini --parameters all --rate 1e-3 --recipe small --out runs/pairs/resnet-mini --store resnet-mini
    .venv/bin/wildpdiff pdiff --network mlp-mini --parameters last:3 --rate 1e-2 --recipe small --out runs/pairs/mlp-mini --store mlp-mini

"""Puts the bundle that comes along into a wheel: `assets/savanna` of the checkout is `wildpdiff/assets/savanna` there.

All else stands in `pyproject.toml`. An editable installation copies nothing; the program finds the checkout's folder.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUNDLE = Path("assets") / "savanna"


class WithBundle(build_py):
    """Builds the package and the bundle in it."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            inside = Path(self.build_lib) / "wildpdiff" / BUNDLE
            shutil.rmtree(inside, ignore_errors=True)
            shutil.copytree(BUNDLE, inside)


setup(cmdclass={"build_py": WithBundle})

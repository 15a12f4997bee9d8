"""The folder of a data set's photographs, in which files are found though their names were written elsewhere."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

from ..errors import UserError, readable
from ..files import is_file
from ..labelled import SUFFIXES


class ImageFolder:
    """The images' folder, in which files are found as they are named, or with `/` for `\\`, or in another case."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path:
        """A file of the folder.

        Raises:
            UserError: if there is none of that name, or it would lie outside.
        """
        slashed = name.replace("\\", "/")
        inside = PurePosixPath(slashed)
        if inside.is_absolute() or ".." in inside.parts or re.match(r"[A-Za-z]:", slashed):
            raise UserError("The file lies outside the images' folder.")
        for path in (self.path / name, self.path / inside):
            if is_file(path):
                return path
        path = self.path
        for part in inside.parts:
            path = path / self._in(path).get(_folded(part), part)
        if not is_file(path):
            raise UserError(f"There is no file '{inside.name}'.")
        return path

    def example(self) -> str:
        """The name of one picture that is there, or nothing."""
        for place, path in enumerate(self.path.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                return path.relative_to(self.path).as_posix()
            if place > 5_000:
                break
        return ""

    def missing(self, wanted: str) -> str:
        """Why nothing may be found here, in words: what was looked for, and what is there."""
        example = self.example()
        there = f"there is '{readable(example)}'" if example else "there is no picture at all"
        return (
            f"in folder '{self.path.name}': looked for '{readable(wanted)}', and {there}; fetch its files or name the "
            "folder that file names start from"
        )

    def _in(self, folder: Path) -> dict[str, str]:
        if folder not in self._names:
            try:
                self._names[folder] = {_folded(path.name): path.name for path in folder.iterdir()}
            except OSError:
                self._names[folder] = {}
        return self._names[folder]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()

"""The folder in which photographs lie, and where in it a file is that metadata names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from PIL import Image

from ..errors import UserError, readable
from ..files import is_file
from ..labelled import LITTER, SUFFIXES


class Folder:
    """The images' folder, in which files are found as they are named, or with `/` for `\\`, or in another case."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: dict[Path, dict[str, str]] = {}

    def find(self, name: str) -> Path:
        """A file of the folder.

        Raises:
            UserError: if there is none of that name, or it would lie outside.
        """
        if leads_out(name):
            raise UserError("The file lies outside the images' folder.")
        inside = PurePosixPath(name.replace("\\", "/"))
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

    def size(self, name: str) -> tuple[int, int] | None:
        """Width and height of a picture, by its header alone; None if it cannot be told."""
        try:
            with Image.open(self.find(name)) as image:
                return image.size
        except Exception:  # a hostile or damaged file makes Pillow raise nearly anything
            return None

    def _in(self, folder: Path) -> dict[str, str]:
        if folder not in self._names:
            try:
                self._names[folder] = {_folded(path.name): path.name for path in folder.iterdir()}
            except OSError:
                self._names[folder] = {}
        return self._names[folder]


def leads_out(name: str) -> bool:
    """Whether a file's name would lead out of the folder that it starts from."""
    if name[:1] not in "/\\" and ":" not in name and ".." not in name:  # nearly all
        return False
    slashed = name.replace("\\", "/")
    return slashed.startswith("/") or ".." in slashed.split("/") or re.match(r"[A-Za-z]:", slashed) is not None


def pictures_in(folder: Path) -> Iterator[tuple[str, bool]]:
    """Names of all pictures below a folder, in order, with `/`; and, marked False, links to folders, which are not
    followed, so that no loop of them matters. Hidden files and what systems leave behind are passed over."""
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        place = Path(root).relative_to(folder)
        for name in folders:
            if os.path.islink(Path(root) / name):  # noqa: PTH114
                yield (place / name).as_posix(), False
        for name in sorted(files):
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".") and name.lower() not in LITTER:
                yield (place / name).as_posix(), True


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()

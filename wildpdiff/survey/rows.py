"""Tables (CSV) of whatever program: their rows, from a file, a folder or a zip."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TextIO

from ..errors import UserError
from ..files import is_file
from ..labelled import shortened
from ..zips import check_packing
from .safely import TABLE, read_safely
from .survey import Oddities

Row = dict[str, str]
_DELIMITERS = ",;\t|"
_LONGEST = 1_000_000
_START = 64_000


class Table:
    """A table with a header, opened anew for every pass.

    Attributes:
        name: of the file.
        columns: its header, as it is written.
    """

    def __init__(self, opened: Callable[[], BinaryIO], name: str) -> None:
        self._opened, self.name = opened, name
        with read_safely(name, TABLE), opened() as file:
            start = file.read(_START)
        self._encoding = _encoding(start)
        text = start.decode(self._encoding, "replace")
        first = next((line for line in text.splitlines() if line.strip()), "")
        self._delimiter = max(_DELIMITERS, key=first.count)
        with read_safely(name, TABLE), self._text() as lines:
            header = next(csv.reader(lines, delimiter=self._delimiter), [])
        self.columns = tuple(name.strip() for name in header)
        if not any(self.columns):
            raise UserError(f"'{name}' is no table: its first line names no column; save it as CSV with a header.")

    def rows(self, odd: Oddities) -> Iterator[Row]:
        """All rows by their columns' names; empty ones are passed over, short ones are filled up and counted.

        Raises:
            UserError: if it is damaged.
        """
        width = len(self.columns)
        if self._encoding == "cp1252":
            odd.add(f"Tables that are no UTF-8, read as Windows-1252 ('{self.name}')")
        with read_safely(self.name, TABLE), self._text() as lines:
            reader = csv.reader(lines, delimiter=self._delimiter)
            next(reader)
            for cells in reader:
                if not cells or (len(cells) == 1 and not cells[0].strip()):
                    continue
                if len(cells) < width:
                    odd.add(f"Rows of '{self.name}' with too few cells", cells[0][:60])
                    cells += [""] * (width - len(cells))
                yield dict(zip(self.columns, cells, strict=False))

    def column(self, *names: str) -> str | None:
        """The column that is called one of these, in any case."""
        plain = {_plain(own): own for own in reversed(self.columns)}
        return next((plain[_plain(name)] for name in names if _plain(name) in plain), None)

    def needs(self, *columns: str) -> None:
        """Raises UserError if a column is not there."""
        for name in columns:
            if name not in self.columns:
                raise UserError(f"'{self.name}' has no column '{name}'; it has {shortened(self.columns, most=12)}.")

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        csv.field_size_limit(_LONGEST)
        with self._opened() as file, io.TextIOWrapper(file, self._encoding, "replace", newline="") as text:
            yield text


class Package:
    """Files of a folder or a zip, by their names from `inner` on."""

    def __init__(self, path: Path, inner: str = "") -> None:
        self.path, self.name, self.inner = path, path.name, inner
        self.zipped = not path.is_dir()

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        if not self.zipped:
            return is_file(self.path / self.inner / name)
        with read_safely(self.name, TABLE), zipfile.ZipFile(self.path) as archive:
            return self._inside(name) in archive.namelist()

    def opened(self, name: str) -> Callable[[], BinaryIO]:
        """How to open a file of it."""
        if not self.zipped:
            return lambda: (self.path / self.inner / name).open("rb")
        with read_safely(self.name, TABLE), zipfile.ZipFile(self.path) as archive:
            if self._inside(name) not in archive.namelist():
                raise UserError(f"'{self.name}' has no file '{name}'; fetch the whole package anew.")
            check_packing(archive.getinfo(self._inside(name)))

        def member() -> BinaryIO:
            with zipfile.ZipFile(self.path) as archive:
                return archive.open(self._inside(name))  # type: ignore[return-value]

        return member

    def table(self, name: str) -> Table:
        """One of its tables."""
        return Table(self.opened(name), PurePosixPath(name).name)

    def _inside(self, name: str) -> str:
        return f"{self.inner}/{name}" if self.inner else name


def first_column(table: Table, wanted: Sequence[str], what: str, option: str) -> str:
    """The column that is called one of these.

    Raises:
        UserError: if there is none, with those there are.
    """
    found = table.column(*wanted)
    if found is None:
        raise UserError(
            f"'{table.name}' is a table (CSV) with no column that is known to hold the {what}; name it with {option}, "
            f"one of {shortened(table.columns, most=12)}."
        )
    return found


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _encoding(start: bytes) -> str:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4 or len(start) < _START:
            return "cp1252"
    return "utf-8-sig"

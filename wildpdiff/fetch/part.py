"""What has come of a file so far, beside the place where it will lie when it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import UserError

_NAME = re.compile(r"(.+)\.(\d{1,18})\.([0-9a-f]{8})\.part", re.DOTALL)
_AGAIN = "then run the same command again, and it goes on from there"


class Part:
    """A file on its way.

    The part's name tells how many bytes the whole will have and which version of it this is, so that a later run
    can go on, or knows that it cannot. The final name appears in the very moment when everything is there.

    Attributes:
        final: where the file will lie.
        total: bytes that it will have; 0 if nothing has come.
    """

    def __init__(self, final: Path, begun: Path | None = None) -> None:
        self.final, self._path, self._mark, self.total = final, begun, "", 0
        if begun is not None and (named := _NAME.fullmatch(begun.name)):
            self.total, self._mark = int(named[2]), named[3]

    @property
    def have(self) -> int:
        """Bytes that are there."""
        try:
            return self._path.stat().st_size if self._path else 0
        except OSError:
            return 0

    @property
    def whole(self) -> bool:
        """Whether all bytes are there, and the file only lacks its name."""
        return self._path is not None and 0 < self.total == self.have

    def goes_on(self, total: int, version: str) -> bool:
        """Whether what a server would send now belongs to what is there."""
        return (self.total, self._mark) == (total, _mark(version))

    def settle(self, total: int) -> None:
        """Correct how many bytes the whole has.

        Raises:
            UserError: if the disk cannot be written.
        """
        if self._path is not None:
            with written(self.final.name):
                self._path = self._path.rename(self._named(total))
            self.total = total

    def begin(self, total: int, version: str) -> None:
        """Begin anew; what was there is dropped.

        Raises:
            UserError: if the disk has not as much room, or cannot be written.
        """
        self.drop()
        with written(self.final.name):
            self.final.parent.mkdir(parents=True, exist_ok=True)
        self.total, self._mark = total, _mark(version)
        self._path = self._named(total)

    def _named(self, total: int) -> Path:
        return self.final.with_name(f"{self.final.name}.{total}.{self._mark}.part")

    def opened(self) -> BinaryIO:
        """The part, to write at its end.

        Raises:
            UserError: if the disk has no room for what lacks, or cannot be written.
        """
        with written(self.final.name):
            if shutil.disk_usage(self.final.parent).free < self.total - self.have:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return (self._path or self.final).open("ab", buffering=0)

    def finish(self) -> None:
        """Give the whole file its name.

        Raises:
            UserError: if the disk cannot be written.
        """
        with written(self.final.name):
            (self._path or self.final).replace(self.final)
        self._path = None

    def drop(self) -> None:
        """Forget what is there."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        self._path, self._mark, self.total = None, "", 0


def add(file: BinaryIO, data: bytes, name: str) -> None:
    """Write all of it.

    Raises:
        UserError: if the disk is full or fails.
    """
    with written(name):
        left = memoryview(data)
        while left:
            left = left[file.write(left) :]


@contextmanager
def written(name: str) -> Iterator[None]:
    """Turn what a disk says into one sentence about the file of that name."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"The disk is full: '{name}' does not fit; free some space, {_AGAIN}.") from error
        raise UserError(
            f"'{name}' could not be written ({error.strerror}); choose another folder, {_AGAIN}."
        ) from error


def parts_in(folder: Path) -> dict[Path, Path]:
    """The parts that an earlier run left below a folder, by where their files will lie."""
    found: dict[Path, Path] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".part") and (named := _NAME.fullmatch(name)):
                found[Path(root, named[1])] = Path(root, name)
    return found


def _mark(version: str) -> str:
    return hashlib.blake2b(version.encode(errors="replace"), digest_size=4).hexdigest()

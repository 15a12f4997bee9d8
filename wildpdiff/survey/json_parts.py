"""Large JSON documents read part by part: what stands in the top object, its long lists in pieces of whole records.

Most of the work is done by a C decoder on pieces of many records; where that fails (NaN, the end of a list), a piece
is read record by record.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple, cast

import orjson

BLOCK = 200_000
"""Bytes that are decoded at once; what they become fits into a processor's cache, which makes it twice as fast."""
LONGEST = 64_000_000
"""Bytes that one record, or one value that is no list of records, may have."""
_SPACE = b" \t\r\n"
_DECODER = json.JSONDecoder()
_HEAD = re.compile(rb'\{\s*"(?:[^"\\]|\\.)*"\s*:')
Open = Callable[[], BinaryIO]


class Part(NamedTuple):
    """A value of the top object, or a piece of one.

    `records` tells a piece of a list of objects, whose bytes begin at `at` in the file, from any other whole value.
    """

    key: str
    value: Any
    records: bool
    at: int


class NotJSONError(ValueError):
    """What was read is no whole JSON document with an object at its top."""


def parts(opened: Open, *, leap: frozenset[str] = frozenset(), names: frozenset[str] = frozenset()) -> Iterator[Part]:
    """Everything in the top object of a JSON document, in the file's order.

    Args:
        opened: opens the file anew.
        leap: lists of records that are only told, as an empty piece, and not read.
        names: keys of the top object by which the place behind such a list is found.

    Raises:
        NotJSONError, ValueError: if it is no such document.
    """
    with opened() as file:
        cursor = _Cursor(_as_utf8(file))
        if cursor.next() != b"{":
            raise NotJSONError("no object")
        cursor.take(1)
        going = cursor.next() != b"}"
        while going:
            key = cursor.value()
            if not isinstance(key, str) or cursor.next() != b":":
                raise NotJSONError("no key")
            cursor.take(1)
            if not cursor.long_list():
                yield Part(key, cursor.value(), False, cursor.at)
            elif key in leap:
                yield Part(key, [], True, cursor.at)
                going = cursor.leap(names)
                continue
            else:
                yield from cursor.records(key)
            going = cursor.another()


def pieces(opened: Open, at: int) -> Iterator[list[Any]]:
    """One list of records in pieces, from its first record on, which begins `at` this place.

    Raises:
        NotJSONError, ValueError: if it does not go on as it should.
    """
    with opened() as file:
        cursor = _Cursor(_as_utf8(file))
        cursor.seek(at)
        for part in cursor.records(""):
            yield part.value


def _as_utf8(file: BinaryIO) -> BinaryIO:
    """A file as it is, or what it holds if that is written in other Unicode or marked as such."""
    kind = json.detect_encoding(file.read(4))
    file.seek(0)
    if kind == "utf-8":
        return file
    return io.BytesIO(file.read().decode(kind).encode("utf-8", "surrogatepass"))


class _Cursor:
    """A place in a file, with the bytes that follow."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.at, self.left, self.whole = file, 0, b"", False

    def seek(self, at: int) -> None:
        self.file.seek(at)
        self.at, self.left = at, b""

    def more(self, size: int = BLOCK) -> bool:
        """Read on; whether there was something."""
        read = self.file.read(size)
        self.whole = self.whole or not read
        self.left += read
        return bool(read)

    def take(self, count: int) -> None:
        self.left, self.at = self.left[count:], self.at + count

    def next(self) -> bytes:
        """The next byte that is no space, which becomes the first one left.

        Raises:
            NotJSONError: if there is none.
        """
        while True:
            bare = self.left.lstrip(_SPACE)
            self.take(len(self.left) - len(bare))
            if bare:
                return self.left[:1]
            if not self.more():
                raise NotJSONError("it ends too early")

    def another(self) -> bool:
        """Whether something follows behind a comma, and not the object's end."""
        mark = self.next()
        if mark not in (b",", b"}"):
            raise NotJSONError("no comma")
        self.take(1)
        if mark == b",":
            self.next()
        return mark == b","

    def value(self) -> Any:
        """The whole value that comes next."""
        self.next()
        size = BLOCK
        while True:
            text = self._text()
            try:
                found, end = _DECODER.raw_decode(text)
                # A number at the end of what was read may go on.
                if end < len(text) or self.whole or isinstance(found, str | list | dict):
                    self._drop(text, end)
                    return found
            except ValueError:
                if self.whole:
                    raise
            if len(self.left) > LONGEST:
                raise NotJSONError("a value is too long")
            self.more(size)
            size *= 2

    def long_list(self) -> bool:
        """Whether a list of objects comes next; then its first record does."""
        if self.next() != b"[":
            return False
        while not (rest := self.left[1:].lstrip(_SPACE)) and self.more():
            pass
        if rest[:1] != b"{":
            return False
        self.take(len(self.left) - len(rest))
        return True

    def records(self, key: str) -> Iterator[Part]:
        """A list of objects in pieces, up to behind its end."""
        self.more()
        head, ended = _HEAD.match(self.left), False
        while not ended:
            while len(self.left) < BLOCK and self.more():
                pass
            at, piece = self.at, self._piece(head[0]) if head else None
            if piece is None:
                piece, ended = self._one_by_one()
            yield Part(key, piece, True, at)

    def _piece(self, head: bytes) -> list[Any] | None:
        """As many whole records as there are in one go; None if that cannot be told.

        Args:
            head: how the first record begins, up to its first key, and with it probably all others.
        """
        cut = self.left.rfind(head, 1)
        records = self.left[: max(cut, 0)].rstrip(_SPACE)
        if not records.endswith(b","):
            return None
        text = b"[" + records[:-1] + b"]"
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            if b"NaN" not in text and b"Infinity" not in text:
                return None
            try:
                found = json.loads(text)
            except ValueError:
                return None
        self.take(cut)
        return cast("list[Any]", found)

    def _one_by_one(self) -> tuple[list[Any], bool]:
        """Whole records of what was read, and whether the list ends with them."""
        found: list[Any] = []
        text, place = self._text(), 0
        while True:
            try:
                record, place = _DECODER.raw_decode(text, place)
            except ValueError:
                if found:
                    break
                record = self.value()
                text, place = self._text(), 0
            found.append(record)
            after = _skipped(text, place)
            behind = _skipped(text, after + 1)
            if text[after : after + 1] != "," or behind >= len(text):
                break
            place = behind
        self._drop(text, place)
        return found, self._at_the_end()

    def _at_the_end(self) -> bool:
        """Whether a list ends here; if not, go to its next record."""
        mark = self.next()
        if mark in (b"]", b","):
            self.take(1)
        if mark == b",":
            self.next()
        return mark == b"]"

    def _drop(self, text: str, count: int) -> None:
        self.take(len(text[:count].encode("utf-8", "surrogatepass")))

    def _text(self) -> str:
        """What was read, as text, without a letter that is cut at its end."""
        try:
            return self.left.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            if self.whole or error.start < len(self.left) - 4:
                raise
            return self.left[: error.start].decode("utf-8", "surrogatepass")

    def leap(self, names: frozenset[str]) -> bool:
        """Go to the next of these keys of the top object, behind a list of records; whether there is one."""
        keys = "|".join(sorted(map(re.escape, names))).encode()
        behind = re.compile(rb'\}\s*\]\s*,\s*(?="(?:' + keys + rb')"\s*:\s*[\[{])')
        while True:
            found = behind.search(self.left)
            if found:
                self.take(found.end())
                return True
            self.take(max(0, len(self.left) - 1000))
            if not self.more():
                return False


def _skipped(text: str, place: int) -> int:
    """The next place that is no space."""
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place

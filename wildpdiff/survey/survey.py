"""A survey: a stream of photographs' records, and what was odd about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .records import Frame


@dataclass
class Oddity:
    """Something odd in records: what, as in "Photographs without a location", how often, and the first example."""

    what: str
    count: int = 0
    example: str = ""

    def __str__(self) -> str:
        if not self.count:
            return f"{self.what}."
        return f"{self.what}: {self.count:,}" + (f", such as '{self.example}'." if self.example else ".")


class Oddities:
    """What was odd, counted by what it is."""

    def __init__(self) -> None:
        self._found: dict[str, Oddity] = {}

    def add(self, what: str, example: str = "", count: int = 1) -> None:
        """Count one more (or more); the first example is kept."""
        known = self._found.setdefault(what, Oddity(what, 0, example))
        known.count += count

    def take(self, others: Iterable[Oddity]) -> None:
        """Count those of elsewhere, too."""
        for one in others:
            self.add(one.what, one.example, one.count)

    def __iter__(self) -> Iterator[Oddity]:
        return iter(self._found.values())


Read = Callable[[Oddities], Iterator[Frame]]


class Survey:
    """Photographs of camera traps, as some file or folder describes them; nothing of them is kept in memory.

    Attributes:
        kind: the format, in words.
        source: name of the file or folder.
        images: the folder that file names start from.
        read: its records, while what is odd is counted; `frames` is for everybody else.
        guessed: whether labels, if it has any, are a program's guesses.
        detector: name of the file that its boxes come from, if that is another one.
        categories: names that the source lists for what may be on a photograph, after a pass; none if it has no list.
    """

    def __init__(
        self, kind: str, source: str, images: Path, read: Read, *, guessed: bool = False, detector: str = ""
    ) -> None:
        self.kind, self.source, self.images = kind, source, images
        self.read, self.guessed, self.detector = read, guessed, detector
        self.categories: tuple[str, ...] = ()
        self._oddities = Oddities()

    def frames(self) -> Iterator[Frame]:
        """All photographs in the order of the source; every call begins anew.

        Raises:
            UserError: if the source is damaged further on, or none of its records can be used.
        """
        odd = Oddities()
        yield from self.read(odd)
        self._oddities = odd

    @property
    def oddities(self) -> tuple[Oddity, ...]:
        """What was odd, complete after a pass over `frames`."""
        return tuple(self._oddities)

    @property
    def notes(self) -> tuple[str, ...]:
        """`oddities` as sentences with counts."""
        return tuple(str(oddity) for oddity in self._oddities)

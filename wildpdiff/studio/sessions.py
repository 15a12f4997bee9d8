"""What each session wants now, so that work for something older ends by itself.

A run that is cancelled from outside can leave its button dead in the browser; one that ends does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

#: Sessions that are remembered; the oldest are forgotten.
MOST = 1000


@dataclass
class Newest:
    """The newest run of each session: a number that grows, counted here or stamped by its browser."""

    newest: dict[str, float] = field(default_factory=dict)
    _counted: Iterator[int] = field(default_factory=lambda: count(1))

    def begin(self, session: str, stamp: float | None = None) -> float:
        """Note a session's run, which ends all its earlier ones; returns the newest run's number."""
        number = next(self._counted) if stamp is None else stamp
        self.newest[session] = max(number, self.newest.pop(session, 0.0))
        while len(self.newest) > MOST:
            self.newest.pop(next(iter(self.newest)), None)
        return self.newest[session]

    def last(self, session: str) -> float:
        """The number of a session's newest run; 0 if it had none."""
        return self.newest.get(session, 0.0)

    def over(self, session: str, number: float) -> bool:
        """Whether a newer run of the session has begun."""
        return self.last(session) > number


def stamp_of(wish: object) -> float:
    """When a wish was made, in its browser's milliseconds; 0 if it does not say."""
    stamp = wish.get("stamp") if isinstance(wish, Mapping) else None
    return float(stamp) if isinstance(stamp, int | float) and abs(stamp) < 2**53 else 0.0

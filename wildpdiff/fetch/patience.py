"""How often, and after what wait, a server that did not give a file is asked again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Patience:
    """What is borne of a server.

    Attributes:
        tries: failures in a row without a further byte after which a file is given up.
        first: seconds before the second try; every further wait is twice as long.
        longest: seconds of such a wait, at most.
        obeyed: seconds that the server may ask for, at most.
        timeout: seconds without an answer, or a further byte, after which a connection is given up.
        sleep: waits for some seconds.
        chance: a number in 0..1 that spreads the waits of many, from half of each on.
    """

    tries: int = 6
    first: float = 1.0
    longest: float = 60.0
    obeyed: float = 600.0
    timeout: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random

    def delay(self, failures: int, asked: float | None) -> float:
        """Seconds until the next try, after some failures in a row; never less than the server asked for."""
        own = min(self.longest, self.first * 2 ** min(failures - 1, 30))
        return max(own * (0.5 + self.chance() / 2), min(asked or 0.0, self.obeyed))

    async def wait(self, failures: int, asked: float | None) -> None:
        """Wait as long as `delay` says."""
        await self.sleep(self.delay(failures, asked))


def asked_for(retry_after: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that the header `Retry-After` asks for, which has them or a date; None if it makes no sense."""
    if retry_after is None:
        return None
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None

"""Many files into one folder, a few at a time."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import httpx

from ..errors import UserError
from .ledger import Ledger
from .one import FailedError, client_for, fetch_one
from .part import Part, parts_in
from .patience import Patience
from .wanted import Wanted, host_of, place_of

#: Files that are fetched at once.
CONNECTIONS = 8
#: Files given up one after the other, at least, after which nothing more is asked of the server.
IN_A_ROW = 4
#: Seconds between two words on bytes.
BEAT = 0.5


class Problem(NamedTuple):
    """A file that did not come: why, and whether asking again later is of no use."""

    name: str
    reason: str
    lasting: bool


@dataclass
class Tally:
    """How far a fetch is; the same one goes on counting.

    Attributes:
        files: asked for, each name once.
        found: were there before.
        fetched: came.
        bytes: came over the network.
        expected: bytes of the files that are whole or under way in this run, what was there of them before left out.
        problems: files that did not come.
    """

    files: int
    found: int = 0
    fetched: int = 0
    bytes: int = 0
    expected: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Files that are there or will not come."""
        return self.found + self.fetched + len(self.problems)


def fetch_all(
    wanted: Sequence[Wanted],
    folder: Path,
    ledger: Path,
    *,
    connections: int = CONNECTIONS,
    patience: Patience | None = None,
) -> Iterator[Tally]:
    """Fetch what is not there yet, whole files and parts of an earlier run; yield at every file and now and then.

    Args:
        wanted: what to fetch; of two with one name the first.
        folder: that their names start from.
        ledger: a JSON file of sizes, see `Ledger`.
        connections: files at once.
        patience: with the servers.

    Raises:
        UserError: if a name would lie outside the folder, the disk is full or cannot be written, or the server gave
            none of several files in a row up to the last try.
    """
    crowd = _Crowd(wanted, folder, ledger, connections, patience or Patience())
    thread = threading.Thread(target=crowd.run, name="fetch", daemon=True)
    thread.start()
    told = -1
    try:
        while crowd.next():
            told = crowd.tally.done
            yield crowd.tally
    finally:
        crowd.stop()
        thread.join()
    if told != crowd.tally.done:
        yield crowd.tally


class _Crowd:
    """Workers that take one file after the other from a common list."""

    def __init__(
        self, wanted: Sequence[Wanted], folder: Path, ledger: Path, connections: int, patience: Patience
    ) -> None:
        by_name = {place_of(folder, one.name): one for one in reversed(wanted)}
        self._ledger, self._patience, self._connections = Ledger(ledger), patience, connections
        lacking = [(path, one) for path, one in reversed(by_name.items()) if not self._ledger.has(one.name, path)]
        self.tally = Tally(len(by_name), found=len(by_name) - len(lacking))
        self._begun = parts_in(folder) if lacking else {}
        self._lacking = iter(lacking)
        self._in_a_row, self._told = 0, time.monotonic()
        self._news: queue.SimpleQueue[Exception | bool] = queue.SimpleQueue()
        self._stop, self._running = asyncio.Event(), threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> None:
        """Fetch everything; in a thread of its own, which Ctrl-C does not reach."""
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                self._running.set()
                runner.run(self._fetch())
        except Exception as error:
            self._news.put(error)
        finally:
            self._running.set()
            self._ledger.save()
            self._news.put(False)

    def next(self) -> bool:
        """Wait for news; whether there are any, and not the end.

        Raises:
            UserError: as `fetch_all`.
        """
        while True:
            with suppress(queue.Empty):  # where Ctrl-C does not end a wait, it is heard between two
                news = self._news.get(timeout=BEAT)
                if isinstance(news, Exception):
                    raise news
                return news

    def stop(self) -> None:
        """Let go of everything; parts stay."""
        self._running.wait()
        with suppress(RuntimeError):  # it has ended by itself
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)

    async def _fetch(self) -> None:
        async with client_for(self._connections, self._patience) as client:
            going = {asyncio.create_task(self._work(client)) for _ in range(self._connections)}
            tasks = {*going, stop := asyncio.create_task(self._stop.wait())}
            try:
                while going and not stop.done():
                    done, _ = await asyncio.wait({*going, stop}, return_when=asyncio.FIRST_COMPLETED)
                    for one in done & going:
                        one.result()
                    going -= done
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, client: httpx.AsyncClient) -> None:
        for path, one in self._lacking:
            await self._take(client, one, Part(path, self._begun.get(path)))
            self._news.put(True)

    async def _take(self, client: httpx.AsyncClient, one: Wanted, part: Part) -> None:
        heard = _Heard(self, part.have)
        try:
            size = await fetch_one(client, one, part, self._patience, heard)
        except FailedError as error:
            self._fail(one, error)
        else:
            heard(0, size)
            self.tally.fetched, self._in_a_row = self.tally.fetched + 1, 0
            self._ledger.note(one.name, size)

    def _fail(self, one: Wanted, error: FailedError) -> None:
        """Write a file off; many in a row are the server's or the network's fault.

        Raises:
            UserError: if no server seems to be there.
        """
        self.tally.problems.append(Problem(one.name, error.reason, error.lasting))
        self._in_a_row = 0 if error.lasting else self._in_a_row + 1
        if self._in_a_row >= max(self._connections, IN_A_ROW):
            left = self.tally.files - self.tally.found - self.tally.fetched
            raise UserError(
                f"'{host_of(one.address)}' does not give its files ({error.reason}); {left:,} are not there yet: check "
                "the network and the address, then run the same command again, and it goes on from there."
            )

    def hear(self, came: int, expected: int) -> None:
        """Count bytes, and say so now and then."""
        self.tally.bytes += came
        self.tally.expected += expected
        if time.monotonic() - self._told > BEAT:
            self._told = time.monotonic()
            self._news.put(True)


class _Heard:
    """Counts one file's bytes for all."""

    def __init__(self, crowd: _Crowd, had: int) -> None:
        self._crowd, self._had, self._expected = crowd, had, 0

    def __call__(self, came: int, total: int) -> None:
        expected = total - self._had
        self._crowd.hear(came, expected - self._expected)
        self._expected = expected

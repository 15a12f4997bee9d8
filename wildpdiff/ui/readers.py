"""Who reads what the server answers: open streams, by session; an ASGI middleware counts them."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

#: Streams of answers: of a session, and of one call of the API, which is a session of its own; and the page's sign of
#: life, which is open as long as the page is.
ANSWERS = re.compile(r"/gradio_api/queue/data/?$")
CALLED = re.compile(r"/gradio_api/call/(?:v2/)?[^/]+/(?P<session>[^/]+)/?$")
ALIVE = re.compile(r"/gradio_api/heartbeat/(?P<session>[^/]+)/?$")


@dataclass
class Readers:
    """Open streams by session."""

    reading: Counter[str] = field(default_factory=Counter)
    alive: Counter[str] = field(default_factory=Counter)

    def reads(self, session: str) -> bool:
        """Whether somebody reads the answers of a session."""
        return self.reading[session] > 0

    def here(self, session: str) -> bool:
        """Whether somebody reads them, or has the page open and will."""
        return self.reads(session) or self.alive[session] > 0

    @contextmanager
    def open(self, kind: Counter[str], session: str) -> Iterator[None]:
        """A stream, for as long as it is open."""
        kind[session] += 1
        try:
            yield
        finally:
            kind[session] -= 1
            if kind[session] <= 0:
                del kind[session]


class Attendance:
    """Counts the streams that are open, in the `readers` of the app's queue."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        readers = readers_of(scope)
        session = _session(scope) if readers else None
        if readers is None or session is None:
            await self.app(scope, receive, send)
            return
        kind = readers.alive if ALIVE.search(scope["path"]) else readers.reading
        with readers.open(kind, session):
            await self.app(scope, receive, send)


def readers_of(scope: Scope) -> Readers | None:
    """The readers of the app that serves a request, if its queue knows them."""
    if scope["type"] != "http" or "app" not in scope:
        return None
    found = getattr(getattr(scope["app"].get_blocks(), "_queue", None), "readers", None)
    return found if isinstance(found, Readers) else None


def _session(scope: Scope) -> str | None:
    """The session whose stream a request opens."""
    if scope["method"] != "GET":
        return None
    if ANSWERS.search(scope["path"]):
        return next(iter(parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])), None)
    found = CALLED.search(scope["path"]) or ALIVE.search(scope["path"])
    return found["session"] if found else None

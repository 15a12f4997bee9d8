"""What comes through the app's doors: which are closed, how much may come at once, and what proxies have to know."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gradio.utils import get_upload_folder
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

from ..labelled import MAX_ARCHIVE
from ..picture import MAX_BYTES
from .folder import room
from .queueing import misfit
from .readers import Attendance

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Doors of Gradio's that this app has no use for; behind some, what a visitor sent would be written to the disk.
CLOSED = re.compile(
    r"/gradio_api/(deep_link|process_recording|vibe-\w|run-history|runs|stream/|component_server|custom_component/|"
    r"proxy=|dev/)|/(login|logout|monitoring)(/|$)"
)
DIRECT = re.compile(r"/gradio_api/(run|api)/[^/]+/?$")
UPLOAD = re.compile(r"/gradio_api/upload/?$")
#: Bytes of a request at most: of a file with what surrounds it; and of JSON, which holds a picture in letters.
FILE, JSON = MAX_ARCHIVE + 1_000_000, MAX_BYTES * 7 // 5 + 1_000_000


def middleware() -> list[Middleware]:
    """What every request goes through before Gradio has it."""
    return [Middleware(Doors), Middleware(Attendance)]


class Doors:
    """Closes the doors that nobody needs, and those that are left to what is too large."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if CLOSED.search(scope["path"]):
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
            return
        upload = bool(UPLOAD.search(scope["path"]))
        most, said = FILE if upload else JSON, int(Headers(scope=scope).get("content-length") or 0)
        if said > most:
            await _too_large(most)(scope, receive, send)
        elif upload and not await run_in_threadpool(room, Path(get_upload_folder()), said or most):
            sentence = "The server has no room for further files; try again in a minute."
            await JSONResponse({"detail": sentence}, 503)(scope, receive, send)
        else:
            await self._within(most, scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on a call of a listener that takes no turn, if its values fit; else answer with one sentence."""
        if scope["method"] != "POST" or not DIRECT.search(scope["path"]):
            await self.app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] != "http.request" or not message.get("more_body"):
                break
        wrong = _wrong(scope, body)
        if wrong:
            await JSONResponse({"error": wrong, "detail": wrong}, 400)(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, again, send)

    async def _within(self, most: int, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, but no more than so many bytes of it."""
        body = _Body(most, receive)

        async def answer(message: Message) -> None:
            if not body.over:
                await send(_unbuffered(message))

        with suppress(_TooLargeError):
            await self._checked(scope, body.next, answer)
        if body.over:
            await _too_large(most)(scope, receive, send)


class _TooLargeError(Exception):
    """A request is larger than it may be."""


@dataclass
class _Body:
    """A request's body, counted as it comes."""

    most: int
    receive: Receive
    came: int = 0

    @property
    def over(self) -> bool:
        """Whether more came than may."""
        return self.came > self.most

    async def next(self) -> Message:
        """The next part of it."""
        message = await self.receive()
        self.came += len(message.get("body", b""))
        if self.over:
            raise _TooLargeError
        return message


def _wrong(scope: Scope, body: bytes) -> str | None:
    """What is wrong with a direct call of a listener; None if that is for Gradio to find out."""
    try:
        given = json.loads(body)
    except ValueError:
        return None
    index, data = (given.get("fn_index"), given.get("data")) if isinstance(given, dict) else (None, None)
    if not isinstance(index, int) or not isinstance(data, list) or "app" not in scope:
        return None
    listener = scope["app"].get_blocks().fns.get(index)
    if listener is None:
        return f"There is no listener {index}; open the page anew."
    return misfit(listener, data, given.get("event_data"))


def _too_large(most: int) -> JSONResponse:
    return JSONResponse({"detail": f"No more than {most // 1_000_000} MB can be sent at once."}, 413)


def _unbuffered(message: Message) -> Message:
    """A stream of answers must not be held back by a proxy until it is complete; nginx reads this header."""
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        if headers.get("content-type", "").startswith("text/event-stream"):
            headers["X-Accel-Buffering"] = "no"
    return message

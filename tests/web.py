"""A server on this machine that has some files, whose faults are drawn by a seed, and which counts what it gave."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What can go wrong with an answer, and right the next time.
BUSY, CUT, STALL, LONG, RESET = FAULTS = ("busy", "cut", "stall", "long", "reset")


@dataclass
class Web:
    """Files by path, and how badly they are served.

    Attributes:
        files: their bytes.
        share: of answers that go wrong.
        kinds: in which ways: 503 with `Retry-After`; half of the body; half, and then nothing for `stalled` seconds; a
            length that is told too large; no answer at all.
        seed: of the faults; those of a path's n-th request are always the same.
        block: bytes that are sent at once, with `pause` seconds between them.
        ranges: whether parts can be asked for.
        told: other lengths than the true ones, by path.
        whole: how often the whole body of each path was sent, by one answer or the last of several.
        asked: method, path and range of every request.
        at_once: the most answers that were under way at the same time.
    """

    files: Mapping[str, bytes]
    share: float = 0.0
    kinds: tuple[str, ...] = FAULTS
    seed: int = 0
    block: int = 1 << 16
    pause: float = 0.0
    stalled: float = 1.0
    ranges: bool = True
    told: dict[str, int] = field(default_factory=dict)
    whole: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    at_once: int = 0
    address: str = ""
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, path: str, count: int) -> str | None:
        """What goes wrong with the `count`-th request of a path."""
        drawn = hashlib.blake2b(f"{self.seed} {path} {count}".encode(), digest_size=8).digest()
        if int.from_bytes(drawn[:4]) / 2**32 >= self.share:
            return None
        return self.kinds[int.from_bytes(drawn[4:]) % len(self.kinds)]

    def gets(self, path: str) -> list[str | None]:
        """The ranges of all requests for a path."""
        return [asked for method, own, asked in self.asked if method == "GET" and own == path]

    def enter(self, method: str, path: str, asked: str | None) -> int:
        with self._lock:
            self.asked.append((method, path, asked))
            self._under_way += 1
            self.at_once = max(self.at_once, self._under_way)
            return sum(method == "GET" and own == path for method, own, _ in self.asked)

    def leave(self) -> None:
        with self._lock:
            self._under_way -= 1

    def sent(self, path: str, count: int, whole: bool) -> None:
        with self._lock:
            self.bytes[path] += count
            self.whole[path] += whole


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path, asked = self.path, self.headers.get("Range")
        self.web.agents.add(self.headers.get("User-Agent", ""))
        count = self.web.enter(self.command, path, asked)
        try:
            self._give(path, asked, self.web.fault(path, count) if body else None, body)
        except OSError:  # the other side is gone
            self.close_connection = True
        finally:
            self.web.leave()

    def _give(self, path: str, asked: str | None, fault: str | None, body: bool) -> None:
        self.web.faults[fault or "none"] += 1
        data = self.web.files.get(path)
        if fault in (BUSY, RESET):
            self.close_connection = True
            if fault == BUSY:
                self._head(503, {"Retry-After": "7", "Content-Length": "0"})
            return
        if data is None:
            self._head(404, {"Content-Length": "9"})
            self.wfile.write(b"not there" if body else b"")
            return
        begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.web.ranges else 0  # type: ignore[index]
        if begin >= len(data):
            self._head(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
            return
        length = self.web.told.get(path, len(data)) - begin + (9 if fault == LONG else 0)
        headers = {"Content-Length": str(length), "ETag": f'"{hashlib.sha256(data).hexdigest()[:16]}"'}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        self._head(206 if begin else 200, headers)
        if body:
            self._send(path, data, begin, fault)

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, path: str, data: bytes, begin: int, fault: str | None) -> None:
        end = begin + (len(data) - begin) // 2 if fault in (CUT, STALL) else len(data)
        for at in range(begin, end, self.web.block):
            self.wfile.write(data[at : min(end, at + self.web.block)])
            time.sleep(self.web.pause)
        self.wfile.flush()
        self.web.sent(path, end - begin, end == len(data))
        if fault == STALL:
            time.sleep(self.web.stalled)
        self.close_connection = self.close_connection or fault is not None or path in self.web.told


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def served(files: Mapping[str, bytes], **how: Any) -> Iterator[Web]:
    """A `Web` at its address."""
    web = Web(files, **how)
    with listening(type("Handler", (_Handler,), {"web": web})) as web.address:
        yield web


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server of this computer whose requests a handler answers."""
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

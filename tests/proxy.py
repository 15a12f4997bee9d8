"""A reverse proxy as nginx is by default: strips a prefix, holds answers back, and lets 1 MB through."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PREFIX, MOST = "/wild", 1_000_000
TOO_LARGE = b"<html><head><title>413 Request Entity Too Large</title></head><body><hr>nginx</body></html>"


class Stripping(BaseHTTPRequestHandler):
    """One request: `upstream` is the app's host and port."""

    upstream = ("127.0.0.1", 0)

    def pass_on(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if self.path == "/favicon.ico":  # the browser's own wish, at the root of the host
            self._whole(204, {}, b"")
        elif not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404)
        elif size > MOST:
            self._whole(413, {"Content-Type": "text/html"}, TOO_LARGE)
        else:
            self._ask(self.rfile.read(size) if size else None)

    do_GET = do_POST = do_HEAD = pass_on  # noqa: N815

    def _ask(self, body: bytes | None) -> None:
        app = http.client.HTTPConnection(*self.upstream, timeout=120)
        unsaid = ("connection", "content-length", "x-forwarded-for", "x-forwarded-proto")
        headers = {name: value for name, value in self.headers.items() if name.lower() not in unsaid}
        headers |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "http", "Connection": "close"}
        try:
            app.request(self.command, self.path.removeprefix(PREFIX), body, headers)
            answer = app.getresponse()
            kept = {n: v for n, v in answer.getheaders() if n.lower() not in ("transfer-encoding", "connection")}
            if answer.getheader("X-Accel-Buffering") == "no":
                self._streamed(answer, kept)
            else:
                self._whole(answer.status, kept, answer.read())
        except OSError:  # the visitor went
            self.close_connection = True
        finally:
            app.close()

    def _whole(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self._begin(status, {name: value for name, value in headers.items() if name.lower() != "content-length"})
        self.wfile.write(body)

    def _streamed(self, answer: http.client.HTTPResponse, headers: dict[str, str]) -> None:
        self._begin(answer.status, headers)
        while part := answer.read1(65_536):
            self.wfile.write(part)
            self.wfile.flush()

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in (headers | {"Connection": "close"}).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def proxied(address: str) -> Iterator[str]:
    """The address at which a proxy shows an app."""
    where = urlsplit(address)
    handler = type("Handler", (Stripping,), {"upstream": (where.hostname, where.port)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}/"
    finally:
        server.shutdown()
        server.server_close()

"""One file from a server: tried until it is whole, or known not to come."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx

from .. import __version__
from .part import Part, add
from .patience import Patience, asked_for
from .wanted import Wanted

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_BUSY = (408, 425, 429)
_HOPELESS = (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, httpx.LocalProtocolError)


class FailedError(Exception):
    """A file does not come: why, and whether asking again later is of no use."""

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.reason, self.lasting = reason, lasting


class _CutError(Exception):
    """A try that failed and may go well the next time, after the seconds that the server asked for."""

    def __init__(self, reason: str, asked: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.asked = reason, asked


def client_for(connections: int, patience: Patience) -> httpx.AsyncClient:
    """Connections that say who is there, and stay open from file to file."""
    return httpx.AsyncClient(
        headers={"User-Agent": f"wildpdiff/{__version__} httpx/{httpx.__version__}", "Accept-Encoding": "identity"},
        timeout=httpx.Timeout(patience.timeout, pool=None),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        follow_redirects=True,
    )


async def fetch_one(
    client: httpx.AsyncClient, wanted: Wanted, part: Part, patience: Patience, told: Callable[[int, int], None]
) -> int:
    """Fetch a file, going on from what is there; the bytes that it has.

    Args:
        client: of `client_for`.
        wanted: where from.
        part: where to.
        patience: how often to try.
        told: hears how many bytes came, and how many the whole has.

    Raises:
        FailedError: if it does not come.
        UserError: if it cannot be written.
    """
    failures = 0
    while not part.whole:
        before = part.have
        try:
            await _attempt(client, wanted, part, told)
            continue
        except _HOPELESS as error:
            raise FailedError(_words(error, patience), lasting=True) from error
        except httpx.HTTPError as error:
            cut = _CutError(_words(error, patience))
        except _CutError as error:
            cut = error
        failures = 1 if part.have > before else failures + 1
        if failures > patience.tries:
            raise FailedError(cut.reason, lasting=False)
        await patience.wait(failures, cut.asked)
    size = part.total
    part.finish()
    return size


async def _attempt(client: httpx.AsyncClient, wanted: Wanted, part: Part, told: Callable[[int, int], None]) -> None:
    """One request, whose answer is written as it comes."""
    have = part.have
    headers = {"Range": f"bytes={have}-"} if have else {}
    async with client.stream("GET", wanted.address, headers=headers) as answer:
        _check_status(answer, part)
        total, version = _total(answer, have), _version(answer)
        if wanted.size is not None and total != wanted.size:
            part.drop()
            raise _CutError(f"it has {total:,} bytes there, where {wanted.size:,} were told")
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            part.begin(total, version)
        elif not part.goes_on(total, version):
            part.drop()
            raise _CutError("it changed meanwhile")
        with part.opened() as file:
            async for block in answer.aiter_raw():  # as they come: a cut loses none
                add(file, block, part.final.name)
                told(len(block), total)
    if part.have != total:
        part.drop()
        raise _CutError("it came with a wrong size")


def _check_status(answer: httpx.Response, part: Part) -> None:
    """Raises `_CutError` or `FailedError` unless the answer has the file, or more of it."""
    status = answer.status_code
    if status in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        return
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        if answer.headers.get("Content-Range") == f"bytes */{part.have}":  # it was told longer than it is
            part.settle(part.have)
        else:
            part.drop()
        raise _CutError("it came with a wrong size")
    if status in _BUSY or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise _CutError(f"the server is busy, {status}", asked_for(answer.headers.get("Retry-After")))
    raise FailedError("not there, 404" if status == httpx.codes.NOT_FOUND else f"refused, {status}", lasting=True)


def _total(answer: httpx.Response, have: int) -> int:
    """Bytes of the whole file, as the answer tells.

    Raises:
        _CutError: if it does not, or goes on at another place.
    """
    length = answer.headers.get("Content-Length", "")
    if answer.status_code == httpx.codes.PARTIAL_CONTENT:
        said = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if said is None or int(said[1]) != have:
            raise _CutError("the server went on at another place")
        return int(said[2])
    if not (length.isascii() and length.isdigit()):
        raise _CutError("the server does not tell its size")
    if int(length) == 0:
        raise _CutError("it is empty there")
    return int(length)


def _version(answer: httpx.Response) -> str:
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def _words(error: Exception, patience: Patience) -> str:
    """What went wrong, without a library's own words."""
    if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.TimeoutException):
        return f"nothing came for {patience.timeout:g} s"
    return "the address leads nowhere" if isinstance(error, _HOPELESS) else "the connection was cut"

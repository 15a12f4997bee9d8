"""Where the app listens: which hosts and ports can be had, and what stands in the way of the others."""

from __future__ import annotations

import errno
import socket
from typing import Any

from ..errors import UserError

PORTS = 65_535
#: Gradio looks for a free port here, wherever it listens.
LOOPBACK = "127.0.0.1"
Place = tuple[int, Any]
#: Ports below are the administrator's.
PLAIN = 1024


def check_port(port: int) -> None:
    """Refuse a number that is no port.

    Raises:
        UserError: saying which are.
    """
    if not 0 <= port <= PORTS:
        raise UserError(f"A port is a number from 1 to {PORTS} (or 0 for any that is free), not {port}.")


def check_host(host: str) -> None:
    """Refuse a host at which this computer cannot listen.

    Raises:
        UserError: saying what it is instead.
    """
    for place in _places(host, 0):
        problem = _problem(place)
        if problem is not None:
            raise UserError(_sentence(host, problem))


def free_port(host: str, wanted: int, *, tries: int = 100) -> int:
    """The wanted port, or the next one that nobody listens on; of 0, any.

    Raises:
        UserError: if there is none, or none can be had on this host.
    """
    check_port(wanted)
    if wanted == 0:
        return _any(host)
    last = min(wanted + tries - 1, PORTS)
    for port in range(wanted, last + 1):
        found = [_problem(place) for place in (*_places(host, port), *_places(LOOPBACK, port))]
        problem = next((one for one in found if one is not None), None)
        if problem is None:
            return port
        if problem == errno.EACCES:
            raise UserError(f"Ports below {PLAIN} need an administrator's rights; give another --port than {port}.")
        if problem != errno.EADDRINUSE:
            raise UserError(_sentence(host, problem))
    raise UserError(f"Ports {wanted} to {last} are all taken on {host}; give another --port.")


def bracketed(host: str) -> str:
    """A host as it stands in an address: one of IPv6 in brackets."""
    return f"[{plain(host)}]" if ":" in host else host


def plain(host: str) -> str:
    """A host without the brackets that an address puts around it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _any(host: str) -> int:
    (family, place), *_ = _places(host, 0)
    with socket.socket(family) as probe:
        try:
            probe.bind(place)
        except OSError as error:
            raise UserError(_sentence(host, error.errno or 0)) from None
        return int(probe.getsockname()[1])


def _places(host: str, port: int) -> list[Place]:
    """Where a host's port is to be had: address family, and what `bind` takes.

    Raises:
        UserError: if nobody knows such a host.
    """
    try:
        known = socket.getaddrinfo(plain(host) or " ", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise UserError(
            f"'{host}' is neither an address nor a name that this computer knows; give --host {LOOPBACK} for this "
            "computer alone, or 0.0.0.0 for all that can reach it."
        ) from None
    return [(int(family), place) for family, _, _, _, place in known]


def _problem(place: Place) -> int | None:
    """The number of the error that listening there meets; None if there is none."""
    family, address = place
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.errno or errno.EINVAL
    return None


def _sentence(host: str, problem: int) -> str:
    if problem in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return (
            f"This computer has no address '{plain(host)}' to listen on; give --host {LOOPBACK} for this computer "
            "alone, 0.0.0.0 for all its addresses, or one of its own."
        )
    return f"Nothing can listen on '{plain(host)}' ({errno.errorcode.get(problem, problem)}); give another --host."

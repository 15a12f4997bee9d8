"""What is to be fetched: an address of the web, and a name below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from ..errors import UserError, readable


@dataclass(frozen=True)
class Wanted:
    """A file to fetch.

    Attributes:
        address: where from; see `checked_address`.
        name: where to, from the folder on, with `/`.
        size: its bytes, where somebody told them.
    """

    address: str
    name: str
    size: int | None = None


def is_address(text: str) -> bool:
    """Whether a text looks like an address, and not like a path."""
    return "://" in text


def checked_address(text: str) -> str:
    """The same text, if it is an address that files may be fetched from.

    Raises:
        UserError: if it does not begin with http:// or https:// and a host.
    """
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        fits = False
    if not fits:
        raise UserError(
            f"'{text[:80]}' is no address to fetch from; it must begin with https:// and a host, or http://."
        )
    return text


def host_of(address: str) -> str:
    """The server of a checked address."""
    return urlsplit(address).hostname or ""


def below(base: str, name: str) -> str:
    """The address of a file below another address."""
    return f"{base.rstrip('/')}/{quote(name)}"


def place_of(folder: Path, name: str) -> Path:
    """Where a file of that name lies in a folder.

    Raises:
        UserError: if it would lie outside, or no file can have that name.
    """
    root = Path(os.path.normpath(folder))
    path = Path(os.path.normpath(folder / name))
    if path == root or not path.is_relative_to(root) or not _nameable(name):
        raise UserError(f"'{readable(name)[:80]}' is no name of a file inside the folder; nothing is written there.")
    return path


def _nameable(name: str) -> bool:
    try:
        return b"\0" not in name.encode("utf-8")
    except UnicodeEncodeError:
        return False

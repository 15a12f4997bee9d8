"""Worlds: where labelled images come from. Each kind is a module of this package with a function `open_world`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from ..errors import UserError
from .base import World


def open_world(spec: Mapping[str, Any], folder: Path = Path()) -> World:
    """Open the world that a spec describes; the same object for the same spec.

    Args:
        spec: its `kind`, the name of a module of this package, and what that module's `open_world` wants to know.
        folder: that the spec's own paths start from, such as a bundle's.

    Raises:
        UserError: if the kind is not known, or the spec does not fit it.
    """
    return _opened(json.dumps(spec, sort_keys=True), folder)


@lru_cache(maxsize=8)
def _opened(spec: str, folder: Path) -> World:
    described = json.loads(spec)
    kind = str(described.get("kind"))
    modules = {name: import_module(f".{name}", __name__) for _, name, _ in iter_modules(__path__) if name == kind}
    if kind not in modules or not hasattr(modules[kind], "open_world"):
        raise UserError(f"Worlds of kind '{kind}' are not known; a kind is a module of 'wildpdiff/worlds'.")
    world: World = modules[kind].open_world(described, folder)
    return world

"""The manifest of a bundle: written when the folder is finished, and held against every file when it is opened."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from .errors import UserError
from .files import load_json, remedy, save_json, sha256, told
from .variant import variants_from_json

FORMAT = 5
MANIFEST = "bundle.json"
#: The kind of world whose photographs lie in the bundle itself (see `worlds.stored`).
STORED = "stored"


def seal(folder: Path, about: dict[str, Any]) -> None:
    """Write the manifest of a finished folder: `about`, the format and the checksum of every file in it.

    The folder `work` of a training run is no part of the bundle.
    """
    names = {path.relative_to(folder) for path in folder.rglob("*") if path.suffix in (".safetensors", ".json")}
    sums = {name.as_posix(): sha256(folder / name) for name in sorted(names) if name.parts[0] not in (MANIFEST, "work")}
    save_json(folder / MANIFEST, sealed({"format": FORMAT, **about, "files": sums}))


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest with the checksum of its content."""
    return manifest | {"sum": _sum(manifest)}


def read_manifest(folder: Path, name: str | None = None) -> dict[str, Any]:
    """The manifest of a bundle, whose every file has the checksum that it names.

    Args:
        folder: of the bundle.
        name: what a sentence calls the bundle; None is the folder's own name.

    Raises:
        UserError: if a file is missing or damaged, or the bundle is of another version.
    """
    name = name or folder.name
    if not _is_there(folder / MANIFEST):
        raise UserError(f"'{name}' is not a bundle (it has no {MANIFEST}); make one with `wildpdiff train --out DIR`.")
    manifest = load_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError(f"'{name}' is a bundle of another version; this program reads version {FORMAT}.")
    with told(folder / MANIFEST, "a manifest"):
        whole = manifest.get("sum") == _sum(manifest)
    if not whole:
        raise UserError(f"The bundle's '{MANIFEST}' is damaged (its checksum differs); fetch it again or make it anew.")
    _check_parts(manifest)
    _check_files(folder, name, manifest["files"])
    variants_from_json(manifest.get("variants"))
    return manifest


def _sum(manifest: dict[str, Any]) -> str:
    """Checksum of a manifest's content, all but the checksum itself."""
    return digest({key: value for key, value in manifest.items() if key != "sum"})


def digest(content: Any) -> str:
    """Checksum of a JSON value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_there(path: Path) -> bool:
    """Whether there is such a file.

    Raises:
        UserError: if its folder is not to be read.
    """
    with told(path, "a file"):
        return path.exists()


def _check_parts(manifest: dict[str, Any]) -> None:
    """Refuse a manifest that lacks a part, or one of another kind."""
    for name, kind in (("files", dict), ("seen", list), ("unseen", list), ("figures", dict), ("world", dict)):
        part = manifest.get(name)
        texts = isinstance(part, list) or name == "files"
        if not isinstance(part, kind) or (texts and not all(isinstance(each, str) for each in _texts(part))):
            raise UserError(f"The bundle's '{MANIFEST}' is damaged (its '{name}'); fetch it again or make it anew.")
    if not _are_figures(manifest["figures"]):
        raise UserError(f"The bundle's '{MANIFEST}' is damaged (its 'figures'); fetch it again or make it anew.")
    if not manifest["seen"]:
        raise UserError(f"The bundle's '{MANIFEST}' names no seen location; fetch it again or make it anew.")


def _are_figures(value: Any) -> bool:
    """Whether a manifest's figures are objects as far as the app looks into them."""
    if not isinstance(value, dict) or not all(isinstance(own, dict) for own in value.values()):
        return False
    kinds = [own.get(part, {}) for own in value.values() for part in ("locations", "unseen")]
    if not all(isinstance(kind, dict) for kind in kinds):
        return False
    cells = [cell for kind in kinds for cell in kind.values()]
    return all(
        isinstance(cell, dict) and all(isinstance(cell.get(name), dict | None) for name in ("fine_tuned", "generated"))
        for cell in cells
    )


def _texts(part: Any) -> Iterable[Any]:
    return part.values() if isinstance(part, dict) else part


def check_inside(manifest: dict[str, Any]) -> None:
    """Refuse a manifest that names files outside of its bundle's folder, as a stranger's must not.

    Raises:
        UserError: naming the first.
    """
    world = manifest["world"]
    of_world = () if world.get("kind") == STORED else _words(world)  # whose words are names of species and cameras
    for word in (*manifest["files"], *_words(manifest["variants"]), *of_world):
        if PurePosixPath(word).is_absolute() or PureWindowsPath(word).drive or ".." in re.split(r"[/\\]", word):
            raise UserError(f"The bundle names what lies outside of it ('{word}'); do not use it.")


def _words(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _words(part)


def _check_files(folder: Path, bundle: str, sums: dict[str, str]) -> None:
    for name, expected in sums.items():
        path = folder / name
        if not _is_there(path):
            raise UserError(f"The bundle '{bundle}' lacks '{name}'; fetch it again or make it anew.")
        if sha256(path) != expected:
            advice = remedy(path).replace("fetch or", "fetch it again or")
            raise UserError(f"The bundle's '{name}' is damaged (its checksum differs); {advice}.")

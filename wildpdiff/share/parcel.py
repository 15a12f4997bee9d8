"""What of a bundle goes to the hub: its files, a card, and a manifest that names nobody's folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..bundle import Bundle
from ..hub import Repo, sent
from ..manifest import MANIFEST, sealed
from .card import card_of

CARD = "README.md"
#: Before a folder's path in the name of a condition.
_LOCAL = "local-dir:"


@dataclass(frozen=True)
class Parcel:
    """All files of a bundle, ready to be sent.

    Attributes:
        repo: where to.
        files: by name: where the file lies, or what it holds.
    """

    repo: Repo
    files: Mapping[str, Path | bytes]

    @classmethod
    def of(cls, bundle: Bundle, repo: Repo, *, data_licence: str = "") -> Parcel:
        """What is sent of an opened bundle; the files are those that its manifest lists, and no others.

        Raises:
            UserError: as `card.card_of`.
        """
        files: dict[str, Path | bytes] = {name: bundle.folder / name for name in sorted(bundle.manifest["files"])}
        public = _public(bundle.manifest)
        text = json.dumps(public, ensure_ascii=False, indent=1) + "\n"
        files[MANIFEST] = bundle.folder / MANIFEST if public == bundle.manifest else text.encode()
        files[CARD] = card_of(bundle, str(repo), data_licence=data_licence).encode()
        return cls(repo, files)

    @property
    def card(self) -> str:
        """The card, in Markdown."""
        card = self.files[CARD]
        return card.decode() if isinstance(card, bytes) else card.read_text(encoding="utf-8")

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {
            name: len(part) if isinstance(part, bytes) else part.stat().st_size for name, part in self.files.items()
        }

    def send(self, *, private: bool = False, token: str | None = None) -> str:
        """Send everything in one commit; returns the commit's address. Errors as of `hub.sent`."""
        return sent(self.repo, self.files, message="A bundle", private=private, token=token, whole=MANIFEST)


def _public(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest, with the last part of each path alone that its recipe names."""
    if "recipe" not in manifest:
        return manifest
    content = {key: value for key, value in manifest.items() if key != "sum"}
    return sealed(content | {"recipe": _without_folders(content["recipe"])})


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_folders(part) for part in value]
    if not isinstance(value, str):
        return value
    kind, path = (_LOCAL, value.removeprefix(_LOCAL)) if value.startswith(_LOCAL) else ("", value)
    for system in (PurePosixPath, PureWindowsPath):
        if system(path).is_absolute():
            return kind + system(path).name
    return value

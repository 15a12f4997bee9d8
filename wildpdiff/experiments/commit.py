"""The commit that the program runs from, read from the files of its repository."""

from __future__ import annotations

from pathlib import Path

from .. import __version__


def commit() -> str:
    """The commit of the checkout that the program runs from, else its version, else `unknown`."""
    return _head(Path(__file__).resolve().parents[2] / ".git") or f"version {__version__}"


def _head(git: Path) -> str:
    """The commit that a repository's HEAD names, read from its files; nothing if there is none."""
    try:
        if git.is_file():
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        return _branch(git, head.removeprefix("ref:").strip())
    except (OSError, UnicodeDecodeError):
        return ""


def _branch(git: Path, name: str) -> str:
    common = git / "commondir"
    home = git / common.read_text(encoding="utf-8").strip() if common.is_file() else git
    if (home / name).is_file():
        return (home / name).read_text(encoding="utf-8").strip()
    for line in (home / "packed-refs").read_text(encoding="utf-8").splitlines():
        if line.endswith(f" {name}"):
            return line.split()[0]
    return ""

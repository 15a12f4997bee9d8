"""The scripts and style sheets of the page, read from the folders beside this file."""

from pathlib import Path


def text_of(kind: str) -> str:
    """The page's own files of a kind, `js` or `css`, one after the other in the order of their names."""
    files = sorted((Path(__file__).parent / kind).glob(f"*.{kind}"))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)

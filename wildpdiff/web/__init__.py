"""The scripts and style sheets of the page, in the folders beside this file."""

from pathlib import Path


def styles() -> str:
    """All style sheets, one after the other in the order of their names."""
    files = sorted((Path(__file__).parent / "css").glob("*.css"))
    return "\n".join(path.read_text(encoding="utf-8") for path in files)

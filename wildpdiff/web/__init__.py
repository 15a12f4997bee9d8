"""The scripts, style sheets, panels, drawings and templates of the page, in the folders beside this file."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

HERE = Path(__file__).parent


def styles() -> str:
    """All style sheets, one after the other in the order of their names."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((HERE / "css").glob("*.css")))


def markup(name: str) -> str:
    """The HTML of one panel, as its script finds it."""
    return (HERE / "panels" / f"{name}.html").read_text(encoding="utf-8")


def drawing(name: str) -> str:
    """A small drawing, SVG in the page's own colours, so that light and dark need no second one; in one line."""
    return (HERE / "drawings" / f"{name}.svg").read_text(encoding="utf-8").replace("\n", "")


def template(name: str, **given: Any) -> Any:
    """A template's macros, which escape what they are given; `given` are further names that they may use."""
    loaded = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True).get_template(f"{name}.html")
    return loaded.make_module(given)

"""The page's modules as one script: Gradio runs what stands in the page's head at once, but fetches files late."""

from __future__ import annotations

import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

MODULES = Path(__file__).parent / "js"
IMPORT = re.compile(r"^import (?:\{ (?P<names>.+) \}|\* as (?P<whole>\w+)) from '\./(?P<source>\w+)\.js';$", re.M)
EXPORT = re.compile(r"^export (?=const (\w+))", re.M)


@cache
def bundle() -> str:
    """All modules, each in a function of its own that returns what it exports, those first that others import."""
    texts = {file.stem: file.read_text(encoding="utf-8") for file in MODULES.glob("*.js")}
    needs = {name: [found["source"] for found in IMPORT.finditer(text)] for name, text in sorted(texts.items())}
    ordered = TopologicalSorter(needs).static_order()
    enclosed = "\n".join(_enclosed(name, texts[name]) for name in ordered)
    return f"(() => {{\nconst modules = {{}};\n{enclosed}\n}})();"


def _enclosed(name: str, text: str) -> str:
    exported = ", ".join(EXPORT.findall(text))
    inside = EXPORT.sub("", IMPORT.sub(_taken, text))
    return f"modules.{name} = (() => {{\n{inside}return {{ {exported} }};\n}})();"


def _taken(found: re.Match[str]) -> str:
    names = found["whole"] or "{ " + found["names"].replace(" as ", ": ") + " }"
    return f"const {names} = modules.{found['source']};"

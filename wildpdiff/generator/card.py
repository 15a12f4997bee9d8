"""What the hub shows of a generator: the card beside its two files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .config import GeneratorConfig


def card_of(config: GeneratorConfig, notes: Mapping[str, str], repo: str) -> str:
    """The card of a generator, in Markdown.

    Args:
        config: its shapes and names.
        notes: that are kept with it, a line each.
        repo: `owner/name` of the repository that it is sent to.
    """
    told = config.condition
    about = f"it is told a place by '{told.name}' embeddings, [N, {told.dim}]" if told else "it is told nothing"
    lines = "".join(f"- {key}: {value}\n" for key, value in notes.items())
    text = Path(__file__).with_suffix(".md").read_text(encoding="utf-8")
    return text.format(config=config, about=about, lines=lines, repo=repo)

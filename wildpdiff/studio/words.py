"""How the page writes what the code names; no gradio."""

from __future__ import annotations


def spoken(name: str) -> str:
    """A class as the page writes it."""
    return {"thomsons_gazelle": "Thomson's gazelle", "grants_gazelle": "Grant's gazelle"}.get(
        name, name.replace("_", " ")
    )

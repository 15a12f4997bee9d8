"""How the page writes what the code names; no gradio."""

from __future__ import annotations

from ..bundle import Bundle
from ..network.lora import adapted


def spoken(name: str) -> str:
    """A class as the page writes it."""
    return {"thomsons_gazelle": "Thomson's gazelle", "grants_gazelle": "Grant's gazelle"}.get(
        name, name.replace("_", " ")
    )


def adapter_in_words(bundle: Bundle) -> str:
    """What an adapter of a bundle's classifier is."""
    layout = bundle.layout
    layers = len(adapted(layout) or layout.names)
    return (
        f"An adapter is a row of {layout.dim:,} numbers that changes the weights of {layers} layers of the "
        f"classifier, timm's {bundle.described.architecture}"
    )

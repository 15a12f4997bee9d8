"""How the page writes what the code names; no gradio."""

from __future__ import annotations

from ..network.backbone import Backbone


def spoken(name: str) -> str:
    """A class as the page writes it."""
    return {"thomsons_gazelle": "Thomson's gazelle", "grants_gazelle": "Grant's gazelle"}.get(
        name, name.replace("_", " ")
    )


def adapter_in_words(backbone: Backbone) -> str:
    """What an adapter of a classifier is."""
    layers = len(backbone.subset.names(backbone.network))
    return (
        f"An adapter is a row of {backbone.layout.dim:,} numbers that changes the weights of {layers} layers of the "
        f"classifier, timm's {backbone.architecture}"
    )

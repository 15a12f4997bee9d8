"""Wild-P-Diff: a latent diffusion model writes LoRA adapters for a wildlife classifier from pictures of a place.

The public names below are loaded when first used, so that importing the package takes no time.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "AdapterGenerator": "generator",
    "AdapterLayout": "network.adapter",
    "AdapterVAE": "generator.vae",
    "Backbone": "network.backbone",
    "Bundle": "bundle",
    "ClipCondition": "condition.clip",
    "CocoWorld": "worlds.coco",
    "Denoiser": "generator.denoiser",
    "FinetuneRecipe": "training.finetune",
    "LoRA": "network.lora",
    "Map": "weightspace",
    "NoiseSchedule": "generator.diffusion",
    "Parameters": "network.subset",
    "UserError": "errors",
    "Zoo": "zoo",
    "accuracy": "evaluate",
    "blend": "condition.base",
    "cosine": "weightspace",
    "load_peft": "network.peft_folder",
    "load_picture": "picture",
    "open_world": "worlds",
    "sample_ddim": "generator.diffusion",
    "save_peft": "network.peft_folder",
    "wilson": "evaluate",
}
__all__ = sorted(_HOMES)
__version__ = "0.11.1"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'wildpdiff' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)

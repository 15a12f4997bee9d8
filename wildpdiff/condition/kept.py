"""A CLIP copied into a folder of its own, as a bundle keeps it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

from ..files import save_json, save_tensors
from .clip import ClipCondition
from .source import CONFIG_FILE, LOCAL, WEIGHTS_FILE, taken_apart


def keep_clip(name: str, folder: Path) -> None:
    """Copy a CLIP into a folder that `local-dir:` opens.

    Args:
        name: `local-dir:FOLDER`, or `MODEL/WEIGHTS` as `ClipCondition.load` takes them apart.
        folder: made if it is not there.

    Raises:
        UserError: as `ClipCondition.load`, or if the folder cannot be written.
    """
    import open_clip

    model, pretrained = taken_apart(name)
    condition = ClipCondition.load(model, pretrained)
    if model.startswith(LOCAL):
        shutil.copytree(model.removeprefix(LOCAL), folder, dirs_exist_ok=True)
        return
    network = condition.network
    quick = any(isinstance(module, open_clip.transformer.QuickGELU) for module in network.modules())
    config = open_clip.get_model_config(model) | ({"quick_gelu": True} if quick else {})
    preprocess = {key: value for key, value in asdict(condition.preprocess).items() if key != "size"}
    save_tensors(folder / WEIGHTS_FILE, network.state_dict())
    about = {"name": condition.name.rpartition("/")[0] or model, "model_cfg": config, "preprocess_cfg": preprocess}
    save_json(folder / CONFIG_FILE, about)

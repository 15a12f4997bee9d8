"""Adapters as PEFT folders and as plain checkpoints of timm's."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from ..files import save_json, save_tensors
from ..network.peft_folder import save_peft
from .adapted import Adapted, check_ending, check_free


def write_peft(adapted: Adapted, out: Path) -> None:
    """Write the adapter as a PEFT folder in our own form, whoever wrote it: what changes it is multiplied in.

    Raises:
        UserError: if there is no adapter, or the folder exists or cannot be written.
    """
    if adapted.row is None:
        raise UserError("The format peft needs an adapter; give the folder of one, or choose timm or onnx.")
    check_free([out])
    card = adapted.card or {"adapter": adapted.name}
    save_peft(adapted.backbone, adapted.row.cpu(), out, card=card, log_prior=adapted.log_prior)


def write_timm(adapted: Adapted, out: Path) -> Path:
    """Write the network with its adapter merged in, as `timm.create_model(architecture, num_classes=K,
    checkpoint_path=out)` loads it; and what one has to know beside, as JSON, whose path is returned.

    Raises:
        UserError: if a file exists or cannot be written, or `out` has another ending than `.safetensors`.
    """
    check_ending(out, ".safetensors", "timm")
    about = out.with_suffix(".json")
    check_free([out, about])
    state = {name: value.clone() for name, value in adapted.network.state_dict().items()}
    save_tensors(out, state, {"format": "pt"})
    try:
        save_json(about, adapted.about)
    except UserError:
        out.unlink()
        raise
    return about

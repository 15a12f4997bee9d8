"""LoRA rows as PEFT folders, in and out, and as adapters of peft's own networks. The only door to peft."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from torch import Tensor

from ..errors import UserError
from ..files import load_json, load_tensors, save_json
from .adapter import AdapterLayout
from .backbone import Backbone
from .lora_file import CONFIG, WEIGHTS, row_of

_PREFIX = "base_model.model."
#: What is added to the classifier's biases beside the adapter: a place's log prior, by species.
PRIOR = "prior.json"
#: A logarithm of a share as large as this is none.
LARGEST = 1e4
_PRIOR_CARD = """
The adapter is one half: `prior.json` says how often each species is expected at the place, as logarithms of shares. Add
them to the biases of the last layer, or rare species are named too often:

```python
import json
import torch

prior = torch.tensor(list(json.load(open("this folder/prior.json")).values()))
network.base_model.model.get_parameter("{bias}").data += prior
```

`wildpdiff export` merges both.
"""


def attach(backbone: Backbone, row: Tensor) -> PeftModel:
    """The backbone's network with trainable LoRA factors set to a raw row `[D]`; the backbone itself stays as it is.

    Raises:
        UserError: if the backbone's rows are not LoRA.
    """
    lora = backbone.lora
    # Typed as whole in peft, but used as a plain factor.
    alpha: Any = lora.alpha
    config = LoraConfig(r=lora.rank, lora_alpha=alpha, target_modules=lora.targets, lora_dropout=0.0, bias="none")
    network = backbone.copy().requires_grad_(False)
    model = get_peft_model(network, config)
    write_row(model, backbone.layout, row)
    # Evaluation mode keeps the batch-norm statistics frozen, or they would leak out of the row.
    return model.to(memory_format=torch.channels_last).eval()


def read_row(model: PeftModel, layout: AdapterLayout) -> Tensor:
    """The raw row `[D]` of an attached adapter, on the CPU."""
    factors = get_peft_model_state_dict(model, save_embedding_layers=False)
    return layout.pack({_ours(name): value.detach().cpu() for name, value in factors.items()})


def write_row(model: PeftModel, layout: AdapterLayout, row: Tensor) -> None:
    """Set an attached adapter to a raw row `[D]`."""
    set_peft_model_state_dict(model, {f"{_PREFIX}{name}.weight": value for name, value in layout.unpack(row).items()})


def save_peft(
    backbone: Backbone, row: Tensor, folder: Path, *, card: Mapping[str, str], log_prior: Tensor | None = None
) -> None:
    """Write one raw row `[D]` as a PEFT folder that plain `peft` and `timm` load; whole or not at all.

    Args:
        backbone: the network that the row belongs to.
        row: the adapter.
        folder: `adapter_config.json`, `adapter_model.safetensors` and `README.md` are written there.
        card: what the README says of the adapter's origin, a line each.
        log_prior: of a place's classes, `[K]`, to be added to the classifier's biases; it is written beside the
            adapter, as `prior.json`, which plain peft does not read.

    Raises:
        UserError: if the folder cannot be written.
    """
    folder = Path(folder)
    _check_target(folder)
    model = attach(backbone, row)
    model.peft_config["default"].base_model_name_or_path = f"timm/{backbone.architecture}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            fresh = Path(temporary) / "adapter"
            model.save_pretrained(str(fresh), save_embedding_layers=False)
            (fresh / "README.md").write_text(_card(backbone, card, log_prior), encoding="utf-8")
            if log_prior is not None:
                save_json(fresh / PRIOR, dict(zip(backbone.species, log_prior.tolist(), strict=True)))
            if folder.exists():
                folder.rename(Path(temporary) / "earlier")
            fresh.rename(folder)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or "the disk may be full"
        raise UserError(f"'{folder.name}' could not be written ({reason}); choose another --out folder.") from error


def _check_target(folder: Path) -> None:
    """Refuse to write over anything but an earlier adapter."""
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not (folder / CONFIG).exists():
        raise UserError(f"'{folder.name}' exists and is no adapter; choose another --out folder.")


def load_peft(backbone: Backbone, folder: Path) -> Tensor:
    """The raw row `[D]` of a PEFT folder, whoever wrote it.

    Raises:
        UserError: if the folder is no adapter, or as `lora_file.row_of`.
    """
    folder = Path(folder)
    try:
        config = (folder / CONFIG).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"'{folder.name}' is not a PEFT folder; it needs {CONFIG}.") from error
    pickled = sorted(path.name for path in folder.glob("adapter_model.*") if path.name != WEIGHTS)
    if pickled and not (folder / WEIGHTS).exists():
        raise UserError(f"'{pickled[0]}' may run code and is not read; let peft save the adapter as {WEIGHTS}.")
    tensors, _ = load_tensors(folder / WEIGHTS)
    return row_of(config, tensors, backbone.lora, backbone.layout)


def load_prior(backbone: Backbone, folder: Path) -> Tensor | None:
    """The log prior `[K]` that lies beside an adapter; None if there is none.

    Raises:
        UserError: if it is damaged or of other species.
    """
    path = Path(folder) / PRIOR
    if not path.exists():
        return None
    told = load_json(path)
    values = list(told.values()) if isinstance(told, dict) else []
    numbers = all(isinstance(value, int | float) and abs(value) < LARGEST for value in values)
    if not numbers or tuple(told) != backbone.species:
        raise UserError(
            f"'{PRIOR}' must hold one number of less than {LARGEST:g} for each of the classifier's "
            f"{len(backbone.species)} classes, in their order."
        )
    return torch.tensor(values, dtype=torch.float32)


def _ours(name: str) -> str:
    return name.removeprefix(_PREFIX).removesuffix(".weight")


def _card(backbone: Backbone, card: Mapping[str, str], log_prior: Tensor | None) -> str:
    lines = "\n".join(f"- {key}: {value}" for key, value in card.items())
    text = Path(__file__).with_name("adapter_card.md").read_text(encoding="utf-8")
    told = text.format(backbone=backbone, classes=len(backbone.species), lines=lines)
    return told if log_prior is None else told + _PRIOR_CARD.format(bias=backbone.head_bias)

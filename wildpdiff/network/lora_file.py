"""The row that a LoRA adapter from elsewhere means: whatever changes it is honoured or refused by name.

The one check for all doors: the library's folders (`peft_folder`) and the zips of strangers (`studio.peft_zip`). It
needs no peft.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import UserError
from .adapter import AdapterLayout
from .lora import LoRA, factors, packed

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

#: What of peft's configuration leaves the finished adapter as it is, or is read below.
_KNOWN = frozenset((
    "peft_type", "peft_version", "task_type", "auto_mapping", "base_model_name_or_path", "revision", "inference_mode",
    "target_modules", "exclude_modules", "lora_dropout", "layers_to_transform", "layers_pattern", "megatron_config",
    "megatron_core", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size",
    "runtime_config", "ensure_weight_tying",
    "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias", "init_lora_weights",
))  # fmt: skip
#: Ways to begin that leave the classifier's own weights alone; the others (pissa, olora, loftq ...) move a part of them
#: into the adapter.
_STARTS = (None, True, False, "gaussian", "eva", "orthogonal")
#: Names that wrappers put before a module's.
_WRAPPERS = ("base_model", "model", "module", "_orig_mod")
_FACTOR = re.compile(r"(?P<module>.+)\.(?P<factor>lora_[AB])(?:\.(?P<adapter>[^.]+?))??(?:\.weight)?")
#: Keys of a pattern that are read: names, no expressions that a stranger could make run for hours.
_PLAIN_KEY = re.compile(r"\^?(?:\w|\\?\.)+\$?", re.ASCII)


class Scales(NamedTuple):
    """What a configuration says of each module: `rank` and what its product B A is multiplied by, `scale`."""

    ranks: Mapping[str, int]
    scales: Mapping[str, float]


def row_of(config: bytes, tensors: Mapping[str, Tensor], lora: LoRA, layout: AdapterLayout) -> Tensor:
    """The raw row `[D]` that adds to the classifier what the adapter adds.

    Scales of its own (alpha, rank-stabilised LoRA, patterns) are multiplied into B, and ranks below ours are filled up
    with zeros.

    Args:
        config: the content of `adapter_config.json`.
        tensors: those of `adapter_model.safetensors`, as they are named there.
        lora: what the classifier takes.
        layout: that of its rows.

    Raises:
        UserError: naming the first thing that cannot be honoured.
    """
    pairs = factors(layout, torch.zeros(layout.dim))
    said, found = _scales(_read(config), tuple(pairs), lora), _named(tensors, layout)
    ours = lora.alpha / lora.rank
    for module, (a, b) in pairs.items():
        rank, scale = said.ranks[module], said.scales[module]
        own_a, own_b = (found[f"{module}.lora_{factor}"] for factor in "AB")
        _check_shapes(module, own_a, own_b, a, b, rank)
        a[:rank], b[:, :rank] = own_a, own_b if scale == ours else own_b.double() * (scale / ours)
    row = packed(layout, pairs)
    if not bool(row.isfinite().all()):
        raise UserError("The adapter is not usable: its scale makes some of its weights larger than numbers go.")
    return row


def _read(content: bytes) -> dict[str, Any]:
    """The configuration of a plain LoRA."""
    try:
        config: Any = json.loads(content)
    except (ValueError, RecursionError):
        raise UserError(f"{CONFIG} is not JSON; let peft write it.") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise UserError(f"{CONFIG} does not describe a LoRA adapter.")
    if config.get("modules_to_save"):
        raise UserError(
            f"{CONFIG} sets 'modules_to_save' ({_short(config['modules_to_save'])}), but only the factors of LoRA are "
            "swapped here, never heads or norms; train without it."
        )
    # With the base weights moved, biases or other products the same factors would mean something else.
    special = [key for key, value in config.items() if key not in _KNOWN and value not in (None, False, "", [], {})]
    special += [] if config.get("bias") in (None, "none") else ["bias"]
    special += [] if _is_start(config.get("init_lora_weights")) else ["init_lora_weights"]
    if special:
        raise UserError(f"Plain LoRA is needed; {CONFIG} sets '{special[0][:40]}' ({_short(config[special[0]])}).")
    return config


def _is_start(value: Any) -> bool:
    return any(value is start or (isinstance(value, str) and value == start) for start in _STARTS)


def _scales(config: Mapping[str, Any], modules: tuple[str, ...], lora: LoRA) -> Scales:
    usual = {"r": _number(config, "r", 8), "lora_alpha": _number(config, "lora_alpha", 8)}
    ranks = _by_module(config, "rank_pattern", modules, usual["r"])
    alphas = _by_module(config, "alpha_pattern", modules, usual["lora_alpha"])
    wrong = next((rank for rank in ranks.values() if not 1 <= rank <= lora.rank or rank != int(rank)), None)
    if wrong is not None:
        raise UserError(
            f"LoRA of rank {lora.rank} and alpha {lora.alpha:g} (or of a lower rank) is needed; {CONFIG} says rank "
            f"{wrong:g}."
        )
    root = 0.5 if config.get("use_rslora") else 1.0
    return Scales(
        {module: int(rank) for module, rank in ranks.items()},
        {module: alphas[module] / ranks[module] ** root for module in modules},
    )


def _by_module(config: Mapping[str, Any], name: str, modules: tuple[str, ...], usual: float) -> dict[str, float]:
    """A number for each module: that of the first key of a pattern that matches its name's end, as in peft."""
    pattern = config.get(name) or {}
    if not isinstance(pattern, dict) or not all(_PLAIN_KEY.fullmatch(key) for key in pattern):
        raise UserError(f"'{name}' of {CONFIG} must be an object whose keys are plain names of layers.")
    ends = [(re.compile(rf"(?:.*\.)?(?:{key})$"), _number(pattern, key, usual)) for key in pattern]
    return {
        module: next((number for end, number in ends if end.match(module)), usual) for module in modules
    }  # fmt: skip


def _number(config: Mapping[str, Any], key: str, usual: float) -> float:
    value = config.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        raise UserError(f"'{key[:40]}' of {CONFIG} must be a number, not {_short(value)}.")
    return float(value)


def _named(tensors: Mapping[str, Tensor], layout: AdapterLayout) -> dict[str, Tensor]:
    """The factors by our names, float32; all that the layout has, and nothing else."""
    named: dict[str, Tensor] = {}
    for name, value in tensors.items():
        ours = _ours(name, layout)
        if ours not in layout.slices:
            raise UserError(
                f"The adapter must have exactly the {len(layout.names)} weights that this classifier takes, factors of "
                f"LoRA; it also has '{name[:80]}'."
            )
        if ours in named:
            raise UserError(f"The file holds several adapters: '{ours}' is in it twice; save one alone.")
        named[ours] = _checked(name, value)
    missing = next((name for name in layout.names if name not in named), None)
    if missing is not None:
        raise UserError(
            f"The adapter must have exactly the {len(layout.names)} weights that this classifier takes; it has no "
            f"weight '{missing}'."
        )
    return named


def _ours(name: str, layout: AdapterLayout) -> str:
    """A tensor's name without what peft and other wrappers put around a module's; anything else as it is."""
    found = _FACTOR.fullmatch(name)
    if found is None:
        return name
    module, factor = found["module"], found["factor"]
    while f"{module}.{factor}" not in layout.slices and module.partition(".")[0] in _WRAPPERS and "." in module:
        module = module.partition(".")[2]
    return f"{module}.{factor}"


def _checked(name: str, value: Tensor) -> Tensor:
    if not value.is_floating_point():
        raise UserError(f"The adapter's weights must be floating-point numbers; '{name[:80]}' has others.")
    plain = value.float()
    if not bool(plain.isfinite().all()):
        raise UserError(f"The adapter is not usable: some of '{name[:80]}' are not finite.")
    return plain


def _check_shapes(module: str, own_a: Tensor, own_b: Tensor, a: Tensor, b: Tensor, rank: int) -> None:
    for factor, own, needed in (("A", own_a, a[:rank]), ("B", own_b, b[:, :rank])):
        if own.shape[1:] == needed.shape and own.ndim == needed.ndim + 1:
            raise UserError(f"The file holds several adapters: '{module}.lora_{factor}' has one axis too many.")
        if own.shape != needed.shape:
            raise UserError(
                f"Weight '{module}.lora_{factor}' has shape {list(own.shape)}, but this layout needs "
                f"{list(needed.shape)}."
            )


def _short(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, float) or math.isfinite(value) else str(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."

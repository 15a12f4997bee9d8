"""Checkpoints to be examined, from the folder of a system or from one of state dicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..files import is_folder, load_json, load_tensors
from ..network.adapter import AdapterLayout
from .checkpoints import shown
from .order import ABOUT, Order
from .own import zoo_files
from .recipe import OURS
from .system import BASE, ROWS, System


@dataclass(frozen=True)
class Patient:
    """Rows `[N, D]` of a layout, which of them a generator would learn from, and the system where there is one."""

    rows: Tensor
    base: Tensor
    run: Tensor
    shown: Tensor
    layout: AdapterLayout
    components: int
    system: System | None = None
    missing: str = ""


def patient_in(folder: Path, root: Path | None = None, device: str = "cpu") -> Patient:
    """The checkpoints of a system's folder, or of a folder of state dicts, which says no network.

    Raises:
        UserError: if there are none, or they do not belong together.
    """
    if not is_folder(folder):
        raise UserError(f"There is no folder '{folder}'.")
    return _of_system(folder, root, device) if (folder / ABOUT).exists() else _of_states(folder)


def _of_system(folder: Path, root: Path | None, device: str) -> Patient:
    about, (tensors, _), (base, _) = load_json(folder / ABOUT), load_tensors(folder / ROWS), load_tensors(folder / BASE)
    about = about if isinstance(about, dict) else {}
    layout, order = AdapterLayout.from_json(about.get("layout") or {}), Order.from_json(about.get("order"))
    plain = layout.pack(base) if all(name in base for name in layout.names) else torch.empty(0)
    system, missing = None, ""
    try:
        moved = {} if root is None else {"root": root}
        system = System(Order(**{**vars(order), **moved}), folder, device=device)
    except UserError as error:
        missing = f"Accuracy was not measured: {error}"
    parts = (tensors["rows"], plain, tensors["run"], tensors["shown"])
    return Patient(*parts, layout, order.recipe.components, system, missing)


def _of_states(folder: Path) -> Patient:
    states = [load_tensors(path)[0] for path in zoo_files(folder)]
    floats = {name: value for name, value in states[0].items() if value.is_floating_point()}
    layout = AdapterLayout.of(floats)
    every = torch.stack([layout.pack(state) for state in states])
    if not bool(every.isfinite().all()):
        raise UserError("Some checkpoints hold numbers that are not finite; leave them out.")
    run = torch.zeros(len(every), dtype=torch.int64)
    missing = "Accuracy was not measured, as a folder of state dicts does not say its network."
    rows = every - every[0]
    return Patient(rows, every[0], run, shown(run, OURS.rows.held_out), layout, OURS.components, None, missing)

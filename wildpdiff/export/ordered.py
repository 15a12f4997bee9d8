"""One export, as the command line orders it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..bundle import Bundle
from ..errors import UserError
from ..worlds.reader import AROUND
from .adapted import Adapted
from .onnx_file import SCRIPT, Checked, write_onnx
from .plain import write_peft, write_timm

FORMATS = ("peft", "timm", "onnx")


@dataclass(frozen=True)
class Order:
    """What to export: an `adapter`'s folder (or none), a `form` of `FORMATS`, where to `out`; and for ONNX on how many
    `photographs` of each location it is checked, and the side of the square `around` a box (see `write_onnx`)."""

    adapter: str
    form: str
    out: Path
    photographs: int = 20
    around: float = AROUND

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UserError: naming what would be right.
        """
        if self.form not in FORMATS:
            raise UserError(f"The format must be one of: {', '.join(FORMATS)}; not '{self.form[:20]}'.")
        if not 1 <= self.photographs <= 10_000:
            raise UserError(f"Photographs of each location must be 1 to 10,000, not {self.photographs}.")
        if not 1 <= self.around <= 4:
            raise UserError(f"The square around a box must be 1 to 4 times its longer side, not {self.around:g}.")


@dataclass(frozen=True)
class Written:
    """What was written: the form, the files, and of an ONNX file what was measured."""

    form: str
    files: tuple[str, ...]
    checked: Checked | None = None

    def words(self) -> str:
        """The same in a sentence or two."""
        told = f"Wrote {' and '.join(self.files)}."
        return f"{told} {self.checked.words()}" if self.checked else told

    def to_json(self) -> dict[str, Any]:
        """As a JSON value."""
        return {"format": self.form, "files": list(self.files)} | (self.checked.to_json() if self.checked else {})


def export_adapter(bundle: Bundle, order: Order) -> Written:
    """Write what is ordered.

    Raises:
        UserError: as `Adapted.of`, `write_peft`, `write_timm` and `write_onnx`.
    """
    adapted = Adapted.of(bundle, order.adapter)
    if order.form == "peft":
        write_peft(adapted, order.out)
        return Written(order.form, (order.out.name,))
    if order.form == "timm":
        about = write_timm(adapted, order.out)
        return Written(order.form, (order.out.name, about.name))
    photographs = _photographs(bundle, order.photographs)
    checked = write_onnx(adapted, order.out, photographs, around=order.around)
    return Written(order.form, (order.out.name, SCRIPT), checked)


def _photographs(bundle: Bundle, count: int) -> list[Tensor]:
    """Evaluation photographs of every named location, the first `count` of each."""
    return [bundle.world.images(name, "eval", first=count).pixels[:count] for name in (*bundle.seen, *bundle.unseen)]

"""Camera traps drawn by a program: endless, free, and the same on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import UserError
from .world import SavannaConfig, SavannaWorld


def open_world(spec: dict[str, Any], folder: Path) -> SavannaWorld:
    """A savanna from the numbers in the spec's `config`.

    Raises:
        UserError: if one of them is not known.
    """
    try:
        return SavannaWorld(SavannaConfig(**spec.get("config", {})))
    except UserError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"The world's spec does not fit a drawn one ({error}).") from None

"""The zoo: a folder of fine-tuned rows, one safetensors file a location, that grows and survives a kill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .adapter import AdapterLayout
from .errors import UserError
from .files import header, load_tensors, save_tensors


class Zoo:
    """Raw rows by location, each with its accuracy there.

    Every file records the layout's fingerprint and the regime; a file of another one is refused.
    """

    def __init__(self, folder: Path, layout: AdapterLayout, *, regime: str) -> None:
        self.folder, self.layout, self.regime = Path(folder), layout, regime

    @property
    def locations(self) -> tuple[str, ...]:
        """Locations that have rows, by name."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.safetensors")))

    def add(self, location: str, rows: Tensor, accuracy: Tensor, *, dtype: torch.dtype = torch.float32) -> None:
        """Append rows `[J, D]` and their accuracies `[J]` (0..1) to a location; whole or not at all.

        Raises:
            UserError: if a row is not finite or of another layout, or the disk is full.
        """
        self.layout.check(rows)
        if len(rows) != len(accuracy) or not bool(rows.isfinite().all()):
            raise UserError(f"Rows of location '{location}' must be finite numbers with one accuracy each.")
        if location in self.locations:
            earlier, known = self.of(location)
            rows, accuracy = torch.cat([earlier, rows]), torch.cat([known, accuracy])
        tensors = {"rows": rows.to(dtype), "accuracy": accuracy.float()}
        save_tensors(self._path(location), tensors, {"layout": self.layout.fingerprint, "regime": self.regime})

    def of(self, location: str) -> tuple[Tensor, Tensor]:
        """Rows `[J, D]`, float32, and accuracies `[J]` of one location.

        Raises:
            UserError: if the location has none, or its file is damaged, of another layout or of another regime.
        """
        path = self._path(location)
        if not path.exists():
            raise UserError(
                f"The zoo has no rows of location '{location}'; it has {', '.join(self.locations) or 'none'}."
            )
        tensors, metadata = load_tensors(path)
        self._check(path, metadata)
        return tensors["rows"].float(), tensors["accuracy"]

    def count(self, location: str) -> int:
        """Number of rows of a location; 0 if it has none."""
        path = self._path(location)
        if not path.exists():
            return 0
        shapes, metadata = header(path)
        self._check(path, metadata)
        return shapes["accuracy"][0]

    def rows(self, locations: Sequence[str]) -> tuple[Tensor, Tensor]:
        """All rows of several locations `[N, D]`, and for each the index of its location `[N]`."""
        parts = [self.of(location)[0] for location in locations]
        index = torch.cat([torch.full((len(part),), place) for place, part in enumerate(parts)])
        return torch.cat(parts), index

    def accuracies(self, locations: Sequence[str]) -> list[Tensor]:
        """Accuracies `[J]` of each location's rows."""
        return [self.of(location)[1] for location in locations]

    def _check(self, path: Path, metadata: dict[str, str]) -> None:
        if metadata.get("layout") != self.layout.fingerprint:
            raise UserError(
                f"'{path.name}' holds adapters of another layout; the zoo's layout is {self.layout.fingerprint}."
            )
        if metadata.get("regime") != self.regime:
            raise UserError(
                f"'{path.name}' is of regime {metadata.get('regime')}, but this zoo is of regime {self.regime}."
            )

    def _path(self, location: str) -> Path:
        return self.folder / f"{location}.safetensors"

"""The zoo: fine-tuned rows. A folder that grows and survives a kill; or, in a bundle, all of them as latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .errors import UserError
from .files import header, load_tensors, save_tensors
from .generator import AdapterGenerator
from .network.adapter import AdapterLayout

#: Rows that the generator learned from; those of the same runs that it never saw; those of runs that it never saw.
Kind = Literal["shown", "held_out", "other_runs"]


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


@dataclass(frozen=True)
class CodedZoo:
    """All fine-tuned rows of a regime in a few kilobytes each: as latents of the generator's codec.

    Several independent runs a location, of which some are kept from the generator as a whole, and of the others every
    fourth row.

    Attributes:
        locations: Q of them, in the order of the bundle.
        latents: of R runs of J rows each, `[Q, R, J, k]`.
        shown: which rows the generator learned from, bool `[R, J]`.
        beyond: how far each row lies from what its latent stands for, `[Q, R, J]`, in raw units: what the codec loses.
        generator: whose codec they belong to.
    """

    locations: tuple[str, ...]
    latents: Tensor
    shown: Tensor
    beyond: Tensor
    generator: AdapterGenerator

    @classmethod
    def of_rows(
        cls, locations: Sequence[str], rows: Sequence[Tensor], shown: Tensor, generator: AdapterGenerator
    ) -> CodedZoo:
        """Code raw rows `[R, J, D]` of each location."""
        latents, beyond = [], []
        for part in rows:
            coded = generator.encode(part.flatten(0, 1))
            beyond.append((generator.decode(coded) - part.flatten(0, 1)).norm(dim=1).view(part.shape[:2]))
            latents.append(coded[:, 0].view(*part.shape[:2], -1))
        return cls(tuple(locations), torch.stack(latents), shown, torch.stack(beyond), generator)

    @property
    def unit(self) -> float:
        """Raw units in one unit of a latent: distances between latents times this are distances between rows."""
        return float(self.generator.codec.unit)  # type: ignore[arg-type]

    def coded(self, location: str, kind: Kind = "shown") -> Tensor:
        """Latents `[N, k]` of one location.

        Raises:
            UserError: if there is no such location.
        """
        if location not in self.locations:
            raise UserError(f"The zoo has no rows of location '{location}'; it has {', '.join(self.locations)}.")
        latents, whole = self.latents[self.locations.index(location)].float(), self.shown.any(dim=1)
        if kind == "other_runs":
            return latents[~whole].flatten(0, 1)
        return latents[self.shown if kind == "shown" else ~self.shown & whole[:, None]]

    def rows(self, location: str, kind: Kind = "shown", *, at_most: int | None = None) -> Tensor:
        """Raw rows `[N, D]` of one location as the codec gives them back, evenly spaced if more than `at_most`.

        Raises:
            UserError: if there is no such location.
        """
        latents = self.coded(location, kind)
        if at_most is not None and len(latents) > at_most:
            latents = latents[torch.linspace(0, len(latents) - 1, at_most).round().long()]
        return self.generator.decode(latents[:, None].to(self.generator.device)).cpu()

    def save(self, path: Path) -> None:
        """Write the latents, in half precision."""
        tensors = {"latents": self.latents.half(), "shown": self.shown, "beyond": self.beyond.half()}
        about = {"codec": self.generator.codec_fingerprint, "locations": ",".join(self.locations)}
        save_tensors(path, tensors, about)

    @classmethod
    def load(cls, path: Path, locations: Sequence[str], generator: AdapterGenerator) -> CodedZoo:
        """Read what `save` wrote.

        Raises:
            UserError: if the file is missing or damaged, or belongs to another codec.
        """
        tensors, about = load_tensors(path)
        if about.get("codec") != generator.codec_fingerprint:
            raise UserError(f"'{path.name}' belongs to another codec; fetch or make the bundle anew.")
        if about.get("locations") != ",".join(locations):
            raise UserError(f"'{path.name}' is of other locations; fetch or make the bundle anew.")
        parts = (tensors["latents"].float(), tensors["shown"], tensors["beyond"].float())
        return cls(tuple(locations), *parts, generator)

"""One measured adapter of a sweep as a flat record, and files of many: CSV, JSON, NPZ."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..files import save_json, write_whole

#: Rows that an NPZ holds at most: 256 of 65,580 half-precision numbers are 34 MB.
KEPT_ROWS = 256
FORMATS = (".csv", ".json", ".npz")


@dataclass(frozen=True)
class Record:
    """One generated adapter, what it was asked for and what was measured.

    Attributes:
        a: the first location of the blend.
        b: the second.
        weight: how far from a to b, 0..1.
        regime: similarity of the zoo, L, M or H.
        way: how the middle is written, `ours` or `paper`.
        seed: of its noise.
        steps: of DDIM.
        images: photographs of each location that it named.
        right_a: how many of them it named correctly at a; `accuracy_a` is the share, `low_a` to `high_a` its 95%
            Wilson interval; the same at b.
        cosine_a: cosine with the mean fine-tuned row of a, None if nothing was fine-tuned there; the same of b.
        near_location: location of the most alike of the bundle's kept checkpoints; `near_row` is its number there,
            from 0, `near_cosine` the cosine, `near_distance` the Euclidean distance.
        novelty: 1 - `near_cosine`.
        map_location: location of the nearest of the map's checkpoints, by distances in a random projection that come
            out right within about 6%; `map_distance` is that distance.
        norm: Euclidean length of the row.
    """

    a: str
    b: str
    weight: float
    regime: str
    way: str
    seed: int
    steps: int
    images: int
    right_a: int
    accuracy_a: float
    low_a: float
    high_a: float
    right_b: int
    accuracy_b: float
    low_b: float
    high_b: float
    cosine_a: float | None
    cosine_b: float | None
    near_location: str
    near_row: int
    near_cosine: float
    near_distance: float
    novelty: float
    map_location: str
    map_distance: float
    norm: float

    def to_json(self) -> dict[str, Any]:
        """The record as a flat JSON object; `Record(**value)` reads it."""
        return asdict(self)


#: The record's names, which are the columns of a CSV.
COLUMNS = tuple(field.name for field in fields(Record))


def format_of(path: Path) -> str:
    """The suffix of a file to write: `.csv`, `.json` or `.npz`.

    Raises:
        UserError: for any other.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UserError(f"A sweep is written as {', '.join(FORMATS)}; '{Path(path).name}' ends in none of them.")
    return suffix


@contextmanager
def csv_writer(path: Path) -> Iterator[Callable[[Record], None]]:
    """Gives a function that adds one line for a record; each is on disk at once, so a killed run leaves what it has.

    Raises:
        UserError: if the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            lines = csv.DictWriter(file, COLUMNS)
            lines.writeheader()

            def add(record: Record) -> None:
                lines.writerow(record.to_json())
                file.flush()

            yield add
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise UserError(f"'{path.name}' could not be written ({reason}); choose another file.") from error


def write_csv(path: Path, records: Sequence[Record]) -> None:
    """Write records as CSV, one line each; what is None is empty.

    Raises:
        UserError: if the file cannot be written.
    """
    with csv_writer(path) as add:
        for record in records:
            add(record)


def write_json(path: Path, records: Sequence[Record], about: Mapping[str, Any]) -> None:
    """Write `about` and the `records` as one JSON document.

    Raises:
        UserError: if the file cannot be written.
    """
    save_json(Path(path), {**about, "records": [record.to_json() for record in records]})


def write_npz(path: Path, records: Sequence[Record], rows: Sequence[Tensor]) -> None:
    """Write adapters as NumPy reads them without pickle: `rows` float16 `[N, D]`, and each column of their records.

    Args:
        path: ends in `.npz`.
        records: of all adapters; those without a row are left out.
        rows: raw rows `[D]` of the first N, at most `KEPT_ROWS`.

    Raises:
        UserError: if there is no row, or the file cannot be written.
    """
    if not rows:
        raise UserError("There is no adapter to write yet; run a sweep first.")
    held = records[: len(rows)]
    values = {name: [getattr(record, name) for record in held] for name in COLUMNS}
    columns = {name: np.array([np.nan if value is None else value for value in own]) for name, own in values.items()}
    stacked = torch.stack(list(rows)).half().numpy()

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **{"rows": stacked, **columns})  # type: ignore[arg-type]

    write_whole(Path(path), write)

"""Wild-P-Diff (Reimagining Parameter Space Exploration with Diffusion Models): its tables and figures, measured."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: The paper's own figures, by table and figure.
NUMBERS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("numbers.toml").read_text(encoding="utf-8"))


def column_means(rows: Mapping[str, Sequence[float]]) -> list[float]:
    """The mean over locations of each column of one of the paper's tables."""
    return [sum(column) / len(column) for column in zip(*rows.values(), strict=True)]

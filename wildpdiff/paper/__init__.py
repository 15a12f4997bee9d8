"""Wild-P-Diff (Reimagining Parameter Space Exploration with Diffusion Models): its tables and figures, measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import load_toml

#: The paper's own figures, by table and figure.
NUMBERS = load_toml(Path(__file__).with_name("numbers.toml"))
#: Title and question of each experiment.
QUESTIONS: dict[str, tuple[str, str]] = load_toml(Path(__file__).with_name("questions.toml"))


def column_means(rows: Mapping[str, Sequence[float]]) -> list[float]:
    """The mean over locations of each column of one of the paper's tables."""
    return [sum(column) / len(column) for column in zip(*rows.values(), strict=True)]

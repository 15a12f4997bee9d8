"""Wild-P-Diff (Reimagining Parameter Space Exploration with Diffusion Models): its tables and figures, measured."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
#: The paper's own figures, by table and figure.
NUMBERS: dict[str, Any] = tomllib.loads((_HERE / "numbers.toml").read_text(encoding="utf-8"))
#: Title and question of each experiment.
QUESTIONS: dict[str, tuple[str, str]] = {
    name: (title, question)
    for name, (title, question) in tomllib.loads((_HERE / "questions.toml").read_text(encoding="utf-8")).items()
}


def column_means(rows: Mapping[str, Sequence[float]]) -> list[float]:
    """The mean over locations of each column of one of the paper's tables."""
    return [sum(column) / len(column) for column in zip(*rows.values(), strict=True)]

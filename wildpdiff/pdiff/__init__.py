"""p-diff (Neural Network Diffusion): its ablations, measured on our world."""

import tomllib
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
#: The paper's own figures, by table.
NUMBERS: dict[str, Any] = tomllib.loads((_HERE / "numbers.toml").read_text(encoding="utf-8"))
#: Title and question of each experiment.
QUESTIONS: dict[str, tuple[str, str]] = {
    name: (title, question)
    for name, (title, question) in tomllib.loads((_HERE / "questions.toml").read_text(encoding="utf-8")).items()
}

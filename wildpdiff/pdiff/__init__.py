"""p-diff (Neural Network Diffusion): its ablations, measured on our world."""

from pathlib import Path

from ..files import load_toml

#: The paper's own figures, by table.
NUMBERS = load_toml(Path(__file__).with_name("numbers.toml"))
#: Title and question of each experiment.
QUESTIONS: dict[str, tuple[str, str]] = load_toml(Path(__file__).with_name("questions.toml"))

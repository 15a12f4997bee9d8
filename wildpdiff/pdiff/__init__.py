"""p-diff (Neural Network Diffusion): its ablations, measured on our world."""

import tomllib
from pathlib import Path
from typing import Any

#: The paper's own figures, by table.
NUMBERS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("numbers.toml").read_text(encoding="utf-8"))

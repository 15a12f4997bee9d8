"""What the tests of exporting share: a tiny bundle of Lite0 or B0, and an adapter of it that changes something."""

from pathlib import Path

import torch
from torch import Tensor

from wildpdiff.bundle import Bundle
from wildpdiff.network.peft_folder import save_peft

CARD = {"condition": "R10", "seed": "3"}
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"


def row_of(bundle: Bundle, *, seed: int = 0) -> Tensor:
    """A row `[D]` whose adapter changes every logit."""
    return 0.06 * torch.randn(bundle.layout.dim, generator=torch.Generator().manual_seed(seed))


def write_adapter(bundle: Bundle, folder: Path, *, seed: int = 0) -> Path:
    """A PEFT folder as `wildpdiff generate` writes it."""
    save_peft(bundle.backbone, row_of(bundle, seed=seed), folder, card=CARD)
    return folder

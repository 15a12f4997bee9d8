"""The classifier with one adapter, as it leaves the house; and where it may be written."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..bundle import Bundle
from ..errors import UserError
from ..files import is_folder, load_json
from ..network.backbone import Backbone
from ..network.lora_file import CONFIG
from ..network.peft_folder import load_peft, load_prior

#: How no adapter is asked for.
NONE = "none"
_LINE = re.compile(r"- (?P<key>[\w ().-]+): (?P<value>.+)")
_WEIGHTS = re.compile(r"weights (?P<fingerprint>[0-9a-f]{12})")
#: What a folder's card says of the classifier and the layout; it is written anew.
_OURS = ("classifier", "layout", "pixels")


@dataclass(frozen=True)
class Adapted:
    """A classifier with one adapter, or without.

    Attributes:
        backbone: the classifier.
        row: the adapter, `[D]`; None: the pretrained classifier itself.
        name: of the adapter.
        size: side of the photographs that it was trained on, in pixels.
        card: what the adapter's own README says of its origin.
        log_prior: of the place's classes, `[K]`, which is added to the classifier's biases; None: nothing is.
    """

    backbone: Backbone
    row: Tensor | None
    name: str
    size: int
    card: dict[str, str]
    log_prior: Tensor | None = None

    @classmethod
    def of(cls, bundle: Bundle, adapter: str) -> Adapted:
        """A bundle's classifier with the adapter of a PEFT folder, or with `NONE`.

        Raises:
            UserError: if the folder is no adapter, or belongs to another classifier.
        """
        backbone, size = bundle.backbone, bundle.world.size
        if adapter == NONE:
            return cls(backbone, None, NONE, size, {})
        folder = Path(adapter)
        if not is_folder(folder):
            raise UserError(
                f"'{folder.name}' is no folder; give one that `wildpdiff generate` or peft wrote, or '{NONE}'."
            )
        row, card = load_peft(backbone, folder), _card(folder)
        _check_classifier(folder, card, backbone)
        origin = {key: value for key, value in card.items() if key not in _OURS}
        return cls(backbone, row, folder.resolve().name, size, origin, load_prior(backbone, folder))

    @property
    def network(self) -> nn.Module:
        """One of timm's with the adapter and the prior merged in, in evaluation mode; it shares tensors with the
        classifier."""
        backbone = self.backbone if self.log_prior is None else self.backbone.biased(self.log_prior)
        return (backbone.copy() if self.row is None else backbone.merged(self.row.to(self._device))).eval()

    @property
    def about(self) -> dict[str, Any]:
        """What another program has to know to use the network, as a JSON value."""
        standard = self.backbone.standard
        return {
            "species": list(self.backbone.species),
            "architecture": self.backbone.architecture,
            "size": self.size,
            "mean": list(standard.mean),
            "std": list(standard.std),
            "adapter": self.name,
            "classifier": self.backbone.fingerprint,
            **({"origin": self.card} if self.card else {}),
        }

    @property
    def _device(self) -> Any:
        return next(self.backbone.parameters()).device


def check_free(paths: Iterable[Path]) -> None:
    """Refuse to write over anything, or where nothing can be written, before anything is computed.

    Raises:
        UserError: naming the first path that is taken or cannot be written.
    """
    for path in paths:
        if path.exists() or path.is_symlink():
            raise UserError(f"'{path.name}' exists; choose another --out.")
        above = next((folder for folder in path.absolute().parents if folder.exists()), None)
        if above is None or not above.is_dir() or not os.access(above, os.W_OK):
            raise UserError(
                f"'{path.name}' cannot be written there; choose an --out in a folder that you may write to."
            )


def check_ending(path: Path, ending: str, form: str) -> None:
    """Refuse a file's name with another ending than a format has.

    Raises:
        UserError: saying which ending it needs.
    """
    if path.suffix != ending:
        raise UserError(f"The format {form} writes one file; let --out end in {ending}, not '{path.name}'.")


def _card(folder: Path) -> dict[str, str]:
    """What a folder's README says, by its lines; nothing if it has none that can be read."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return {}
    return {found["key"]: found["value"] for line in text.splitlines() if (found := _LINE.fullmatch(line))}


def _check_classifier(folder: Path, card: dict[str, str], backbone: Backbone) -> None:
    """Refuse an adapter that says that it belongs to another classifier; many say nothing."""
    config = load_json(folder / CONFIG)
    base = str(config.get("base_model_name_or_path") or "")
    if base.startswith("timm/") and base != f"timm/{backbone.architecture}":
        raise UserError(
            f"'{folder.name}' is an adapter of {base.removeprefix('timm/')}, but the bundle's classifier is an "
            f"{backbone.architecture}; name its own bundle with --bundle."
        )
    told = _WEIGHTS.search(card.get("classifier", ""))
    if told and told["fingerprint"] != backbone.fingerprint:
        raise UserError(
            f"'{folder.name}' is an adapter of classifier {told['fingerprint']}, but the bundle's is "
            f"{backbone.fingerprint}; name its own bundle with --bundle."
        )

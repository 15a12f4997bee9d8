"""The generators of a folder, opened when first asked for, and checked to belong to the classifier that they meet."""

from __future__ import annotations

from pathlib import Path

import torch

from ..network.backbone import Backbone
from ..variant import Variant
from .generator import AdapterGenerator


class Opened:
    """Generators by name; whichever comes second, a generator or the classifier, is held against the other.

    So numbers that are stored are shown before the classifier is loaded, and no adapter meets another one. Two threads
    may do the same check twice.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        """None is opened yet.

        Args:
            folder: that has theirs.
            device: where they compute.
        """
        self._folder, self._device = folder, device
        self._known: dict[tuple[str, str], AdapterGenerator] = {}
        self._backbone: Backbone | None = None
        self._checked: set[int] = set()

    def of(self, variant: Variant) -> AdapterGenerator:
        """The generator of a variant, with its own denoiser if it has one.

        Raises:
            UserError: if it is damaged, or belongs to another classifier than the one that was met.
        """
        name = (variant.generator, variant.denoiser)
        if name not in self._known:
            whole = self.at(variant.generator)
            self._known[name] = whole.with_denoiser(self._folder / variant.denoiser) if variant.denoiser else whole
        return self._known[name]

    def at(self, folder: str) -> AdapterGenerator:
        """The generator in a folder.

        Raises:
            UserError: as `of`.
        """
        if (folder, "") not in self._known:
            with torch.inference_mode(False):  # whoever asks first: tensors of inference could never be loaded into
                self._known[folder, ""] = AdapterGenerator.from_pretrained(self._folder / folder, self._device)
        self._agree()
        return self._known[folder, ""]

    def meet(self, backbone: Backbone) -> None:
        """Hold all that are open, and those that will be, against the classifier.

        Raises:
            UserError: if one of them belongs to another.
        """
        self._backbone = backbone
        self._agree()

    def _agree(self) -> None:
        waiting = [own for own in tuple(self._known.values()) if id(own) not in self._checked]
        if self._backbone is None or not waiting:
            return
        fingerprint = self._backbone.fingerprint
        for generator in waiting:
            generator.check(layout=self._backbone.layout, backbone_fingerprint=fingerprint)
            self._checked.add(id(generator))

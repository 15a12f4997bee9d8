"""The variants of a bundle: which generators it holds, what they are called, and which files belong to each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .errors import UserError

OURS, PAPER = "ours", "paper"


@dataclass(frozen=True)
class Variant:
    """One generator, as a bundle's manifest lists it.

    Attributes:
        regime: of similarity, the zoo that it learned from (paper, section 4.3); the zoo's name in any other world.
        way: how it writes what lies between two locations: `ours` samples around a mean that was trained on curves
            between them, `paper` is the plain form that never saw a blend.
        label: the regime in a word, as the page writes it.
        note: the regime in a sentence.
        generator: folder of the generator.
        denoiser: file of the denoiser to put in place of the generator's own one; empty: its own.
        zoo: file of the fine-tuned rows as latents.
        curves: file of the curves between locations.
        map: file of the flat map.
    """

    regime: str
    way: str
    label: str
    note: str
    generator: str
    denoiser: str
    zoo: str
    curves: str
    map: str

    @classmethod
    def of(cls, regime: str, way: str, label: str, note: str) -> Variant:
        """A variant with its files by their usual names."""
        folder = f"generator-{regime}"
        files = (f"{kind}-{regime}.safetensors" for kind in ("zoo", "curves", "map"))
        return cls(regime, way, label, note, folder, "" if way == OURS else f"{folder}/{way}.safetensors", *files)

    def to_json(self) -> dict[str, str]:
        """As a JSON object."""
        return asdict(self)


def variants_from_json(value: Any) -> tuple[Variant, ...]:
    """The variants that a manifest lists.

    Raises:
        UserError: if they are not whole, one is there twice, or none writes in our way.
    """
    try:
        found = tuple(Variant(**{str(key): str(part) for key, part in each.items()}) for each in value)
    except (TypeError, AttributeError) as error:
        raise UserError("The bundle's list of variants is damaged; fetch the bundle again or make it anew.") from error
    own = {variant.regime for variant in found if variant.way == OURS}
    if not found or len({(each.regime, each.way) for each in found}) < len(found) or own != set(names(found)):
        raise UserError("A bundle needs variants of different names, and for each regime the one called 'ours'.")
    return found


def names(variants: Iterable[Variant]) -> tuple[str, ...]:
    """Their regimes, each once, in order."""
    return tuple(dict.fromkeys(variant.regime for variant in variants))

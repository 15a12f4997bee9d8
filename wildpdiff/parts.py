"""The parts of a bundle that numbers may depend on, and a fingerprint of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .manifest import digest
from .variant import Variant

#: What the files of some parts are called; the condition's are of one kind or the other, beside what it said.
PARTS = {
    "backbone": "classifier",
    **dict.fromkeys(("clip", "pooled", "conditions"), "condition"),
    "photographs": "world",
}


def fingerprints(manifest: Mapping[str, Any], variants: Sequence[Variant]) -> dict[str, str]:
    """Twelve hexadecimal digits for each part, from the checksums of its files and the world's spec.

    Parts: `classifier`, `condition`, `world`, `joint`, `unconditional`, `pictures`, `universal` and `pdiff` (where they
    are), and for each regime R `generator-R` (with the paper's denoiser), `zoo-R`, `curves-R` and `map-R`.
    Stored results are no part.

    Args:
        manifest: of the bundle, with `world` and `files`.
        variants: of the bundle.
    """
    parts: dict[str, list[Any]] = {"world": [manifest["world"]]}
    for name, own in sorted(manifest["files"].items()):
        parts.setdefault(part_of(name, variants), []).append([name, own])
    return {part: digest(content)[:12] for part, content in parts.items() if part != "results"}


def part_of(name: str, variants: Sequence[Variant]) -> str:
    """The part that a file of a bundle belongs to, by its name."""
    for variant in variants:
        for kind in ("zoo", "curves", "map"):
            if name == getattr(variant, kind):
                return f"{kind}-{variant.regime}"
        if name == variant.denoiser or name.startswith(f"{variant.generator}/"):
            return f"generator-{variant.regime}"
    part = name.partition("/")[0].removesuffix(".safetensors")
    return "unconditional" if part.startswith("generator-") else PARTS.get(part, part)

"""Draws that depend on names alone, so that they are the same whatever else is chosen."""

from __future__ import annotations

import hashlib


def fraction(purpose: str, name: str, seed: int = 0) -> float:
    """A number in 0..1 that looks random but depends on the arguments alone."""
    key = f"{purpose}\0{seed}\0{name}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) / 2**64

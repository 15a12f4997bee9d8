"""What strangers ask over the API, checked value by value: a JSON value of another kind is one sentence."""

from __future__ import annotations

import base64
from typing import Any

from ...errors import UserError
from ...sweep import Sweep
from ..setting import Setting

#: Letters of a name, and items of a list, at most.
LETTERS, ITEMS = 40, 64
_URL_SAFE = str.maketrans("-_", "+/")
#: What the endpoints call the parts of a setting, and what the page's state calls them.
_TEXTS = {"a": "a", "b": "b", "regime": "m", "way": "w"}
_NUMBERS = {"weight": "t"}
_WHOLES = {"seed": "seed", "samples": "n", "steps": "steps", "images": "images"}


def chosen(**values: object) -> Setting:
    """A setting from an endpoint's arguments, checked like the page's state.

    Raises:
        UserError: for any value of another kind or out of range.
    """
    state: dict[str, Any] = {_TEXTS[name]: text(value, name) for name, value in values.items() if name in _TEXTS}
    state |= {_NUMBERS[name]: number(value, name) for name, value in values.items() if name in _NUMBERS}
    state |= {_WHOLES[name]: whole(value, name) for name, value in values.items() if name in _WHOLES}
    return Setting.of(state)


def sweep_of(spec: object) -> Sweep:
    """A sweep from plain JSON.

    Raises:
        UserError: for any value that is missing, of another kind or out of range.
    """
    if not isinstance(spec, dict):
        raise UserError("'spec' must be an object such as {'pairs': [['A', 'B']], 'weights': [0, 0.5, 1]}.")
    known = ("pairs", "weights", "regimes", "ways", "seeds", "steps", "images", "seed")
    strange = next((str(name) for name in spec if name not in known), None)
    if strange is not None:
        raise UserError(f"A sweep has no '{strange[:LETTERS]}'; it knows {', '.join(known)}.")
    for name in known[:4]:
        if name in spec and (not isinstance(spec[name], list) or len(spec[name]) > ITEMS):
            raise UserError(f"'{name}' must be a list of at most {ITEMS}.")
    for pair in spec.get("pairs", []):
        if not isinstance(pair, list) or len(pair) != 2:
            raise UserError("Each of 'pairs' must be two locations, such as ['A', 'B'].")
    texts = {name: [text(part, name) for part in spec[name]] for name in ("regimes", "ways") if name in spec}
    pairs = [[text(name, "pairs") for name in pair] for pair in spec.get("pairs", [])]
    weights = [number(part, "weights") for part in spec.get("weights", [])]
    numbers = {name: whole(spec[name], name) for name in known[4:] if name in spec}
    return Sweep.of({"pairs": pairs, "weights": weights, **texts, **numbers})


def from_base64(text: str) -> bytes:
    """The bytes of base64 text as anything writes it: a data address, broken into lines, with the alphabet of
    addresses, without its padding.

    Raises:
        ValueError: if it is none.
    """
    plain = "".join(text.partition("base64,")[2].split() or text.split()).translate(_URL_SAFE).rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def text(value: object, name: str) -> str:
    """A short text.

    Raises:
        UserError: if it is none.
    """
    if not isinstance(value, str):
        raise UserError(f"'{name}' must be a text.")
    if not 0 < len(value) <= LETTERS:
        raise UserError(f"'{name}' must be a text of 1 to {LETTERS} letters.")
    return value


def number(value: object, name: str) -> float:
    """A finite number.

    Raises:
        UserError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        raise UserError(f"'{name}' must be a number.")
    if abs(value) > 2**53:
        raise UserError(f"'{name}' is too large a number.")
    return float(value)


def whole(value: object, name: str) -> int:
    """A whole number.

    Raises:
        UserError: if it is none.
    """
    found = number(value, name)
    if found != int(found):
        raise UserError(f"'{name}' must be a whole number, not {found:g}.")
    return int(found)


def within(value: object, name: str, low: int, high: int) -> int:
    """A whole number in a range.

    Raises:
        UserError: if it is none.
    """
    number = whole(value, name)
    if not low <= number <= high:
        raise UserError(f"'{name}' must be a whole number from {low} to {high}, not {number}.")
    return number

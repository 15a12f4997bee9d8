"""The tab Learn: lessons, guesses, stories, tours, and what is stored for them."""

from pathlib import Path

from ...bundle import Bundle
from ...files import load_toml

_GLOSSARY: dict[str, str] = load_toml(Path(__file__).with_name("glossary.toml"))


def glossary(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """The words of the page and what they mean here; CLIP is none of a bundle without one."""
    told = {word: meaning.format(condition=bundle.condition_words) for word, meaning in _GLOSSARY.items()}
    return tuple((word, meaning) for word, meaning in told.items() if word != "CLIP" or bundle.reads_words)

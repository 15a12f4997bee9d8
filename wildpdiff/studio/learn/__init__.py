"""The tab Learn: lessons, guesses, stories, tours, and what is stored for them."""

from pathlib import Path

from ...files import load_toml

#: The words of the page and what they mean here.
GLOSSARY = tuple(load_toml(Path(__file__).with_name("glossary.toml")).items())

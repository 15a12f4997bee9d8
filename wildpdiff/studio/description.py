"""A place in words, as a visitor writes it: checked, and read with care for what a small CLIP never read; no gradio."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import UserError

if TYPE_CHECKING:
    from ..condition.clip import CLIP, SimpleTokenizer

#: Characters of a description, at most.
LONGEST = 200
_PAPER, _INK = (246, 244, 239), (33, 31, 26)


@dataclass(frozen=True)
class Phrase:
    """A description and what there is to know about how a CLIP reads it.

    Attributes:
        text: the words, single spaces between them.
        unread: words that stood in no caption that the CLIP learned from; they say nothing to it.
        cut: what comes after the last word that fits in; empty if all does.
    """

    text: str
    unread: tuple[str, ...]
    cut: str

    @property
    def notes(self) -> list[str]:
        """The same in sentences."""
        notes = []
        if self.unread:
            notes.append(f"Not read, because no caption had it when this CLIP learned: {', '.join(self.unread)}.")
        if self.cut:
            notes.append(f"Only the beginning fits into this CLIP; “{self.cut}” was cut off.")
        return notes


def checked(text: str, network: CLIP, example: str) -> Phrase:
    """A visitor's words; `example` is what to write instead of unusable ones.

    Raises:
        UserError: if there are none, too many, or none that the network ever read.
    """
    plain = " ".join(text.split())
    if not plain:
        raise UserError(f"Describe the place first, for example: {example}.")
    if len(plain) > LONGEST:
        raise UserError(f"The description has {len(plain)} characters; at most {LONGEST} can be read, so shorten it.")
    kept, cut = _cut(plain, network)
    words = list(dict.fromkeys(re.findall(r"[^\W_]+(?:[-'’][^\W_]+)*", kept)))
    unread = tuple(word for word in words if not _read(word, network))
    if len(unread) == len(words):
        raise UserError(
            f"None of these words stood in the captions that this CLIP learned from; try such as in: {example}."
        )
    return Phrase(plain, unread, cut)


def tile(text: str, side: int = 256) -> Tensor:
    """The words on paper, uint8 `[3, side, side]`: what the page shows in place of a picture."""
    image = Image.new("RGB", (side, side), _PAPER)
    for size in (26, 22, 19, 16, 14):
        font = ImageFont.load_default(size)
        lines = "\n".join(textwrap.wrap(f"“{text}”", int((side - 36) / (0.52 * size))))
        drawn = ImageDraw.Draw(image).multiline_textbbox((0, 0), lines, font, spacing=6)
        if drawn[3] <= side - 36:
            break
    ImageDraw.Draw(image).multiline_text((18, (side - drawn[3]) // 2), lines, _INK, font, spacing=6)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(side, side, 3).permute(2, 0, 1).contiguous()


@lru_cache(maxsize=2)
def _tokenizer(context_length: int) -> SimpleTokenizer:
    from ..condition.clip import SimpleTokenizer

    return SimpleTokenizer(context_length=context_length)


def _read(word: str, network: CLIP) -> bool:
    """Whether every piece of a word was in the captions; training leaves the others zero."""
    pieces = _tokenizer(network.context_length).encode(word)
    return bool(network.token_embedding.weight[pieces].any(dim=1).all())


def _cut(text: str, network: CLIP) -> tuple[str, str]:
    """What of a text the network has room for, and the rest; its input begins and ends with a mark of its own."""
    tokenizer = _tokenizer(network.context_length)
    pieces, room = tokenizer.encode(text), network.context_length - 2
    kept, cut = (tokenizer.decode(part).strip(" ,").replace(" ,", ",") for part in (pieces[:room], pieces[room:]))
    return kept.replace(" - ", "-"), cut.replace(" - ", "-")

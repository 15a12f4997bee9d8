"""A CLIP's folder without the rows of its table of tokens that are zero, as most are in a CLIP that read few words."""

from __future__ import annotations

from pathlib import Path

from ..files import header, is_file, load_json, load_tensors, save_json, save_tensors, told
from .source import CONFIG_FILE, LOCAL, WEIGHTS_FILE

#: Names of the tokens and of the rows of their table that are kept.
TOKENS, KEPT = "token_embedding.weight", "token_embedding.rows"


def packed_in(model: str) -> bool:
    """Whether `local-dir:FOLDER` holds a packed CLIP."""
    path = Path(model.removeprefix(LOCAL)) / WEIGHTS_FILE
    return model.startswith(LOCAL) and is_file(path) and KEPT in header(path)[0]


def pack_clip(folder: Path) -> None:
    """Leave of a CLIP's table of tokens only the rows that are not zero, as of a small CLIP that read few words.

    `ClipCondition.load` opens the folder as before, under the same name; for open_clip itself `unpack_clip` it.

    Raises:
        UserError: if a file is missing or cannot be written.
    """
    tensors, about = load_tensors(folder / WEIGHTS_FILE)
    rows = tensors[TOKENS].any(dim=1).nonzero().flatten()
    packed = {**tensors, TOKENS: tensors[TOKENS][rows], KEPT: rows.int()}
    save_tensors(folder / WEIGHTS_FILE, packed, about)


def unpack_clip(folder: Path, whole: Path) -> None:
    """Write a packed CLIP as a folder that open_clip opens: the files that were packed, bit by bit.

    Raises:
        UserError: if a file is missing or damaged, or cannot be written.
    """
    tensors, about = load_tensors(folder / WEIGHTS_FILE)
    config = load_json(folder / CONFIG_FILE)
    with told(folder / WEIGHTS_FILE, "a packed CLIP"):
        rows, kept = tensors.pop(KEPT).long(), tensors[TOKENS]
        table = kept.new_zeros(int(config["model_cfg"]["text_cfg"]["vocab_size"]), kept.shape[1])
        table[rows] = kept
    save_tensors(whole / WEIGHTS_FILE, {**tensors, TOKENS: table}, about)
    save_json(whole / CONFIG_FILE, config)

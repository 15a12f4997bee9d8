"""A contact sheet of a world: its photographs, a row for each location and for each species."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import UserError
from ..files import write_whole
from ..picture import resized
from .base import EMPTY, Enlarging, World

MARGIN = 92


def contact_sheet(
    world: World, locations: Sequence[str], out: Path, *, by: str = "both", height: int = 150, columns: int = 8
) -> None:
    """Write a PNG of evaluation photographs, a row for each location (the first ones) and for each species
    that is on any.

    Raises:
        UserError: if `by` is no known arrangement, a size is out of range, or the file cannot be written.
    """
    if by not in ("location", "species", "both"):
        raise UserError(f"A sheet is arranged by location, species or both, not by '{by}'.")
    if not 32 <= height <= 1080 or not 1 <= columns <= 40:
        raise UserError("A sheet's pictures are 32 to 1080 pixels high, and 1 to 40 stand in a row.")
    labels = {name: world.labels(name, "eval") for name in locations}
    rows = {name: [(name, place) for place in range(min(columns, len(labels[name])))] for name in locations}
    rows = rows if by != "species" else {}
    if by != "location":
        found = {name: _showing(labels, label)[:columns] for label, name in enumerate(world.species) if name != EMPTY}
        rows |= {name: photographs for name, photographs in found.items() if photographs}
    sheet = Image.new("RGB", (MARGIN + columns * height, len(rows) * height), (250, 248, 243))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, (name, photographs) in enumerate(rows.items()):
        for column, (location, place) in enumerate(photographs):
            pixels = _photograph(world, location, place, height)
            sheet.paste(Image.fromarray(pixels.permute(1, 2, 0).numpy()), (MARGIN + column * height, index * height))
        draw.text((8, index * height + height // 2 - 8), name.replace("_", "\n"), fill=(40, 36, 30), font=font)
    write_whole(Path(out), lambda path: sheet.save(path, format="PNG"))


def _showing(labels: dict[str, Tensor], label: int) -> list[tuple[str, int]]:
    """Location and number of the photographs of a species, of different locations first."""
    found = {name: (own == label).nonzero().flatten().tolist() for name, own in labels.items()}
    turns = range(max(map(len, found.values()), default=0))
    return [(name, places[turn]) for turn in turns for name, places in found.items() if turn < len(places)]


def _photograph(world: World, location: str, place: int, height: int) -> Tensor:
    """An evaluation photograph, uint8 `[3, height, height]`, as sharp as the world has it; grey if it is not kept."""
    if isinstance(world, Enlarging):
        return world.enlarged(location, place, height)
    pixels = world.images(location, "eval", first=place + 1).pixels[place:]
    if not len(pixels):
        return torch.full((3, height, height), 230, dtype=torch.uint8)
    return resized(pixels[0], height, height)

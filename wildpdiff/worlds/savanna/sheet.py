"""A contact sheet of the savanna: look at it until you like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...errors import UserError
from ...files import write_whole
from .location import Location, rng_of
from .world import SEEN, SPECIES, UNSEEN, SavannaConfig, SavannaWorld

MARGIN = 92


def contact_sheet(
    config: SavannaConfig,
    out: Path,
    *,
    by: str = "both",
    height: int = 150,
    columns: int = 8,
    shift: float | None = None,
) -> None:
    """Write a PNG of photographs, a row for each named location (drawn from its prior) and for each species.

    Raises:
        UserError: if `by` is no known arrangement, a size is out of range, or the file cannot be written.
    """
    if by not in ("location", "species", "both"):
        raise UserError(f"A sheet is arranged by location, species or both, not by '{by}'.")
    if not 32 <= height <= 1080 or not 1 <= columns <= 40:
        raise UserError("A sheet's pictures are 32 to 1080 pixels high, and 1 to 40 stand in a row.")
    world = SavannaWorld(config if shift is None else replace(config, shift=shift))
    rows = _by_location(world, height, columns) if by != "species" else []
    rows += _by_species(world, height, columns) if by != "location" else []
    sheet = Image.new("RGB", (MARGIN + columns * (height * 4 // 3), len(rows) * height), (250, 248, 243))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for index, (name, pictures) in enumerate(rows):
        sheet.paste(Image.fromarray(np.concatenate(pictures, axis=1)), (MARGIN, index * height))
        draw.text((8, index * height + height // 2 - 8), name.replace("_", "\n"), fill=(40, 36, 30), font=font)
    write_whole(Path(out), lambda path: sheet.save(path, format="PNG"))


def _by_location(world: SavannaWorld, height: int, columns: int) -> list[tuple[str, list[np.ndarray]]]:
    rows = []
    for name in (*SEEN, *UNSEEN):
        location = world.location(name)
        labels = rng_of("sheet", name).choice(len(SPECIES), size=columns, p=world.prior(location))
        kinds = [None if label == len(SPECIES) - 1 else SPECIES[label] for label in labels]
        rows.append((name, [_small(world, location, kind, index, height) for index, kind in enumerate(kinds)]))
    return rows


def _by_species(world: SavannaWorld, height: int, columns: int) -> list[tuple[str, list[np.ndarray]]]:
    rows = []
    for place, species in enumerate(SPECIES[:-1]):
        names = [world.locations[(7 * index + 3 * place) % len(world.locations)] for index in range(columns)]
        pictures = [_small(world, world.location(name), species, index, height) for index, name in enumerate(names)]
        rows.append((species, pictures))
    return rows


def _small(world: SavannaWorld, location: Location, species: str | None, seed: int, height: int) -> np.ndarray:
    return world.picture(location, species, seed, height=height, width=height * 4 // 3)

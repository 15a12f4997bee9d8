"""One door for whatever describes the photographs of camera traps."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ..errors import UserError
from ..files import is_file, is_folder
from ..zips import check_packing
from .coco import coco_survey
from .json_parts import Open, read_safely
from .survey import Survey

PICTURES = "images"


def open_survey(
    path: Path,
    *,
    images: Path | None = None,
    columns: Mapping[str, str] | None = None,
    boxes: Path | None = None,
) -> Survey:
    """A survey from a file or folder, whose format is told by what is in it; no photograph is opened.

    Args:
        path: metadata, a table, a package, or a folder of photographs.
        images: the folder that file names start from; by default `images` beside the metadata, or where that lies.
        columns: of a table, by what they hold: path, location, species, time, sequence.
        boxes: output of a detector, joined by file names.

    Raises:
        UserError: if there is nothing of that name, or it is no format that is read here.
    """
    if is_folder(path):
        found = path / "metadata.json"
        if not is_file(found):
            raise UserError(f"The folder '{path.name}' has no metadata.json; name a metadata file.")
        return open_survey(found, images=images, columns=columns, boxes=boxes)
    return coco_survey(_opened(path), path.name, images or _images_beside(path))


def _images_beside(path: Path) -> Path:
    folder = path.parent / PICTURES
    return folder if is_folder(folder) else path.parent


def _opened(path: Path) -> Open:
    """How to open a JSON document, which may be the only one of a zip."""
    with read_safely(path.name):
        if not zipfile.is_zipfile(path):
            return lambda: path.open("rb")
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".json") and "__MACOSX" not in name]
            if len(members) != 1:
                raise UserError(f"'{path.name}' holds {len(members)} .json files; it must hold exactly one.")
            check_packing(archive.getinfo(members[0]))

    def member() -> BinaryIO:
        return zipfile.ZipFile(path).open(members[0])  # type: ignore[return-value]

    return member

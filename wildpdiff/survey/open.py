"""One door for whatever describes the photographs of camera traps."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from ..errors import UserError
from ..files import is_file, is_folder, is_pointer
from ..labelled import SUFFIXES, shortened
from ..zips import check_packing
from .camtrap import DESCRIPTOR, TABLES, camtrap_survey
from .coco import KIND as COCO
from .coco import coco_survey
from .detections import MEGADETECTOR, SPECIESNET, detections_survey, with_boxes
from .folders import folder_survey
from .json_parts import Open, parts
from .rows import Package, Table
from .safely import read_safely
from .survey import Survey
from .tables import insights_survey, is_insights, table_survey

PICTURES = "images"
READ = (
    "COCO Camera Traps, Camtrap DP, Wildlife Insights, tables (CSV), MegaDetector, SpeciesNet and folders "
    "location/species are read"
)
_STARTS = {
    b"PAR1": "a Parquet table; save it as CSV",
    b"\x1f\x8b": "packed with gzip; unpack it first",
    b"SQLite format 3": "a database of SQLite; save its table of photographs as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file; save it as CSV",
    b"Rar!": "a RAR archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
}
#: Keys of other JSON documents that people have beside their photographs.
_OTHERS = {"shapes": "an annotation file of LabelMe", "_via_img_metadata": "a project of VIA", "features": "GeoJSON"}


def open_survey(
    path: Path,
    *,
    images: Path | None = None,
    columns: Mapping[str, str] | None = None,
    boxes: Path | None = None,
) -> Survey:
    """A survey from a file or folder, whose format is told by what is in it; no photograph is opened.

    Args:
        path: metadata, a table, a package (also zipped), a detector's output, or a folder of photographs.
        images: the folder that file names start from; by default `images` beside the metadata, or where that lies.
        columns: names of a table's columns by what they hold: path, location, species, time, sequence.
        boxes: output of MegaDetector or SpeciesNet, joined by file names.

    Raises:
        UserError: if there is nothing of that name, or it is no format that is read here.
    """
    if images is not None and not is_folder(images):
        raise UserError(f"The images' folder '{images.name}' is missing; name the folder that file names start from.")
    survey = _of_folder(path, images, columns) if is_folder(path) else _of_file(path, images, columns)
    if boxes is None:
        return survey
    opened = opened_json(boxes)
    if _kind(opened, boxes.name) not in (MEGADETECTOR, SPECIESNET):
        raise UserError(f"'{boxes.name}' is no output of MegaDetector or SpeciesNet; give a file with boxes.")
    return with_boxes(survey, opened, boxes.name)


def open_coco(path: Path, images: Path) -> Survey:
    """A survey from a COCO Camera Traps file, a `.json` or a `.zip` with one, and from nothing else.

    Raises:
        UserError: if it is missing, or another format.
    """
    survey = _of_file(path, images, None)
    if survey.kind != COCO:
        raise UserError(
            f"'{path.name}' is {survey.kind}, and not COCO Camera Traps; a world of kind 'cameras' reads it."
        )
    return survey


def _of_folder(path: Path, images: Path | None, columns: Mapping[str, str] | None) -> Survey:
    """What a folder holds: a package, one metadata file beside pictures, or pictures in folders."""
    with read_safely(path.name):
        names = sorted(each.name for each in path.iterdir() if each.is_file() and not each.name.startswith("."))
    if DESCRIPTOR in names:
        return camtrap_survey(Package(path), images or path)
    if "images.csv" in names and is_insights(Package(path).table("images.csv")):
        return insights_survey(Package(path), images or _beside(path))
    metadata = [name for name in names if name.lower().endswith((".json", ".json.zip"))]
    for one in ["metadata.json", *(metadata if len(metadata) == 1 else ())]:
        if one in names:
            return _of_file(path / one, images, columns)
    tables = [name for name in names if name.lower().endswith((".csv", ".tsv"))]
    if len(tables) == 1 and columns:
        return _of_file(path / tables[0], images, columns)
    return folder_survey(path)


def _of_file(path: Path, images: Path | None, columns: Mapping[str, str] | None) -> Survey:
    """What a file is: a zip of one of the others, JSON or a table.

    Raises:
        UserError: if it is something else, with what helps.
    """
    folder = images or _beside(path.parent)
    if path.name == DESCRIPTOR and is_file(path):
        return camtrap_survey(Package(path.parent), images or path.parent)
    with read_safely(path.name):
        zipped = zipfile.is_zipfile(path)
        with path.open("rb") as file:
            start = file.read(4096)
    if zipped:
        return _of_zip(path, folder, columns)
    _refuse_others(path, start)
    bare = start.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")[:1]
    if path.suffix.lower() in (".csv", ".tsv", ".txt") or (
        bare and bare not in b"{[" and b"," in start.partition(b"\n")[0]
    ):
        table = Table(lambda: path.open("rb"), path.name)
        if not columns and is_insights(table):
            return insights_survey(Package(path.parent), folder, path.name)
        return table_survey(table, folder, columns)
    return _of_json(opened_json(path), path.name, folder)


def _of_json(opened: Open, name: str, images: Path) -> Survey:
    kind = _kind(opened, name)
    if kind in (MEGADETECTOR, SPECIESNET):
        return detections_survey(opened, name, images, kind)
    if kind:
        raise UserError(f"'{name}' is {kind}; {READ}.")
    return coco_survey(opened, name, images)


def _of_zip(path: Path, images: Path, columns: Mapping[str, str] | None) -> Survey:
    with read_safely(path.name), zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX") and not name.endswith("/")]
    for wanted, make in ((DESCRIPTOR, camtrap_survey), ("images.csv", insights_survey)):
        inner = [name.removesuffix(wanted).rstrip("/") for name in names if name.rpartition("/")[2] == wanted]
        if len(inner) == 1:
            package = Package(path, inner[0])
            if wanted == DESCRIPTOR or is_insights(package.table(wanted)):
                return make(package, images)
    tables = [name for name in names if name.lower().endswith(".csv")]
    if {name.rpartition("/")[2] for name in tables} & {f"{name}.csv" for name in TABLES}:
        raise UserError(f"'{path.name}' holds tables of a Camtrap DP package without its {DESCRIPTOR}; fetch it whole.")
    if len(tables) == 1:
        return table_survey(Package(path).table(tables[0]), images, columns)
    documents = [name for name in names if name.lower().endswith(".json")]
    if not documents and any(name.lower().endswith(SUFFIXES) for name in names):
        raise UserError(f"'{path.name}' is a zip of photographs; unpack it and give the folder.")
    return _of_json(opened_json(path), path.name, images)


def _kind(opened: Open, name: str) -> str:
    """What a JSON document is, by its first keys: a detector's output, another format in words, or nothing of these."""
    with read_safely(name):
        for part in parts(opened):
            record = part.value[0] if part.records and isinstance(part.value[0], dict) else {}
            if part.key == "predictions":
                return SPECIESNET
            if part.key == "detection_categories" or (part.key == "images" and {"file"} <= record.keys()):
                return MEGADETECTOR
            if part.key in _OTHERS:
                return _OTHERS[part.key]
            if part.key == "resources":
                return f"the descriptor of a data package; name it {DESCRIPTOR} and keep its tables beside it"
            if part.key in ("annotations", "categories") or record:
                return ""
    return ""


def _refuse_others(path: Path, start: bytes) -> None:
    """Raises UserError for a file that is known to be something else."""
    if is_pointer(start):
        raise UserError(f"'{path.name}' is only a pointer of Git LFS; run `git lfs pull`.")
    other = next((what for begins, what in _STARTS.items() if start.startswith(begins)), None)
    if other is not None:
        raise UserError(f"'{path.name}' is {other}.")
    if path.suffix.lower() in SUFFIXES:
        raise UserError(f"'{path.name}' is one picture; give its folder, or a file that describes many.")
    if not start.strip():
        raise UserError(f"'{path.name}' is empty or damaged; fetch it anew.")


def _beside(folder: Path) -> Path:
    """The folder of pictures beside metadata, or where that lies."""
    return folder / PICTURES if is_folder(folder / PICTURES) else folder


def opened_json(path: Path) -> Open:
    """How to open a JSON document, which may be the only one of a zip."""
    with read_safely(path.name):
        if not zipfile.is_zipfile(path):
            return lambda: path.open("rb")
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".json") and "__MACOSX" not in name]
            if len(members) != 1:
                found = f" ({shortened(members)})" if members else ""
                raise UserError(f"'{path.name}' holds {len(members)} .json files{found}; it must hold exactly one.")
            check_packing(archive.getinfo(members[0]))

    def member() -> BinaryIO:
        with zipfile.ZipFile(path) as archive:
            return archive.open(members[0])  # type: ignore[return-value]

    return member

"""Tables with a row for each photograph, or for each species on one: Wildlife Insights' and anybody's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import UserError
from .bursts import seconds_of
from .gathered import Gathered
from .names import common_name
from .records import Frame
from .rows import Package, Row, Table, first_column
from .survey import Oddities, Survey
from .values import cell

#: What a column may hold, and what it is usually called.
COLUMNS: dict[str, tuple[str, ...]] = {
    "path": ("path", "file", "file_name", "filename", "filepath", "image", "image_path", "img_path", "photo"),
    "location": ("location", "site", "station", "camera", "location_id", "placename", "deployment", "deployment_id"),
    "species": ("species", "label", "common_name", "category", "class", "scientific_name", "name", "animal"),
    "time": ("datetime", "timestamp", "date_time", "time", "date_captured", "DateTimeOriginal", "taken"),
    "sequence": ("seq_id", "sequence", "sequence_id", "event", "event_id", "burst", "capture_event_id"),
}
NEEDED = ("path", "location", "species")


def columns_of(text: str) -> dict[str, str]:
    """What a table's columns are called, as somebody types it: `path=Bild,location=Ort`.

    Raises:
        UserError: if a part is no such pair, or says what no column holds.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    found = {key.strip(): name.strip() for key, _, name in pairs}
    if not all(found.values()) or set(found) - set(COLUMNS):
        raise UserError(
            f"Columns are given as path=NAME,location=NAME; they hold: {', '.join(COLUMNS)}; not '{text[:60]}'."
        )
    return found


def is_insights(table: Table) -> bool:
    """Whether a table is `images.csv` of Wildlife Insights."""
    return {"deployment_id", "common_name", "genus"} <= set(table.columns)


def table_survey(table: Table, images: Path, columns: Mapping[str, str] | None = None) -> Survey:
    """A survey from any table; what its columns are called may be said.

    Raises:
        UserError: if a column is not there.
    """
    chosen = _chosen(table, columns or {})

    def read(odd: Oddities) -> Iterator[Frame]:
        photos = Gathered(odd)
        for row in table.rows(odd):
            file = (row[chosen["path"]] or "").strip()
            if not file:
                odd.add("Rows without a file name")
                continue
            said = {key: cell(row[own]) for key, own in chosen.items()}
            name = row[chosen["species"]].strip()
            time = said.get("time")
            seconds = seconds_of(time)
            if time and seconds is None:
                odd.add("Times that cannot be read", time)
            photos.add(file, said["location"], name=common_name(name) if name else None,
                       sequence=said.get("sequence"), seconds=seconds)  # fmt: skip
        yield from photos.frames()

    return Survey("a table (CSV)", table.name, images, read)


def _chosen(table: Table, columns: Mapping[str, str]) -> dict[str, str]:
    """The table's own names of the columns that are read."""
    unknown = [key for key in columns if key not in COLUMNS]
    if unknown:
        raise UserError(f"Columns of '{unknown[0]}' are not known; choose among {', '.join(COLUMNS)}.")
    table.needs(*columns.values())
    found = dict(columns)
    for key, names in COLUMNS.items():
        if key in found:
            continue
        if key in NEEDED:
            what = {"path": "file names", "location": "locations", "species": "species"}[key]
            found[key] = first_column(table, names, what, f"--columns {key}=NAME")
        elif own := table.column(*names):
            found[key] = own
    if len({found[key] for key in NEEDED}) < len(NEEDED):
        raise UserError(f"'{table.name}' needs three columns: path, location, species; not one for two of them.")
    return found


def insights_survey(package: Package, images: Path, name: str = "images.csv") -> Survey:
    """A survey from a download of Wildlife Insights: `images.csv`, and `deployments.csv` if it is there.

    Raises:
        UserError: if a table is damaged.
    """
    table = package.table(name)

    def read(odd: Oddities) -> Iterator[Frame]:
        places, photos = _places(package, odd), Gathered(odd)
        for row in table.rows(odd):
            file = _file(row)
            if not file:
                odd.add("Rows without a file name")
                continue
            deployment = cell(row["deployment_id"])
            photos.add(file, places.get(deployment or "", deployment), name=_species(row),
                       sequence=cell(row.get("sequence_id")), seconds=seconds_of(row.get("timestamp")))  # fmt: skip
        yield from photos.frames()

    return Survey("Wildlife Insights (images.csv)", table.name, images, read)


def _places(package: Package, odd: Oddities) -> dict[str, str]:
    """The place of every deployment, if there is a table of them."""
    if not package.has("deployments.csv"):
        return {}
    rows = package.table("deployments.csv").rows(odd)
    pairs = ((cell(row.get("deployment_id")), cell(row.get("placename"))) for row in rows)
    return {deployment: place for deployment, place in pairs if deployment and place}


def _file(row: Row) -> str:
    """A photograph's file: its name, or what stands behind the bucket of its address."""
    address = (row.get("location") or "").strip()
    return (
        (row.get("filename") or "").strip() or re.sub(r"^\w+://[^/]*/", "", address) or row.get("image_id", "").strip()
    )


def _species(row: Row) -> str | None:
    """What a row names: the common name, else the lowest rank that is known."""
    if (row.get("is_blank") or "").strip().casefold() in ("1", "true", "yes"):
        return "blank"
    genus, species = (_rank(row.get(key)) for key in ("genus", "species"))
    both = f"{genus} {species}" if genus and species else genus
    if (both or "").casefold() == "homo sapiens":
        return both
    return (
        _rank(row.get("common_name"))
        or both
        or next((rank for key in ("family", "order", "class") if (rank := _rank(row.get(key)))), None)
    )


def _rank(text: str | None) -> str | None:
    """A name or rank; None for nothing."""
    return (text or "").strip() or None

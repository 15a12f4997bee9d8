"""What a classifier, or a person, says of a survey's photographs, as a Camtrap DP 1.0 package."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from ..files import save_json, write_whole
from .camtrap import DESCRIPTOR, NOWHERE, UNIDENTIFIED
from .camtrap_schema import PROFILE, TABLES, columns, schema
from .folder import leads_out
from .names import KINDS, Meaning, meaning
from .records import ANIMAL, Box, Frame
from .write import Told, guesses_by_box, labels_of

_MEDIA_TYPES = {".png": "image/png", ".webp": "image/webp"}
_TYPES = {Meaning.EMPTY: "blank", Meaning.PERSON: "human", Meaning.VEHICLE: "vehicle", Meaning.NOTHING: "unclassified"}
Rows = list[dict[str, Any]]


def write_camtrap(
    folder: Path,
    photographs: Iterable[Told],
    *,
    title: str,
    classifier: str,
    created: datetime,
    places: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[str, ...]:
    """Write `datapackage.json` and its three tables; the descriptor comes last, so that a package is whole.

    A location is one deployment, a sequence one event. Names of classes stand where the format wants scientific names.

    Args:
        folder: for the four files.
        photographs: in the order to write them.
        title: of the project.
        classifier: what made the guesses, with its version.
        created: when; written as it is.
        places: latitude and longitude of locations, where they are known.

    Returns:
        Sentences on what the format needs and nothing tells, and on what was left out.

    Raises:
        UserError: if a file cannot be written.
    """
    kept, outside = [], 0
    for told in photographs:
        if leads_out(told.frame.file) or told.frame.file.startswith((".", "~")) or ".." in told.frame.file:
            outside += 1
        else:
            kept.append(told)
    spans, places = _Spans(told.frame for told in kept), places or {}
    rows: dict[str, Rows] = {"deployments": _deployments(spans, places), "media": [], "observations": []}
    for number, told in enumerate(kept):
        rows["media"].append(_media(number, told.frame))
        rows["observations"] += _observations(number, told, classifier, spans)
    unknown = {name: _unknown(name, rows[name]) for name in TABLES}
    for name, own in rows.items():
        _write_table(folder / f"{name}.csv", columns(name), own)
    save_json(folder / DESCRIPTOR, _descriptor(title, created, rows, unknown, spans))
    said = [
        f"Camtrap DP needs {', '.join(names)} in {name}.csv, and nothing tells them for all rows; some stay empty."
        for name, names in unknown.items()
        if names
    ]
    if outside:
        said.append(f"{outside:,} photographs are left out, as their file names lead out of the package.")
    return tuple(said)


class _Spans:
    """First and last moments of locations and of events."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self.places: dict[str, tuple[int, int] | None] = {}
        self.events: dict[tuple[str, str], tuple[int, int]] = {}
        for frame in frames:
            place, seconds = frame.location or NOWHERE, frame.seconds
            self.places[place] = _wider(self.places.get(place), seconds)
            if frame.sequence is not None and seconds is not None:
                key = (place, frame.sequence)
                self.events[key] = _wider(self.events.get(key), seconds) or (seconds, seconds)

    def of(self, frame: Frame) -> tuple[int, int] | None:
        """The span of the event that a photograph belongs to; without one, its own moment."""
        own = None if frame.seconds is None else (frame.seconds, frame.seconds)
        return own if frame.sequence is None else self.events.get((frame.location or NOWHERE, frame.sequence), own)


def _wider(span: tuple[int, int] | None, seconds: int | None) -> tuple[int, int] | None:
    if seconds is None:
        return span
    return (seconds, seconds) if span is None else (min(span[0], seconds), max(span[1], seconds))


def _time(seconds: int | None) -> str:
    """A moment of the camera's own clock; the format wants a zone, and UTC stands for none."""
    return "" if seconds is None else (datetime(1970, 1, 1) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _deployments(spans: _Spans, places: Mapping[str, tuple[float, float]]) -> Rows:
    found = []
    for place, span in spans.places.items():
        start, end = span or (None, None)
        row = {"deploymentID": place, "locationID": place, "locationName": place}
        row |= {"deploymentStart": _time(start), "deploymentEnd": _time(end), "timestampIssues": "true"}
        if place in places:
            row |= {"latitude": f"{places[place][0]}", "longitude": f"{places[place][1]}"}
        found.append(row)
    return found


def _media(number: int, frame: Frame) -> dict[str, Any]:
    path = PurePosixPath(frame.file.replace("\\", "/"))
    return {
        "mediaID": f"m{number}", "deploymentID": frame.location or NOWHERE, "timestamp": _time(frame.seconds),
        "filePath": str(path), "filePublic": "false" if frame.human else "true", "fileName": path.name,
        "fileMediatype": _MEDIA_TYPES.get(path.suffix.lower(), "image/jpeg"),
    }  # fmt: skip


def _observations(number: int, told: Told, classifier: str, spans: _Spans) -> Rows:
    """A row for every box and every name without one; one that says so, if nothing is known."""
    frame, found = told.frame, Rows()
    span = spans.of(frame) or (None, None)
    common = {
        "deploymentID": frame.location or NOWHERE, "mediaID": f"m{number}", "eventID": frame.sequence or "",
        "eventStart": _time(span[0]), "eventEnd": _time(span[1]), "observationLevel": "media",
    }  # fmt: skip
    for name, box in _named_boxes(told):
        means = meaning(name) if name else Meaning.NOTHING
        row = (
            common
            | _how(told, box, classifier)
            | {"observationID": f"m{number}-{len(found)}", "observationType": _TYPES.get(means, "animal")}
        )
        if means is Meaning.ANIMAL:
            row["scientificName"] = "" if name == UNIDENTIFIED else name
        if box is not None:
            edges = (box.left, box.top, box.width, box.height)
            row |= dict(
                zip(("bboxX", "bboxY", "bboxWidth", "bboxHeight"), (f"{edge:.6f}" for edge in edges), strict=True)
            )
        found.append(row)
    return found


def _how(told: Told, box: Box | None, classifier: str) -> dict[str, Any]:
    """Who named a box, or the whole photograph; a box that is no animal's and not quite sure is a detector's."""
    if box is not None and box.kind != ANIMAL and box.confidence < 1:
        return {"classificationMethod": "machine", "classificationProbability": f"{box.confidence:.4f}"}
    guesses = guesses_by_box(told).get(box, ()) if box is not None and told.each else told.guesses
    sure = guesses[0][1] if guesses and (box is None or box.kind == ANIMAL) else None
    if sure is not None:
        share = f"{min(1.0, max(0.0, sure)):.4f}"
        return {"classificationMethod": "machine", "classifiedBy": classifier, "classificationProbability": share}
    return {"classificationMethod": "human"} if labels_of(told) else {}


def _named_boxes(told: Told) -> list[tuple[str, Box | None]]:
    """Names of a photograph, each with the boxes of its kind; boxes of animals belong to the first species, or have a
    name each, and one that is empty beside others is left out."""
    names, boxes = labels_of(told) if not told.failure else (), list(told.frame.boxes or ())
    if not names:
        return [("", None)]
    if told.each:
        by_box = guesses_by_box(told)
        each = [(by_box[box][0][0] if box in by_box else box.kind, box) for box in boxes]
        return [(name, box) for name, box in each if name in names] or [(names[0], None)]
    found: list[tuple[str, Box | None]] = []
    taken: set[str] = set()
    for name in names:
        means = meaning(name)
        kind = KINDS.get(means, ANIMAL)
        own = [box for box in boxes if box.kind == kind and kind not in taken and means is not Meaning.EMPTY]
        found += [(name, box) for box in own] or [(name, None)]
        taken.add(kind)
    return found


def _unknown(table: str, rows: Rows) -> list[str]:
    """Columns that the format needs and that some row lacks."""
    needed = [name for name, _, constraints in TABLES[table] if constraints.get("required")]
    return [name for name in needed if any(not row.get(name) for row in rows)]


def _write_table(path: Path, names: Sequence[str], rows: Rows) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.DictWriter(file, names, restval="")
            writer.writeheader()
            writer.writerows(rows)

    write_whole(path, write)


def _descriptor(
    title: str, created: datetime, rows: Mapping[str, Rows], unknown: Mapping[str, Sequence[str]], spans: _Spans
) -> dict[str, Any]:
    resources = [
        {"name": name, "path": f"{name}.csv", "profile": "tabular-data-resource", "format": "csv",
         "mediatype": "text/csv", "encoding": "utf-8", "schema": schema(name, unknown=unknown[name])}
        for name in TABLES
    ]  # fmt: skip
    species = sorted({row["scientificName"] for row in rows["observations"] if row.get("scientificName")})
    moments = [moment for span in spans.places.values() if span for moment in span]
    temporal = {"start": _time(min(moments))[:10], "end": _time(max(moments))[:10]} if moments else {}
    corners = [(float(row["longitude"]), float(row["latitude"])) for row in rows["deployments"] if row.get("latitude")]
    return {
        "resources": resources,
        "profile": PROFILE,
        "name": _plain(title),
        "title": title,
        "description": "Times are those of the cameras' own clocks, whose zone is not known; UTC stands for it. "
        "Names of classes stand where scientific names belong, as the classifier knows no others.",
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "contributors": [{"title": "wildpdiff", "role": "contributor"}],
        "project": {"title": title, "samplingDesign": "opportunistic", "captureMethod": ["activityDetection"],
                    "individualAnimals": False, "observationLevel": ["media"]},
        "spatial": {"type": "MultiPoint", "coordinates": [list(corner) for corner in corners]},
        "temporal": temporal,
        "taxonomic": [{"scientificName": name} for name in species],
    }  # fmt: skip


def _plain(title: str) -> str:
    """A title in the letters that a package's name may have."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in title.lower()) or "survey"

"""Camtrap DP 1.0, the data package of camera traps: deployments, media and observations."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError
from .bursts import seconds_of
from .json_parts import LONGEST
from .names import KINDS, meaning, seen_in
from .records import ANIMAL, Box, Frame
from .rows import Package, Row
from .safely import read_safely
from .survey import Oddities, Survey
from .values import box_of, cell, number_of

DESCRIPTOR = "datapackage.json"
TABLES = ("deployments", "media", "observations")
UNIDENTIFIED = "unidentified"
"""The name of an animal without a scientific one."""
NOWHERE = "unknown location"
"""The deployment of photographs that are of no known place, as we write it."""
_NAMES = {"blank": "blank", "human": "human", "vehicle": "vehicle"}


@dataclass
class _Said:
    """Observations of one photograph, or one event."""

    names: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    event: str | None = None


@dataclass(frozen=True)
class _Event:
    start: int
    end: int
    said: _Said


def camtrap_survey(package: Package, images: Path) -> Survey:
    """A survey from a Camtrap DP package, a folder or a zip.

    Raises:
        UserError: if its descriptor is damaged, or does not name the three tables.
    """
    tables = _tables(package)

    def read(odd: Oddities) -> Iterator[Frame]:
        places = _places(package, tables["deployments"], odd)
        photos, events = _observed(package, tables["observations"], odd)
        known: set[str] = set()
        media = package.table(tables["media"])
        media.needs("mediaID", "deploymentID", "filePath")
        boxed = any(said.boxes for said in photos.values())
        for row in media.rows(odd):
            identity, deployment = row["mediaID"].strip(), cell(row["deploymentID"]) or ""
            known.add(identity)
            file = _file(row)
            if not file:
                odd.add("Media without a file path", identity)
                continue
            seconds = seconds_of((row.get("timestamp") or "").strip())
            said = _together(photos.get(identity), events.get(deployment), seconds)
            species, empty, human = seen_in(said.names)
            boxes = tuple(said.boxes) if boxed and (said.boxes or empty) else None
            yield Frame(file, places.get(deployment), species, empty, human, said.event, seconds, boxes)
        strangers = len(photos.keys() - known)
        if strangers:
            odd.add("Observations of media that are not listed", min(photos.keys() - known), strangers)

    return Survey("Camtrap DP (data package)", package.name, images, read)


def _tables(package: Package) -> dict[str, str]:
    """The files of the three tables."""
    with read_safely(DESCRIPTOR), package.opened(DESCRIPTOR)() as file:
        described = json.loads(file.read(LONGEST))
    resources = described.get("resources") if isinstance(described, dict) else None
    found: dict[str, str] = {}
    for one in resources if isinstance(resources, list) else ():
        path = one.get("path") if isinstance(one, dict) else None
        path = path[0] if isinstance(path, list) and path else path
        if isinstance(path, str) and isinstance(one.get("name"), str):
            found[one["name"]] = path
    for name in TABLES:
        path = found.get(name)
        if path is None:
            raise UserError(f"'{package.name}' is no Camtrap DP package: {DESCRIPTOR} names no table '{name}'.")
        if "://" in path or path.startswith(("/", "\\")) or ".." in path.replace("\\", "/").split("/"):
            raise UserError(f"The table '{name}' of '{package.name}' lies outside of it; put its CSV file inside.")
    return found


def _places(package: Package, path: str, odd: Oddities) -> dict[str, str]:
    """The location of every deployment: its name; where two places have one name, its id."""
    table = package.table(path)
    table.needs("deploymentID")
    named: dict[str, tuple[str, str]] = {}
    ids: dict[str, set[str]] = defaultdict(set)
    for row in table.rows(odd):
        deployment = cell(row["deploymentID"])
        if deployment is None:
            continue
        identity, name = cell(row.get("locationID")), cell(row.get("locationName"))
        named[deployment] = (name or identity or deployment, identity or name or deployment)
        ids[named[deployment][0]].add(named[deployment][1])
    told = {key: name if len(ids[name]) == 1 else identity for key, (name, identity) in named.items()}
    return {key: name for key, name in told.items() if name != NOWHERE}


def _observed(package: Package, path: str, odd: Oddities) -> tuple[dict[str, _Said], dict[str, list[_Event]]]:
    """What was seen on each of the media, and at each deployment's events, these by their beginning."""
    table = package.table(path)
    table.needs("deploymentID", "observationType")
    photos: dict[str, _Said] = defaultdict(_Said)
    events: dict[tuple[str, str, int, int], _Said] = defaultdict(_Said)
    for row in table.rows(odd):
        media, event = cell(row.get("mediaID")), cell(row.get("eventID"))
        if media is not None and (row.get("observationLevel") or "media").strip() != "event":
            said = photos[media]
        else:
            start, end = (seconds_of((row.get(key) or "").strip()) for key in ("eventStart", "eventEnd"))
            if start is None:
                odd.add("Observations that belong to no photograph and have no time", row.get("observationID", ""))
                continue
            end = start if end is None else end
            said = events[cell(row["deploymentID"]) or "", event or f"{start}", start, end]
        said.event = said.event or event
        name = _name(row, odd)
        if name is not None and name not in said.names:
            said.names.append(name)
        box = _box(row, name)
        if box is not None:
            said.boxes.append(box)
    placed: dict[str, list[_Event]] = defaultdict(list)
    for (deployment, _, start, end), said in sorted(events.items(), key=lambda pair: pair[0][2]):
        placed[deployment].append(_Event(start, end, said))
    return dict(photos), placed


def _name(row: Row, odd: Oddities) -> str | None:
    kind = row["observationType"].strip().casefold()
    if kind == "animal":
        return (row.get("scientificName") or "").strip() or UNIDENTIFIED
    if kind not in (*_NAMES, "unknown", "unclassified", ""):
        odd.add("Kinds of observations that are not known", kind)
    return _NAMES.get(kind)


def _box(row: Row, name: str | None) -> Box | None:
    edges = [number_of(row.get(key)) for key in ("bboxX", "bboxY", "bboxWidth", "bboxHeight")]
    if None in edges or name == "blank":
        return None
    sure = number_of(row.get("classificationProbability"))
    return box_of(edges, KINDS.get(meaning(name or UNIDENTIFIED), ANIMAL), 1.0 if sure is None else sure)


def _together(own: _Said | None, events: list[_Event] | None, seconds: int | None) -> _Said:
    """What is said of a photograph itself; where nothing is, of all events that it falls into."""
    around = _around(events, seconds) if events and seconds is not None else []
    if own is not None and own.names:
        return own if own.event or not around else _Said(own.names, own.boxes, around[0].event)
    names = [name for said in around for name in said.names]
    event = (own.event if own else None) or next((said.event for said in around if said.event), None)
    return _Said(names, own.boxes if own else [], event)


def _around(events: list[_Event], seconds: int) -> list[_Said]:
    """Events that a moment falls into, of those of one deployment in order."""
    last = bisect_right(events, seconds, key=lambda event: event.start)
    return [event.said for event in events[:last] if event.end >= seconds]


def _file(row: Mapping[str, Any]) -> str:
    path = str(row["filePath"]).strip()
    return str(row.get("fileName") or path.rpartition("/")[2]).strip() if "://" in path else path

"""The tables of Camtrap DP 1.0: names and types of their columns, and what these may hold."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

VERSION = "1.0"
PROFILE = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{VERSION}/camtrap-dp-profile.json"
TIME = "%Y-%m-%dT%H:%M:%S%z"
_TEXT, _NUMBER, _WHOLE, _YES = "string", "number", "integer", "boolean"
_NEEDED: dict[str, Any] = {"required": True}
_SHARE: dict[str, Any] = {"minimum": 0, "maximum": 1}
_POSITIVE: dict[str, Any] = {"minimum": 0}

#: Columns of each table in their order: name, type, constraints.
TABLES: dict[str, tuple[tuple[str, str, dict[str, Any]], ...]] = {
    "deployments": (
        ("deploymentID", _TEXT, _NEEDED | {"unique": True}), ("locationID", _TEXT, {}), ("locationName", _TEXT, {}),
        ("latitude", _NUMBER, _NEEDED | {"minimum": -90, "maximum": 90}),
        ("longitude", _NUMBER, _NEEDED | {"minimum": -180, "maximum": 180}),
        ("coordinateUncertainty", _WHOLE, {"minimum": 1}), ("deploymentStart", "datetime", _NEEDED),
        ("deploymentEnd", "datetime", _NEEDED), ("setupBy", _TEXT, {}), ("cameraID", _TEXT, {}),
        ("cameraModel", _TEXT, {}), ("cameraDelay", _WHOLE, _POSITIVE), ("cameraHeight", _NUMBER, _POSITIVE),
        ("cameraDepth", _NUMBER, _POSITIVE), ("cameraTilt", _WHOLE, {"minimum": -90, "maximum": 90}),
        ("cameraHeading", _WHOLE, {"minimum": 0, "maximum": 360}), ("detectionDistance", _NUMBER, _POSITIVE),
        ("timestampIssues", _YES, {}), ("baitUse", _YES, {}), ("featureType", _TEXT, {}), ("habitat", _TEXT, {}),
        ("deploymentGroups", _TEXT, {}), ("deploymentTags", _TEXT, {}), ("deploymentComments", _TEXT, {}),
    ),
    "media": (
        ("mediaID", _TEXT, _NEEDED | {"unique": True}), ("deploymentID", _TEXT, _NEEDED),
        ("captureMethod", _TEXT, {"enum": ["activityDetection", "timeLapse"]}), ("timestamp", "datetime", _NEEDED),
        ("filePath", _TEXT, _NEEDED | {"pattern": r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"}), ("filePublic", _YES, _NEEDED),
        ("fileName", _TEXT, {}), ("fileMediatype", _TEXT, _NEEDED | {"pattern": "^(image|video|audio)/.*$"}),
        ("exifData", "object", {}), ("favorite", _YES, {}), ("mediaComments", _TEXT, {}),
    ),
    "observations": (
        ("observationID", _TEXT, _NEEDED | {"unique": True}), ("deploymentID", _TEXT, _NEEDED), ("mediaID", _TEXT, {}),
        ("eventID", _TEXT, {}), ("eventStart", "datetime", _NEEDED), ("eventEnd", "datetime", _NEEDED),
        ("observationLevel", _TEXT, _NEEDED | {"enum": ["media", "event"]}),
        ("observationType", _TEXT,
         _NEEDED | {"enum": ["animal", "human", "vehicle", "blank", "unknown", "unclassified"]}),
        ("cameraSetupType", _TEXT, {"enum": ["setup", "calibration"]}), ("scientificName", _TEXT, {}),
        ("count", _WHOLE, {"minimum": 1}), ("lifeStage", _TEXT, {"enum": ["adult", "subadult", "juvenile"]}),
        ("sex", _TEXT, {"enum": ["female", "male"]}), ("behavior", _TEXT, {}), ("individualID", _TEXT, {}),
        ("individualPositionRadius", _NUMBER, _POSITIVE),
        ("individualPositionAngle", _NUMBER, {"minimum": -90, "maximum": 90}), ("individualSpeed", _NUMBER, _POSITIVE),
        ("bboxX", _NUMBER, _SHARE), ("bboxY", _NUMBER, _SHARE), ("bboxWidth", _NUMBER, _SHARE),
        ("bboxHeight", _NUMBER, _SHARE), ("classificationMethod", _TEXT, {"enum": ["human", "machine"]}),
        ("classifiedBy", _TEXT, {}), ("classificationTimestamp", "datetime", {}),
        ("classificationProbability", _NUMBER, _SHARE), ("observationTags", _TEXT, {}),
        ("observationComments", _TEXT, {}),
    ),
}  # fmt: skip
_KEYS = {"deployments": "deploymentID", "media": "mediaID", "observations": "observationID"}


def columns(table: str) -> tuple[str, ...]:
    """Names of a table's columns."""
    return tuple(name for name, _, _ in TABLES[table])


def schema(table: str, *, unknown: Collection[str] = ()) -> dict[str, Any]:
    """The Table Schema of a table.

    Args:
        table: its name.
        unknown: columns that the format needs, and that nothing tells: they may stay empty.
    """
    fields = []
    for name, kind, constraints in TABLES[table]:
        held = {key: value for key, value in constraints.items() if not (key == "required" and name in unknown)}
        field: dict[str, Any] = {"name": name, "type": kind} | ({"format": TIME} if kind == "datetime" else {})
        fields.append(field | ({"constraints": held} if held else {}))
    others = {"media": ("deployments",), "observations": ("deployments", "media")}.get(table, ())
    foreign = [{"fields": _KEYS[other], "reference": {"resource": other, "fields": _KEYS[other]}} for other in others]
    own = {"name": table, "fields": fields, "missingValues": [""], "primaryKey": _KEYS[table]}
    return own | ({"foreignKeys": foreign} if foreign else {})

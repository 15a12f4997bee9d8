"""Small data sets of every format that surveys are read from."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import frictionless
from PIL import Image

from wildpdiff.survey import camtrap_schema

ZEBRA = "uuid;mammalia;perissodactyla;equidae;equus;quagga;plains zebra"


def picture(path: Path, *, grey: bool = False, size: tuple[int, int] = (64, 48), taken: str = "") -> Path:
    """A small photograph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    colour = (90, 90, 90) if grey else (200, 120, 40)
    Image.new("RGB", size, colour).save(path, "JPEG", exif=exif)
    return path


def coco(**more: Any) -> dict[str, Any]:
    """A document of COCO Camera Traps: an empty picture, a zebra with a box, a person, one without annotation."""
    images = [
        {"id": f"i{place}", "file_name": f"R{place % 2}/{place}.jpg", "location": f"R{place % 2}", "width": 200,
         "height": 100, "seq_id": f"s{place // 2}", "datetime": f"2020-01-01 0{place}:00:00"}
        for place in range(4)
    ]  # fmt: skip
    annotations = [
        {"id": "a", "image_id": "i0", "category_id": 0},
        {"id": "b", "image_id": "i1", "category_id": 1, "bbox": [20, 10, 100, 50]},
        {"id": "c", "image_id": "i2", "category_id": 2},
    ]
    categories = [{"id": 0, "name": "empty"}, {"id": 1, "name": "Zebra"}, {"id": 2, "name": "human"}]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories} | more


def table(columns: Sequence[str], *rows: Sequence[Any]) -> str:
    """A table as CSV."""
    file = io.StringIO()
    csv.writer(file).writerows([columns, *rows])
    return file.getvalue()


DEPLOYMENTS = (
    "deploymentID",
    "locationID",
    "locationName",
    "latitude",
    "longitude",
    "deploymentStart",
    "deploymentEnd",
)
MEDIA = ("mediaID", "deploymentID", "timestamp", "filePath", "filePublic", "fileMediatype")
OBSERVATIONS = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel",
    "observationType", "scientificName", "bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationProbability",
)  # fmt: skip


def camtrap(folder: Path, observations: Sequence[Sequence[Any]]) -> Path:
    """A Camtrap DP package of two deployments at one place and four media."""
    folder.mkdir(parents=True, exist_ok=True)
    day = "2020-06-01T0{}:00:00Z"
    deployments = [[name, "loc1", "Beaver dam", 50, 5, day.format(0), day.format(9)] for name in ("d1", "d2")]
    media = [
        [f"m{at}", "d1" if at < 3 else "d2", day.format(at), f"media/{at}.jpg", "true", "image/jpeg"] for at in range(4)
    ]
    tables = {"deployments": table(DEPLOYMENTS, *deployments), "media": table(MEDIA, *media),
              "observations": table(OBSERVATIONS, *observations)}  # fmt: skip
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    resources = [{"name": name, "path": f"{name}.csv", "profile": "tabular-data-resource"} for name in tables]
    described = {"resources": resources, "profile": "https://example.org/camtrap-dp/1.0/camtrap-dp-profile.json"}
    (folder / "datapackage.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


def insights(*rows: dict[str, str]) -> str:
    """`images.csv` of Wildlife Insights."""
    columns = ("project_id", "deployment_id", "image_id", "location", "is_blank", "class", "order", "family", "genus",
               "species", "common_name", "timestamp", "number_of_objects")  # fmt: skip
    return table(columns, *([row.get(name, "") for name in columns] for row in rows))


def megadetector(**more: Any) -> dict[str, Any]:
    """MegaDetector's output on the pictures of `coco`."""
    found = [
        {"category": "1", "conf": 0.93, "bbox": [0.1, 0.1, 0.5, 0.5]},
        {"category": "1", "conf": 0.12, "bbox": [0.6, 0.1, 0.1, 0.1]},
        {"category": "9", "conf": 0.9, "bbox": [0, 0, 1, 1]},
    ]
    images = [
        {"file": "R0/0.jpg", "detections": []},
        {"file": "R1/1.jpg", "detections": found},
        {"file": "R0\\2.jpg", "detections": [{"category": "2", "conf": 0.7, "bbox": [0.5, 0.5, 0.9, 0.5]}]},
        {"file": "R1/3.jpg", "failure": "Failure image access", "detections": None},
    ]
    kinds = {"1": "animal", "2": "person", "3": "vehicle"}
    return {"images": images, "detection_categories": kinds, "info": {"format_version": "1.5"}} | more


def validated(folder: Path) -> list[Any]:
    """What frictionless finds wrong, with the format's own profile set aside, as it would have to be fetched."""
    path = folder / "datapackage.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document.pop("profile") == camtrap_schema.PROFILE
    (folder / "plain.json").write_text(json.dumps(document), encoding="utf-8")
    report = frictionless.validate(str(folder / "plain.json"))
    return report.flatten(["type", "message"])

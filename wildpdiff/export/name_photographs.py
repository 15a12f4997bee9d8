"""Name the animals on a folder of photographs with a classifier's ONNX file; needs numpy, Pillow and onnxruntime alone.

    python name_photographs.py FOLDER --out named.json [--model FILE.onnx] [--boxes megadetector.json]

It writes JSON of MegaDetector's form, version 1.6, which Timelapse, AddaxAI and others read. With --boxes, the output
of MegaDetector on the same folder, each animal is named by a square around its box. Without, each photograph is one
detection as large as the frame, whose confidence is that it is not empty; the file says so in its "info".

`wildpdiff export --format onnx` wrote this script beside the ONNX file; it is its own program and imports nothing else.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageCms, ImageOps

Json = dict[str, Any]

VERSION = "1.6"
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
USUAL = {"1": "animal", "2": "person", "3": "vehicle"}
ANIMAL, EMPTY, FRAME = "animal", "empty", [0.0, 0.0, 1.0, 1.0]
#: Confidence from which on a box is named; what MegaDetector's makers call typical.
LEAST = 0.2
#: How many classes are told of each detection, and with which score at least.
MOST, SCORE = 5, 0.01
#: Photographs of more pixels are not opened.
PIXELS = 120_000_000
#: Shown where a picture is transparent.
GREY = (128, 128, 128)


class Classifier:
    """The ONNX file and what its metadata says."""

    def __init__(self, path: Path) -> None:
        """Open it, or end with a sentence."""
        try:
            self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            said = self.session.get_modelmeta().custom_metadata_map
            about = {key: json.loads(value) for key, value in said.items()}
            self.species, self.size = [str(name) for name in about["species"]], int(about["size"])
            self.around, self.told = float(about["around"]), f"{path.name}, adapter {about['adapter']}"
        except Exception:
            end(f"'{path.name}' is no ONNX file that `wildpdiff export` wrote.")

    def scores(self, picture: Image.Image) -> list[float]:
        """The score of each species on a picture of any size, squeezed into the square as in training."""
        square = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
        pixels = np.asarray(square, dtype=np.uint8)[None]
        found = self.session.run(["scores"], {"photographs": pixels})[0][0]
        return [float(value) for value in found]

    def best(self, scores: list[float]) -> list[list[Any]]:
        """The likeliest classes as MegaDetector's form has them."""
        order = sorted(range(len(scores)), key=lambda index: -scores[index])[:MOST]
        return [[str(index), round(scores[index], 4)] for index in order if scores[index] >= SCORE or index == order[0]]

    def occupied(self, scores: list[float]) -> float:
        """How sure it is that a picture is not empty; 1 if it knows no class of that name."""
        return 1.0 - scores[self.species.index(EMPTY)] if EMPTY in self.species else 1.0


def main() -> None:
    """Do what the command line says."""
    asked = arguments()
    folder, out = asked.folder, asked.out
    if not folder.is_dir():
        end(f"'{folder.name}' is no folder of photographs.")
    if out.exists():
        end(f"'{out.name}' exists; choose another --out.")
    if not out.absolute().parent.is_dir():
        end(f"The folder of '{out.name}' does not exist; make it or choose another --out.")
    names = photographs(folder)
    if not names:
        end(f"'{folder.name}' has no photographs ({', '.join(ENDINGS)}).")
    boxes = Boxes(asked.boxes) if asked.boxes else None
    classifier = Classifier(asked.model or only_model())
    write(out, document(classifier, folder, names, boxes, asked.least))


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description="Name the animals on a folder of photographs.")
    parser.add_argument("folder", type=Path, help="folder of photographs, with all folders in it")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--model", type=Path, help="the ONNX file; the only one beside this script if not given")
    parser.add_argument("--boxes", type=Path, help="output of MegaDetector on the same folder")
    parser.add_argument("--least", type=float, default=LEAST, help=f"name boxes of this confidence on ({LEAST})")
    return parser.parse_args()


def document(classifier: Classifier, folder: Path, names: list[str], boxes: Boxes | None, least: float) -> Json:
    """The whole result."""
    images, failed, unknown = [], 0, 0
    for index, name in enumerate(names):
        found = boxes.of(name) if boxes else None
        if boxes and found is None:
            images.append({"file": name, "detections": None, "failure": "The file of boxes does not name it"})
            unknown += 1
        else:
            images.append(named(classifier, folder, name, found, least))
            failed += "failure" in images[-1]
        if (index + 1) % 100 == 0:
            say(f"{index + 1} of {len(names)} photographs")
    say(f"{len(names)} photographs; {failed} could not be read; {unknown} stand not in the file of boxes.")
    return {
        "info": about(classifier, boxes),
        "detection_categories": boxes.categories if boxes else USUAL,
        "classification_categories": {str(index): name for index, name in enumerate(classifier.species)},
        "images": images,
    }


def about(classifier: Classifier, boxes: Boxes | None) -> Json:
    """What the result says of itself."""
    if boxes:
        how = f"Each animal is named by a square around its box, {classifier.around:g} times its longer side."
    else:
        how = (
            "No detector looked: each photograph is one detection as large as the frame, its confidence is the "
            "classifier's that it is not empty, and a photograph of two species has one name."
        )
    return {
        "format_version": VERSION,
        "detector": boxes.detector if boxes else "none (whole frames)",
        "classifier": classifier.told,
        "classification_completion_time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "note": how,
    }


def named(classifier: Classifier, folder: Path, name: str, found: list[Json] | None, least: float) -> Json:
    """One photograph's record; `found` are a detector's boxes, None if the whole frame is to be named."""
    try:
        picture = opened(folder / name, classifier.size if found is None else None)
    except Exception:
        return {"file": name, "detections": None, "failure": "Failure image access"}
    if found is None:
        scores = classifier.scores(picture)
        confidence = round(classifier.occupied(scores), 4)
        whole = {"category": "1", "conf": confidence, "bbox": FRAME, "classifications": classifier.best(scores)}
        return {"file": name, "detections": [whole]}
    detections = []
    for one in found:
        record = {key: value for key, value in one.items() if key not in ("classifications", "animal")}
        if one["animal"] and one["conf"] >= least:
            record["classifications"] = classifier.best(classifier.scores(cut(picture, one["bbox"], classifier.around)))
        detections.append(record)
    return {"file": name, "detections": detections}


def opened(path: Path, side: int | None) -> Image.Image:
    """A photograph, upright, in sRGB; `side` allows a JPEG to be decoded smaller, no smaller than twice that."""
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        if image.width * image.height > PIXELS:
            raise ValueError("too many pixels")
        if side is not None:
            image.draft(None, (2 * side, 2 * side))
        return coloured(ImageOps.exif_transpose(image))


def coloured(image: Image.Image) -> Image.Image:
    """A picture of any mode in 8 bits of red, green and blue, by its colour profile, grey where transparent."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        levels = np.clip(np.asarray(image, dtype=np.float64), 0, 65535)
        image = Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        whole = Image.new("RGB", image.size, GREY)
        whole.paste(in_srgb(layer.convert("RGB"), profile), mask=layer.getchannel("A"))
        return whole
    return in_srgb(image.convert("RGB") if image.mode in ("P", "1") else image, profile)


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture without transparency in sRGB; a profile that cannot be used counts as none."""
    try:
        if profile:
            source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            found = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            return image.convert("RGB") if found is None else found
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass
    return image.convert("RGB")


def cut(picture: Image.Image, box: list[float], around: float) -> Image.Image:
    """A square around a box (left, top, width, height as shares of the picture), moved into the picture."""
    left, top, width, height = box
    side = max(1, min(round(around * max(width * picture.width, height * picture.height)), *picture.size))
    x = min(max(0, round((left + width / 2) * picture.width - side / 2)), picture.width - side)
    y = min(max(0, round((top + height / 2) * picture.height - side / 2)), picture.height - side)
    return picture.crop((x, y, x + side, y + side))


class Boxes:
    """Output of MegaDetector."""

    def __init__(self, path: Path) -> None:
        """Read it, or end with a sentence."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            images = {plain(one["file"]): one.get("detections") for one in content["images"]}
            self.categories = {str(key): str(name) for key, name in content["detection_categories"].items()}
            info = content.get("info")
        except Exception:
            end(f"'{path.name}' is no output of MegaDetector, which has 'images' and 'detection_categories'.")
        self._images = images
        self.detector = str(info.get("detector", path.name)) if isinstance(info, dict) else path.name

    def of(self, name: str) -> list[Json] | None:
        """The boxes on a photograph; None if the detector did not see it."""
        found = self._images.get(plain(name))
        return [self._checked(one) for one in found if self._usable(one)] if isinstance(found, list) else None

    def _checked(self, one: Json) -> Json:
        return {**one, "animal": self.categories.get(str(one.get("category")), "").lower() == ANIMAL}

    @staticmethod
    def _usable(one: Any) -> bool:
        if not isinstance(one, dict) or not isinstance(one.get("bbox"), list) or len(one["bbox"]) != 4:
            return False
        values = [*one["bbox"], one.get("conf")]
        return all(isinstance(value, (int, float)) and -1 <= value <= 2 for value in values)  # NaN is neither


def photographs(folder: Path) -> list[str]:
    """Names of all photographs in a folder and the folders in it, in order; links to folders are not followed."""
    found = []
    for above, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(above) / name for name in files if name.lower().endswith(ENDINGS) and not name.startswith(".")]
        found += [path.relative_to(folder).as_posix() for path in paths]
    return sorted(found)


def plain(name: str) -> str:
    """A file's name as it is compared."""
    text = str(name).replace("\\", "/")
    return text[2:] if text.startswith("./") else text


def only_model() -> Path:
    """The ONNX file beside this script."""
    found = sorted(Path(__file__).resolve().parent.glob("*.onnx"))
    if len(found) != 1:
        end(f"Beside this script are {len(found)} ONNX files; say which with --model.")
    return found[0]


def write(out: Path, content: Json) -> None:
    """Write the result whole or not at all."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=out.absolute().parent, prefix=f".{out.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(content, file, ensure_ascii=False, indent=1)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(out)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        end(f"'{out.name}' could not be written ({error.strerror}); choose another --out.")
    say(f"Wrote {out.name}.")


def say(text: str) -> None:
    """Tell on stderr."""
    sys.stderr.write(f"{text}\n")


def end(text: str) -> Any:
    """Stop with a sentence and exit status 2."""
    say(f"name_photographs: {text}")
    sys.exit(2)


if __name__ == "__main__":
    main()

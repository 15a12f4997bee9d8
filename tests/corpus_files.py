"""The files of the corpus: pictures, zips of photographs, adapters, metadata of data sets."""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import safetensors.torch
import torch
from corpus import NAMES, ODD, changed_bytes, changed_json, stream, written_oddly
from PIL import Image
from torch import Tensor

from wildpdiff.network.lora_file import CONFIG, WEIGHTS

Named = Iterator[tuple[str, bytes]]


def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def scene(mode: str = "RGB", size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A picture with something on it."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).convert(mode)


def png(width: int, height: int, *, depth: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """A PNG whose header says what it likes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(data or bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def picture_seeds() -> dict[str, bytes]:
    """Pictures as cameras, phones and programs write them."""
    rgb, clear, exif = scene(), scene("RGBA"), Image.Exif()
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    deep = Image.fromarray((np.arange(4800).reshape(60, 80) * 13).astype(np.uint16))
    found = {
        "jpeg": saved(rgb, "JPEG"),
        "progressive": saved(rgb, "JPEG", progressive=True),
        "grey": saved(scene("L"), "JPEG"),
        "cmyk": saved(scene("CMYK"), "JPEG"),
        "png": saved(rgb, "PNG"),
        "rgba": saved(clear, "PNG"),
        "la": saved(clear.convert("LA"), "PNG"),
        "palette": saved(scene("P"), "PNG", transparency=0),
        "one bit": saved(scene("1"), "PNG"),
        "16 bits": saved(deep, "PNG"),
        "webp": saved(rgb, "WEBP"),
        "webp lossless": saved(clear, "WEBP", lossless=True),
        "large": saved(scene(size=(1400, 1000)), "JPEG", quality=30),
        "two frames": saved(rgb, "MPO", save_all=True, append_images=[scene("L").convert("RGB")]),
        "narrow": saved(scene(size=(2000, 33)), "PNG"),
    }
    for turn in (0, 3, 6, 9, 65_535):
        exif[0x0112] = turn
        found[f"turned {turn}"] = saved(rgb, "JPEG", exif=exif)
    for place, profile in enumerate((b"", b"no profile", bytes(128), b"\xff" * 4000)):
        found[f"profile {place}"] = saved(rgb, "JPEG", icc_profile=profile)
    return found


def other_pictures() -> dict[str, bytes]:
    """What is called a picture, and is another or none."""
    rgb, frames = scene(), {"save_all": True, "append_images": [scene("L").convert("RGB")]}
    return {
        "animated png": saved(rgb, "PNG", **frames),
        "animated webp": saved(rgb, "WEBP", **frames),
        "gif": saved(rgb, "GIF"),
        "bmp": saved(rgb, "BMP"),
        "tiff": saved(rgb, "TIFF"),
        "small": saved(scene(size=(31, 200)), "PNG"),
        "one pixel": saved(scene(size=(1, 1)), "JPEG"),
        "empty": b"",
        "one byte": b"\xff",
        "text": "קובץ".encode(),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
        "html": b"<html><script>alert(1)</script>",
        "pdf": b"%PDF-1.7\n",
        "heic": b"\0\0\0\x18ftypheic" + bytes(40),
        "avif": b"\0\0\0\x18ftypavif" + bytes(40),
        "pointer": b"version https://git-lfs.github.com/spec/v1\n",
        "a bomb of one bit": png(60_000, 60_000, depth=1, colour=0),
        "no width": png(0, 50),
        "more than its data": png(300, 300, data=bytes(10)),
        "a depth that is none": png(50, 50, depth=7),
        "a colour that is none": png(50, 50, colour=5),
        "wide": png(2**31 - 1, 1),
        "an endless comment": saved(rgb, "JPEG", comment=b"x" * 60_000),
        "a jpeg of many megapixels": _sized(saved(rgb, "JPEG"), 65_000, 65_000),
        "a jpeg without height": _sized(saved(rgb, "JPEG"), 80, 0),
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    }


def _sized(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def pictures() -> Named:
    """All pictures of the corpus."""
    rng, seeds = stream("pictures"), picture_seeds()
    yield from seeds.items()
    yield from other_pictures().items()
    for name, data in seeds.items():
        for _ in range(5):
            what, own = changed_bytes(rng, data)
            yield f"{name}, {what}", own
    for share in (0.5, 0.8, 0.9, 0.95, 0.99):
        for name in ("jpeg", "progressive", "large", "grey", "webp", "png"):
            yield f"{name}, {share:.0%} of it", seeds[name][: int(share * len(seeds[name]))]


# --- zips of photographs


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def renamed(data: bytes, before: bytes, after: bytes) -> bytes:
    """A zip with a name of as many bytes in place of another."""
    assert len(before) == len(after) and before in data
    return data.replace(before, after)


#: Folders that name a class, or seem to.
FOLDERS = (
    "Background/lion", "lion/background", "ZEBRA", "zebra/zebra/zebra", "zebra/empty/night", "empty/zebra", "0_Empty",
    "zebra copy 2", "Equus quagga", "a;b;c;d;e;f;g", ";;;;;;", "zebra\\cam", "./zebra", "zebra//x",
)  # fmt: skip


def photo_zips() -> Named:
    """Zips of labelled photographs, as people pack them, and as nobody should."""
    rng, photo = stream("photographs"), saved(scene(), "JPEG")
    good = {"zebra/a.jpg": photo, "zebra/b.png": saved(scene(), "PNG"), "empty/c.jpg": photo, "okapi/d.jpg": photo}
    whole = zipped(good)
    yield "good", whole
    yield "stored", zipped(good, zipfile.ZIP_STORED)
    for name in NAMES:
        if name.isprintable() or name in ("a\nb", "tab\there", "\x1b[31mred", "\u202egpj.cod"):
            yield f"a folder called {name[:20]!r}", zipped({f"{name}/a.jpg": photo, "zebra/b.jpg": photo})
            yield f"a file called {name[:20]!r}", zipped({f"zebra/{name}.jpg": photo})
    for folder in FOLDERS:
        yield f"in {folder}", zipped({f"{folder}/a.jpg": photo})
    for kind, content in other_pictures().items():
        yield f"{kind} among others", zipped({"zebra/a.jpg": content, "zebra/b.jpg": photo})
    for place in range(30):
        what, own = changed_bytes(rng, whole if place % 2 else zipped(good, zipfile.ZIP_STORED))
        yield f"{what} ({place})", own
    yield from _odd_zips({"zebra/a.jpg": photo, "zebra/b.jpg": photo}, b"zebra/a.jpg")


def _odd_zips(files: Mapping[str, bytes], name: bytes) -> Named:
    """Zips with something wrong in their own structure, whatever is in them."""
    whole = zipped(files)
    for method in (1, 6, 9, 12, 14, 93, 95, 98, 99, 65_535):
        own = bytearray(whole)
        for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            at = own.index(mark) + place
            own[at : at + 2] = struct.pack("<H", method)
        yield f"packed by method {method}", bytes(own)
    for mode in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK):
        info, file = zipfile.ZipInfo(name.decode()), io.BytesIO()
        info.external_attr = (mode | 0o777) << 16
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(info, "/etc/passwd")
        yield f"a special file {mode:o}", file.getvalue()
    first = name.split(b"/")[-1]
    yield "a name that is no UTF-8", renamed(whole, first, b"\xff\xfe" + first[2:])
    yield "a name with a zero", renamed(whole, first, b"\0" + first[1:])
    yield "a comment", _commented(whole)
    yield "another zip in it", zipped({"zebra/in.zip": whole})
    yield "behind other bytes", bytes(1000) + whole
    yield "an end twice", whole + whole[-22:]
    at = whole.rindex(b"PK\x05\x06")
    yield "sixty thousand entries claimed", whole[: at + 8] + b"\xff\xff\xff\xff" + whole[at + 12 :]
    yield "a directory elsewhere", whole[: at + 16] + b"\xff\xff\xff\x7f" + whole[at + 20 :]
    yield "a bomb", zipped({name.decode(): bytes(30_000_000)})
    yield "nothing in it", zipped({})
    yield "folders alone", zipped({"zebra/": b"", "empty/": b""})
    yield "rar", b"Rar!\x1a\x07\0" + bytes(100)
    yield "7z", b"7z\xbc\xaf\x27\x1c" + bytes(100)
    yield "no zip", b"no zip at all"
    yield "no bytes", b""
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(3):
                archive.writestr(name.decode(), next(iter(files.values())))
        yield "one name three times", file.getvalue()


def _commented(data: bytes) -> bytes:
    at = data.rindex(b"PK\x05\x06")
    return data[: at + 20] + struct.pack("<H", 9) + b"PK\x05\x06 hey"


# --- adapters

#: A configuration as peft writes it.
GOOD: dict[str, Any] = {
    "peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["conv"], "bias": "none", "use_rslora": False,
    "use_dora": False, "rank_pattern": {}, "alpha_pattern": {}, "modules_to_save": None, "init_lora_weights": True,
    "inference_mode": True, "lora_dropout": 0.0, "layers_to_transform": None, "task_type": None,
}  # fmt: skip


def adapters(named: Mapping[str, Tensor]) -> Iterator[tuple[str, bytes, bytes]]:
    """Adapters from elsewhere: a name, the configuration's bytes, those of the weights."""
    rng, config = stream("adapters"), json.dumps(GOOD).encode()
    tensors = {f"base_model.model.{name}.weight": value.contiguous() for name, value in named.items()}
    whole = safetensors.torch.save(tensors)
    yield "good", config, whole
    for _ in range(50):
        what, own = changed_json(rng, GOOD)
        yield what, json.dumps(own).encode("utf-8", "surrogatepass"), whole
    for key in (
        "r",
        "lora_alpha",
        "rank_pattern",
        "alpha_pattern",
        "init_lora_weights",
        "use_rslora",
        "modules_to_save",
    ):
        for value in rng.sample(ODD, 3):
            yield (
                f"{key} is {str(value)[:20]!r}",
                json.dumps(GOOD | {key: value}).encode("utf-8", "surrogatepass"),
                whole,
            )
    for what, own in written_oddly(GOOD).items():
        yield what, own, whole
    yield from ((what, config, own) for what, own in _weights(rng, tensors, whole))


def _weights(rng: random.Random, tensors: Mapping[str, Tensor], whole: bytes) -> Named:
    """Files of weights that do not fit, or are no files of weights."""
    for place in range(30):
        what, own = changed_bytes(rng, whole)
        yield f"weights with {what} ({place})", own
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    for place in range(25):
        what, own = changed_json(rng, header)
        text = json.dumps(own).encode("utf-8", "surrogatepass")
        yield f"header where {what} ({place})", len(text).to_bytes(8, "little") + text + whole[8 + length :]
    first = next(iter(tensors))
    for kind in (
        torch.float16,
        torch.bfloat16,
        torch.float64,
        torch.int8,
        torch.bool,
        torch.float8_e4m3fn,
        torch.complex64,
    ):
        yield f"weights of {kind}", safetensors.torch.save({name: value.to(kind) for name, value in tensors.items()})
    odd: dict[str, Tensor] = {
        "nan": torch.full_like(tensors[first], torch.nan), "huge": torch.full_like(tensors[first], 3e38),
        "a scalar": torch.tensor(1.0), "nothing": torch.zeros(0), "transposed": tensors[first].mT.contiguous(),
        "stacked": tensors[first][None], "flat": tensors[first].flatten(),
    }  # fmt: skip
    for what, value in odd.items():
        yield f"a weight is {what}", safetensors.torch.save({**tensors, first: value})
    for name in rng.sample(NAMES[:8] + NAMES[11:], 6):
        yield f"a weight called {name[:20]!r}", safetensors.torch.save({**tensors, name: torch.zeros(2)})
    yield (
        "huge everywhere",
        safetensors.torch.save({name: torch.full_like(value, 3e38) for name, value in tensors.items()}),
    )
    yield "no weights", safetensors.torch.save({})
    yield "half of the weights", safetensors.torch.save(dict(list(tensors.items())[::2]))
    yield (
        "weights by another wrapper",
        safetensors.torch.save(
            {
                name.replace("base_model.model.", "module.").replace(".weight", ".default.weight"): value
                for name, value in tensors.items()
            }
        ),
    )


def adapter_zips(config: bytes, weights: bytes) -> Named:
    """A good adapter in zips that are none, or odd."""
    rng, whole = stream("adapter zips"), zipped({f"mine/{CONFIG}": config, f"mine/{WEIGHTS}": weights})
    yield "good", whole
    for place in range(25):
        what, own = changed_bytes(rng, whole)
        yield f"{what} ({place})", own
    for name in NAMES[:8] + NAMES[11:18]:
        yield f"in {name[:20]!r}", zipped({f"{name}/{CONFIG}": config, f"a/{WEIGHTS}": weights})
    for name in (
        CONFIG.upper(),
        f"{CONFIG}.json",
        f"{CONFIG}/",
        "adapter_model.bin",
        "adapter_model.safetensors.index.json",
    ):
        yield f"{name} in place of the configuration", zipped({name: config, WEIGHTS: weights})
    yield from _odd_zips({f"mine/{CONFIG}": config, f"mine/{WEIGHTS}": weights}, f"mine/{CONFIG}".encode())


# --- metadata


def metadata() -> dict[str, Any]:
    """A small data set in COCO Camera Traps format: twelve pictures of two locations."""
    images = [
        {"id": f"i{place}", "file_name": f"R{place % 2}/{place}.jpg", "location": f"R{place % 2}",
        "seq_id": f"s{place // 2}",
         "datetime": f"2020-01-0{1 + place // 6} 0{place % 6}:00:00", "corrupt": False}
        for place in range(12)
    ]  # fmt: skip
    annotations = [{"id": place, "image_id": f"i{place}", "category_id": place % 3} for place in range(12)]
    categories = [{"id": 0, "name": "empty"}, {"id": 1, "name": "zebra"}, {"id": 2, "name": "lion"}]
    return {"info": {"version": 1}, "images": images, "annotations": annotations, "categories": categories}


def documents() -> Named:
    """Metadata files."""
    rng, good = stream("metadata"), metadata()
    whole = json.dumps(good).encode()
    yield "good", whole
    yield from written_oddly(good).items()
    for place in range(70):
        what, own = changed_json(rng, good)
        yield f"{what} ({place})", json.dumps(own).encode("utf-8", "surrogatepass")
    for place in range(15):
        what, own = changed_bytes(rng, whole)
        yield f"{what} ({place})", own
    for key in ("file_name", "location", "seq_id", "datetime", "id"):
        for name in rng.sample(ODD, 6):
            own = metadata()
            for image in own["images"][:3]:
                image[key] = name
            yield f"three times {key} {str(name)[:20]!r}", json.dumps(own).encode("utf-8", "surrogatepass")
    yield "zipped", zipped({"a.json": whole})
    yield "zipped twice", zipped({"a.json": whole, "b.json": whole})
    yield "zipped damaged", zipped({"a.json": whole})[:-40]
    yield "a bomb", zipped({"a.json": b"[" + b"0," * 3_000_000 + b"0]"})
    yield "a table", b"id,species,location\n1,zebra,R1\n"
    yield "MegaDetector's", json.dumps({"images": [], "detection_categories": {}, "info": {}}).encode()


# --- surveys


def surveys() -> Iterator[tuple[str, str, bytes]]:
    """What camera traps and their tools write down: a name, that of the file, and what is in it."""
    rng = stream("surveys")
    detections = [{"category": "1", "conf": 0.9, "bbox": [0.1, 0.1, 0.5, 0.5], "classifications": [["0", 0.9]]}]
    documents = {
        "MegaDetector": {
            "images": [{"file": f"R{at % 2}/{at}.jpg", "detections": detections * (at % 3)} for at in range(6)],
            "detection_categories": {"1": "animal", "2": "person"}, "classification_categories": {"0": "zebra"},
        },
        "SpeciesNet": {"predictions": [{"filepath": f"{at}.jpg", "detections": detections, "prediction": "a;;;;e;f;g"}
                                       for at in range(4)]},
        "COCO": metadata(),
    }  # fmt: skip
    for kind, good in documents.items():
        yield f"{kind}, good", "a.json", json.dumps(good).encode()
        for what, own in written_oddly(good).items():
            yield f"{kind}, {what}", "a.json", own
        for place in range(25):
            what, changed = changed_json(rng, good)
            yield f"{kind}, {what} ({place})", "a.json", json.dumps(changed).encode("utf-8", "surrogatepass")
    columns = "path,location,species,datetime,deployment_id,common_name,genus,seq_id\n"
    rows = columns + "".join(f"{at}.jpg,R{at % 2},zebra,2020-01-01 10:00:0{at},d,zebra,e,s\n" for at in range(6))
    for place in range(30):
        what, own = changed_bytes(rng, rows.encode())
        yield f"a table with {what} ({place})", "a.csv", own
    described = {
        "resources": [{"name": name, "path": f"{name}.csv"} for name in ("deployments", "media", "observations")]
    }
    package = {
        "deployments.csv": b"deploymentID,locationName\nd,R1\n",
        "media.csv": b"mediaID,deploymentID,timestamp,filePath\nm,d,2020-01-01T10:00:00Z,1.jpg\n",
        "observations.csv": b"observationID,deploymentID,mediaID,observationType,scientificName\no,d,m,animal,zebra\n",
    }
    for place in range(30):
        what, changed = changed_json(rng, described)
        name = rng.choice(list(package))
        odd, own = changed_bytes(rng, package[name])
        files = {"datapackage.json": json.dumps(changed if place % 2 else described).encode("utf-8", "surrogatepass")}
        yield (
            f"a package with {what} or {odd} ({place})",
            "a.zip",
            zipped(package | files | ({} if place % 2 else {name: own})),
        )

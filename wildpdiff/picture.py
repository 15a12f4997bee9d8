"""Pictures that users bring: from a file, an upload or the clipboard to a tensor, or one sentence that says why not.

The one reader for all doors: page, API, command line, library, zips and data sets.
"""

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import UserError
from .files import is_pointer
from .jpeg import first_rows, rows_there

MAX_BYTES, MAX_FILE = 20_000_000, 100_000_000
"""Of what is sent over a network, and of a file on this computer."""
MAX_PIXELS = 25_000_000
MAX_JPEG_PIXELS = 120_000_000
"""A JPEG can be decoded at a part of its size and may have more, but no progressive one, which is unpacked whole."""
MIN_SIDE = 32
FORMATS = ("JPEG", "PNG", "WEBP")
SIDE = 256
"""Height and width of a background as the condition reads it, whichever way it comes in."""
GREY = (128, 128, 128)
"""What shows through transparent pixels."""
DRAFTED, DRAFT_SIDE = 8_000_000, 1024
"""JPEGs of more pixels than this are decoded at a part of their size, the shorter side at no less than that."""
ROWS_NEEDED = 0.9
"""Share of its rows that a JPEG must still have to be read though its end is missing."""
SHORT = "the end of the picture is missing, and what is there was read"

#: How files begin that are pictures, but none that are read here.
_OTHERS = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF or raw",
    b"MM\0*": "TIFF or raw",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"%PDF": "PDF",
    b"<svg": "SVG",
}
_BRANDS = {b"hei": "HEIC (as iPhones write)", b"hev": "HEIC (as iPhones write)", b"mif": "HEIC", b"avi": "AVIF"}

_DECODING = threading.Lock()
"""One picture at a time: it bounds the memory, and Python's warning filters are shared by all threads."""


class Seen(NamedTuple):
    """What was read of a picture: its pixels, uint8 `[3, H, W]`, and what there is to say of that, or nothing."""

    pixels: Tensor
    note: str = ""


def load_picture(source: Path | bytes, *, size: int = SIDE) -> Tensor:
    """The middle square of a user's picture, upright and in sRGB; nothing else of the file (no EXIF, no GPS) is kept.

    A JPEG whose end is missing is read as far as it goes, if that are nine tenths of its rows.

    Args:
        source: a JPEG, PNG or WebP file, or its bytes.
        size: side of the result in pixels; as it stands, that of every background for a condition.

    Returns:
        uint8 `[3, size, size]`.

    Raises:
        UserError: if there is no such file, or it is too big, too small, animated, damaged or no picture.
    """
    return read_picture(source, size=size).pixels


def read_picture(source: Path | bytes, *, size: int = SIDE) -> Seen:
    """As `load_picture`, with a word on what is missing."""
    name, data = _read(source)
    with _quiet_decoding():
        image = _open(data, name)
        _check_header(image, name)
        if image.width * image.height > DRAFTED:
            side = max(DRAFT_SIDE, 2 * size)
            _draft(image, side, side)
        return _decoded(image, data, name, lambda whole: picture_of(whole, size=size))


def sentence_of(note: str) -> str:
    """What `Seen.note` says, as a sentence of its own."""
    return f"{note[:1].upper()}{note[1:]}."


def read_frame(source: Path | bytes, height: int, width: int | None = None) -> Seen:
    """A whole photograph, squeezed into a shape, upright and in sRGB; a JPEG is shrunk while decoding, which is three
    times faster at 3 megapixels.

    Args:
        source: a JPEG, PNG or WebP file, or its bytes.
        height: of the result in pixels.
        width: of the result; None keeps the photograph's own shape.

    Raises:
        UserError: as `load_picture`, but it may be as small as it likes.
    """
    name, data = _read(source)
    with _quiet_decoding():
        image = _open(data, name)
        _check_amount(image, name)
        _draft(image, 2 * height, 2 * (height if width is None else width))
        return _decoded(image, data, name, lambda whole: _squeezed(upright(whole), height, width))


def pixels_in(data: bytes) -> int:
    """How many pixels the decoding of a picture takes, by its header alone; 0 if it is none."""
    try:
        with _quiet_decoding(), Image.open(BytesIO(data), formats=FORMATS) as image:
            count = image.width * image.height
            return count // 4 if image.format not in ("PNG", "WEBP") and count > DRAFTED else count
    except Exception:  # whoever reads it says why
        return 0


def packed(picture: Tensor, *, quality: int | None = None) -> Tensor:
    """A picture, uint8 `[3, H, W]`, as the bytes of a WebP file; lossless unless it is told a `quality`, 1 to 100."""
    stream = BytesIO()
    options = {"lossless": True} if quality is None else {"quality": quality, "method": 6}
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(stream, "WEBP", **options)
    return torch.frombuffer(bytearray(stream.getvalue()), dtype=torch.uint8)


def digest(picture: Tensor) -> str:
    """Sixteen hexadecimal digits that name a picture's very pixels, uint8 `[3, H, W]`."""
    return hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()[:16]


def unpacked(data: Tensor) -> Tensor:
    """The picture, uint8 `[3, H, W]`, that `packed` made the bytes of."""
    with Image.open(BytesIO(data.numpy().tobytes())) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def resized(picture: Tensor, height: int, width: int) -> Tensor:
    """A picture, uint8 `[3, H, W]`, in another size: uint8 `[3, height, width]`."""
    pixels = F.interpolate(picture[None].float(), (height, width), mode="bicubic", antialias=True)[0]
    return pixels.round().clamp(0, 255).to(torch.uint8)


def picture_of(image: Image.Image, *, size: int | None = None) -> Tensor:
    """Pixels of a Pillow image, upright and in sRGB; transparent parts show `GREY`.

    Args:
        image: any mode; 16-bit greys are scaled to 8 bits. Left unchanged.
        size: side of the middle square to return; without it the whole image is returned.

    Returns:
        uint8 `[3, size, size]`, or `[3, H, W]` without `size`.
    """
    whole = upright(image)
    if size is not None:
        whole = ImageOps.fit(whole, (size, size), Image.Resampling.BICUBIC)
    return _tensor(whole)


def upright(image: Image.Image) -> Image.Image:
    """A Pillow image as it is meant to be seen: turned as its EXIF says, in mode RGB and sRGB."""
    return _srgb(ImageOps.exif_transpose(image))


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _squeezed(image: Image.Image, height: int, width: int | None) -> Tensor:
    width = max(1, round(height * image.width / image.height)) if width is None else width
    return _tensor(image.resize((width, height), Image.Resampling.BILINEAR))


def _read(source: Path | bytes) -> tuple[str, bytes]:
    """What to call a picture, and its bytes.

    Raises:
        UserError: if there is no such file, or it is too large.
    """
    name, data, most = (
        ("The picture", source, MAX_BYTES)
        if isinstance(source, bytes)
        else (f"'{source.name}'", _content(source), MAX_FILE)
    )
    if len(data) > most:
        raise UserError(f"{name} is larger than {most // 1_000_000} MB; save it smaller or as JPEG.")
    return name, data


def _content(path: Path) -> bytes:
    """A file's bytes, never much more than `MAX_FILE` of them."""
    try:
        if not path.is_file():
            raise UserError(f"'{path.name}' is not a file here; give the path of a JPEG, PNG or WebP picture.")
        with path.open("rb") as file:
            return file.read(MAX_FILE + 1)
    except OSError as error:
        raise UserError(f"'{path.name}' cannot be read ({error.strerror}); give a picture that you may open.") from None


def _decoded(image: Image.Image, data: bytes, name: str, shaped: Callable[[Image.Image], Tensor]) -> Seen:
    """The pixels of an opened picture; of a JPEG that ends too early, of as many rows as there are."""
    there = 0.0
    try:
        return Seen(shaped(image))
    except Exception:  # a hostile or damaged file makes Pillow raise nearly anything
        pass
    try:
        if image.format in ("JPEG", "MPO"):
            data, there = rows_there(data, progressive=bool(image.info.get("progressive")))
        if there >= ROWS_NEEDED:
            return Seen(shaped(first_rows(data, there, image.size)), SHORT)
    except Exception:  # the same
        there = 0.0
    if there > 0:
        raise UserError(
            f"{name} is damaged: it ends after about {int(100 * there)}% of its rows, and {ROWS_NEEDED:.0%} are "
            "needed; save or download it again."
        )
    raise UserError(f"{name} is damaged and cannot be read to its end; save or download it again.") from None


def _draft(image: Image.Image, height: int, width: int) -> None:
    """Let a JPEG be decoded at a part of its size, no smaller than asked for; anything else stays as it is."""
    image.draft(None, (width, height))


@contextmanager
def _quiet_decoding() -> Iterator[None]:
    """Silence Pillow's remarks; sizes are checked here."""
    with _DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header only."""
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        most = MAX_JPEG_PIXELS if data.startswith(b"\xff\xd8") else MAX_PIXELS
        raise UserError(_too_many_pixels(name, most)) from None
    except UnidentifiedImageError:
        kind = _kind(data)
        raise UserError(f"{name} is {kind}not a JPEG, PNG or WebP picture; save it as one of these.") from None
    except Exception:  # see _decoded
        raise UserError(f"{name} is damaged at its beginning; save or download it again.") from None


def _kind(data: bytes) -> str:
    """What else a file is, as the beginning of a sentence's end."""
    brand = _BRANDS.get(data[8:11]) if data[4:8] == b"ftyp" else None
    found = brand or next((name for start, name in _OTHERS.items() if data.startswith(start)), None)
    if is_pointer(data):
        return "only a pointer of Git LFS (run `git lfs pull`), "
    return f"a {found} file, " if found else ""


def _check_header(image: Image.Image, name: str) -> None:
    """Refuse what must not be decoded."""
    _check_amount(image, name)
    if min(image.size) < MIN_SIDE:
        raise UserError(f"{name} is {image.width}x{image.height} pixels; each side must have at least {MIN_SIDE}.")
    # A camera's JPEG may hold a preview as a second frame; only PNG and WebP move.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise UserError(f"{name} is animated; give a single still picture.")


def _check_amount(image: Image.Image, name: str) -> None:
    """Refuse more pixels than may be decoded."""
    partly = image.format not in ("PNG", "WEBP") and not image.info.get("progressive")
    most = MAX_JPEG_PIXELS if partly else MAX_PIXELS
    if image.width * image.height > most:
        raise UserError(_too_many_pixels(name, most))


def _too_many_pixels(name: str, most: int) -> str:
    return f"{name} has too many pixels; at most {most // 1_000_000} megapixels are read, so save it smaller."


def _srgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB, its embedded colour profile applied, transparency laid over `GREY`."""
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        colours = Image.new("RGB", image.size, GREY)
        colours.paste(_apply_profile(layer.convert("RGB"), profile), mask=layer.getchannel("A"))
        return colours
    if image.mode in ("P", "1"):
        image = image.convert("RGB")
    return _apply_profile(image, profile)


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit grey image with its full range 0..65535 scaled to 0..255."""
    values = np.asarray(image).astype(np.float64).clip(0, 65535)
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert RGB, L or CMYK to sRGB; a missing or unusable profile means plain conversion."""
    if profile:
        try:
            source, target = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            return converted if converted is not None else image.convert("RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")

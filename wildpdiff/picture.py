"""Pictures that users bring: from a file, an upload or the clipboard to a tensor, or one sentence that says why not."""

import hashlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from .errors import UserError

MAX_BYTES = 5_000_000
MAX_PIXELS = 25_000_000
MIN_SIDE = 32
FORMATS = ("JPEG", "PNG", "WEBP")
SIDE = 256
"""Height and width of a background as the condition reads it, whichever way it comes in."""
GREY = (128, 128, 128)
"""What shows through transparent pixels."""

_DECODING = threading.Lock()
"""One picture at a time: it bounds the memory, and Python's warning filters are shared by all threads."""


def load_picture(source: Path | bytes, *, size: int = SIDE) -> Tensor:
    """The middle square of a user's picture, upright and in sRGB; nothing else of the file (no EXIF, no GPS) is kept.

    Args:
        source: a JPEG, PNG or WebP file, or its bytes.
        size: side of the result in pixels; as it stands, that of every background for a condition.

    Returns:
        uint8 `[3, size, size]`.

    Raises:
        UserError: if there is no such file, or it is too big, too small, animated, damaged or no picture.
    """
    name = f"'{source.name}'" if isinstance(source, Path) else "The picture"
    data = _read(source, name) if isinstance(source, Path) else source
    if len(data) > MAX_BYTES:
        raise UserError(f"{name} is larger than {MAX_BYTES // 1_000_000} MB; save it smaller or as JPEG.")
    with _quiet_decoding():
        image = _open(data, name)
        _check_header(image, name)
        try:
            return picture_of(image, size=size)
        except Exception:  # a hostile or damaged file makes Pillow raise nearly anything
            raise UserError(f"{name} is damaged and cannot be read to its end; save or download it again.") from None


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
    upright = _srgb(ImageOps.exif_transpose(image))
    if size is not None:
        upright = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(upright)).permute(2, 0, 1).contiguous()


def _read(path: Path, name: str) -> bytes:
    """A file's bytes, never much more than `MAX_BYTES` of them."""
    if not path.is_file():
        raise UserError(f"{name} is not a file here; give the path of a JPEG, PNG or WebP picture.")
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"{name} cannot be read ({error.strerror}); give a picture that you may open.") from None


@contextmanager
def _quiet_decoding() -> Iterator[None]:
    """Silence Pillow's remarks, except the one about decompression bombs, which becomes an error."""
    with _DECODING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header only."""
    try:
        return Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UserError(_too_many_pixels(name)) from None
    except UnidentifiedImageError:
        raise UserError(f"{name} is not a JPEG, PNG or WebP picture; save it as one of these.") from None
    except Exception:  # see load_picture
        raise UserError(f"{name} is damaged at its beginning; save or download it again.") from None


def _check_header(image: Image.Image, name: str) -> None:
    """Refuse what must not be decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise UserError(_too_many_pixels(name))
    if min(image.size) < MIN_SIDE:
        raise UserError(f"{name} is {image.width}x{image.height} pixels; each side must have at least {MIN_SIDE}.")
    # A camera's JPEG may hold a preview as a second frame; only PNG and WebP move.
    if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
        raise UserError(f"{name} is animated; give a single still picture.")


def _too_many_pixels(name: str) -> str:
    return f"{name} has too many pixels; at most {MAX_PIXELS // 1_000_000} megapixels are read, so save it smaller."


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

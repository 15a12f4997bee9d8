"""Pictures from users: what is accepted comes out right, what is refused says why in one sentence."""

import re
import struct
import traceback
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from wildpdiff.errors import UserError
from wildpdiff.picture import (
    GREY,
    MAX_BYTES,
    MAX_FILE,
    load_picture,
    packed,
    picture_of,
    read_frame,
    read_picture,
    unpacked,
)

RED = (200, 30, 40)


def encoded(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png_header_only(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and whose pixels never come."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def refusal(source: Path | bytes) -> str:
    """The sentence of the refusal; any warning that leaks is an error."""
    with warnings.catch_warnings(), pytest.raises(UserError) as caught:
        warnings.simplefilter("error")
        load_picture(source, size=48)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and "/" not in sentence
    assert "PIL" not in "".join(traceback.format_exception(caught.value))
    return sentence


def middle(picture: torch.Tensor) -> list[int]:
    return picture[:, picture.shape[1] // 2, picture.shape[2] // 2].tolist()


def close(left: list[int], right: tuple[int, ...] | list[int], tolerance: int = 3) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_each_accepted_format_gives_its_colour_as_bytes_and_as_a_file(file_format: str, tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (80, 60), RED), file_format)
    (tmp_path / "place").write_bytes(data)
    for source in (data, tmp_path / "place"):
        picture = load_picture(source, size=40)
        assert picture.shape == (3, 40, 40) and picture.dtype == torch.uint8
        assert close(middle(picture), RED)


def test_the_middle_square_is_kept_and_the_ends_are_cut_off() -> None:
    image = Image.new("RGB", (300, 100), (0, 0, 255))
    image.paste(RED, (100, 0, 200, 100))
    picture = load_picture(encoded(image), size=50)
    assert close(picture.float().mean(dim=(1, 2)).round().int().tolist(), RED)


def test_downscaling_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = load_picture(encoded(Image.fromarray(stripes)), size=64)[:, 8:-8, 8:-8].int()
    assert inner.min() >= 120 and inner.max() <= 136


def test_a_picture_of_the_wanted_size_keeps_every_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    assert torch.equal(load_picture(encoded(Image.fromarray(pixels)), size=48), torch.tensor(pixels).permute(2, 0, 1))


def test_a_rotated_photograph_stands_upright_and_its_gps_position_is_gone() -> None:
    image = Image.new("RGB", (64, 64), (0, 0, 255))
    image.paste(RED, (0, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the stored top is the right side
    exif.get_ifd(0x8825)[1] = "S"
    picture = load_picture(encoded(image, "JPEG", exif=exif, quality=95), size=64)
    assert close(picture[:, 32, 60].tolist(), RED, 8) and close(picture[:, 32, 3].tolist(), (0, 0, 255), 8)
    assert type(picture) is torch.Tensor and not vars(picture)


def test_cmyk_keeps_its_colours() -> None:
    inks = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    assert close(middle(load_picture(encoded(inks, "JPEG", quality=95), size=32)), (255, 0, 0), 4)


def test_sixteen_bit_greys_are_scaled_and_not_clipped() -> None:
    ramp = np.repeat(np.linspace(0, 65535, 64).astype(np.uint16)[None], 64, axis=0)
    row = load_picture(encoded(Image.fromarray(ramp)), size=64)[:, 30].int()
    expected = torch.linspace(0, 255, 64).round().int()
    assert (row - expected).abs().max() <= 1


def test_transparent_parts_show_mid_grey() -> None:
    image = Image.new("RGBA", (64, 64), (*RED, 255))
    image.paste((255, 255, 255, 0), (0, 0, 32, 64))
    image.paste((255, 255, 255, 128), (0, 0, 32, 8))
    picture = load_picture(encoded(image), size=64)
    assert picture[:, 40, 4].tolist() == list(GREY) and picture[:, 40, 60].tolist() == list(RED)
    assert close(picture[:, 4, 4].tolist(), (192, 192, 192))


def test_a_transparent_palette_colour_shows_mid_grey() -> None:
    image = Image.new("P", (64, 64), 1)
    image.putpalette([0, 0, 0, *RED])
    image.paste(0, (0, 0, 32, 64))
    picture = load_picture(encoded(image, transparency=0), size=64)
    assert picture[:, 40, 4].tolist() == list(GREY) and picture[:, 40, 60].tolist() == list(RED)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P"])
def test_greys_and_palettes_become_rgb(mode: str) -> None:
    image = Image.new("RGB", (64, 64), (255, 255, 255)).convert(mode)
    assert middle(load_picture(encoded(image), size=32)) == [255, 255, 255]


def test_an_embedded_colour_profile_is_applied() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"????", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"????", b"gXYZ", 1)
    image = Image.new("RGB", (64, 64), RED)
    assert close(middle(load_picture(encoded(image, icc_profile=srgb), size=32)), RED, 1)
    assert close(middle(load_picture(encoded(image, icc_profile=swapped), size=32)), (RED[1], RED[0], RED[2]), 2)


def test_an_unusable_colour_profile_is_ignored() -> None:
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for profile in (b"not a profile", other):
        assert middle(load_picture(encoded(Image.new("RGB", (64, 64), RED), icc_profile=profile), size=32)) == list(RED)


def test_a_phone_jpeg_with_a_preview_inside_is_a_still_picture() -> None:
    preview = Image.new("RGB", (64, 64), (0, 0, 255))
    data = encoded(Image.new("RGB", (64, 64), RED), "MPO", save_all=True, append_images=[preview], quality=95)
    assert close(middle(load_picture(data, size=32)), RED, 4)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_an_animation_is_refused(file_format: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "green")]
    data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], duration=50)
    assert "animated" in refusal(data)


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused_by_naming_the_accepted_ones(file_format: str) -> None:
    assert "JPEG, PNG or WebP" in refusal(encoded(Image.new("RGB", (64, 64)), file_format))


@pytest.mark.parametrize("data", [b"", b"hello, this is text", b"\0" * 1000])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert "JPEG, PNG or WebP" in refusal(data)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP"])
def test_a_truncated_file_is_refused_at_whatever_byte_it_ends(file_format: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(pixels), file_format)
    for share in (0.03, 0.3, 0.6, 0.9):
        refusal(data[: int(len(data) * share)])
    assert "damaged" in refusal(data[: len(data) // 2])


@pytest.mark.parametrize("side", [5001, 12_000, 60_000])
def test_too_many_pixels_are_refused_by_the_header_alone(side: int) -> None:
    assert "25 megapixels" in refusal(png_header_only(side, side))


@pytest.mark.parametrize("size", [(1, 1), (31, 200), (200, 31)])
def test_a_tiny_picture_is_refused_with_its_size(size: tuple[int, int]) -> None:
    assert f"{size[0]}x{size[1]}" in refusal(encoded(Image.new("RGB", size)))


def test_the_smallest_accepted_side_is_32() -> None:
    assert load_picture(encoded(Image.new("RGB", (32, 32))), size=64).shape == (3, 64, 64)


def test_too_many_bytes_are_refused_without_a_look_inside(tmp_path: Path) -> None:
    data = encoded(Image.new("RGB", (64, 64), RED))
    assert "larger than 20 MB" in refusal(data + b"\0" * MAX_BYTES)
    with (tmp_path / "big.png").open("wb") as file:
        file.write(data)
        file.truncate(MAX_FILE + 1)
    assert refusal(tmp_path / "big.png").startswith("'big.png' is larger than 100 MB")


def scene(width: int, height: int) -> Image.Image:
    """A picture with as much in it as a photograph."""
    tiles = np.random.default_rng(0).integers(0, 256, (height // 20, width // 20, 3), np.uint8)
    return Image.fromarray(tiles).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_mark_is_read_whole_and_told(options: dict[str, object], missing: int) -> None:
    for image in (scene(800, 600), Image.new("RGB", (800, 600), RED)):
        data = encoded(image, "JPEG", quality=90, **options)
        whole, cut = read_picture(data), read_picture(data[:-missing])
        assert torch.equal(cut.pixels, whole.pixels)
        assert (whole.note, "the end of the picture is missing" in cut.note) == ("", True)


def test_of_a_jpeg_that_is_cut_what_is_there_is_read_if_it_is_nine_tenths_of_the_rows() -> None:
    image, turned = scene(800, 600), Image.Exif()
    turned[0x0112] = 3
    for exif in (Image.Exif(), turned):
        data = encoded(image, "JPEG", quality=90, exif=exif)
        cut, whole = (
            read_picture(data[: int(len(data) * 0.96)], size=64),
            ImageOps.exif_transpose(Image.open(BytesIO(data))),
        )
        rows = [(0, 0, 800, 600 - lost) if not dict(exif) else (0, lost, 800, 600) for lost in range(16, 57, 8)]
        apart = [(cut.pixels.int() - picture_of(whole.crop(box), size=64).int()).abs().max() for box in rows]
        assert cut.note and min(apart) <= 2
        for share in (0.8, 0.5, 0.1):
            told = re.search(
                r"damaged: it ends after about (\d+)% of its rows", refusal(data[: int(len(data) * share)])
            )
            assert told and abs(int(told[1]) / 100 - share) < 0.06


@pytest.mark.parametrize("missing", [3, 10, 20, 50, 200])
def test_a_progressive_jpeg_whose_last_scan_has_not_begun_is_read(missing: int) -> None:
    data = encoded(Image.new("RGB", (800, 600), RED), "JPEG", quality=90, progressive=True)
    cut = read_picture(data[:-missing], size=64)
    assert cut.note and (cut.pixels.int() - read_picture(data, size=64).pixels.int()).abs().max() <= 2


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size_and_looks_the_same() -> None:
    image = scene(6960, 4640)
    data = encoded(image, "JPEG", quality=60)
    assert (load_picture(data).int() - picture_of(image, size=256).int()).abs().float().mean() < 2
    assert "25 megapixels" in refusal(encoded(Image.new("RGB", (6960, 4640), RED), "JPEG", progressive=True))


def test_a_phone_photograph_of_more_than_5_megabytes_is_read() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3000, 4000), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=70)
    assert 5_700_000 < len(data) < MAX_BYTES
    assert load_picture(data).shape == (3, 256, 256)


@pytest.mark.slow
def test_a_small_picture_is_read_as_ever_without_any_shrinking_while_decoding() -> None:
    for kind in ("JPEG", "PNG"):
        data = encoded(scene(2400, 1800), kind)
        assert torch.equal(load_picture(data), picture_of(Image.open(BytesIO(data)), size=256))


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"\0\0\0\x18ftypavif", "AVIF"),
        (b"II*\0", "TIFF or raw"),
        (b"GIF89a", "GIF"),
        (b"%PDF-1.7", "PDF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_a_picture_of_another_kind_is_named(start: bytes, kind: str) -> None:
    with pytest.raises(UserError, match=kind):
        load_picture(start + bytes(64))


def test_a_whole_frame_is_turned_and_scaled_as_a_picture_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (80, 40), (0, 0, 255))
    image.paste(RED, (0, 0, 80, 20))  # above in the file, so at the right when it is turned
    frame = read_frame(encoded(image, "JPEG", exif=exif, quality=95), 40, 20).pixels
    assert frame.shape == (3, 40, 20) and read_frame(encoded(image), 40).pixels.shape == (3, 40, 80)
    assert close(frame[:, 20, 17].tolist(), RED, 8) and close(frame[:, 20, 2].tolist(), (0, 0, 255), 8)
    grey = np.full((40, 40), 32_896, np.uint16)
    assert read_frame(encoded(Image.fromarray(grey)), 8, 8).pixels.unique().tolist() == [128]


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_a_missing_file_or_a_folder_is_refused_without_its_path(name: str, tmp_path: Path) -> None:
    sentence = refusal(tmp_path / name)
    assert "not a file" in sentence and str(tmp_path) not in sentence


def test_a_pillow_image_is_converted_whole_and_left_unchanged() -> None:
    image = Image.new("RGBA", (40, 20), (*RED, 255))
    assert picture_of(image).shape == (3, 20, 40)
    assert picture_of(image, size=10)[:, 5, 5].tolist() == list(RED)
    assert image.mode == "RGBA" and image.size == (40, 20)


def test_a_packed_picture_comes_back_as_it_was_and_of_less_quality_nearly_so_in_a_quarter_of_the_bytes() -> None:
    rng = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 16, generator=rng), (96, 128), mode="bicubic")[0]
    picture = (smooth.clamp(0, 1) * 255 + torch.randn(3, 96, 128, generator=rng) * 3).clamp(0, 255).to(torch.uint8)
    whole, less = packed(picture), packed(picture, quality=95)
    assert torch.equal(unpacked(whole), picture)
    assert len(less) < len(whole) / 4
    assert (unpacked(less).float() - picture.float()).abs().mean() < 4

"""A zip of labelled photographs: what is read, what is skipped, and one sentence for every kind of bad archive."""

import stat
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath

import pytest
import torch
from PIL import Image

from wildpdiff import labelled, zips
from wildpdiff.errors import UserError
from wildpdiff.labelled import MAX_ENTRIES, MAX_PHOTOS, SCIENTIFIC, label_of, label_of_place, open_archive
from wildpdiff.picture import Seen, load_picture
from wildpdiff.studio.labelled import BATCH, reading
from wildpdiff.worlds.savanna.world import SPECIES

ZEBRA, EMPTY = SPECIES.index("zebra"), SPECIES.index("empty")


def photo(colour: tuple[int, int, int] = (90, 120, 60), kind: str = "JPEG", exif: Image.Exif | None = None) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (48, 40), colour).save(stream, kind, **({"exif": exif} if exif else {}))
    return stream.getvalue()


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def refused(data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        open_archive(data, SPECIES)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and "/tmp" not in text
    return text


def test_photographs_are_labelled_by_the_folder_in_which_they_lie() -> None:
    red = photo((200, 30, 30), "PNG")
    archive = open_archive(packed({"mine/zebra/a.png": red, "mine/Blank/b.jpg": photo(), "zebra/c.webp": red}), SPECIES)
    assert archive.labels == (ZEBRA, EMPTY, ZEBRA)
    pictures = list(archive.pictures(16))
    assert [picture.label for picture in pictures] == [ZEBRA, EMPTY, ZEBRA]
    first = pictures[0].pixels
    assert first is not None and first.shape == (3, 16, 16) and first.dtype == torch.uint8
    assert torch.equal(first, load_picture(red, size=16))


@pytest.mark.parametrize(
    ("folder", "species"),
    [
        ("zebra", "zebra"),
        ("ZEBRAS", "zebra"),
        ("thomsons_gazelle", "thomsons_gazelle"),
        ("Thomson's gazelle", "thomsons_gazelle"),
        ("Thomson’s Gazelles", "thomsons_gazelle"),
        ("gazelleThomsons", "thomsons_gazelle"),
        ("Grant's gazelle", "grants_gazelle"),
        ("Guinea fowl", "guineafowl"),
        ("guineaFowl", "guineafowl"),
        ("hyena_spotted", "spotted_hyena"),
        ("Spotted Hyaena", "spotted_hyena"),
        ("hippo", "hippopotamus"),
        ("Hippopotamuses", "hippopotamus"),
        ("gnu", "wildebeest"),
        ("otherBird", "bird"),
        ("topi", "topi"),
        ("nothing", "empty"),
        ("Blank", "empty"),
        ("EMPTY", "empty"),
        ("no animal", "empty"),
        ("false_trigger", "empty"),
        ("Misfire", "empty"),
        ("0_Empty", "empty"),
        ("01_Zebra", "zebra"),
        ("Zebra (2)", "zebra"),
        ("zebra - Copy", "zebra"),
        ("zebra - Copy (3)", "zebra"),
        ("12 Grant's gazelles 2023", "grants_gazelle"),
        ("Equus quagga", "zebra"),
        ("equus_quagga", "zebra"),
        ("Equus quagga burchellii", "zebra"),
        ("3_Loxodonta africana", "elephant"),
        ("d4e7a5f1-0000-4c5a-9b5d-0f6a7e1b2c3d;mammalia;perissodactyla;equidae;equus;quagga;plains zebra", "zebra"),
        ("d4e7a5f1-0000-4c5a-9b5d-0f6a7e1b2c3d;mammalia;cetartiodactyla;bovidae;syncerus;caffer;syncerus", "buffalo"),
        ("f1856211-cfb7-4a5b-9158-c0f72fd09ee6;;;;;;blank", "empty"),
    ],
)
def test_a_folder_may_be_called_as_people_call_the_animal(folder: str, species: str) -> None:
    assert label_of(folder, SPECIES) == SPECIES.index(species)


@pytest.mark.parametrize(
    "folder",
    [
        "",
        "lion",
        "gazelle",
        "zebra or horse",
        "z",
        "s",
        "emptyish",
        "斑马",
        "2023",
        "(1)",
        "100 zebra 3 lions",
        "a;;;;;;lion",
    ],
)
def test_a_folder_that_names_no_species_is_not_guessed(folder: str) -> None:
    assert label_of(folder, SPECIES) is None


def test_every_synonym_leads_to_a_class() -> None:
    assert all(label_of(name, SPECIES) is not None for name in labelled.SYNONYMS)
    assert all(label_of(name, SPECIES) == place for place, name in enumerate(SPECIES))


def test_unknown_folders_and_other_files_are_skipped_and_told() -> None:
    files = {"zebra/a.jpg": photo(), "lion/b.jpg": photo(), "okapi/c.jpg": photo(), "d.jpg": photo()}
    archive = open_archive(packed(files | {"zebra/notes.txt": b"x"}), SPECIES)
    assert archive.labels == (ZEBRA,)
    assert archive.unknown == ("lion", "okapi")
    assert archive.others == 2


@pytest.mark.parametrize(
    ("name", "species"),
    [
        ("zebra/cam01/a.jpg", "zebra"),
        ("project/Zebra/cam01/2023-05-01/night/a.jpg", "zebra"),
        ("zebra/empty/a.jpg", "empty"),
        ("C1\\zebra\\a.jpg", "zebra"),
    ],
)
def test_of_nested_folders_the_nearest_that_names_a_class_counts(name: str, species: str) -> None:
    archive = open_archive(packed({name: photo()}), SPECIES)
    assert (archive.labels, archive.unknown, archive.others) == ((SPECIES.index(species),), (), 0)


@pytest.mark.parametrize(
    "folder", ["background/lion", "zebra/Red Foxes", "empty/2_leopards/night", "Blank/wild_dog/R10"]
)
def test_a_folder_of_another_animal_is_no_part_of_the_class_around_it(folder: str) -> None:
    archive = open_archive(packed({f"{folder}/a.jpg": photo(), "zebra/b.jpg": photo()}), SPECIES)
    assert archive.labels == (ZEBRA,)
    assert archive.unknown == (folder.split("/")[1],)


def test_no_class_of_the_savanna_is_taken_for_another_animal() -> None:
    for place, name in enumerate(SPECIES):
        scientific = [own for own in SCIENTIFIC if label_of(own, SPECIES) == place]
        for written in (name, f"{name}s", f"1_{name} copy", *scientific):
            assert label_of_place(PurePosixPath(f"empty/{written}/night"), SPECIES) == place


def test_the_pictures_of_a_zip_are_decoded_up_to_a_number_of_pixels_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "MAX_DECODED", 48 * 40 * 3)
    files = {f"zebra/{i}.jpg": photo() for i in range(5)} | {"zebra/1.jpg": b"no picture"}
    pictures = list(open_archive(packed(files), SPECIES).pictures(16))
    assert [picture.pixels is not None for picture in pictures] == [True, False, True, True, False]
    assert "megapixels in all" in pictures[4].problem


def test_sixty_bombs_in_a_small_zip_take_no_longer_than_the_pixels_that_are_allowed() -> None:
    stream = BytesIO()
    Image.new("1", (5_000, 5_000)).save(stream, "PNG")
    data = packed({f"zebra/{i}.png": stream.getvalue() for i in range(60)})
    assert len(data) < 200_000
    archive = open_archive(data, SPECIES)
    allowed = labelled.MAX_DECODED // 25_000_000
    assert allowed < 30
    read: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            labelled, "read_picture", lambda data, size: read.append(data) or Seen(torch.zeros(3, size, size))
        )
        problems = [picture.problem for picture in archive.pictures(16)]
    assert len(read) == allowed == problems.index(problems[-1])


def test_a_photograph_without_its_end_mark_is_read_and_told() -> None:
    archive = open_archive(packed({"zebra/a.jpg": photo()[:-2], "zebra/b.jpg": photo()}), SPECIES)
    pictures = list(archive.pictures(16))
    assert all(picture.pixels is not None for picture in pictures)
    assert [bool(picture.note) for picture in pictures] == [True, False]


@pytest.mark.parametrize(("number", "method"), [(9, "Deflate64"), (93, "Zstandard"), (95, "XZ"), (77, "method 77")])
def test_a_zip_that_cannot_be_unpacked_here_names_its_method(number: int, method: str) -> None:
    data = bytearray(packed({"zebra/a.jpg": photo()}))
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        at = data.index(mark) + place
        data[at : at + 2] = struct.pack("<H", number)
    assert f"packed with {method}" in refused(bytes(data))


@pytest.mark.parametrize(
    ("start", "kind"), [(b"Rar!\x1a\x07", "RAR"), (b"7z\xbc\xaf\x27", "7z"), (b"\x1f\x8b", "gzip")]
)
def test_another_archive_that_is_called_a_zip_is_named(start: bytes, kind: str) -> None:
    assert kind in refused(start + bytes(100))


def test_hidden_files_and_what_systems_leave_behind_are_as_if_not_there() -> None:
    litter = ("__MACOSX/zebra/._a.jpg", "zebra/.DS_Store", ".git/zebra/b.jpg", "zebra/Thumbs.db")
    archive = open_archive(packed({"zebra/a.jpg": photo()} | dict.fromkeys(litter, b"x")), SPECIES)
    assert archive.labels == (ZEBRA,)
    assert (archive.unknown, archive.others) == ((), 0)


def test_a_bad_picture_is_left_out_with_its_sentence_and_stops_nothing() -> None:
    cut = photo()[:-200] if len(photo()) > 400 else photo()[:150]
    files = {"zebra/a.jpg": cut, "zebra/b.jpg": b"no picture at all", "zebra/c.jpg": photo()}
    files |= {"zebra/d.png": b"", "zebra/e.jpg": b"\xff" * 20_100_000}
    pictures = list(open_archive(packed(files), SPECIES).pictures(16))
    assert [picture.pixels is None for picture in pictures] == [True, True, False, True, True]
    assert all(picture.problem.endswith(".") for picture in pictures if picture.pixels is None)
    assert "larger than 20 MB" in pictures[4].problem


def test_a_picture_damaged_inside_the_zip_is_left_out_too() -> None:
    data = bytearray(packed({"zebra/a.jpg": photo(), "zebra/b.jpg": photo()}, zipfile.ZIP_STORED))
    at = data.index(b"\xff\xd8") + 60
    data[at : at + 4] = b"\x00\x01\x02\x03"
    pictures = list(open_archive(bytes(data), SPECIES).pictures(16))
    assert [picture.pixels is None for picture in pictures] == [True, False]
    assert "damaged inside the zip" in pictures[0].problem


def test_a_picture_of_too_many_pixels_is_never_decoded() -> None:
    stream = BytesIO()
    Image.new("1", (6_000, 6_000)).save(stream, "PNG")
    (picture,) = open_archive(packed({"zebra/bomb.png": stream.getvalue()}), SPECIES).pictures(16)
    assert picture.pixels is None and "too many pixels" in picture.problem


def test_the_place_in_the_exif_is_not_kept() -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret description"
    exif.get_ifd(0x8825)[2] = (2.0, 19.0, 59.0)
    data = photo(exif=exif)
    assert b"secret description" in data
    (picture,) = open_archive(packed({"zebra/a.jpg": data}), SPECIES).pictures(16)
    assert picture.pixels is not None
    assert torch.equal(picture.pixels, load_picture(photo(), size=16))
    assert set(vars(picture)) == {"label", "pixels", "problem", "note"}


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all", photo(), packed({"zebra/a.jpg": photo()})[:-30]])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    assert "no zip, or it is damaged" in refused(data)


@pytest.mark.parametrize("name", ["../zebra/a.jpg", "zebra/../../a.jpg", "/zebra/a.jpg", "C:/zebra/a.jpg", "..\\a.jpg"])
def test_names_that_lead_out_of_the_zip_are_refused(name: str) -> None:
    assert "outside itself" in refused(packed({"zebra/b.jpg": photo(), name: photo()}))


def test_an_encrypted_zip_is_refused() -> None:
    data = bytearray(packed({"zebra/a.jpg": photo()}))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(mark) + place
        data[at : at + 2] = struct.pack("<H", struct.unpack("<H", data[at : at + 2])[0] | 1)
    assert "encrypted" in refused(bytes(data))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_special_files_are_refused(kind: int) -> None:
    stream, info = BytesIO(), zipfile.ZipInfo("zebra/a.jpg")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "links or other special files" in refused(stream.getvalue())


def test_more_photographs_than_are_read_are_refused() -> None:
    data = photo()
    assert len(open_archive(packed({f"zebra/{i}.jpg": data for i in range(MAX_PHOTOS)}), SPECIES).labels) == MAX_PHOTOS
    text = refused(packed({f"zebra/{i}.jpg": data for i in range(MAX_PHOTOS + 1)}))
    assert f"{MAX_PHOTOS + 1} photographs" in text and f"at most {MAX_PHOTOS}" in text


def test_a_directory_of_very_many_entries_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed({f"{i}": b"" for i in range(MAX_ENTRIES + 1)})
    monkeypatch.setattr(zips.zipfile, "ZipFile", None)
    assert f"more than {MAX_ENTRIES:,} files" in refused(data)


def test_a_bomb_is_refused_before_anything_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "MAX_UNPACKED", 3_000_000)
    data = packed({f"zebra/{i}.png": b"\x00" * 1_000_000 for i in range(4)})
    assert len(data) < 10_000
    assert "unpacks to more than 3 MB" in refused(data)


def test_a_member_that_lies_about_its_size_is_left_out() -> None:
    data = bytearray(packed({"zebra/a.png": b"\x00" * 3_000_000}))
    honest = struct.pack("<I", 3_000_000)
    data[data.index(honest) : data.index(honest) + 4] = struct.pack("<I", 1_000)
    at = data.rindex(honest)
    data[at : at + 4] = struct.pack("<I", 1_000)
    (picture,) = open_archive(bytes(data), SPECIES).pictures(16)
    assert picture.pixels is None and picture.problem


def test_a_file_above_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled, "MAX_ARCHIVE", 1_000_000)
    assert "larger than 1 MB" in refused(b"\x00" * 1_000_001)


def test_a_zip_without_a_known_folder_says_what_its_folders_are_called() -> None:
    text = refused(packed({"lion/a.jpg": photo(), "tiger/b.jpg": photo()}))
    assert "'lion', 'tiger'" in text and SPECIES[0] in text
    assert "no photograph" in refused(packed({"zebra/readme.txt": b"x"}))
    many = refused(packed({f"unknown animal {i} {'x' * 80}/a.jpg": photo() for i in range(40)}))
    assert len(many) < 400 and "34 more" in many


def test_nothing_is_written_to_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = packed({"zebra/a.jpg": photo(), "zebra/b.png": photo(kind="PNG")})
    monkeypatch.chdir(tmp_path)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(tmp_path))

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("something is written")

    for name in ("extract", "extractall"):
        monkeypatch.setattr(zipfile.ZipFile, name, forbidden)
    assert all(picture.pixels is not None for picture in open_archive(data, SPECIES).pictures(16))
    assert list(tmp_path.iterdir()) == []


def test_what_was_left_out_is_told_beside_what_was_read() -> None:
    files = {f"zebra/{place}.jpg": photo() for place in range(BATCH)} | {"zebra/x.jpg": b"none", "zebra/y.jpg": b"none"}
    archive = open_archive(packed(files | {"okapi/a.jpg": photo(), "b.jpg": photo()}), SPECIES)
    first, last = reading(archive, 16)
    assert (first.read, last.read, last.total) == (BATCH, BATCH + 2, BATCH + 2)
    assert last.images.pixels.shape == (BATCH, 3, 16, 16) and set(last.images.labels.tolist()) == {ZEBRA}
    for words in (
        f"{BATCH} photographs were read.",
        "'okapi'.",
        "1 file that is no picture",
        "2 pictures were left out",
    ):
        assert words in last.said
    assert last.said.endswith(last.problems[0])


def test_an_archive_of_which_no_picture_can_be_read_is_one_sentence() -> None:
    archive = open_archive(packed({"zebra/a.jpg": b"none", "zebra/b.jpg": b"none"}), SPECIES)
    with pytest.raises(UserError, match=r"^None of the 2 pictures could be read; the first: [^\n]*\.$"):
        list(reading(archive, 16))

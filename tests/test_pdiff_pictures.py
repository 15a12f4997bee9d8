"""Pictures in three parts: from digits, folders, CIFAR-10's file, and torchvision's sets."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pdiff_folder import write_pictures
from PIL import Image

from wildpdiff.errors import UserError
from wildpdiff.files import save_tensors
from wildpdiff.pdiff import sources
from wildpdiff.pdiff.pictures import Pictures, augmented, parted, zoomed
from wildpdiff.pdiff.sources import pictures_of

CIFAR = Path(__file__).parents[2] / "shared" / "data" / "cifar10"


def named(count: int, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures that all differ: the number of each is written in its first pixels."""
    pixels = torch.zeros(count, 3, 8, 8, dtype=torch.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = torch.arange(count) % 256, torch.arange(count) // 256
    return pixels, torch.arange(count) % classes


def numbers(pixels: torch.Tensor) -> list[int]:
    return (pixels[:, 0, 0, 0].int() + 256 * pixels[:, 0, 0, 1].int()).tolist()


def test_three_parts_share_no_picture_and_lose_none() -> None:
    pixels, labels = named(300)
    pictures = parted("some", "abc", pixels, labels)
    every = torch.cat([part.pixels for part in (pictures.train, pictures.selection, pictures.test)])
    assert sorted(numbers(every)) == list(range(300))
    for part in (pictures.train, pictures.selection, pictures.test):
        assert list(part.labels.tolist()) == [number % 3 for number in numbers(part.pixels)]
        assert torch.bincount(part.labels).unique().numel() == 1


def test_the_split_is_the_same_at_every_call() -> None:
    first, second = (parted("some", "abc", *named(90)) for _ in range(2))
    assert torch.equal(first.test.pixels, second.test.pixels) and torch.equal(first.train.labels, second.train.labels)


def test_a_test_part_that_the_set_brings_is_kept_whole() -> None:
    pixels, labels = named(300)
    from wildpdiff.worlds.base import Images

    pictures = parted("some", "abc", pixels[:200], labels[:200], test=Images(pixels[200:], labels[200:]))
    assert sorted(numbers(pictures.test.pixels)) == list(range(200, 300))
    assert len(pictures.train) + len(pictures.selection) == 200


def test_digits_are_there_without_a_network() -> None:
    pictures = pictures_of("digits", 16)
    assert sum(len(part) for part in (pictures.train, pictures.selection, pictures.test)) == 1797
    assert pictures.size == 16 and not pictures.flips and len(pictures.classes) == 10
    assert int(pictures.train.pixels.max()) > 240


def test_fewer_pictures_are_the_first_ones() -> None:
    pictures = pictures_of("digits", 8)
    few = pictures.at_most(20, 30)
    assert (len(few.selection), len(few.test), len(few.train)) == (20, 30, len(pictures.train))
    assert torch.equal(few.test.labels, pictures.test.labels[:30])


def test_a_folder_of_pictures_by_class_is_read_and_cut_to_squares(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "leaves", {"oak": 9, "elm": 12})
    pictures = pictures_of(str(folder), 8)
    assert pictures.classes == ("elm", "oak") and pictures.size == 8 and pictures.name == "leaves"
    assert sum(len(part) for part in (pictures.train, pictures.selection, pictures.test)) == 21


def test_a_folder_with_train_and_test_keeps_its_own_test_part(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set" / "train", {"a": 8, "b": 8})
    write_pictures(tmp_path / "set" / "test", {"a": 3, "b": 2})
    pictures = pictures_of(str(tmp_path / "set"), 8)
    assert len(pictures.test) == 5 and len(pictures.train) + len(pictures.selection) == 16


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"a": 5, "b": 1}, "'b' has 1 picture, but 3 parts need 3"),
        ({"a": 5}, "at least 2"),
        ({"a": 5, "b": 0}, "no picture in b"),
    ],
)
def test_a_class_with_too_few_pictures_is_refused(counts: dict[str, int], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        pictures_of(str(write_pictures(tmp_path / "few", counts)), 8)


def test_a_damaged_picture_is_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "leaves", {"a": 4, "b": 4})
    (folder / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match="cannot be read"):
        pictures_of(str(folder), 8)


def test_an_unknown_set_is_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="digits, cifar10, cifar100"):
        pictures_of("imagenet", 8)
    with pytest.raises(UserError, match="8 to 1024 pixels"):
        pictures_of("digits", 4)


def test_a_set_that_cannot_be_fetched_is_said_so_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import datasets

    def offline(*args: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "CIFAR100", offline)
    with pytest.raises(UserError, match="go online once, or name a folder") as found:
        pictures_of("cifar100", 32, root=tmp_path)
    assert "\n" not in str(found.value)


def test_torchvision_s_sets_come_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    class Fake(list):  # type: ignore[type-arg]
        classes = ("a", "b")

        def __init__(self, root: str, *, split: str, download: bool) -> None:
            count = 10 if split == "train" else 4
            super().__init__((Image.new("L", (9, 12), 20 * place), place % 2) for place in range(count))

    monkeypatch.setattr(datasets, "Food101", Fake)
    pictures = pictures_of("food101", 8, root=tmp_path)
    assert (pictures.classes, len(pictures.test), pictures.size) == (("a", "b"), 4, 8)


def test_every_set_is_one_of_torchvision_s() -> None:
    from torchvision import datasets

    assert all(hasattr(datasets, kind) for kind, *_ in sources.SETS.values())


def test_cifar_10_is_found_in_a_named_folder_before_it_is_fetched(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(0)
    tensors = {
        f"{part}_pixels": torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=rng)
        for part, count in (("train", 60), ("test", 20))
    } | {"train_labels": torch.arange(60) % 10, "test_labels": torch.arange(20) % 10}
    save_tensors(tmp_path / "cifar10" / "cifar10.safetensors", tensors, {"classes": ",".join("abcdefghij")})
    pictures = pictures_of("cifar10", 32, root=tmp_path)
    assert pictures.classes == tuple("abcdefghij") and len(pictures.test) == 20
    assert pictures_of("cifar10", 16, root=tmp_path).size == 16


@pytest.mark.skipif(not CIFAR.exists(), reason="the real pictures are not here")
def test_the_real_pictures_of_cifar_10_have_ten_classes_alike() -> None:
    pictures = pictures_of("cifar10", 32)
    assert len(pictures.test) == 10_000 and pictures.flips
    assert float(torch.bincount(pictures.train.labels).float().std()) < 100


def test_a_shifted_picture_keeps_its_middle_and_a_mirrored_one_its_columns() -> None:
    pixels = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).repeat(32, 3, 1, 1)
    rng = torch.Generator().manual_seed(0)
    moved = augmented(pixels, rng, flips=False, shift=2)
    assert moved.shape == pixels.shape and len({tuple(picture.flatten().tolist()) for picture in moved}) > 5
    assert all(int(picture[0, 4, 4]) in pixels[0, 0, 2:7, 2:7] for picture in moved)
    mirrored = augmented(pixels, rng, flips=True, shift=0)
    assert {tuple(picture[0, 0].tolist()) for picture in mirrored} == {tuple(range(8)), tuple(range(7, -1, -1))}
    assert torch.equal(augmented(pixels, rng, flips=False, shift=0), pixels)


def test_a_cut_picture_holds_only_what_was_there() -> None:
    pixels = torch.full((16, 3, 8, 8), 90, dtype=torch.uint8)
    assert torch.equal(zoomed(pixels, torch.Generator().manual_seed(0), flips=True), pixels)
    ramp = torch.arange(8, dtype=torch.uint8).mul(30).expand(16, 3, 8, 8).contiguous()
    cut = zoomed(ramp, torch.Generator().manual_seed(0), flips=False)
    assert cut.dtype == torch.uint8 and not torch.equal(cut, ramp)
    assert bool((cut[..., 1:].int() >= cut[..., :-1].int() - 1).float().mean() > 0.85)


def test_about_says_what_there_is() -> None:
    about = pictures_of("digits", 8).about()
    assert isinstance(pictures_of("digits", 8), Pictures)
    assert about["name"] == "digits" and about["size"] == 8 and about["train"] > about["test"] > about["selection"]  # type: ignore[operator]


def test_a_folder_of_pictures_is_read_as_every_other_door_reads_it(tmp_path: Path) -> None:
    turned, white = Image.Exif(), Image.new("RGB", (16, 16), "white")
    turned[0x0112] = 6
    half = Image.new("RGB", (16, 16), "black")
    half.paste(white.crop((0, 0, 16, 8)), (0, 0))
    deep = Image.fromarray(np.full((16, 16), 65_535 // 2, np.uint16))
    for name, place in (("turned", 0), ("deep", 1)):
        (tmp_path / name).mkdir()
        for number in range(3):
            image, how = ((half, {"exif": turned, "quality": 95}), (deep, {}))[place]
            image.save(tmp_path / name / f"{number}.{('jpg', 'png')[place]}", **how)
    found = pictures_of(str(tmp_path), 16)
    pixels = {label: found.train.pixels[found.train.labels == label][0].float() for label in (0, 1)}
    assert (found.classes, round(float(pixels[0].mean()))) == (("deep", "turned"), 127)
    left, right = pixels[1][:, :, :7].mean(), pixels[1][:, :, 9:].mean()
    assert float(left) < 10 and float(right) > 245, "white was above, and stands on the right once it is turned"


def test_a_picture_that_cannot_be_read_is_named_by_its_class(tmp_path: Path) -> None:
    write_pictures(tmp_path, {"a": 3, "b": 3})
    (tmp_path / "b" / "1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"^'b/1\.png' cannot be read"):
        pictures_of(str(tmp_path), 16)


def test_where_sets_are_put_is_told_without_naming_anybodys_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torchvision import datasets

    def offline(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "CIFAR100", offline)
    for root, told in ((None, "~/.cache/wildpdiff"), (tmp_path / "sets", "'sets'")):
        with pytest.raises(UserError) as refused:
            pictures_of("cifar100", 16, root=root)
        assert told in str(refused.value) and str(Path.home()) not in str(refused.value)
        assert str(tmp_path) not in str(refused.value)

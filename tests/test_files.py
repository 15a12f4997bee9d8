"""Files that are either whole or absent."""

import errno
import hashlib
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wildpdiff.errors import UserError
from wildpdiff.files import load_json, load_tensors, save_json, save_tensors, sha256, write_whole


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the operating system refuses, as it does when a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def one_sentence(error: pytest.ExceptionInfo[UserError], folder: Path) -> str:
    """The message, checked to be one sentence without an absolute path."""
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".") and ". " not in text
    assert str(folder) not in text
    return text


def test_tensors_and_metadata_come_back_as_they_were(tmp_path: Path) -> None:
    tensors = {
        "a": torch.randn(3, 4),
        "b": torch.arange(5),
        "half": torch.randn(2).half(),
        "turned": torch.randn(3, 4).T,
    }
    save_tensors(tmp_path / "new" / "x.safetensors", tensors, {"regime": "H"})
    back, metadata = load_tensors(tmp_path / "new" / "x.safetensors")
    assert metadata == {"regime": "H"}
    assert back.keys() == tensors.keys()
    for name, value in tensors.items():
        assert back[name].dtype == value.dtype
        assert torch.equal(back[name], value)


def test_what_is_saved_is_plain_safetensors(tmp_path: Path) -> None:
    save_tensors(tmp_path / "x.safetensors", {"a": torch.ones(2, requires_grad=True)})
    assert torch.equal(load_file(tmp_path / "x.safetensors")["a"], torch.ones(2))


def test_json_comes_back_with_its_letters(tmp_path: Path) -> None:
    value = {"name": "Grüße", "numbers": [1, 2.5, None], "nested": {"yes": True}}
    save_json(tmp_path / "x.json", value)
    assert load_json(tmp_path / "x.json") == value
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == value


def test_the_checksum_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"zebra")
    assert sha256(tmp_path / "x") == hashlib.sha256(b"zebra").hexdigest()


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError("x")]
)
def test_a_write_that_fails_halfway_keeps_the_earlier_file_and_leaves_nothing_else(
    tmp_path: Path, failure: BaseException
) -> None:
    path = tmp_path / "x.json"
    save_json(path, "earlier")

    def write(temporary: Path) -> None:
        temporary.write_text('"la')
        raise failure

    with pytest.raises(UserError if isinstance(failure, OSError) else type(failure)):
        write_whole(path, write)
    assert load_json(path) == "earlier"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "save",
    [
        lambda path: save_tensors(path, {"a": torch.zeros(100_000)}),
        lambda path: save_json(path, list(range(100_000))),
    ],
)
def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path, save: Callable[[Path], None]) -> None:
    path = tmp_path / "x"
    path.write_text("earlier")
    with at_most(20_000), pytest.raises(UserError) as error:
        save(path)
    assert "'x' could not be written" in one_sentence(error, tmp_path)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
    save(path)
    assert path.stat().st_size > 20_000


def test_a_folder_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as error:
        save_json(tmp_path / "file" / "x.json", 1)
    one_sentence(error, tmp_path)


@pytest.mark.parametrize("load", [load_tensors, load_json])
def test_a_missing_file_is_called_missing(tmp_path: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path / "absent")
    assert "'absent' is missing" in one_sentence(error, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "folder"])
def test_damaged_tensors_are_called_damaged(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.zeros(1000)})
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes({"cut": whole[:-7], "empty": b"", "noise": b"\xff" * 100}[damage])
    with pytest.raises(UserError) as error:
        load_tensors(path)
    assert "'x.safetensors' is damaged" in one_sentence(error, tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe\x00"])
def test_damaged_json_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError) as error:
        load_json(tmp_path / "x.json")
    assert "'x.json' is damaged" in one_sentence(error, tmp_path)

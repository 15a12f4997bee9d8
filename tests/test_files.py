"""Files that are either whole or absent."""

import errno
import hashlib
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wildpdiff.errors import UserError
from wildpdiff.files import (
    header,
    is_file,
    is_folder,
    load_json,
    load_tensors,
    save_json,
    save_tensors,
    sha256,
    write_whole,
)


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


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe\x00", b"[" * 100_000, b"9" * 5_000])
def test_damaged_json_is_called_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(UserError) as error:
        load_json(tmp_path / "x.json")
    assert "'x.json' is damaged" in one_sentence(error, tmp_path)


def test_the_same_tensors_are_always_the_same_bytes(tmp_path: Path) -> None:
    about = {f"{name}é": f'"{name}"\\\n' for name in "zyxwvutsrq"}
    tensors = {name: torch.arange(5) for name in "cab"}
    for turn in range(8):
        keys = list(about)[turn:] + list(about)[:turn]
        save_tensors(tmp_path / f"{turn}", tensors, {key: about[key] for key in keys})
    assert len({(tmp_path / f"{turn}").read_bytes() for turn in range(8)}) == 1
    assert load_tensors(tmp_path / "0")[1] == about


@pytest.mark.parametrize("load", [load_tensors, header, load_json])
def test_a_pointer_of_git_lfs_is_told_from_damage(tmp_path: Path, load: Callable[[Path], object]) -> None:
    path = tmp_path / "x"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(UserError) as error:
        load(path)
    assert "run `git lfs pull`" in one_sentence(error, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_tensors, header, load_json, sha256])
def test_a_file_that_this_user_may_not_read_is_one_sentence(tmp_path: Path, load: Callable[[Path], object]) -> None:
    """In a process of its own, as nobody: root may read all."""
    path = tmp_path / "x"
    save_tensors(path, {"a": torch.zeros(3)})
    path.chmod(0)
    script = f"""
import os, pathlib
from wildpdiff import files
from wildpdiff.errors import UserError
path = pathlib.Path("x")
os.chdir({str(tmp_path)!r})
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    files.{load.__name__}(path)
except UserError as error:
    print(error)
"""
    tmp_path.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "'x' cannot be read (Permission denied); let this user read it.\n", done.stderr


def test_bytes_of_file_names_that_are_no_text_are_escaped_in_json(tmp_path: Path) -> None:
    save_json(tmp_path / "x.json", {"name": "caf\udce9é.jpg"})
    assert load_json(tmp_path / "x.json") == {"name": "caf\udce9é.jpg"}


def test_a_part_that_a_file_lacks_is_named_with_the_file(tmp_path: Path) -> None:
    save_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(2)}, {"rate": "1"})
    tensors, about = load_tensors(tmp_path / "x.safetensors")
    assert (tensors.get("b"), "b" in tensors, about.get("b")) == (None, False, None)
    for asked in (lambda: tensors["b"], lambda: about["b"]):
        with pytest.raises(UserError) as told:
            asked()
        assert one_sentence(told, tmp_path) == "'x.safetensors' lacks its part 'b'; fetch or make it anew."


@pytest.mark.parametrize("text", ["NaN", "[1, -Infinity]", '{"a": 1e999}', '{"a": ' + "7" * 5000 + "}"])
def test_a_number_that_is_none_is_no_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=r"'x\.json' is damaged \(not JSON\)"):
        load_json(tmp_path / "x.json")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "loop", "absent", "file/below"])
def test_a_name_that_the_system_refuses_is_neither_file_nor_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    assert not is_file(tmp_path / name) and not is_folder(tmp_path / name)
    assert is_file(tmp_path / "file") and is_folder(tmp_path)

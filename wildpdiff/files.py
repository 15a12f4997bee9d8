"""Files that are either whole or absent: tensors as safetensors, the rest as JSON."""

import hashlib
import json
import math
import os
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import UserError

_POINTER = b"version https://git-lfs.github.com/spec/"
Part = TypeVar("Part")


class Named(dict[str, Part]):
    """What a file holds, by name; asking for what it lacks is a sentence about that file."""

    def __init__(self, parts: Mapping[str, Part], source: str) -> None:
        super().__init__(parts)
        self.source = source

    def __missing__(self, name: str) -> Part:
        raise UserError(f"'{self.source}' lacks its part '{name}'; fetch or make it anew.")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it, so that no reader ever meets half a file.

    Raises:
        UserError: if the disk is full or the folder cannot be written; an earlier file at `path` is kept.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise UserError(
            f"'{path.name}' could not be written ({reason}); free some space or choose another folder, "
            "then run the same command again."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Save named tensors as one safetensors file, whole or not at all; the same ones are always the same bytes."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        save_file(plain, temporary, dict(metadata or {}))
        _sort_header(temporary)

    write_whole(path, write)


def _sort_header(path: Path) -> None:
    """Put the metadata of a safetensors file into the order of its keys; the library leaves it to chance."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(length)
        if len(text) == length:
            file.seek(8)
            file.write(text)


def load_tensors(path: Path) -> tuple[Named[Tensor], Named[str]]:
    """Read one safetensors file: its tensors by name, and its metadata.

    Raises:
        UserError: if the file is missing, damaged, not to be read, or a pointer of Git LFS; later, if a part is asked
            for that it lacks.
    """
    with told(path, "a whole safetensors file"), _safely_open(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Named(tensors, path.name), Named(file.metadata() or {}, path.name)


def header(path: Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Shapes by name and metadata of a safetensors file, without reading its tensors.

    Raises:
        UserError: as `load_tensors`.
    """
    with told(path, "a whole safetensors file"), _safely_open(path) as file:
        shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        return shapes, dict(file.metadata() or {})


def _safely_open(path: Path) -> Any:
    """A safetensors file for reading; the library itself calls a file missing that this user may not read."""
    with path.open("rb"):
        return safe_open(path, framework="pt")


def save_json(path: Path, value: Any, *, close: bool = False) -> None:
    """Save a JSON document, whole or not at all; what UTF-8 cannot hold (bytes of odd file names) is escaped.

    `close` leaves no white space between its parts, where bytes count.
    """
    spaces: dict[str, Any] = {"separators": (",", ":")} if close else {"indent": 1}
    text = json.dumps(value, ensure_ascii=False, **spaces) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8", errors="backslashreplace"))


def load_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        UserError: as `load_tensors`.
    """
    with told(path, "JSON"):
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _no_number(text: str) -> Any:
    """NaN and Infinity are no JSON, though Python reads them."""
    raise ValueError(text)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def sha256(path: Path) -> str:
    """Checksum of a file's bytes, in hexadecimal.

    Raises:
        UserError: if the file is missing or not to be read.
    """
    with told(path, "a file"):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that comes along with the package."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


@contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into one sentence.

    Args:
        path: of the file.
        what: it should be, as in "a whole safetensors file".
    """
    try:
        yield
    except FileNotFoundError as error:
        raise UserError(f"'{path.name}' is missing; restore the folder it belongs to or make it anew.") from error
    except OSError as error:
        if error.strerror is None or isinstance(error, IsADirectoryError):  # safetensors itself gives no reason
            raise UserError(f"'{path.name}' is damaged (not {what}); {remedy(path)}.") from error
        raise UserError(f"'{path.name}' cannot be read ({error.strerror}); let this user read it.") from error
    except (SafetensorError, ValueError, RecursionError) as error:
        raise UserError(f"'{path.name}' is damaged (not {what}); {remedy(path)}.") from error


def remedy(path: Path) -> str:
    """What helps if a file is not what it should be."""
    try:
        with path.open("rb") as file:
            pointer = is_pointer(file.read(len(_POINTER)))
    except (OSError, ValueError):
        pointer = False
    return "it is only a pointer of Git LFS: run `git lfs pull`" if pointer else "fetch or make it anew"


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that the system does not even allow is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder, as `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_pointer(content: bytes) -> bool:
    """Whether a file's bytes are what Git leaves of a large file until Git LFS fetches it."""
    return content.startswith(_POINTER)

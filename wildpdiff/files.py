"""Files that are either whole or absent: tensors as safetensors, the rest as JSON."""

import hashlib
import json
import os
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import UserError


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
    """Save named tensors as one safetensors file, whole or not at all."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_whole(path, lambda temporary: save_file(plain, temporary, dict(metadata or {})))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read one safetensors file: its tensors by name, and its metadata.

    Raises:
        UserError: if the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"'{path.name}' is missing; restore the folder it belongs to or make it anew.") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"'{path.name}' is damaged (not a whole safetensors file); fetch or make it anew.") from error


def header(path: Path) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Shapes by name and metadata of a safetensors file, without reading its tensors.

    Raises:
        UserError: if the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            return shapes, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"'{path.name}' is damaged (not a whole safetensors file); fetch or make it anew.") from error


def save_json(path: Path, value: Any) -> None:
    """Save a JSON document, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def load_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        UserError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"'{path.name}' is missing; restore the folder it belongs to or make it anew.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"'{path.name}' is damaged (not JSON); fetch or make it anew.") from error


def sha256(path: Path) -> str:
    """Checksum of a file's bytes, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file that comes along with the package."""
    return tomllib.loads(path.read_text(encoding="utf-8"))

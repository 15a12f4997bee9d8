"""Adapters from elsewhere: read as peft itself reads them, or refused by name, at every door alike."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.evaluate import accuracy, logits
from wildpdiff.network.backbone import Backbone
from wildpdiff.network.lora_file import CONFIG, WEIGHTS
from wildpdiff.network.peft_folder import load_peft, save_peft
from wildpdiff.network.standard import IMAGENET
from wildpdiff.studio.peft_zip import unpack

Named = dict[str, Tensor]
PIXELS = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
STEM = "base_model.model.conv_stem.lora_"


@pytest.fixture(scope="module")
def written(backbone: Backbone, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Named, Tensor]:
    """What peft itself writes of a row whose factors all differ from zero: configuration, tensors, the row."""
    rng = torch.Generator().manual_seed(0)
    row = backbone.subset.initial(backbone.network, rng)
    row = row + 0.05 * torch.randn(row.shape, generator=rng)
    folder = tmp_path_factory.mktemp("peft") / "mine"
    save_peft(backbone, row, folder, card={})
    config = json.loads((folder / CONFIG).read_text())
    return config, safetensors.torch.load_file(folder / WEIGHTS), row


def folder_of(root: Path, config: dict[str, Any], tensors: Named) -> Path:
    folder = root / "adapter"
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(config))
    safetensors.torch.save_file({name: value.contiguous().clone() for name, value in tensors.items()}, folder / WEIGHTS)
    return folder


def read(backbone: Backbone, folder: Path) -> Tensor:
    """What both doors make of a folder: the same row, or the same sentence."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"mine/{path.name}")
    try:
        row = load_peft(backbone, folder)
    except UserError as told:
        with pytest.raises(UserError) as caught:
            unpack(stream.getvalue(), backbone)
        assert str(caught.value) == str(told)
        raise
    assert torch.equal(unpack(stream.getvalue(), backbone), row)
    return row


def as_peft_says(backbone: Backbone, folder: Path) -> Tensor:
    """Logits by peft's own reader, `[M, K]`: the oracle."""
    from peft import PeftModel

    network = PeftModel.from_pretrained(backbone.copy(), str(folder)).eval()
    with torch.inference_mode():
        found: Tensor = network(IMAGENET.prepared(PIXELS))
    return found


def halved(tensors: Named, factor: str = "lora_B", by: float = 0.5, only: str = "") -> Named:
    return {name: value * by if factor in name and only in name else value for name, value in tensors.items()}


def rank_two(tensors: Named) -> Named:
    return {name: value[:2] if "lora_A" in name else value[:, :2] for name, value in tensors.items()}


def stem_of_rank_two(tensors: Named) -> Named:
    return {name: part for name, value in tensors.items() for part in [rank_two({name: value})[name]]} | {
        name: value for name, value in tensors.items() if STEM not in name
    }


#: What is changed in the configuration, and in the tensors.
READ: dict[str, tuple[dict[str, Any], Callable[[Named], Named]]] = {
    "as it is": ({}, dict),
    "twice the alpha": ({"lora_alpha": 8}, dict),
    "twice the alpha and half of B": ({"lora_alpha": 8}, halved),
    "a negative alpha": ({"lora_alpha": -3}, dict),
    "alpha zero": ({"lora_alpha": 0}, dict),
    "rank-stabilised": ({"use_rslora": True}, dict),
    "one layer's alpha": ({"alpha_pattern": {"conv_stem": 8}}, dict),
    "alphas by the first pattern that fits": ({"alpha_pattern": {"blocks.0.0.conv_pw": 12, "conv_pw": 8}}, dict),
    "half the rank": ({"r": 2}, rank_two),
    "half the rank, rank-stabilised": ({"r": 2, "use_rslora": True}, rank_two),
    "one layer of half the rank": ({"rank_pattern": {"^conv_stem": 2}}, stem_of_rank_two),
    "dropout, which ends with the training": ({"lora_dropout": 0.3}, dict),
    "a random start": ({"init_lora_weights": "gaussian"}, dict),
}


@pytest.mark.parametrize("kind", READ)
def test_what_scales_an_adapter_is_folded_in_so_that_the_logits_are_those_of_peft(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path, kind: str
) -> None:
    changes, change = READ[kind]
    folder = folder_of(tmp_path, written[0] | changes, change(written[1]))
    row = read(backbone, folder)
    expected = as_peft_says(backbone, folder)
    assert float((logits(backbone, row, PIXELS) - expected).abs().max()) < 1e-3 * float(expected.std())


def test_an_adapter_of_our_own_scale_comes_back_bit_by_bit(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path
) -> None:
    assert torch.equal(read(backbone, folder_of(tmp_path, written[0], written[1])), written[2])


@pytest.mark.parametrize(
    "named",
    [
        lambda name: name.replace(".weight", ".default.weight"),
        lambda name: name.replace(".weight", ".my-own.weight"),
        lambda name: name.removeprefix("base_model.model."),
        lambda name: name.removesuffix(".weight"),
        lambda name: f"module.{name}",
        lambda name: name.replace("base_model.model.", "base_model.model._orig_mod."),
    ],
    ids=["default", "another name", "no prefix", "no suffix", "several devices", "compiled"],
)
def test_what_wrappers_put_around_names_is_taken_off(
    backbone: Backbone,
    written: tuple[dict[str, Any], Named, Tensor],
    tmp_path: Path,
    named: Callable[[str], str],
) -> None:
    tensors = {named(name): value for name, value in written[1].items()}
    assert torch.equal(read(backbone, folder_of(tmp_path, written[0], tensors)), written[2])


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_16_and_64_bits_are_read(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path, kind: torch.dtype
) -> None:
    tensors = {name: value.to(kind) for name, value in written[1].items()}
    assert torch.equal(read(backbone, folder_of(tmp_path, written[0], tensors)), written[2].to(kind).float())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("use_dora", True),
        ("fan_in_fan_out", True),
        ("layer_replication", [[0, 1]]),
        ("lora_bias", True),
        ("bias", "all"),
        ("bias", "lora_only"),
        ("use_qalora", True),
        ("init_lora_weights", "pissa"),
        ("init_lora_weights", "olora"),
        ("init_lora_weights", 1),
        ("trainable_token_indices", [1]),
        ("target_parameters", ["conv_stem.weight"]),
        ("alora_invocation_tokens", [5]),
        ("kasa_config", {"a": 1}),
        ("something_of_next_year", True),
        ("modules_to_save", ["classifier", "bn1"]),
        ("lora_alpha", "4"),
        ("lora_alpha", float("nan")),
        ("r", True),
        ("alpha_pattern", {"(a+)+b": 8}),
        ("alpha_pattern", [8]),
        ("rank_pattern", {"conv_stem": None}),
    ],
)
def test_whatever_else_changes_an_adapter_is_refused_by_name(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path, key: str, value: Any
) -> None:
    with pytest.raises(UserError, match=r"^[^\n]+\.$") as told:
        read(backbone, folder_of(tmp_path, written[0] | {key: value}, written[1]))
    assert f"'{key}'" in str(told.value) or "'conv_stem'" in str(told.value)


def test_a_rank_above_ours_is_refused_with_both(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"rank 4 .* rank 8\."):
        read(backbone, folder_of(tmp_path, written[0] | {"r": 8}, written[1]))


def test_a_tensor_too_many_too_few_or_not_finite_is_named(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path
) -> None:
    config, good, _ = written
    name = f"{STEM}B.weight"
    broken = good[name].clone()
    broken.view(-1)[3] = torch.nan
    cases: dict[str, tuple[Named, str]] = {
        "surplus": (good | {"base_model.model.classifier.weight": torch.zeros(3)}, "classifier.weight"),
        "magnitude of DoRA": (good | {f"{STEM}magnitude_vector": torch.zeros(3)}, "magnitude_vector"),
        "missing": ({key: value for key, value in good.items() if key != name}, "conv_stem.lora_B"),
        "NaN": (good | {name: broken}, "conv_stem.lora_B"),
        "twice": (good | {f"{STEM}B.other.weight": good[name]}, "several adapters"),
        "other numbers": (good | {name: good[name].int()}, "conv_stem.lora_B"),
        "another shape": (good | {name: good[name][:-1]}, "conv_stem.lora_B"),
        "a rank that the configuration does not say": (rank_two(good), "conv_stem.lora_A"),
    }
    for kind, (tensors, told) in cases.items():
        with pytest.raises(UserError, match=r"^[^\n]+\.$") as caught:
            read(backbone, folder_of(tmp_path, config, tensors))
        assert told in str(caught.value), kind


def test_a_scale_that_makes_weights_infinite_is_refused(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path
) -> None:
    tensors = halved(written[1], by=1e30)
    with pytest.raises(UserError, match="larger than numbers go"):
        read(backbone, folder_of(tmp_path, written[0] | {"lora_alpha": 1e15}, tensors))


def test_weights_that_only_pickle_reads_are_not_read(
    backbone: Backbone, written: tuple[dict[str, Any], Named, Tensor], tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, *written[:2])
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")
    with pytest.raises(UserError, match=r"'adapter_model\.bin' may run code"):
        load_peft(backbone, folder)


def test_weights_so_large_that_nothing_can_be_named_are_no_score(backbone: Backbone) -> None:
    for size in (3e38, 1e18):
        row = torch.full((1, backbone.layout.dim), size)
        with pytest.raises(UserError, match="outputs are not finite"):
            accuracy(backbone, row, PIXELS, torch.zeros(len(PIXELS), dtype=torch.int64))

"""A bundle says itself which generators it has, what they are called and where they lie."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from wildpdiff.bundle import Bundle
from wildpdiff.errors import UserError
from wildpdiff.files import load_json
from wildpdiff.manifest import MANIFEST, seal
from wildpdiff.studio.results import table
from wildpdiff.sweep import Sweep
from wildpdiff.variant import Variant, variants_from_json


def listed(*ways: str) -> list[dict[str, str]]:
    return [Variant.of("norms", way, "Norms", "Of normalisation layers.").to_json() for way in ways]


@pytest.fixture(scope="module")
def renamed(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with one generator alone, under a name of its own and in other folders than usual."""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("one") / "bundle", copy_function=os.link))
    (folder / "generator-H").rename(folder / "written")
    for kind in ("zoo", "curves", "map"):
        (folder / f"{kind}-H.safetensors").rename(folder / f"{kind}.safetensors")
    for regime in "LM":
        shutil.rmtree(folder / f"generator-{regime}")
    manifest = load_json(folder / MANIFEST)
    files = {kind: f"{kind}.safetensors" for kind in ("zoo", "curves", "map")}
    only = Variant.of("norms", "ours", "Norms", "Of normalisation layers.").to_json() | {"generator": "written"} | files
    about = {key: value for key, value in manifest.items() if key not in ("format", "files", "sum")}
    (folder / MANIFEST).unlink()
    seal(folder, about | {"variants": [only], "figures": {"norms": manifest["figures"]["H"]}})
    return folder


def test_a_bundle_of_one_variant_under_another_name_opens_whole(renamed: Path, tiny_bundle: Path) -> None:
    bundle, usual = Bundle.open(renamed), Bundle.open(tiny_bundle)
    assert (bundle.regimes, bundle.regime, bundle.ways) == (("norms",), "norms", ("ours",))
    told = bundle.embedding("R10")[None]
    assert torch.equal(bundle.generator("norms").generate(told, steps=2), usual.generator("H").generate(told, steps=2))
    assert torch.equal(bundle.zoo("norms").rows("R10", "shown"), usual.zoo("H").rows("R10", "shown"))
    assert torch.equal(bundle.map("norms").points, usual.map("H").points)
    assert torch.equal(bundle.means("norms"), usual.means("H"))


def test_the_page_offers_what_the_bundle_has_under_the_names_that_it_gives(renamed: Path) -> None:
    shown = table(Bundle.open(renamed), [])
    assert (shown["regimes"], shown["ways"]) == (["norms"], ["ours"])
    assert shown["about"] == {"norms": {"label": "Norms", "note": "Of normalisation layers."}}


def test_what_the_bundle_has_not_is_refused_with_what_it_has(renamed: Path) -> None:
    bundle = Bundle.open(renamed)
    with pytest.raises(UserError, match=r"^Regime 'H' is not in this bundle; choose one of: norms\.$"):
        bundle.generator("H")
    with pytest.raises(UserError, match=r"^The way to blend must be one of: ours; not 'paper'\.$"):
        bundle.generator("norms", way="paper")
    with pytest.raises(UserError, match="must be one of: ours; not 'paper'"):
        Sweep((("R10", "R12"),), (0.5,), regimes=("norms",), ways=("paper",)).check(bundle)


def test_fingerprints_follow_the_files_that_a_variant_names(renamed: Path, tiny_bundle: Path) -> None:
    parts = set(Bundle.open(renamed).fingerprints)
    assert {"generator-norms", "zoo-norms", "curves-norms", "map-norms"} <= parts
    assert {"generator-H", "zoo-H", "curves-H", "map-H"} <= set(Bundle.open(tiny_bundle).fingerprints)


@pytest.mark.parametrize(
    "value",
    [None, [], "LMH", [{}], [{"regime": "H"}], listed("ours", "ours"), listed("paper")],
    ids=["none", "empty", "text", "bare", "part", "twice", "no ours"],
)
def test_a_list_of_variants_that_is_not_whole_is_one_sentence(value: Any) -> None:
    with pytest.raises(UserError, match="variants"):
        variants_from_json(value)


def test_a_bundle_whose_variants_are_damaged_does_not_open(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle", copy_function=os.link))
    manifest = load_json(folder / MANIFEST)
    manifest["variants"][0].pop("zoo")
    (folder / MANIFEST).unlink()
    seal(folder, {key: part for key, part in manifest.items() if key not in ("format", "files", "sum")})
    with pytest.raises(UserError, match="list of variants is damaged"):
        Bundle.open(folder)

"""The atlas: places, ruler and cosines are what they say, and each visitor's trail is their own."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
import torch
from torch import Tensor

from wildpdiff.errors import UserError
from wildpdiff.network.lora import adapted
from wildpdiff.similarity import compare
from wildpdiff.studio.layers import Factors, between, cosines, layer_names, stages
from wildpdiff.studio.map import TRAIL, Journey, heat_figure, layer_figure, map_figure
from wildpdiff.studio.places import KEPT, Places, Plane, Terrain
from wildpdiff.studio.setting import Result, Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.ui.chart import panel
from wildpdiff.ui.map import Atlas, chosen
from wildpdiff.ui.page import Page
from wildpdiff.weightspace import project

REQUEST = SimpleNamespace(session_hash="one")


@pytest.fixture(scope="module")
def studio(tiny_bundle: Path) -> Studio:
    return Studio.open(tiny_bundle)


@pytest.fixture(scope="module")
def terrain(studio: Studio) -> Terrain:
    return Places(studio).terrain("H")


@pytest.fixture(scope="module")
def atlas(studio: Studio) -> Atlas:
    with gr.Blocks() as blocks:
        made = Atlas(Page(studio, panel("", html="<div></div>"), gr.State("")))
        made.build()
    made.blocks = blocks  # type: ignore[attr-defined]
    return made


def drawn(terrain: Terrain, count: int = 1, seed: int = 0) -> Tensor:
    """Rows near the middle of the terrain."""
    noise = torch.randn(count, terrain.layout.dim, generator=torch.Generator().manual_seed(seed))
    return terrain.means.mean(dim=0) + 0.03 * noise


def written(setting: Setting, rows: Tensor) -> Result:
    return Result(setting, "written", {}, rows, (), 0.0)


def picked(data: Any) -> Any:
    return SimpleNamespace(_data=data)


def along(terrain: Terrain, row: Tensor, a: str = "R10", b: str = "R12") -> tuple[float, float]:
    return terrain.along(terrain.spots(row[None])[0].shadow, a, b)


def test_the_ruler_puts_a_at_zero_and_b_at_one_on_the_line(terrain: Terrain) -> None:
    first, last = (terrain.means[terrain.locations.index(name)] for name in ("R10", "R12"))
    assert along(terrain, first) == pytest.approx((0, 0), abs=1e-5)
    assert along(terrain, last) == pytest.approx((1, 0), abs=1e-5)


@pytest.mark.parametrize("weight", [-0.5, 0.25, 0.5, 0.9])
def test_the_ruler_puts_a_weighted_average_at_its_weight_on_the_line(terrain: Terrain, weight: float) -> None:
    first, last = (terrain.means[terrain.locations.index(name)].double() for name in ("R10", "R12"))
    assert along(terrain, first * (1 - weight) + last * weight) == pytest.approx((weight, 0), abs=1e-5)


def test_the_ruler_measures_off_the_line_in_distances_from_a_to_b(terrain: Terrain) -> None:
    first, last = (terrain.means[terrain.locations.index(name)].double() for name in ("R10", "R12"))
    way = last - first
    aside = torch.randn(len(way), generator=torch.Generator().manual_seed(3)).double()
    aside -= way * (aside @ way) / (way @ way)
    row = first + 0.3 * way + 0.7 * aside / aside.norm() * way.norm()
    assert along(terrain, row) == pytest.approx((0.3, 0.7), abs=1e-5)
    assert along(terrain, row, "R12", "R10") == pytest.approx((0.7, 0.7), abs=1e-5)


def test_the_nearest_location_is_the_one_with_the_nearest_mean_row(terrain: Terrain) -> None:
    for row, spot in zip(drawn(terrain, 5), terrain.spots(drawn(terrain, 5)), strict=True):
        assert terrain.nearest(spot.shadow) == terrain.locations[int((terrain.means - row).norm(dim=1).argmin())]


def test_the_shares_of_the_planes_directions_fall_and_sum_to_one(terrain: Terrain) -> None:
    shares = terrain.plane.shares
    assert list(shares) == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)


def test_the_plane_finds_the_direction_in_which_points_were_spread() -> None:
    rng = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.normalize(torch.randn(128, generator=rng), dim=0)
    anchors = 5 * torch.randn(60, 1, generator=rng) * wide + 0.01 * torch.randn(60, 128, generator=rng)
    plane = Plane.of(anchors)
    assert abs(float(plane.axes[0] @ wide.double())) == pytest.approx(1, abs=1e-3)
    assert plane.shares[0] > 0.99 and float(plane.place(anchors).mean(dim=0).abs().max()) < 1e-5


def test_a_new_row_lies_on_the_plane_where_its_projection_would(terrain: Terrain) -> None:
    rows = drawn(terrain, 3)
    wanted = terrain.plane.place(project(rows))
    found = torch.tensor([spot.pca for spot in terrain.spots(rows)])
    assert torch.allclose(found.double(), wanted, atol=1e-3)


def test_a_new_row_lies_on_the_flat_map_where_the_map_places_it(terrain: Terrain) -> None:
    rows = drawn(terrain, 2)
    assert torch.allclose(torch.tensor([spot.umap for spot in terrain.spots(rows)]), terrain.map.place(rows))


def test_cosines_are_symmetric_with_ones_on_the_diagonal_and_products_are_not_factors(terrain: Terrain) -> None:
    for kind in ("factors", "products"):
        values = terrain.alike[kind]
        assert torch.allclose(values, values.mT, atol=1e-5)
        assert torch.allclose(values.diagonal(dim1=1, dim2=2), torch.ones(45, 10), atol=1e-5)
    assert (terrain.alike["factors"][0] - terrain.alike["products"][0]).abs().max() > 0.01


def test_cosines_are_those_of_the_library(terrain: Terrain) -> None:
    rows = drawn(terrain, 2)
    wanted = compare(terrain.layout, rows, terrain.means)
    found = cosines(Factors.of(terrain.layout, rows), Factors.of(terrain.layout, terrain.means))
    assert torch.allclose(found["factors"][1:], wanted.factors, atol=1e-5)
    assert torch.allclose(found["products"][1:], wanted.products, atol=1e-5)
    assert torch.allclose(found["factors"][0], wanted.whole_factors, atol=1e-5)
    assert torch.allclose(found["products"][0], wanted.whole_products, atol=1e-5)


def test_a_layers_cosines_equal_those_computed_by_hand(terrain: Terrain) -> None:
    row, mean = drawn(terrain)[0], terrain.means[4]
    ours, theirs = terrain.layout.unpack(row), terrain.layout.unpack(mean)
    name = adapted(terrain.layout)[7]
    factors, products = [], []
    for named in (ours, theirs):
        a, b = named[f"{name}.lora_A"], named[f"{name}.lora_B"]
        factors.append(torch.cat([a.flatten(), b.flatten()]))
        products.append((b.flatten(1) @ a.flatten(1)).flatten())
    found = terrain.likeness(row[None])
    assert float(found["factors"][8, 4]) == pytest.approx(float(torch.cosine_similarity(*factors, dim=0)), abs=1e-5)
    assert float(found["products"][8, 4]) == pytest.approx(float(torch.cosine_similarity(*products, dim=0)), abs=1e-5)


def test_likeness_of_several_adapters_is_their_mean(terrain: Terrain) -> None:
    rows = drawn(terrain, 3)
    singles = torch.stack([terrain.likeness(row[None])["products"] for row in rows])
    assert torch.allclose(terrain.likeness(rows)["products"], singles.mean(dim=0), atol=1e-5)


def test_a_convolution_that_an_adapter_leaves_as_it_is_has_cosine_zero(terrain: Terrain) -> None:
    assert float(terrain.likeness(torch.zeros(1, terrain.layout.dim))["products"].abs().max()) == 0


def test_the_mean_between_locations_leaves_the_diagonal_out() -> None:
    alike = torch.tensor([[[1.0, 0.2, 0.4], [0.2, 1.0, 0.6], [0.4, 0.6, 1.0]]])
    assert between(alike) == pytest.approx([0.4])


def test_layers_have_plain_names_of_their_own_in_network_order(terrain: Terrain) -> None:
    names, parts = layer_names(terrain.layout), stages(terrain.layout)
    assert len(set(names)) == len(names) == len(parts) == 44
    assert names[0] == "stem" and names[3] == "stage 0, block 0: narrow" and names[4] == "stage 1, block 0: widen"
    assert list(dict.fromkeys(parts)) == ["stem", "stage 0", "stage 1", "stage 2", "stage 3", "stage 4"]


def test_a_regime_is_measured_once_for_any_number_of_threads(studio: Studio) -> None:
    places, found = Places(studio), []
    threads = [threading.Thread(target=lambda: found.append(places.terrain("L"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(each is found[0] for each in found)
    assert found[0] is not places.terrain("M")


def test_the_map_shows_stars_and_trail_in_every_view(terrain: Terrain) -> None:
    journey = Journey(Setting("R10", "R12"))
    for weight in (0.1, 0.2, 0.3):
        spots, cloud = (terrain.spots(drawn(terrain, count, int(10 * weight))) for count in (2, 5))
        journey.go(Setting("R10", "R12", weight), spots, cloud=cloud)
    for view in map_figure(terrain, journey)["views"].values():
        named = {trace["name"]: trace for trace in view["data"]}
        assert len(named["generated"]["x"]) == 2 and len(named["earlier in this session"]["x"]) == 3
        assert len(named["other seeds"]["x"]) == 5
        assert "weight 0.10" in named["earlier in this session"]["text"][0]
    assert len(map_figure(terrain, journey)["views"]["ruler"]["data"][1]["x"]) == KEPT


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (Setting("R10", "R10"), "A and B are the same location"),
        (Setting("R10", "D03"), "fine-tuned for D03"),
        (Setting("own-1", "R10"), "your picture"),
    ],
)
def test_where_there_is_no_line_the_ruler_says_so(terrain: Terrain, setting: Setting, said: str) -> None:
    names = ("your picture", "R10") if setting.own else None
    made = map_figure(terrain, Journey(setting, names=names))["views"]
    assert said in made["ruler"]["summary"] and made["ruler"]["data"] == []
    assert not [trace for trace in made["umap"]["data"] if trace["name"] == "A to B"]


def test_the_trail_keeps_the_last_wishes_and_no_repetition(terrain: Terrain) -> None:
    journey, spots = Journey(Setting("R10", "R12")), terrain.spots(drawn(terrain))
    for seed in range(TRAIL + 4):
        for _ in range(2):
            journey.go(Setting("R10", "R12", seed=seed), spots)
    assert len(journey.earlier) == TRAIL and journey.earlier[-1].name.endswith(f"seed {TRAIL + 2}")
    assert len({each.name for each in journey.earlier}) == TRAIL


def test_the_trail_of_another_regime_is_kept_but_not_shown(terrain: Terrain) -> None:
    journey, spots = Journey(Setting("R10", "R12")), terrain.spots(drawn(terrain))
    for regime in ("L", "H", "H"):
        journey.go(Setting("R10", "R12", 0.1 * len(journey.earlier), regime=regime), spots)
    assert [each.regime for each in journey.earlier] == ["L", "H"] and [e.regime for e in journey.trail()] == ["H"]


def test_what_a_visitor_leaves_behind_is_small(terrain: Terrain) -> None:
    journey = Journey(Setting("R10", "R12"))
    for seed in range(20):
        journey.go(Setting("R10", "R12", seed=seed), terrain.spots(drawn(terrain)), terrain.likeness(drawn(terrain)))
    kept = sum(len(each.spot.shadow.dots) + 5 for each in journey.earlier)
    assert journey.likeness is not None
    assert kept + sum(values.numel() for values in journey.likeness.values()) < 1200


def test_the_heat_map_shows_the_chosen_layer_and_kind(terrain: Terrain) -> None:
    journey = Journey(Setting("R10", "R12"), kind="products", layer=3)
    journey.go(journey.setting, terrain.spots(drawn(terrain)), terrain.likeness(drawn(terrain)))
    figure = heat_figure(terrain, journey)
    values = torch.tensor(figure["data"][0]["z"])
    assert torch.allclose(values[:10, :10], terrain.alike["products"][3], atol=1e-4)
    assert torch.allclose(values[10, :10], terrain.likeness(drawn(terrain))["products"][3], atol=1e-4)
    assert "products BA, stage 0, block 0: excite" in figure["summary"]
    assert layer_figure(terrain, journey)["layout"]["shapes"][-1]["x0"] == 2.5


def test_a_frame_draws_the_three_figures_and_keeps_the_visitors_choice(atlas: Atlas, studio: Studio) -> None:
    setting = Setting("R10", "R12", 0.5, regime="L", steps=1)
    journey = Journey(setting, kind="products", layer=2)
    figures = atlas.frame(setting, written(setting, studio.write(setting)), journey)
    assert list(figures) == [chart.elem_id for chart in (atlas.map, atlas.heat, atlas.layers)]
    assert len(journey.spots) == 1
    assert "of the way" in figures["map"]["views"]["ruler"]["summary"] and "products" in figures["heat"]["summary"]


def test_a_choice_redraws_from_what_was_kept_without_running_anything(atlas: Atlas, studio: Studio) -> None:
    setting = Setting("R10", "R12", 0.5, steps=1)
    journey = Journey(setting)
    before = atlas.frame(setting, written(setting, studio.write(setting)), journey)["heat"]
    heat, layers, said = atlas.compare(journey, picked({"kind": "products", "layer": 5}))
    assert heat["data"][0]["z"] != before["data"][0]["z"] and heat["data"][0]["z"][-1][0] is not None
    assert "products BA" in heat["summary"] and layers["layout"]["shapes"][-1]["x0"] == 4.5 and said["problem"] == ""


@pytest.mark.parametrize(
    "data", [{}, {"kind": "norms", "layer": 0}, {"kind": "factors", "layer": 45}, {"kind": [], "layer": 1}]
)
def test_a_choice_that_does_not_exist_changes_nothing_but_the_sentence(atlas: Atlas, data: dict) -> None:
    journey = Journey(Setting("R10", "R12"))
    heat, layers, said = atlas.compare(journey, picked(data))
    assert heat == layers == gr.skip() and "44 layers" in said["problem"]
    assert (journey.kind, journey.layer) == ("factors", 0)


def test_a_choice_is_a_kind_and_a_layer() -> None:
    assert chosen({"kind": "products", "layer": 44}, 44) == ("products", 44)
    with pytest.raises(UserError):
        chosen({"kind": "products", "layer": -1}, 44)


def test_a_setting_opened_by_a_link_is_drawn_before_anything_is_written(atlas: Atlas) -> None:
    journey = Journey(Setting("R10", "R12"))
    figures = atlas.open(journey, picked({"a": "Q08", "b": "S12", "t": 0.5, "m": "M"}), REQUEST)
    assert "from Q08 to S12" in figures[0]["views"]["ruler"]["summary"] and journey.setting.regime == "M"
    assert atlas.open(journey, picked({"a": "Q08", "m": "Z"}), REQUEST) == [gr.skip()] * 4
    assert journey.setting.regime == "M"


def test_the_cards_are_drawn_when_the_page_is_made_and_every_listener_is_private(atlas: Atlas) -> None:
    assert all(chart.value for chart in (atlas.map, atlas.heat, atlas.layers))
    assert [fn.api_visibility for fn in atlas.blocks.fns.values()] == ["private"] * 2  # type: ignore[attr-defined]

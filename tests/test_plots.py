"""Plots: the right number in the right place, and inputs left as they were."""

import copy
import math

import plotly.graph_objects as go
import pytest

from wildpdiff.plots.common import SHAPES, colour, layout, shape
from wildpdiff.plots.heat import by_layer, similarity_heat
from wildpdiff.plots.map import Scene, absent, pca, ruler, umap, views

NAMES, POINTS, INDEX = ["R10", "R12"], [(0.0, 0.0), (1.0, 0.0), (5.0, 5.0)], [0, 0, 1]
CLOUD = [(0.5, 0.2), (0.6, 0.3), (0.7, 0.4)]
SCENE = Scene(
    NAMES, POINTS, INDEX, [(0.4, 0.1)], CLOUD, trail=[(9.0, 9.0)], told=["one before"], ends=NAMES, near="R12"
)
LAYERS, STAGES = ["stem", "stage 0, block 0: widen", "stage 0, block 0: narrow"], ["stem", "stage 0", "stage 0"]


def trace(figure: dict, name: str) -> dict:
    return next(each for each in figure["data"] if each.get("name") == name)


def everything(alike: list) -> list[dict]:
    return [
        umap(SCENE),
        pca(SCENE, (0.4, 0.2)),
        ruler(SCENE, 0.5),
        absent("There is no line to measure along."),
        similarity_heat(NAMES, alike, [0.8, 0.2]),
        by_layer(LAYERS, STAGES, [0.9, 0.8, 0.7], [0.2, 0.1, 0.05], chosen=1),
    ]


def test_plots_change_no_input() -> None:
    alike = [[1.0, 0.5], [0.5, 1.0]]
    before = copy.deepcopy((SCENE, alike))
    everything(alike)
    assert (SCENE, alike) == before


def test_plotly_accepts_every_figure_apart_from_colour_variables() -> None:
    def painted(value: object) -> object:
        if isinstance(value, dict):
            return {key: painted(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [painted(part) for part in value]
        return "#123456" if isinstance(value, str) and value.startswith("var(") else value

    for figure in everything([[1.0, 0.5], [0.5, 1.0]]):
        go.Figure(data=painted(figure["data"]), layout=painted(figure["layout"]))


def test_every_figure_has_words_and_a_table_whose_rows_fit_its_head() -> None:
    for figure in everything([[1.0, 0.5], [0.5, 1.0]]):
        assert figure["summary"].endswith(".") and figure["table"]["rows"]
        assert all(len(row) == len(figure["table"]["head"]) for row in figure["table"]["rows"])


def test_two_layouts_share_no_axis() -> None:
    one, other = layout(), layout()
    one["xaxis"]["title"] = "mine"
    assert "title" not in other["xaxis"] and "title" not in one["yaxis"]


def test_each_of_ten_locations_has_a_colour_and_a_shape_of_its_own() -> None:
    assert (
        len({colour(place) for place in range(10)}) == len({shape(place) for place in range(10)}) == len(SHAPES) == 10
    )


@pytest.mark.parametrize("view", [umap(SCENE), pca(SCENE, (0.4, 0.2)), ruler(SCENE, 0.5)])
def test_each_view_puts_rows_at_their_locations_the_trail_before_the_star_and_the_star_on_top(view: dict) -> None:
    assert trace(view, "R10")["x"] == [0.0, 1.0] and trace(view, "R12")["y"] == [5.0]
    assert view["data"][-1]["name"] == "generated" and view["data"][-1]["x"] == [0.4]
    assert trace(view, "earlier in this session")["x"] == [9.0, 0.4]
    assert trace(view, "earlier in this session")["text"][0] == "one before"
    assert view["pick"] == "trace"


def test_the_map_joins_the_means_of_a_and_b_by_a_dotted_line() -> None:
    line = trace(umap(SCENE), "A to B")
    assert (line["x"], line["y"], line["line"]["dash"]) == ([0.5, 5.0], [0.0, 5.0], "dot")


@pytest.mark.parametrize("ends", [[], ["R10"], ["R12", "R12"]])
def test_there_is_no_line_between_one_location(ends: list[str]) -> None:
    figure = umap(Scene(NAMES, POINTS, INDEX, ends=ends))
    assert not [each for each in figure["data"] if each["name"] == "A to B"]


def test_what_other_seeds_would_give_is_marked_smaller_than_what_was_written() -> None:
    for view in (umap(SCENE), pca(SCENE, (0.4, 0.2)), ruler(SCENE, 0.5)):
        others, written = trace(view, "other seeds"), trace(view, "generated")
        assert list(zip(others["x"], others["y"], strict=True)) == CLOUD
        assert others["marker"]["size"] < written["marker"]["size"]


def test_the_map_names_the_nearest_location_only_once_there_is_an_adapter() -> None:
    assert "nearest to the mean row of R12" in umap(SCENE)["summary"]
    assert "nearest" not in umap(Scene(NAMES, POINTS, INDEX, near="R12"))["summary"]


def test_the_axes_of_pca_say_how_much_they_show_and_are_equally_long() -> None:
    shown = pca(SCENE, (0.43, 0.12, 0.01))["layout"]
    assert "43%" in shown["xaxis"]["title"]["text"] and "12%" in shown["yaxis"]["title"]["text"]
    assert shown["yaxis"]["scaleanchor"] == "x"


def test_the_ruler_runs_from_a_to_b_and_marks_the_weighted_average() -> None:
    figure = ruler(SCENE, 0.3)
    average = trace(figure, "weighted averages")
    assert average["x"] == [0, 0.3, 1] and average["y"] == [0, 0, 0]
    assert figure["layout"]["xaxis"]["tickvals"] == [0, 0.5, 1]
    assert [text.strip("</b>") for text in figure["layout"]["xaxis"]["ticktext"]][::2] == NAMES
    assert "0.40 of the way, 0.10 off the line" in figure["summary"]
    assert not [each for each in figure["data"] if each["name"] == "A to B"]


def test_a_view_that_cannot_be_drawn_says_why() -> None:
    text = "A and B are the same location; a ruler needs two. Choose another one for A or B."
    figure = absent(text)
    assert figure["data"] == [] and figure["summary"] == text
    assert figure["layout"]["annotations"][0]["text"].replace("<br>", " ") == text


def test_three_views_are_one_figure_by_name() -> None:
    made = views(umap(SCENE), pca(SCENE, (0.4, 0.2)), ruler(SCENE, 0.5))
    assert list(made["views"]) == ["umap", "pca", "ruler"] and made["views"]["umap"] == umap(SCENE)


def test_tables_of_maps_hold_means_the_trail_and_the_newest() -> None:
    rows = ruler(SCENE, 0.5)["table"]["rows"]
    assert rows[0] == ["R10, mean", "2", "0.500", "0.000"]
    assert rows[-2:] == [["one before", "1", "9.000", "9.000"], ["newest", "1", "0.400", "0.100"]]


def test_the_heat_map_has_the_generated_row_last_and_is_symmetric() -> None:
    values = similarity_heat(NAMES, [[1.0, 0.5], [0.5, 1.0]], [0.8, 0.2])["data"][0]["z"]
    assert values == [[1.0, 0.5, 0.8], [0.5, 1.0, 0.2], [0.8, 0.2, 1.0]]


def test_the_heat_map_without_a_generated_row_leaves_it_empty() -> None:
    figure = similarity_heat(NAMES, [[1.0, 0.5], [0.5, 1.0]])
    assert figure["data"][0]["z"][-1] == [None, None, None] and len(figure["data"][1]["text"]) == 4


def test_the_numbers_in_the_cells_are_those_of_the_cells_light_on_dark() -> None:
    heat, text = similarity_heat(NAMES, [[1.0, 0.1], [0.1, 1.0]], [0.9, 0.2])["data"]
    told = {(x, y): value for x, y, value in zip(text["x"], text["y"], text["text"], strict=True)}
    for y, line in zip(heat["y"], heat["z"], strict=True):
        for x, value in zip(heat["x"], line, strict=True):
            assert told[x, y] == f"{value:.2f}"
    tints = dict(zip(text["text"], text["textfont"]["color"], strict=True))
    assert tints["0.10"] == tints["0.20"] == "#ffffff" != tints["0.90"] == tints["1.00"]


@pytest.mark.parametrize("lowest", [-0.4, 0.02, 0.5, 0.963, 0.999])
def test_the_heat_maps_colours_cover_every_value(lowest: float) -> None:
    heat = similarity_heat(NAMES, [[1.0, lowest], [lowest, 1.0]])["data"][0]
    assert heat["zmin"] <= lowest < heat["zmax"] == 1 and not math.isnan(heat["zmin"])


def test_the_heat_map_says_what_it_compares() -> None:
    figure = similarity_heat(NAMES, [[1.0, 0.5], [0.5, 1.0]], [0.8, 0.2], what="products BA, stem")
    assert "products BA, stem" in figure["summary"] and figure["table"]["head"][0] == "products BA, stem"
    assert "most like R10 (0.800)" in figure["summary"]


def test_lines_by_layer_hold_both_kinds_and_the_axis_names_the_stages() -> None:
    figure = by_layer(LAYERS, STAGES, [0.9, 0.8, 0.7], [0.2, 0.1, -0.05])
    assert trace(figure, "factors")["y"] == [0.9, 0.8, 0.7] and trace(figure, "products BA")["y"] == [0.2, 0.1, -0.05]
    axis = figure["layout"]["xaxis"]
    assert dict(zip(axis["ticktext"], axis["tickvals"], strict=True)) == {"stem": 1, "stage 0": 2.5}
    assert figure["layout"]["yaxis"]["range"][0] < -0.05


def test_the_chosen_layer_has_a_band_behind_it_and_only_then() -> None:
    def bands(figure: dict) -> list[tuple[float, float]]:
        return [(each["x0"], each["x1"]) for each in figure["layout"]["shapes"] if each["type"] == "rect"]

    assert bands(by_layer(LAYERS, STAGES, [0.9, 0.8, 0.7], [0.2, 0.1, 0.0], chosen=1)) == [(1.5, 2.5)]
    assert bands(by_layer(LAYERS, STAGES, [0.9, 0.8, 0.7], [0.2, 0.1, 0.0])) == []

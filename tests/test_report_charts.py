"""Charts of the report: the right number in the right place, in dicts that plotly accepts."""

import copy
import json
from typing import Any

import plotly.graph_objects as go
import pytest

from wildpdiff.plots import charts
from wildpdiff.plots import series as chart_series
from wildpdiff.plots.grid import grid
from wildpdiff.plots.series import Series
from wildpdiff.ui.theme import css

UP = Series("up", [0, 0.5, 1], [0.1, 0.2, 0.3], [0.05, 0.15, 0.25], [0.2, 0.3, 0.4], place=3)
BASE = Series("pretrained", [], [0.25], dashed=True)
BARS = Series("generated", ["R10", "U11"], [0.9, None], [0.8, 0.0], [0.95, 0.0])
CLOUD = Series("R12", [1.0, 2.0], [3.0, 4.0], place=1)


def every_figure() -> list[dict[str, Any]]:
    curve = charts.lines("Curve", [UP, BASE], x="weight", y="accuracy, %", percent=True, note="Bands: 95%.")
    matrix = charts.heat("Matrix", ["a", "b"], ["c"], [[0.1, None]], low=0, high=1)
    return [
        curve,
        charts.scatter("Cloud", [CLOUD, Series("line", [1.0, 2.0], [3.0, 3.5], dashed=True)], x="x", y="y"),
        charts.bars("Bars", ["R10", "R12", "U11"], [BARS, BASE], y="accuracy, %", percent=True),
        matrix,
        grid("Curves", [curve, curve, curve]),
        grid("Matrices", [matrix, matrix]),
    ]


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in figure["data"] if one["name"] == name and one.get("showlegend", True))


@pytest.mark.parametrize("figure", every_figure(), ids=lambda figure: figure["title"])
def test_plotly_accepts_every_figure_and_json_carries_it(figure: dict[str, Any]) -> None:
    go.Figure({"data": figure["data"], "layout": figure["layout"]})
    assert json.loads(json.dumps(figure)) == figure
    assert set(figure) >= {"data", "layout", "title", "note", "table"}


def test_charts_change_no_input() -> None:
    series = [copy.deepcopy(UP), copy.deepcopy(BASE)]
    part = charts.lines("a", series, x="", y="")
    kept = copy.deepcopy(part)
    grid("b", [part, part])
    assert series == [UP, BASE]
    assert part == kept


def test_a_band_runs_along_the_upper_ends_and_back_along_the_lower_ones() -> None:
    band = charts.lines("", [UP], x="", y="")["data"][0]
    corners = list(zip(band["x"], band["y"], strict=True))
    assert corners[:3] == [(0, 0.2), (0.5, 0.3), (1, 0.4)]
    assert corners[3:] == [(1, 0.25), (0.5, 0.15), (0, 0.05)]


def test_error_bars_end_at_the_interval() -> None:
    bar = trace(charts.bars("", ["R10", "U11"], [BARS], y=""), "generated")
    assert bar["y"][0] + bar["error_y"]["array"][0] == pytest.approx(0.95)
    assert bar["y"][0] - bar["error_y"]["arrayminus"][0] == pytest.approx(0.8)


def test_bars_stand_above_the_names_of_their_groups() -> None:
    figure = charts.bars("", ["R10", "R12", "U11"], [BARS], y="")
    axis = figure["layout"]["xaxis"]
    name_at = dict(zip(axis["tickvals"], axis["ticktext"], strict=True))
    assert [name_at[place] for place in trace(figure, "generated")["x"]] == ["R10", "U11"]


def test_a_baseline_of_one_value_crosses_the_whole_figure() -> None:
    line = trace(charts.lines("", [UP, BASE], x="", y=""), "pretrained")
    assert (min(line["x"]), max(line["x"]), set(line["y"])) == (0, 1, {0.25})
    assert line["line"]["dash"] != "solid"
    over_bars = trace(charts.bars("", ["R10", "U11"], [BARS, BASE], y=""), "pretrained")
    assert min(over_bars["x"]) < 0 and max(over_bars["x"]) > 1


def test_two_locations_differ_in_colour_and_in_shape() -> None:
    series = [Series(str(place), [0.0], [1.0], place=place) for place in range(10)]
    markers = [one["marker"] for one in charts.scatter("", series, x="", y="")["data"]]
    assert len({marker["color"] for marker in markers}) == len({marker["symbol"] for marker in markers}) == 10


def test_series_of_no_location_differ_in_colour() -> None:
    series = [Series(name, ["a"], [1.0]) for name in ("fine-tuned", "codec only", "generated")]
    figure = charts.bars("", ["a"], series, y="")
    assert len({one["marker"]["color"] for one in figure["data"]}) == 3


def test_location_colours_are_those_of_the_app() -> None:
    light, dark = css().split("} .dark {", 1)
    for place, colour in enumerate(chart_series.PLACES):
        assert f"--place-{place}: {colour};" in light and f"--place-{place}: {chart_series.DARK[colour]};" in dark


def test_a_matrix_keeps_rows_and_columns_apart() -> None:
    figure = charts.heat("", ["a", "b", "c"], ["first", "second"], [[1, 2, 3], [4, 5, 6]], low=0, high=6)
    drawn = figure["data"][0]
    assert drawn["z"][drawn["y"].index("second")][drawn["x"].index("a")] == 4
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"
    assert figure["table"]["rows"][1] == ["second", "4", "5", "6"]


def test_parts_of_a_grid_do_not_overlap_and_share_one_legend() -> None:
    part = charts.lines("part", [UP, CLOUD], x="x", y="y")
    figure = grid("all", [part] * 5)
    for layout in (figure["layout"], figure["narrow"]):
        boxes = [(layout[f"xaxis{n}"]["domain"], layout[f"yaxis{n}"]["domain"]) for n in ("", 2, 3, 4, 5)]
        for index, (x, y) in enumerate(boxes):
            assert 0 <= x[0] < x[1] <= 1.0001 and 0 <= y[0] < y[1] <= 1.0001
            for other_x, other_y in boxes[:index]:
                assert x[0] >= other_x[1] or other_x[0] >= x[1] or y[0] >= other_y[1] or other_y[0] >= y[1]
    assert len({figure["narrow"][f"xaxis{n}"]["domain"][0] for n in ("", 2, 3, 4, 5)}) == 1
    assert [one["name"] for one in figure["data"] if one.get("showlegend", True)] == ["up", "R12"]
    assert {one["xaxis"] for one in figure["data"]} == {"x", "x2", "x3", "x4", "x5"}


def test_an_empty_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        grid("none", [])


def test_the_table_of_a_figure_has_a_row_an_x_and_says_gaps() -> None:
    table = charts.bars("", ["R10", "U11"], [BARS, BASE], y="", percent=True)["table"]
    assert table == {
        "head": ["", "generated", "pretrained"],
        "rows": [["R10", "90.0%", "25.0%"], ["U11", "–", "25.0%"]],
    }


def test_names_cannot_smuggle_markup_into_a_hover_label_or_a_title() -> None:
    figure = charts.lines("", [Series("<b>x", [0, 1], [0, 1])], x="<i>", y="")
    assert "<b>" not in figure["data"][0]["hovertemplate"]
    assert figure["layout"]["xaxis"]["title"]["text"] == "&lt;i&gt;"

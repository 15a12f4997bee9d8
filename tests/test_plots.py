"""Plots: the right number in the right place, and inputs left as they were."""

import copy
import math

import plotly.graph_objects as go
import pytest

from wildpdiff import plots
from wildpdiff.plots import Column, Measured

COLUMNS = [
    Column("R10", 0.7, 0.95, 0.94, Measured(0.9, 0.78, 0.96, 43, 48, (0.85, 0.95))),
    Column("R12", 0.5, 0.91, 0.90, None),
    Column("D03", 0.6, None, None, Measured(0.5, 0.3, 0.7, 12, 24, (0.5, 0.5))),
]
NAMES, POINTS, INDEX = ["R10", "R12"], [(0.0, 0.0), (1.0, 0.0), (5.0, 5.0)], [0, 0, 1]


def trace(figure: dict, name: str) -> dict:
    return next(each for each in figure["data"] if each.get("name") == name)


def everything(columns: list, points: list, alike: list) -> list[dict]:
    known, live = (plots.accuracy_bars(columns, ["R10"], live=live) for live in (False, True))
    return [
        known,
        live,
        plots.weight_map(NAMES, points, INDEX, [(0.4, 0.1)], [(9.0, 9.0)], ["R10"]),
        plots.alike_heat(NAMES, alike, [0.8, 0.2]),
    ]


def test_plots_change_no_input() -> None:
    columns, points, alike = list(COLUMNS), list(POINTS), [[1.0, 0.5], [0.5, 1.0]]
    before = copy.deepcopy((columns, points, alike))
    everything(columns, points, alike)
    assert (columns, points, alike) == before


def test_plotly_accepts_every_figure_apart_from_colour_variables() -> None:
    def painted(value: object) -> object:
        if isinstance(value, dict):
            return {key: painted(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [painted(part) for part in value]
        return "#123456" if isinstance(value, str) and value.startswith("var(") else value

    for figure in everything(COLUMNS, POINTS, [[1.0, 0.5], [0.5, 1.0]]):
        go.Figure(data=painted(figure["data"]), layout=painted(figure["layout"]))


def test_live_bars_show_what_was_measured_now() -> None:
    figure = plots.accuracy_bars(COLUMNS, ["R10"], live=True)
    bars = trace(figure, "generated, live")
    assert dict(zip(bars["x"], bars["y"], strict=True)) == {"R10": 0.9, "R12": None, "D03": 0.5}
    tops = [share + up for share, up in zip((0.9, 0, 0.5), bars["error_y"]["array"], strict=True)]
    bottoms = [share - down for share, down in zip((0.9, 0, 0.5), bars["error_y"]["arrayminus"], strict=True)]
    assert tops == pytest.approx([0.96, 0, 0.7]) and bottoms == pytest.approx([0.78, 0, 0.3])
    assert "43/48" in figure["layout"]["xaxis"]["ticktext"][0]


def test_precomputed_bars_show_each_locations_own_adapter_and_no_live_number() -> None:
    figure = plots.accuracy_bars(COLUMNS, [], live=False)
    assert figure["data"][0]["y"] == [0.94, 0.90, None]
    assert "43/48" not in str(figure["layout"])


def test_ticks_show_pretrained_and_fine_tuned() -> None:
    figure = plots.accuracy_bars(COLUMNS, [], live=True)
    assert trace(figure, "pretrained")["y"] == [0.7, 0.5, 0.6]
    assert trace(figure, "fine-tuned")["y"] == [0.95, 0.91, None]


def test_the_map_puts_each_row_at_its_location_and_the_star_on_top() -> None:
    figure = plots.weight_map(NAMES, POINTS, INDEX, [(0.4, 0.1)], [(9.0, 9.0)])
    assert trace(figure, "R10")["x"] == [0.0, 1.0] and trace(figure, "R12")["y"] == [5.0]
    assert figure["data"][-1]["name"] == "generated" and figure["data"][-1]["x"] == [0.4]
    assert trace(figure, "this session")["x"] == [9.0, 0.4]
    assert "nearest to R10" in figure["summary"]


def test_the_map_gives_each_of_ten_locations_a_colour_and_a_shape_of_its_own() -> None:
    assert len({plots.colour(place) for place in range(10)}) == len({plots.shape(place) for place in range(10)}) == 10


def test_the_heat_map_has_the_generated_row_last_and_is_symmetric() -> None:
    values = plots.alike_heat(NAMES, [[1.0, 0.5], [0.5, 1.0]], [0.8, 0.2])["data"][0]["z"]
    assert values == [[1.0, 0.5, 0.8], [0.5, 1.0, 0.2], [0.8, 0.2, 1.0]]


def test_the_heat_map_without_a_generated_row_leaves_it_empty() -> None:
    values = plots.alike_heat(NAMES, [[1.0, 0.5], [0.5, 1.0]])["data"][0]["z"]
    assert values[-1] == [None, None, None]


@pytest.mark.parametrize("lowest", [-0.4, 0.02, 0.5, 0.963, 0.999])
def test_the_heat_maps_colours_cover_every_value(lowest: float) -> None:
    heat = plots.alike_heat(NAMES, [[1.0, lowest], [lowest, 1.0]])["data"][0]
    assert heat["zmin"] <= lowest < heat["zmax"] == 1 and not math.isnan(heat["zmin"])


def test_tables_repeat_the_figures_numbers() -> None:
    table = plots.accuracy_bars(COLUMNS, [], live=True)["table"]
    assert table["rows"][0] == ["R10", "70%", "95%", "94%", "90%", "43/48"]
    assert all(len(row) == len(table["head"]) for row in table["rows"])

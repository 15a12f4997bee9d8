"""The plot that keeps its node, in a real Chromium and without a server: views, hover, clicks, saving, dark mode."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import CHROMIUM, SCRIPTS, chromium, with_scripts

from wildpdiff.plots.heat import similarity_heat
from wildpdiff.plots.map import Scene, pca, ruler, umap, views
from wildpdiff.ui.chart import CHART_HTML, MOUNT, Chart, panel
from wildpdiff.web.packed import PLOTLY_FILE

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install one to test the page")
NAMES = ["R10", "R12", "U11"]
POINTS, INDEX = [(0.0, 0.0), (1.0, 0.5), (5.0, 5.0), (6.0, 5.0), (2.0, 7.0), (3.0, 8.0)], [0, 0, 1, 1, 2, 2]
SCENE = Scene(NAMES, POINTS, INDEX, [(2.0, 2.0)], ends=NAMES[:2])
MAP = views(umap(SCENE), pca(SCENE, (0.5, 0.2)), ruler(SCENE, 0.5))
HEAT = similarity_heat(NAMES, [[1, 0.2, 0.3], [0.2, 1, 0.4], [0.3, 0.4, 1]], [0.5, 0.6, 0.7])
BARS = {
    "data": [{"type": "bar", "x": NAMES, "y": [1, 2, 3], "marker": {"color": "var(--accent)"}}],
    "layout": {"xaxis": {"type": "category"}},
    "summary": "Bars.",
    "table": {"head": ["name", "value"], "rows": [["R10", "1"], ['a "b", c', "2"]]},
    "pick": "x",
}
BOXES = "".join(f'<div id="{name}">{CHART_HTML}</div>' for name in ("map", "heat", "columns"))
PAGE = f"""<!doctype html><html lang="en"><head><title>charts</title><style>
:root {{ --ink: #211f1a; --ink-soft: #625d52; --hairline: #e2ddd1; --panel: #fffefb; --accent: #b3480c;
--accent-soft: #f1c8a6; --place-0: #332288; --place-1: #2b8cbe; --place-2: #44aa99; }}
body.dark {{ --accent: #f08c42; --panel: #1f1d19; }}
.chart {{ margin: 0; }} .chart-node {{ width: 600px; height: 360px; }}
</style></head><body>{BOXES}{SCRIPTS}</body></html>"""
ADDRESS = "http://wpd.test/"
#: The page's table; what the charts tell of hovering is noted, and how the map then looks: on a busy machine plotly
#: says that a point was left, although the mouse rests, before anybody can look.
TABLE = """() => {
  window.told = [];
  const store = Object.getPrototypeOf(wpd), { hover } = store;
  window.looks = {};
  store.hover = (name) => {
    told.push(name);
    hover(name);
    const traces = document.querySelector('#map .chart-node').data;
    looks[name] = { ...looks[name], ...Object.fromEntries(traces.map((trace) => [trace.name, trace.opacity ?? 1])) };
  };
  const places = ['R10', 'R12', 'U11'].map((name, index) => ({ name, title: name, kind: 'seen', index }));
  const about = { H: { label: 'High', note: '' } };
  wpd.open_table({ places, regime: 'H', regimes: ['H'], ways: ['ours'], about, shapes: [], presets: [], known: {} });
  wpd.set({ t: 0.5 });
}"""
MADE = """([name, value, script]) => {
  const watched = {}, props = { name, value };
  new Function('element', 'props', 'trigger', 'watch', script)(
    document.getElementById(name), props, () => {}, (key, call) => { watched[key] = call; });
  (window.give = window.give || {})[name] = (next) => { props.value = next; watched.value(); };
}"""
NODE = "document.querySelector('#{} .chart-node')"
#: Milliseconds until a test gives up, and until the mouse is moved once more.
WAIT, PATIENCE = 60_000, 2_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """Three charts as Gradio mounts them: their own scripts wait for the page's."""
    opened, faults = browser.new_page(viewport={"width": 900, "height": 1400}), []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    with_scripts(opened, ADDRESS, PAGE)
    opened.goto(ADDRESS)
    opened.add_script_tag(path=str(PLOTLY_FILE))
    opened.evaluate(TABLE)
    for name, value in (("map", MAP), ("heat", HEAT), ("columns", BARS)):
        opened.evaluate(MADE, [name, value, MOUNT.format(name="chart", events="")])
    drawn = "[...document.querySelectorAll('.chart-node')].every((node) => node.dataset.drawn === 'yes')"
    opened.wait_for_function(drawn, timeout=WAIT)
    yield opened
    opened.close()
    assert faults == []


def opacities(page: Any) -> dict[str, float]:
    return dict(page.evaluate(f"{NODE.format('map')}.data.map((trace) => [trace.name, trace.opacity ?? 1])"))


def hover(page: Any, name: str, x: float | str, y: float | str, seen: str, *, press: bool = False) -> None:
    """Put the mouse on a point given in the units of the axes, and `press` it, until the page's `seen` holds.

    A chart that is being drawn forgets a mouse that rests, so the mouse does so more than once.
    """
    for _ in range(WAIT // PATIENCE):
        found = page.evaluate(
            f"([x, y]) => {{ const node = {NODE.format(name)}, box = node.getBoundingClientRect();"
            "const { xaxis, yaxis } = node._fullLayout;"
            "return [box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + yaxis.d2p(y)] }",
            [x, y],
        )
        page.mouse.move(found[0] - 2, found[1] - 2)
        page.mouse.move(*found)
        if press:
            page.wait_for_timeout(200)
            page.mouse.down(), page.mouse.up()
        for _ in range(PATIENCE // 50):
            if page.evaluate(seen):
                return
            page.wait_for_timeout(50)
    raise AssertionError(f"never seen: {seen}")


@needs_browser
@pytest.mark.browser
def test_a_hovered_point_stresses_its_location_in_every_chart_and_leaves_the_zoom(page: Any) -> None:
    page.evaluate(f"Plotly.relayout({NODE.format('map')}, {{ 'xaxis.range': [-1, 9], 'yaxis.range': [-1, 9] }})")
    hover(page, "map", 5.0, 5.0, "told.includes('R12')")
    shown = opacities(page)
    assert shown["R12"] == shown["generated"] == 1 and shown["R10"] == shown["U11"] < 0.3
    assert page.evaluate(f"{NODE.format('map')}._fullLayout.xaxis.range") == [-1, 9]
    assert page.evaluate(f"{NODE.format('heat')}.layout.shapes.length") == 4
    assert page.evaluate(f"{NODE.format('columns')}.data[0].marker.opacity") == [0.25, 1, 0.25]
    hover(page, "columns", "U11", 0.5, "told.includes('U11')")
    looks = page.evaluate("looks.U11")
    assert looks["U11"] == 1 > looks["R12"]
    page.mouse.move(890, 5)
    page.wait_for_function("told.at(-1) === null", timeout=WAIT)
    assert set(opacities(page).values()) == {1} and page.evaluate(f"{NODE.format('heat')}.layout.shapes.length") == 0
    assert page.evaluate(f"{NODE.format('columns')}.data[0].marker.opacity") == [1, 1, 1]


@needs_browser
@pytest.mark.browser
def test_a_click_chooses_b_with_shift_a_and_a_cell_both(page: Any) -> None:
    hover(page, "columns", "U11", 0.5, "wpd.state.b === 'U11' && wpd.state.a === 'R10'", press=True)
    page.keyboard.down("Shift")
    hover(page, "columns", "R12", 0.5, "wpd.state.a === 'R12' && wpd.state.b === 'U11'", press=True)
    page.keyboard.up("Shift")
    hover(page, "heat", "R10", "U11", "wpd.state.a === 'U11' && wpd.state.b === 'R10'", press=True)


@needs_browser
@pytest.mark.browser
def test_a_chart_drawn_anew_under_the_mouse_is_no_longer_faded_when_the_mouse_leaves(page: Any) -> None:
    shades = f"{NODE.format('columns')}.data[0].marker.opacity"
    hover(page, "columns", "U11", 0.5, f"String({shades}) === '0.25,0.25,1'")
    page.evaluate("figure => wpd.charts.columns.show({ ...figure, stage: 'again' })", BARS)
    page.wait_for_function(f"{NODE.format('columns')}.dataset.drawn === 'again'", timeout=WAIT)
    page.mouse.move(5, 5)
    page.wait_for_function(f"[undefined, '1,1,1'].includes({shades} && String({shades}))", timeout=WAIT)


@needs_browser
@pytest.mark.browser
def test_the_pages_state_chooses_the_view_and_the_node_stays(page: Any) -> None:
    page.evaluate(f"{NODE.format('map')}.kept = 'yes'")
    page.evaluate("wpd.set({ view: 'ruler' })")
    label = "document.querySelector('#map figure').getAttribute('aria-label')"
    page.wait_for_function(f"{label}.startsWith('Ruler from R10 to R12')", timeout=WAIT)
    page.evaluate("wpd.set({ view: 'hostile' })")
    page.wait_for_function(f"{label}.startsWith('UMAP')", timeout=WAIT)
    page.evaluate("([figure]) => give.map(figure)", [BARS])
    page.wait_for_function(f"{label} === 'Bars.'", timeout=WAIT)
    page.evaluate("([figure]) => wpd.charts.map.show(figure)", [HEAT])
    page.wait_for_function(f"{label}.startsWith('Cosine')", timeout=WAIT)
    assert page.evaluate(f"{NODE.format('map')}.kept") == "yes"


@needs_browser
@pytest.mark.browser
def test_a_chart_is_repainted_when_the_page_turns_dark(page: Any) -> None:
    assert page.evaluate(f"{NODE.format('columns')}.data[0].marker.color") == "#b3480c"
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(f"{NODE.format('columns')}.data[0].marker.color === '#f08c42'", timeout=WAIT)


@needs_browser
@pytest.mark.browser
def test_charts_are_saved_by_keyboard_as_pictures_and_as_a_table(page: Any, tmp_path: Path) -> None:
    saved = {}
    for kind in ("png", "svg", "csv"):
        page.locator(f"#columns [data-save={kind}]").focus()
        with page.expect_download(timeout=WAIT) as caught:
            page.keyboard.press("Enter")
        assert caught.value.suggested_filename == f"wildpdiff-columns-R10-R12-0.50-H.{kind}"
        caught.value.save_as(tmp_path / kind)
        saved[kind] = (tmp_path / kind).read_bytes()
    assert saved["png"].startswith(b"\x89PNG") and int.from_bytes(saved["png"][16:20], "big") == 1280
    assert b"<svg" in saved["svg"] and b"rgb(255, 254, 251)" in saved["svg"]
    assert list(csv.reader(saved["csv"].decode().splitlines())) == [["name", "value"], ["R10", "1"], ['a "b", c', "2"]]


@needs_browser
@pytest.mark.browser
def test_the_table_holds_text_not_markup(page: Any) -> None:
    hostile = BARS | {"table": {"head": ["name"], "rows": [["<img src=x onerror=alert(1)>R10"]]}}
    page.evaluate("([figure]) => give.columns(figure)", [hostile])
    page.locator("#columns summary").click()
    page.wait_for_selector("#columns td", timeout=WAIT)
    assert page.locator("#columns td").all_inner_texts() == ["R10"] and page.locator("#columns td img").count() == 0


def test_a_chart_is_a_component_that_knows_its_name() -> None:
    chart = Chart(BARS, elem_id="columns")
    assert chart.props["name"] == "columns" and json.loads(chart.value) == BARS


def test_a_panel_passes_its_values_to_its_script_and_offers_the_events_that_it_triggers() -> None:
    made = panel("mine", 3, html="<p></p>", events=("pick",), elem_id="mine", places=["R10"], visible="hidden")
    assert (made.value, made.elem_id, made.visible, made.props) == (3, "mine", "hidden", {"places": ["R10"]})
    assert callable(made.pick)
    with pytest.raises(AttributeError):
        made.other  # noqa: B018 - reading it is the test

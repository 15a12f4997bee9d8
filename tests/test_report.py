"""The report: one page that asks no server, shows every number and lets no text out of its place."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from wildpdiff.experiments.lab import Table
from wildpdiff.experiments.report import Chapter, embedded, html, plain
from wildpdiff.plots import charts
from wildpdiff.plots.charts import Series

EVIL = "</script><img src=http://evil.example onerror=alert(1)> & \"'"
TABLE = Table("Accuracy", ("location", "ours", "word"), (("R10", "95.5 (94.8 to 96.1)", "yes"), ("mean", "−1.2", "")))
FIGURE = charts.lines("Curve", [Series("a", [0, 1], [0.25, float("nan")])], x="weight", y="accuracy, %")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Elements and texts of a page; scripts apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str], list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag == "script":
            self.scripts.append((self.elements[-1][1], []))

    def handle_data(self, text: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1][1].append(text)
        self.texts.append(text)


def chapter(**more: Any) -> Chapter:
    return Chapter("table2", "Table 2", "Is it so?", **more)


def one_of_each() -> str:
    return html([chapter(findings=("It is.",), tables=(TABLE,), figures=(FIGURE,), made=(("command", "wildpdiff x"),))])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few letters in place of the megabytes of plotly's script."""
    monkeypatch.setattr("plotly.offline.get_plotlyjs", lambda: "/* draws */")


@pytest.fixture
def whole(short: None) -> str:
    return one_of_each()


def test_no_element_points_at_a_server(whole: str) -> None:
    targets = [
        value
        for _, attributes in Page(whole).elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data", "poster")
    ]
    assert targets
    assert all(target.startswith("#") for target in targets)
    style = whole[whole.index("<style>") : whole.index("</style>")]
    assert "url(" not in style and "@import" not in style


def test_the_browser_itself_is_told_to_ask_no_server(whole: str) -> None:
    policy = next(
        attributes["content"]
        for tag, attributes in Page(whole).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy and "http" not in policy


def test_every_text_is_shown_literally_and_none_becomes_an_element(short: None) -> None:
    table = Table(EVIL, (EVIL, EVIL), ((EVIL, f"1.0 {EVIL}"),), EVIL)
    figure = charts.bars(EVIL, [EVIL], [Series(EVIL, [EVIL], [1.0])], y=EVIL) | {"note": EVIL}
    page = html(
        [Chapter("x", EVIL, EVIL, (EVIL,), (table,), (figure,), ((EVIL, EVIL), ("command", EVIL)), EVIL)], title=EVIL
    )
    parsed = Page(page)
    assert not [tag for tag, _ in parsed.elements if tag == "img"]
    assert "".join(parsed.texts).count("evil.example") >= 12
    drawing = next(text for attributes, text in parsed.scripts if attributes.get("type") == "application/json")
    assert json.loads("".join(drawing))["data"][0]["name"] == EVIL


def test_every_number_of_a_table_appears(whole: str) -> None:
    text = re.sub(r"\s+", " ", "".join(Page(whole).texts))
    for row in (TABLE.head, *TABLE.rows):
        for cell in row:
            assert cell in text


def test_columns_of_numbers_are_set_to_the_right_and_words_are_not(whole: str) -> None:
    classes = [a.get("class", "") for tag, a in Page(whole).elements if tag == "td"][: 2 * len(TABLE.rows)]
    assert classes == ["number", "", "number", ""]


def test_the_contents_lead_to_every_chapter(short: None) -> None:
    page = Page(html([chapter(), Chapter("figure2", "Figure 2", "And so?", problem="It could not be measured.")]))
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    anchors = {attributes["id"] for tag, attributes in page.elements if tag == "section"}
    assert links == ["#table2", "#figure2"]
    assert {link[1:] for link in links} == anchors
    assert "".join(page.texts).count("It could not be measured.") == 2


def test_the_drawing_script_is_in_the_page_once_and_only_if_something_is_drawn(short: None) -> None:
    page = html([chapter(figures=(FIGURE, FIGURE)), Chapter("b", "B", "?", figures=(FIGURE,))])
    assert page.count("/* draws */") == 1
    assert "/* draws */" not in html([chapter(tables=(TABLE,))])


def test_what_is_not_a_number_becomes_a_gap() -> None:
    assert plain({"y": [1.0, float("nan"), (float("inf"), "a")], "left": 1}, "y") == {"y": [1.0, None, [None, "a"]]}


def test_embedded_json_says_the_same_and_cannot_close_its_element() -> None:
    text = embedded({"a": EVIL, "b": "<!--<script>"})
    assert "<" not in text
    assert json.loads(text) == {"a": EVIL, "b": "<!--<script>"}


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install one to test the page")
def test_a_browser_draws_the_page_on_a_phone_and_asks_for_nothing(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    (tmp_path / "report.html").write_text(one_of_each(), encoding="utf-8")
    asked: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: asked.append(str(error)))
        page.on("console", lambda message: asked.append(message.text))
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_selector(".plot .main-svg")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        tick = "getComputedStyle(document.querySelector('.xtick text')).fill"
        assert page.evaluate(tick) == "rgb(179, 171, 155)"
        page.pdf(path=tmp_path / "report.pdf", format="A4")
        browser.close()
    assert asked == [(tmp_path / "report.html").as_uri()]
    assert (tmp_path / "report.pdf").stat().st_size > 5_000

"""The page in a real Chromium: keyboard, phone, axe, the three journeys, and not one request to anywhere else."""

import base64
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from served import CHROMIUM, WAIT, chromium, live, serving, visiting
from tiny_bundle import write_tiny_bundle

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install one to test the page"),
]
SERIOUS = ("serious", "critical")
BUNDLE = Path(__file__).parent.parent / "assets" / "savanna"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny", curves=True)
    with serving(folder, 7950) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    with visiting(browser, address) as opened:
        yield opened


def picture() -> bytes:
    stream = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(stream, "PNG")
    return stream.getvalue()


def test_the_first_view_is_precomputed_and_the_arrow_keys_bring_a_live_adapter(page: Any) -> None:
    assert page.inner_text(".result").startswith("precomputed")
    page.evaluate("document.querySelector('#bars .chart-node').kept = 'yes'")
    page.locator("#blend").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert "R10 → R12, 0.30" in page.inner_text(".result")
    live(page, "0.30", "cosine to R12")
    page.keyboard.press("End")
    live(page, "1.00")
    assert page.evaluate("document.querySelector('#bars .chart-node').kept") == "yes"
    assert "1.00" in page.text_content(".result-said")


def test_the_stored_number_stands_there_before_the_server_is_asked(page: Any) -> None:
    said = page.evaluate("() => { wpd.set({ t: 0.7 }); return document.querySelector('.result').innerText }")
    stored = page.evaluate("() => wpd.table.curves.H['R10+R12'].ours.map((side) => side[7])")
    assert said.startswith("precomputed") and all(f"({count}/100)" in said for count in stored)


def test_a_picture_is_handed_in_once_and_its_adapter_is_not_written_again(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "queue/join" in request.url else None)
    page.evaluate("wpd.open('unseen')")
    given = {"name": "mine.png", "mimeType": "image/png", "buffer": picture()}
    page.locator("#stranger-picture input[type=file]").first.set_input_files(given, timeout=WAIT)
    page.wait_for_selector("#stranger-picture .stranger[data-stage=measured]", timeout=WAIT)
    assert len(asked) == 1, "all that is said of a picture comes in one stream"
    page.locator("#stranger-picture [data-use=a]").click()
    said = live(page, "your picture → R12, 0.00", "no accuracy is claimed")
    assert len(asked) == 2 and "R12" in said
    assert page.inner_text("#bar-a .end-kind").lower() == "your own" and "own" not in page.url
    page.locator("#stranger-picture [data-remove]").click()
    page.wait_for_function("wpd.state.a === 'R10' && wpd.own.length === 0", timeout=WAIT)
    page.wait_for_selector("#stranger-picture .stranger[data-stage=empty]", timeout=WAIT)


def large() -> bytes:
    """A picture of 31 megapixels, which the server would refuse: a PNG, and so unpacked as a whole."""
    stream = BytesIO()
    Image.linear_gradient("L").resize((6400, 4900)).save(stream, "PNG")
    return stream.getvalue()


def test_a_phone_photograph_is_made_smaller_before_it_is_sent_whichever_way_it_comes_in(page: Any) -> None:
    sent: list[int] = []
    page.on(
        "request", lambda request: sent.append(len(request.post_data or "")) if "queue/join" in request.url else None
    )
    page.evaluate("wpd.open('unseen')")
    data = large()
    given = {"name": "mine.png", "mimeType": "image/png", "buffer": data}
    page.locator("#stranger-picture input[type=file]").first.set_input_files(given, timeout=WAIT)
    page.wait_for_selector("#stranger-picture .stranger[data-stage=measured]", timeout=WAIT)
    page.locator("#stranger-picture [data-remove]").click()
    page.wait_for_selector("#stranger-picture .stranger[data-stage=empty]", timeout=WAIT)
    page.evaluate(
        """(text) => {
          const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0)), moved = new DataTransfer();
          moved.items.add(new File([bytes], 'mine.png', { type: 'image/png' }));
          const drop = document.querySelector('#stranger-picture .stranger-own');
          drop.dispatchEvent(new DragEvent('drop', { dataTransfer: moved, bubbles: true }));
        }""",
        base64.b64encode(data).decode(),
    )
    page.wait_for_selector("#stranger-picture .stranger[data-stage=measured]", timeout=WAIT)
    uploads = [size for size in sent if size > 5_000]
    assert len(uploads) == 2 and max(uploads) < 400_000
    assert page.inner_text("#stranger-picture .stranger-problem") == ""


def test_a_zip_of_labelled_photographs_is_read_and_then_scored(page: Any) -> None:
    stream, shot = BytesIO(), BytesIO()
    Image.linear_gradient("L").convert("RGB").save(shot, "JPEG")
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mine/01_Zebra/cam1/a.jpg", shot.getvalue())
        archive.writestr("mine/blank/b.jpg", shot.getvalue()[:-2])
    page.evaluate("wpd.open('unseen')")
    page.get_by_role("tab", name="Your labelled photos").click()
    given = {"name": "mine.zip", "mimeType": "application/zip", "buffer": stream.getvalue()}
    page.locator("#own-zip input[type=file]").set_input_files(given, timeout=WAIT)
    page.wait_for_selector("#own-zip .own-told[data-stage=done]", timeout=WAIT)
    assert "2 photographs were read." in page.inner_text("#own-zip .own-read")
    assert "The end of 1 of them is missing" in page.inner_text("#own-zip .own-read")
    assert "of your photographs correctly" in page.inner_text("#own-zip .own-told")
    broken = given | {"buffer": b"Rar!\x1a\x07 nothing"}
    page.locator("#own-zip input[type=file]").set_input_files(broken, timeout=WAIT)
    page.wait_for_selector("#own-zip .own-read[data-stage=failed]", timeout=WAIT)
    assert "RAR" in page.inner_text("#own-zip .own-read")


def test_a_late_answer_to_an_older_wish_is_not_shown(page: Any) -> None:
    page.evaluate("() => { wpd.set({ t: 0.2 }); wpd.set({ t: 0.4 }) }")
    live(page, "0.40")
    page.evaluate("() => wpd.receive({ stamp: 1, stage: 'done', live: { R10: { right: 77, count: 77 } } })")
    assert "77/77" not in page.inner_text(".result")


def test_a_location_is_chosen_by_keyboard(page: Any) -> None:
    page.locator("#bar-b").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    live(page, "R10 → U11")
    page.keyboard.press("Escape")
    assert not page.locator("#strip").is_visible()
    assert page.evaluate("document.activeElement.id") == "bar-b"
    assert page.inner_text("#bar-b .end-name") == "U11"


def test_swapping_turns_the_blend_round(page: Any) -> None:
    page.evaluate("wpd.set({ t: 0.3 })")
    page.locator("#swap").click()
    assert page.evaluate("wpd.state.a + wpd.state.b + wpd.state.t") == "R12R100.7"
    live(page, "R12 → R10, 0.70")


def test_the_same_location_twice_says_that_blending_changes_nothing(page: Any) -> None:
    page.evaluate("wpd.set({ b: 'R10' })")
    assert page.locator("#blend").is_disabled() and "changes nothing" in page.inner_text("#blend-hint")
    live(page, "R10")


def test_regime_and_way_are_chosen_by_radio_buttons(page: Any) -> None:
    page.locator("#regime input[value=L]").check(force=True)
    live(page, "Low")
    page.locator("#way input[value=paper]").check(force=True)
    live(page, "Low, paper's plain form")


def test_stop_keeps_what_was_measured(page: Any) -> None:
    page.evaluate("() => { wpd.set({ n: 16, t: 0.6 }); wpd.stop() }")
    assert page.inner_text(".result").startswith("stopped")
    assert page.locator("#stop").is_disabled()


def test_one_click_downloads_the_adapter(page: Any) -> None:
    page.locator("#generate").click()
    live(page, "R10")
    page.locator("#keep").scroll_into_view_if_needed()
    page.wait_for_selector("#download:not([disabled])", timeout=WAIT)
    assert "Download R10 → R12, 0.00 (PEFT)" in page.inner_text("#keep")
    with page.expect_download(timeout=WAIT) as caught:
        page.locator("#download").click()
    assert caught.value.suggested_filename.endswith(".zip")


def test_what_is_out_of_sight_is_neither_compared_nor_packed_until_it_is_scrolled_to(page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "queue/join" in request.url else None)
    page.locator("#generate").click()
    live(page, "R10")
    page.wait_for_timeout(1500)
    assert len(asked) == 1
    page.locator("#part-changed").scroll_into_view_if_needed()
    page.wait_for_selector(".changed[data-stage=done]", timeout=WAIT)
    assert len(asked) > 1


def test_a_phone_needs_no_scrolling_sideways_in_any_tab(browser: Any, address: str) -> None:
    with visiting(browser, address, viewport={"width": 390, "height": 844}, has_touch=True) as page:
        for tab in ("play", "watch", "unseen", "probe", "learn"):
            page.evaluate("tab => wpd.open(tab)", tab)
            page.wait_for_timeout(700)
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, tab


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_any_tab(browser: Any, address: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    with visiting(browser, address, color_scheme=scheme) as page:
        for tab in ("play", "watch", "unseen", "probe", "learn"):
            page.evaluate("tab => wpd.open(tab)", tab)
            page.wait_for_timeout(900)
            found = axe.Axe().run(page).response["violations"]
            serious = [
                (one["id"], node["target"], node["failureSummary"])
                for one in found
                if one["impact"] in SERIOUS
                for node in one["nodes"]
            ]
            assert serious == [], tab


def test_hostile_links_fall_back_and_say_so(browser: Any, address: str) -> None:
    with visiting(browser, address, "?v=1&images=15&a=<script>alert(1)</script>&t=abc&m=Z&b=U11") as page:
        assert page.evaluate("[wpd.state.a, wpd.state.b, wpd.state.t, wpd.state.m].join()") == "R10,U11,0,H"
        page.wait_for_selector(".toast", timeout=WAIT)
        assert "not known" in page.inner_text(".toast")


def test_a_link_restores_the_whole_state(browser: Any, address: str) -> None:
    with visiting(browser, address, "?v=1&a=U11&b=Q08&t=0.40&m=L&w=paper&seed=7&steps=25&images=15") as page:
        assert page.evaluate("[wpd.state.a, wpd.state.b, wpd.state.t, wpd.state.m].join()") == "U11,Q08,0.4,L"
        rest = page.evaluate("[wpd.state.w, wpd.state.seed, wpd.state.steps, wpd.state.images].join()")
        assert rest == "paper,7,25,15"
        page.evaluate("wpd.set({ t: 0.5 })")
        page.wait_for_function("location.search.includes('t=0.50') || location.search.includes('t=0.5')", timeout=WAIT)


def test_two_visitors_do_not_see_each_others_settings(browser: Any, address: str) -> None:
    with visiting(browser, address) as one, visiting(browser, address) as two:
        one.evaluate("wpd.set({ a: 'U11', b: 'Q08', t: 0.5, m: 'L' })")
        two.evaluate("wpd.set({ a: 'M08', b: 'D09', t: 0.2 })")
        assert "U11 → Q08, 0.50" in live(one, "U11 → Q08")
        assert "M08 → D09, 0.20" in live(two, "M08 → D09")


def step(page: Any, number: int, pointed: str) -> None:
    """Wait until the tour stands at a step and the page points at what the step speaks of."""
    page.wait_for_function(
        "([number, id]) => document.querySelector('#tour header span').textContent === `step ${number} of 5`"
        " && document.getElementById(id).classList.contains('is-pointed')",
        arg=[number, pointed],
        timeout=WAIT,
    )


def at_each_weight(page: Any) -> list[float]:
    """The weaker of A and B at 0, 0.1, ... 1 as the curve shows it, the slider being moved there by keyboard."""
    page.locator("#blend").focus()
    page.keyboard.press("Home")
    share, found = "...wpd.known().at.map((right, side) => right / wpd.known().of[side])", []
    for stop in range(11):
        cursor = "document.querySelector('#curve .chart-node').layout.shapes[0].x0"
        page.wait_for_function(f"Math.abs({cursor} - {stop / 10}) < 1e-6", timeout=WAIT)
        found.append(page.evaluate(f"Math.min({share})"))
        page.keyboard.press("ArrowRight")
    return found


def test_the_lecturers_journey_through_the_tour_without_one_live_adapter(browser: Any) -> None:
    """On the bundle, as in class; the queue is cut off, so all that is shown was measured beforehand."""
    with serving(BUNDLE, 7951) as address, visiting(browser, address, "?v=1&tour=valley&zoom=1.3") as page:
        page.route("**/queue/**", lambda route: None)
        setting, badge = "[wpd.state.a, wpd.state.b, wpd.state.t, wpd.state.m, wpd.state.w].join()", ".result-badge"
        forward = page.locator("#tour .tour-doors .primary")

        step(page, 1, "bars")
        assert page.evaluate(setting) == "R10,R12,0,H,ours" and page.inner_text(badge) == "precomputed"
        label = page.get_attribute("#bars figure", "aria-label")
        assert "R10 9" in label and "fine-tuned 9" in page.inner_text("#tour")

        forward.click()
        step(page, 2, "curve")
        assert page.evaluate(setting) == "R12,H13,0.5,H,ours"
        smooth = at_each_weight(page)
        assert smooth[5] > 0.75 and min(smooth[4:8]) > 0.7 > max(smooth[0], smooth[-1])

        forward.click()
        step(page, 3, "way")
        assert page.evaluate("wpd.state.m") == "H"
        page.locator("#tour .guess button").click()
        assert "Choose first" in page.inner_text("#tour .answer") and page.evaluate("wpd.state.m") == "H"
        page.locator("#tour .guess label").first.click()
        page.locator("#tour .guess button").click()
        page.wait_for_function(f"{setting} === 'R12,H13,0.5,L,paper'", timeout=WAIT)
        assert page.inner_text("#tour .answer").startswith("No.")
        valley = at_each_weight(page)
        assert valley[5] < smooth[5] - 0.3 and max(valley[4:7]) < min(smooth[4:7])

        forward.click()
        step(page, 4, "heat")
        assert page.evaluate("[wpd.state.view, wpd.state.m].join()") == "ruler,L"
        said = "document.querySelector('#heat figure').getAttribute('aria-label')"
        page.wait_for_function(f"{said}.includes('Cosine')", timeout=WAIT)

        forward.click()
        step(page, 5, "bars")
        assert page.evaluate("wpd.state.b") == "D03" and "against no adapter: a loss" in page.inner_text("#tour")
        assert page.inner_text(badge) == "precomputed"
        page.locator("#tour button", has_text="Share").click()
        assert "b=D03" in page.locator("dialog[open] input").first.input_value()
        page.keyboard.press("Escape")
        forward.click()
        assert page.locator("#tour").count() == 0


def test_at_an_end_of_the_slider_the_result_says_how_much_seeds_differ_and_no_other_similarity_is_drawn(
    browser: Any,
) -> None:
    with serving(BUNDLE, 7952) as address, visiting(browser, address, "?v=1&a=R10&b=R12&t=0.1") as page:
        ratio = page.evaluate("wpd.figures('H', 'R10').spread.ours")
        axes = "Object.keys(document.querySelector('#curve .chart-node').layout).filter((name) => /^xaxis/.test(name))"
        panels = page.evaluate(axes)
        page.evaluate("wpd.set({ t: 0 })")
        assert live(page, f"seeds differ {ratio:.2f}× as much as fine-tuned adapters")
        assert page.evaluate(axes) == panels
        page.evaluate("wpd.set({ t: 0.5 })")
        live(page, "0.50")
        assert "seeds differ" not in page.inner_text(".result")


def test_the_students_journey_from_a_card_to_a_saved_picture(page: Any) -> None:
    page.evaluate("wpd.open('learn')")
    page.wait_for_selector(".card-try, [data-try]", timeout=WAIT)
    page.locator("[data-try]").first.click()
    page.wait_for_function("wpd.state.tab === 'play' || wpd.state.tab !== 'learn'", timeout=WAIT)
    page.evaluate("wpd.open('play')")
    page.locator(".preset").nth(3).click()
    live(page, "S09", "/15)")
    with page.expect_download(timeout=WAIT) as caught:
        page.locator("#curve [data-save=png]").click()
    assert caught.value.suggested_filename.endswith(".png")
    with page.expect_download(timeout=WAIT) as caught:
        page.locator("#bars [data-save=csv]").click()
    assert "S09" in Path(caught.value.path()).read_text()


def test_the_researchers_journey_from_a_sweep_to_its_table(page: Any) -> None:
    page.evaluate("wpd.open('probe')")
    page.wait_for_selector(".probe-run:not([disabled])", timeout=WAIT)
    assert "adapters" in page.inner_text("#probe")
    page.locator(".probe-run").click()
    page.wait_for_selector("#probe-csv:not([disabled])", timeout=2 * WAIT)
    assert page.locator(".probe-scroll tbody tr").count() >= 1
    with page.expect_download(timeout=WAIT) as caught:
        page.locator("#probe-csv").click()
    rows = Path(caught.value.path()).read_text().splitlines()
    assert rows[0].startswith("a,b,weight") and len(rows) >= 2


def test_a_picture_and_words_of_ones_own_are_blended_with_each_other(page: Any) -> None:
    page.evaluate("wpd.open('unseen')")
    for card, tab, side in (("picture", "Your picture", "b"), ("words", "Describe it", "a")):
        page.locator("#unseen-tabs [role=tab]", has_text=tab).click()
        page.locator(f"#stranger-{card} .stranger-examples button").first.click()
        page.wait_for_selector(f"#stranger-{card} .stranger[data-stage=measured]", timeout=WAIT)
        page.locator(f"#stranger-{card} [data-use={side}]").click(timeout=WAIT)
        page.wait_for_function(f"wpd.is_own(wpd.state.{side})", timeout=WAIT)
    page.evaluate("wpd.set({ t: 0.5 })")
    assert live(page, "your words → a picture of", ", 0.50", "no accuracy is claimed")
    assert page.locator("#blend").is_enabled()

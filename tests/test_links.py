"""Links, lessons, keys and tours on a small page in a real Chromium; links without one: `js/links.test.mjs`."""

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import CHROMIUM, SCRIPTS, chromium, with_scripts

import wildpdiff

CSS = Path(wildpdiff.__file__).parent / "web" / "css" / "90-learn.css"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH; install one to test the links"),
]
ADDRESS = "http://wpd.test/"
NAMES = ["R10", "R12", "U11", "S09", "D03"]
USUAL = {"a": "R10", "b": "R12", "t": 0.5, "m": "H", "w": "ours", "seed": 0, "n": 1, "steps": 50, "images": 100,
         "tab": "play", "view": "umap"}  # fmt: skip
TABS = "".join(
    f'<button role="tab" id="tab-{tab}-button">{tab}</button>' for tab in ("play", "watch", "probe", "learn")
)
GUESS = {"text": "How many?", "choices": ["10", "20"], "right": 1, "answer": "20 of 100."}
USUAL_STEP = {"tab": "play", "point": "blend", "question": None, "then": {}}
STEPS = [
    USUAL_STEP | {"title": "One", "text": "First.", "state": {"t": 0.5}},
    USUAL_STEP | {"title": "Two", "text": "<b>Guess</b>.", "state": {"t": 0.2}, "question": GUESS, "then": {"m": "L"}},
    USUAL_STEP | {"title": "Three", "text": "End.", "state": {"t": 1}, "tab": "learn", "share": True},
]
TRY = html.escape(json.dumps({"state": {"t": 0.9}, "tab": "learn", "point": "blend"}))
TOURS = html.escape(json.dumps({"valley": STEPS}))
PAGE = f"""<!doctype html><title>x</title><div id="tabs">{TABS}</div>
<button id="swap">swap</button><button id="generate">go</button>
<input type="range" id="blend" data-control="t"><fieldset id="regime" data-control="m"><input type="radio"></fieldset>
<input id="seed" data-part="seed"><div data-part="presets">stories</div>
<div id="tours" data-tours="{TOURS}"></div><button id="begin" data-tour="valley">tour</button>
<button id="try" data-try="{TRY}">try</button><div class="guess" data-right="1">
<label><input type="radio" name="g">a</label><label><input type="radio" name="g">b</label>
<button data-reveal>Reveal</button><p class="answer" data-answer="It is b."></p></div>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def open_page(browser: Any, query: str = "", *, meta: str = "") -> Any:
    """A small page with the store and the links, opened at an address with this query."""
    page = browser.new_page()
    page.set_default_timeout(10_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    with_scripts(page, ADDRESS, meta + PAGE + SCRIPTS)
    page.goto(ADDRESS + query)
    page.add_style_tag(path=CSS)
    page.wait_for_function("window.wpd")
    places = [{"name": name, "kind": "seen", "index": place} for place, name in enumerate(NAMES)]
    presets = [{"name": f"{t}", "story": "", "state": {"t": t}} for t in (0.1, 0.2, 0.3)]
    table = {"places": places, "regime": "H", "regimes": ["L", "M", "H"], "shapes": [], "presets": presets}
    table |= {"ways": ["ours", "paper"], "about": {name: {"label": name, "note": ""} for name in "LMH"}}
    page.evaluate("table => wpd.open_table(table, location.search)", table)
    return page


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    opened = open_page(browser)
    yield opened
    opened.close()
    assert opened.faults == []


def test_a_hostile_link_is_cut_short_and_never_becomes_markup(browser: Any) -> None:
    hostile = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    page = open_page(browser, f"?m={hostile}&t={'9' * 5000}&a=%E0%A4%A&hide={hostile}")
    assert page.locator(".toast").count() == 1
    told = page.inner_text(".toast")
    assert told.startswith("Some settings in this link are not known: m=<img src=x onerror=ale…, t=9999")
    assert len(told) < 200 and page.locator(".toast img").count() == 0
    assert page.evaluate("wpd.state") == USUAL | {"t": 0}
    assert page.faults == []
    page.close()


def test_the_page_opens_as_the_link_says(browser: Any) -> None:
    page = open_page(browser, "?v=1&a=S09&b=D03&t=0.3&m=L&w=paper&seed=7&tab=probe&zoom=1.3")
    wanted = {"a": "S09", "b": "D03", "t": 0.3, "m": "L", "w": "paper", "seed": 7, "tab": "probe"}
    assert page.evaluate("wpd.state") == USUAL | wanted
    assert page.evaluate("document.body.dataset.zoom") == "1.3"
    assert page.locator(".toast").count() == 0
    page.close()


def test_the_address_follows_the_state_and_keeps_what_is_not_ours(browser: Any) -> None:
    page = open_page(browser, "?__theme=dark&hide=seed")
    assert page.url == ADDRESS + "?__theme=dark&hide=seed"
    for weight in (0.1, 0.2, 0.6):
        page.evaluate("t => wpd.set({t})", weight)
    page.wait_for_url("**/*t=0.60*")
    assert (
        "hide=seed" in page.url and page.url.endswith("&__theme=dark") and page.url.startswith(ADDRESS + "?v=1&a=R10")
    )
    page.close()


def test_a_tab_that_is_clicked_is_in_the_state(page: Any) -> None:
    page.click("#tab-probe-button")
    assert page.evaluate("wpd.state.tab") == "probe"


def test_what_a_lesson_hides_is_not_shown_and_not_opened(browser: Any) -> None:
    page = open_page(browser, "?hide=probe,presets&tab=probe")
    assert not page.is_visible("#tab-probe-button") and page.is_visible("#tab-watch-button")
    assert not page.is_visible("[data-part=presets]") and page.is_visible("[data-part=seed]")
    page.wait_for_function("wpd.state.tab === 'play'")
    page.evaluate("wpd.open('probe')")
    assert page.evaluate("wpd.state.tab") == "play"
    assert page.inner_text(".toast") == "Hidden by this lesson's link."
    page.close()


def test_what_a_lesson_locks_nothing_on_the_page_can_set(browser: Any) -> None:
    page = open_page(browser, "?t=0.3&lock=t,m")
    for control in ("#blend", "#regime", "#swap"):
        assert page.evaluate("(control) => document.querySelector(control).disabled", control)
        assert page.get_attribute(control, "title") == "locked by this lesson's link"
    page.evaluate("wpd.set({t: 1, m: 'L', w: 'paper'})")
    state = page.evaluate("wpd.state")
    assert (state["t"], state["m"], state["w"]) == (0.3, "H", "paper")
    assert page.inner_text(".toast") == "Locked by this lesson's link: blend slider, similarity."
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<button id=late data-control=m>x</button>')")
    page.wait_for_selector("#late:disabled")
    page.close()


def test_the_dialog_makes_a_lesson_link(page: Any) -> None:
    page.evaluate("wpd.set({t: 0.5}); wpd.share()")
    assert page.input_value("#share-link") == page.evaluate("wpd.lesson.address()")
    page.click("#share-dialog summary")
    page.get_by_label("tab Probe").check()
    page.get_by_label("similarity").check()
    page.get_by_label("Begin with the guided tour").check()
    page.get_by_label("Text size").select_option("1.5")
    assert page.input_value("#share-link").endswith("&hide=probe&lock=m&tour=valley&zoom=1.5")
    page.get_by_label("tab Probe").uncheck()
    assert "hide" not in page.input_value("#share-link")
    assert "never in a link" in page.inner_text("#share-dialog")
    page.keyboard.press("Escape")
    page.wait_for_selector("#share-dialog", state="detached")
    assert page.is_visible("#tab-probe-button") and page.is_enabled("#regime"), "it only writes a link"


def test_without_permission_to_copy_the_link_is_selected(page: Any) -> None:
    page.evaluate("""Object.defineProperty(navigator, 'clipboard', {value: {writeText: () => Promise.reject()}});
        document.execCommand = () => false; wpd.share()""")
    page.get_by_role("button", name="Copy").click()
    page.wait_for_function("document.querySelector('.said').textContent.startsWith('The link is selected')")
    field = page.evaluate(
        "[...['selectionStart', 'selectionEnd']].map((end) => document.getElementById('share-link')[end])"
    )
    assert field == [0, len(page.input_value("#share-link"))]


def test_on_a_space_the_link_is_that_of_its_public_page(browser: Any) -> None:
    page = open_page(browser, meta='<meta name="wpd-space" content="someone/wild-p-diff">')
    made = page.evaluate("wpd.lesson.address()")
    assert made.startswith("https://huggingface.co/spaces/someone/wild-p-diff?v=1&a=R10")
    page.evaluate("document.querySelector('meta[name=wpd-space]').content = 'x/../evil'")
    assert page.evaluate("wpd.lesson.address()").startswith(ADDRESS + "?v=1")
    page.close()


def test_single_keys_act_outside_of_fields_only(page: Any) -> None:
    page.evaluate("""window.went = [];
        document.getElementById('generate').onclick = () => went.push('g');
        document.getElementById('swap').onclick = () => went.push('s'); 0""")
    for key in ("g", "s", "Control+g", "6", "x"):
        page.keyboard.press(key)
    page.locator("#seed").press("g")
    page.locator("#blend").press("s")
    assert page.evaluate("went") == ["g", "s", "s"]
    found = [(page.keyboard.press(key), page.evaluate("wpd.state.t"))[1] for key in ("3", "[", "]", "]")]
    assert found == [0.3, 0.2, 0.3, 0.1]


def test_the_help_lists_the_keys_and_turns_them_off_for_good(page: Any) -> None:
    page.keyboard.press("?")
    assert "swap A and B" in page.inner_text("#help-dialog")
    page.keyboard.press("2")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.wait_for_selector("#help-dialog", state="detached")
    for key in ("2", "?"):
        page.keyboard.press(key)
    assert page.evaluate("wpd.state.t") == 0 and page.locator("#help-dialog").count() == 0
    assert page.evaluate("localStorage.getItem('wpd-keys')") == "off"
    page.evaluate("wpd.keys.keep(true)")
    page.keyboard.press("2")
    assert page.evaluate("wpd.state.t") == 0.2


def test_a_link_can_begin_the_tour_and_it_goes_to_its_end_by_keyboard(browser: Any) -> None:
    page = open_page(browser, "?tour=valley")
    page.wait_for_selector("#tour")
    assert page.get_attribute("#tour", "aria-label") == "Guided tour, step 1 of 3"
    assert page.evaluate("[wpd.state.t, document.activeElement.textContent]") == [0.5, "Next"]
    page.wait_for_selector("#blend.is-pointed")
    page.keyboard.press("Enter")
    assert page.evaluate("wpd.state.t") == 0.2 and page.locator("#tour b").count() == 0
    page.keyboard.press("Enter")
    assert page.evaluate("[wpd.state.t, wpd.state.tab]") == [1, "learn"]
    page.get_by_role("button", name="Share").last.click()
    assert "tour=valley" in page.input_value("#share-link")
    page.keyboard.press("Escape")
    page.wait_for_selector("#share-dialog", state="detached")
    assert page.is_visible("#tour"), "Esc closed the dialog on top of it"
    page.get_by_role("button", name="Back").click()
    assert page.evaluate("wpd.state.t") == 0.2
    page.close()


def test_escape_closes_the_tour_and_the_link_forgets_it(page: Any) -> None:
    page.focus("#begin")
    page.keyboard.press("Enter")
    page.click("#tour")
    page.click("body", position={"x": 2, "y": 2})
    page.get_by_role("button", name="Next").click()
    assert page.get_attribute("#tour", "aria-label") == "Guided tour, step 2 of 3"
    page.keyboard.press("Escape")
    assert page.locator("#tour").count() == 0
    assert page.evaluate("document.activeElement.id") == "begin"
    page.evaluate("wpd.set({t: 0.7})")
    page.wait_for_url("**/*t=0.70*")
    assert "tour" not in page.url


def test_the_tour_shows_the_answer_only_after_a_guess(page: Any) -> None:
    page.click("#begin")
    page.get_by_role("button", name="Next").click()
    reveal = page.locator("#tour").get_by_role("button", name="Reveal")
    reveal.click()
    assert page.inner_text("#tour .answer") == "Choose first; a guess is enough."
    assert page.evaluate("wpd.state.m") == "H"
    page.get_by_label("10").check()
    reveal.click()
    assert page.inner_text("#tour .answer") == "No. 20 of 100."
    assert page.evaluate("wpd.state.m") == "L"


def test_a_lessons_button_sets_the_state_opens_the_tab_and_points(page: Any) -> None:
    page.click("#try")
    assert page.evaluate("[wpd.state.t, wpd.state.tab]") == [0.9, "learn"]
    page.wait_for_selector("#blend.is-pointed")


def test_a_right_guess_is_told_so(page: Any) -> None:
    page.get_by_label("b", exact=True).check()
    page.click("[data-reveal]")
    assert page.inner_text(".guess .answer") == "Yes. It is b."
    assert page.locator(".guess .is-right").inner_text().startswith("b")

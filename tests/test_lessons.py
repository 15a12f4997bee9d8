"""The lessons: short, true to the stored results, and every button sets what the page can show."""

import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from wildpdiff.build.jobs import held_out_pairs
from wildpdiff.bundle import Bundle
from wildpdiff.evaluate import wilson
from wildpdiff.experiments.result import read_result
from wildpdiff.network.backbone import Backbone
from wildpdiff.paper import table2, table3
from wildpdiff.studio.learn import glossary
from wildpdiff.studio.learn import paper_tables as beside
from wildpdiff.studio.learn.lessons import POINTS, TABS, Card, cards
from wildpdiff.studio.learn.stored import Stored
from wildpdiff.studio.learn.stories import apart_in
from wildpdiff.studio.learn.tours import Step, tours, valley
from wildpdiff.studio.setting import Setting
from wildpdiff.studio.studio import Studio
from wildpdiff.ui import learn
from wildpdiff.ui.page import Page

SAVANNA = Path(__file__).resolve().parent.parent / "assets" / "savanna"
RESULTS = SAVANNA / "results"


@pytest.fixture(scope="module")
def savanna() -> Bundle:
    return Bundle.open(SAVANNA)


@pytest.fixture(scope="module")
def known(savanna: Bundle) -> dict[str, Card]:
    return {card.name: card for card in cards(savanna)}


@pytest.fixture(scope="module")
def bare(savanna: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle without any stored result, of three places and one regime: classifier and layout alone are read."""
    manifest = savanna.manifest | {"seen": ["R10", "U11", "Q08"], "unseen": []}
    manifest["variants"] = [own for own in manifest["variants"] if own["regime"] == "M"]
    bundle = Bundle(tmp_path_factory.mktemp("bare"), manifest, savanna.device)
    shutil.copy(savanna.folder / "backbone.safetensors", bundle.folder)
    (bundle.folder / "generator-M").mkdir()
    shutil.copy(savanna.folder / "generator-M" / "config.json", bundle.folder / "generator-M")
    return bundle


def data(name: str) -> Any:
    return read_result(RESULTS / f"{name}.json").data


def half_way(regime: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        part for part in data("figure7")["summary"] if part["regime"] == regime and part["group"] == "held out"
    )
    return found


def answer(card: Card) -> str:
    assert card.question is not None
    return card.question.answer


def states(bundle: Bundle) -> Iterator[dict[str, Any]]:
    for card in cards(bundle):
        yield from (one.state for one in card.tries)
    for step in valley(bundle):
        yield step.state
        if step.question:
            yield step.then


def test_there_are_six_short_cards_each_with_something_to_try_and_to_guess(known: dict[str, Card]) -> None:
    assert list(known) == ["lora", "points", "diffusion", "blending", "regimes", "numbers"]
    for card in known.values():
        assert 50 <= sum(len(part.split()) for part in card.text) <= 120
        assert card.tries
        assert card.question and 0 <= card.question.right < len(card.question.choices) and not card.missing


def test_the_right_choice_is_not_always_at_the_same_place(known: dict[str, Card]) -> None:
    assert len({card.question.right for card in known.values() if card.question}) == 3


def test_every_button_and_every_step_sets_a_state_that_the_page_can_show(savanna: Bundle) -> None:
    studio, found = Studio(savanna), list(states(savanna))
    assert len(found) == 12 + 5 + 1
    for state in found:
        studio.check(Setting.of(state))
        assert state["view"] in ("umap", "pca", "ruler")
    for thing in [*(one for card in cards(savanna) for one in card.tries), *valley(savanna)]:
        assert thing.tab in TABS and thing.point in POINTS


def test_a_bundle_of_other_places_and_regimes_gets_states_of_its_own(bare: Bundle) -> None:
    for state in states(bare):
        Setting.of(state)
        assert {state["a"], state["b"]} <= set(bare.seen) and state["m"] == "M"
        assert state["a"] != state["b"]


def test_drawings_use_the_pages_colours_alone_and_are_told_in_words(known: dict[str, Card]) -> None:
    for card in known.values():
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b|rgb|\b(black|white|red)\b", card.drawing.split(">", 1)[1])
        assert re.search(r'role="img" aria-label="[^"]{30,}"', card.drawing)
        assert "var(--" in card.drawing and "http" not in card.drawing


def test_what_is_said_of_the_adapter_is_so(known: dict[str, Card], backbone: Backbone) -> None:
    text = " ".join(known["lora"].text)
    layout, numbers = backbone.layout, data("table7")["kinds"]["all"]["parameters"]
    assert f"{layout.dim:,} numbers, {layout.dim / numbers:.1%} of the network" in text
    convolutions = {name.rpartition(".")[0] for name in layout.names}
    assert f"Beside {len(convolutions)} of the network's convolutions" in text
    assert round(numbers / 1e6) == 4 and "about 4 million" in text
    assert data("table5")["pretraining"]["locations"] > 50 and "photographs from many other locations" in text


def test_the_answer_on_fine_tuning_is_table_2(known: dict[str, Card]) -> None:
    mean = data("table2")["regimes"]["H"]["mean"]["fine_tuned"]
    assert answer(known["lora"]).startswith(f"{100 * mean['mean']:.1f}% ({100 * mean['low']:.1f} to ")
    assert f"mean of {mean['n']} locations" in answer(known["lora"])
    assert known["lora"].question and known["lora"].question.choices[known["lora"].question.right] == "about 95%"


def test_the_answer_on_cosines_is_figure_6(known: dict[str, Card]) -> None:
    for regime, part in data("figure6")["regimes"].items():
        assert f"{part['across']['factors']['mean']:.2f} in {regime}" in answer(known["points"])
    assert "45 pairs" in answer(known["points"])


def test_the_answer_on_spread_is_what_fidelity_measured(known: dict[str, Card]) -> None:
    made = data("fidelity")["regimes"]["H"]["locations"]["R10"]["held_out"]["generated"]
    told = answer(known["diffusion"])
    assert told.startswith(f"{made['spread_raw']:.2f} times as far.")
    assert f"{made['nearest']:.2f} times as far as it is for those {made['held_out']} fine-tuned ones" in told


def test_the_answers_on_blending_are_figure_7(known: dict[str, Card]) -> None:
    high, low = half_way("H")["weaker"], half_way("L")["weaker"]
    assert answer(known["blending"]).startswith(f"{100 * high['ours']['mean']:.1f}% (")
    assert f"against {100 * high['weights']['mean']:.1f}%" in answer(known["blending"])
    gain = 100 * (low["ours"]["mean"] - low["paper"]["mean"])
    assert answer(known["regimes"]).startswith(f"{gain:+.1f} points")
    assert f"mean of {low['ours']['n']} pairs" in answer(known["regimes"])


def test_the_lesson_on_regimes_gives_all_three_and_what_they_are_held_against(known: dict[str, Card]) -> None:
    text = " ".join(known["regimes"].text)
    for way in ("paper", "own"):
        low, medium, high = (f"{100 * half_way(regime)['weaker'][way]['mean']:.0f}" for regime in "LMH")
        assert f"{low}, {medium} and {high}%" in text
    differ = any(half_way(regime)["ours_minus"]["ours in H"]["real"] for regime in "LM")
    end = "L, M and H still differ" if differ else "no difference between L, M and H is shown"
    assert text.endswith(f"With a generator that learned such curves of other pairs, {end}.")


def test_the_wilson_interval_of_fourteen_of_fifteen_is_computed(known: dict[str, Card]) -> None:
    low, high = wilson(14, 15)
    assert f"goes from {low:.0%} to {high:.0%}" in known["numbers"].text[1]
    assert (f"{low:.0%}", f"{high:.0%}") == ("70%", "99%")


def test_the_answer_on_copies_is_what_fidelity_measured(known: dict[str, Card]) -> None:
    kinds = data("fidelity")["regimes"]["H"]["locations"]["S09"]["held_out"]
    told = answer(known["numbers"])
    assert told.startswith(
        f"{kinds['generated']['nearest']:.2f} times as far, mean of {kinds['generated']['samples']} ada"
    )
    assert f"right in {100 * kinds['generated']['one_nn']:.0f}% of cases" in told
    assert f"would lie {kinds['means']['nearest']:.0f} times as far" in told


def test_without_stored_results_every_card_stands_and_says_which_one_it_lacks(bare: Bundle) -> None:
    for card in cards(bare):
        assert card.question is None and card.text
        assert re.fullmatch(
            r"This bundle does not store (\w+); `wildpdiff reproduce \1 --out DIR` measures it\.", card.missing
        )
    shown = learn.lesson_grid(bare) + learn.tables(Stored.of(bare))
    assert shown.count('class="absent"') == 6 + 2
    assert "nan" not in shown and "None" not in shown


def test_a_damaged_or_older_result_counts_as_missing(savanna: Bundle, bare: Bundle) -> None:
    results = dict(Stored.of(savanna).results)
    results["figure7"] = replace(results["figure7"], data={"summary": [{"regime": "H"}]})
    stored = Stored(results)
    assert stored.half_way("ours", "H") is None and stored.regimes_alike() is None
    assert Stored.of(bare).results == {}
    broken = replace(bare, folder=SAVANNA.parent)
    assert Stored.of(broken).results == {}


def test_the_tour_has_five_steps_and_asks_at_the_third_without_showing_the_answer(savanna: Bundle) -> None:
    steps = valley(savanna)
    assert [bool(step.question) for step in steps] == [False, False, True, False, False]
    third = steps[2]
    assert (third.state["m"], third.state["w"]) == ("H", "ours")
    assert (third.then["m"], third.then["w"], third.then["t"]) == ("L", "paper", 0.5)
    assert steps[4].state["b"] in savanna.unseen and steps[4].share
    assert all(len(step.text.split()) <= 70 for step in steps)


def test_the_tours_guess_is_what_the_curve_shows(savanna: Bundle) -> None:
    stored = Stored.of(savanna)
    found = stored.pair_at(("R10", "R12"), "L", "paper", 0.5)
    assert found is not None
    cell = next(
        cell["at"]
        for cell in data("figure2")["cells"]
        if (cell["regime"], cell["way"], cell["weight"]) == ("L", "paper", 0.5)
    )
    without = Stored({name: result for name, result in stored.results.items() if name != "curves"})
    assert without.pair_at(("R10", "R12"), "L", "paper", 0.5) == (cell[0]["mean"], cell[1]["mean"], 200)
    pair = apart_in(savanna)
    found = stored.pair_at(pair, "L", "paper", 0.5)
    question = valley(savanna)[2].question
    assert question is not None and found is not None
    assert f"{pair[1]} {100 * found[1]:.0f}% (of {found[2]} photographs each)" in question.answer
    chosen = float(question.choices[question.right].removeprefix("about "))
    assert abs(chosen - 100 * min(found[:2])) <= 7.5


def test_the_valley_is_shown_at_the_held_out_pair_where_it_is_deepest(savanna: Bundle) -> None:
    curves = data("curves")["curves"]["L"]
    half = {tuple(pair.split("+")): min(one[5] for one in of["paper"]) for pair, of in curves.items() if "paper" in of}
    held_out = {pair: half[pair] for pair in held_out_pairs(savanna.seen)}
    assert min(held_out, key=lambda pair: held_out[pair]) == apart_in(savanna)
    states = [step.then or step.state for step in valley(savanna)[1:4]]
    assert {(state["a"], state["b"]) for state in states} == {apart_in(savanna)}


def test_a_stored_curve_is_read_before_figure_2(savanna: Bundle) -> None:
    stored = Stored.of(savanna)
    curve = {"weights": [0.0, 0.5, 1.0], "images": 10, "curves": {"L": {"R10+R12": {"paper": [[9, 8, 7], [1, 2, 3]]}}}}
    told = Stored({**stored.results, "curves": replace(stored.results["figure2"], name="curves", data=curve)})
    assert told.pair_at(("R10", "R12"), "L", "paper", 0.5) == (0.8, 0.2, 10)
    assert told.pair_at(("R10", "R12"), "H", "paper", 0.5) != (0.8, 0.2, 10)


def test_a_tour_without_results_still_goes_all_the_way(bare: Bundle) -> None:
    steps: tuple[Step, ...] = valley(bare)
    assert len(steps) == 5 and steps[2].question is None
    assert (steps[2].state["t"], steps[2].state["w"]) == (0.5, "paper")
    assert [name for step in steps for name in re.findall(r"does not store (\w+)", step.text)] == [
        "table2", "figure2", "figure6", "table3",
    ]  # fmt: skip
    assert json.loads(json.dumps(tours(bare)))["valley"][0]["title"]


def test_table_2_stands_beside_the_papers_location_by_location(savanna: Bundle) -> None:
    for part in beside.seen(Stored.of(savanna)):
        measured = data("table2")["regimes"][part.name]["locations"]
        assert [name for name, _ in part.rows] == [*measured, "mean"]
        assert all(len(cells) == 2 * len(part.groups) for _, cells in part.rows)
        for name, cells in part.rows[:-1]:
            tuned, made = table2.PAPER[part.name][name]
            assert cells[4][0] == f"{100 * measured[name]['generated']['mean']:.1f}"
            assert (cells[3][0], cells[5][0]) == (f"{tuned:.2f}", f"{made:.2f}")
            assert float(cells[7][0].replace("\u2212", "-")) == pytest.approx(made - tuned, abs=0.006)
        assert "procedural savanna" in part.caption and "200 photographs" in part.caption


def test_table_3_stands_beside_the_papers_and_says_where_something_is_gained(savanna: Bundle) -> None:
    (part,) = beside.unseen(Stored.of(savanna))
    rows = dict(part.rows)
    for name, paper in table3.PAPER.items():
        assert [rows[name][place][0] for place in (1, 3, 5, 7)] == [f"{value:.2f}" for value in paper]
        own = data("table3")["shared"][name]["pretrained"]
        assert rows[name][0] == (f"{100 * own['mean']:.1f}", f"{100 * own['low']:.1f} to {100 * own['high']:.1f}")
    gains = {name: one["mean"]["generated_gain"]["low"] for name, one in data("table3")["regimes"].items()}
    better = [name for name, low in gains.items() if low > 0]
    assert f"ours do in {' and '.join(better)}, here" in part.caption if better else "In neither" in part.caption


def test_the_tables_are_true_tables(savanna: Bundle) -> None:
    shown = learn.tables(Stored.of(savanna))
    assert shown.count("<table>") == shown.count("<caption>") == 4
    assert shown.count('scope="row"') == 3 * 11 + 6
    assert shown.count('class="beside" tabindex="0" role="region" aria-label="Table') == 4


def test_the_glossary_explains_fifteen_to_twenty_two_words_once_each(savanna: Bundle) -> None:
    words = [word for word, _ in glossary(savanna)]
    assert 15 <= len(words) <= 22 and len(set(words)) == len(words)
    assert all(told.endswith(".") and len(told.split()) <= 35 for _, told in glossary(savanna))
    assert learn.words(savanna).count("<dt>") == len(words)


def test_the_tab_and_the_tour_can_be_laid_out_for_any_bundle(bare: Bundle) -> None:
    with gr.Blocks(analytics_enabled=False) as blocks:
        page = Page(Studio(bare), gr.HTML(), gr.State(""))
        learn.Tour(page).build()
        learn.Learn(page).build()
    shown = " ".join(str(block.value) for block in blocks.blocks.values() if isinstance(block, gr.HTML))
    given = [json.loads(html.unescape(text)) for text in re.findall(r'data-try="([^"]*)"', shown)]
    assert len(given) == 12 and all(set(one) == {"state", "point", "tab"} for one in given)
    (told,) = re.findall(r'data-tours="([^"]*)"', shown)
    assert len(json.loads(html.unescape(told))["valley"]) == 5
    assert not blocks.fns, "the tab needs no listener"

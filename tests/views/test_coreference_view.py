"""The coreference view: arcs, the map of heads, the ranking."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.records import AttentionRecord, Head, TokenSequence
from introspect.studies.coreference import score_case
from introspect.text import CorefCase
from introspect.views import coreference_view
from introspect.views.palette import ACCENT, MUTED, RIVAL

from .samples import TEXT, record_of


def case_of(**mentions) -> CorefCase:
    defaults = {"pronoun": "she", "antecedent": "Ann", "distractors": ["Bo"]}
    return CorefCase.from_words(TEXT, **{**defaults, **mentions})


def known_record(causal: bool = False) -> AttentionRecord:
    """[CLS] Ann saw Bo so she left; *she* gives Ann 0.6, Bo 0.1 and the rest 0.06 each."""
    record = record_of(layers=1, heads=2)
    pattern = torch.full((1, 2, 7, 7), 1 / 7)
    pattern[0, 1, 5] = torch.tensor([0.06, 0.6, 0.06, 0.1, 0.06, 0.06, 0.06])
    if causal:
        pattern = pattern.tril()
        pattern = pattern / pattern.sum(-1, keepdim=True)
    return AttentionRecord(attentions=pattern, queries=record.queries, keys=record.keys)


def test_arcs_go_from_the_pronoun_with_the_color_of_the_role():
    view = coreference_view(known_record(), case_of(), head=(0, 1))
    arcs = view.arc_traces()
    ends = {(round(arc["x"][0]), round(arc["x"][-1])): arc for arc in arcs}
    assert set(ends) == {(4, 0), (4, 1), (4, 2), (4, 3), (4, 5)}
    assert ends[4, 0]["line"]["color"] == ACCENT
    assert ends[4, 2]["line"]["color"] == RIVAL
    assert ends[4, 1]["line"]["color"] == MUTED
    assert ends[4, 0]["line"]["width"] == pytest.approx(1 + 7 * 0.6)


def test_map_is_antecedent_minus_distractor():
    trace = coreference_view(known_record(), case_of()).map_trace()
    assert trace["z"][0][1] == pytest.approx(0.5)
    assert (trace["zmin"], trace["zmax"]) == (-1, 1)


def test_without_distractor_the_map_is_the_antecedents_weight():
    trace = coreference_view(known_record(), case_of(distractors=[])).map_trace()
    assert trace["z"][0][1] == pytest.approx(0.6)
    assert trace["zmin"] == 0


def test_without_antecedent_the_map_is_the_candidates_weight():
    trace = coreference_view(known_record(), case_of(antecedent=None)).map_trace()
    assert trace["z"][0][1] == pytest.approx(0.1)


def test_first_shown_is_the_head_that_gives_the_antecedent_most():
    assert coreference_view(known_record(), case_of()).head == Head(0, 1)


def test_candidate_in_part_of_a_word_counts_its_own_pieces_only():
    text = "Ann saw Bo's so she left"
    offsets = ((0, 3), (4, 7), (8, 10), (10, 12), (13, 15), (16, 19), (20, 24))
    tokens = TokenSequence(
        tokens=tuple(text[start:end] for start, end in offsets),
        offsets=offsets,
        word_ids=(0, 1, 2, 2, 3, 4, 5),
        words=("Ann", "saw", "Bo's", "so", "she", "left"),
        texts=(text,),
    )
    pattern = torch.tensor([0.1, 0.1, 0.3, 0.4, 0.1, 0.0, 0.0]).expand(1, 1, 7, 7)
    record = AttentionRecord(attentions=pattern, queries=tokens, keys=tokens)
    case = CorefCase.from_words(text, pronoun="she", antecedent="Bo", distractors=["Ann"])
    view = coreference_view(record, case)
    (word,) = [word for word in view.words() if word["role"] == "antecedent"]
    assert word["label"] == "Bo's"
    assert word["pieces"] == [2]
    (arc,) = [arc for arc in view.arc_traces() if arc["line"]["color"] == ACCENT]
    assert arc["line"]["width"] == pytest.approx(1 + 7 * 0.3)


def test_wrong_direction_and_head_are_refused():
    with pytest.raises(SelectionError, match="pronoun_to_candidate or candidate_to_pronoun"):
        coreference_view(known_record(), case_of(), direction="both")
    with pytest.raises(SelectionError, match="a head of L0H0–L0H1, got L0H2"):
        coreference_view(known_record(), case_of(), head=(0, 2))


def test_figure_holds_arcs_and_map():
    figure = coreference_view(known_record(), case_of(), head=(0, 1)).figure
    assert [trace.type for trace in figure.data] == ["scatter"] * 5 + ["heatmap"]


# The page


@pytest.mark.browser
def test_page_says_and_draws_the_chosen_head(open_page):
    view = coreference_view(known_record(), case_of(), head=(0, 1))
    page = open_page(view.to_html())
    reading = page.inner_text('[data-view="coreference"] .reading')
    assert reading == "L0H1: “she” gives 0.60 to “Ann”, 0.10 to “Bo”."
    words = page.locator('[data-element="words"]')
    assert words.locator('[data-role="antecedent"] small').inner_text() == "0.60"
    assert words.locator('[data-role="pronoun"]').get_attribute("aria-pressed") == "true"
    roles = [path.get_attribute("data-role") for path in words.locator("path").all()]
    assert sorted(roles) == sorted(role or "other" for role in roles_of_arcs(view))


def roles_of_arcs(view) -> list[str | None]:
    """The role of each word whose arc the static figure draws."""
    weights = [arc["line"]["width"] for arc in view.arc_traces()]
    words = [word for word in view.words() if word["role"] != "pronoun"]
    assert len(weights) == len(words)
    return [word["role"] for word in words]


@pytest.mark.browser
def test_arcs_end_over_their_words(open_page):
    page = open_page(coreference_view(known_record(), case_of(), head=(0, 1)).to_html())
    found = page.evaluate(
        """() => {
          const block = document.querySelector('[data-element="words"]').getBoundingClientRect();
          const middle = (word) => {
            const box = word.getBoundingClientRect();
            return Math.round(box.left - block.left + box.width / 2);
          };
          const words = [...document.querySelectorAll('[data-element="words"] .word')];
          const ends = [...document.querySelectorAll('[data-element="words"] path')].map((path) =>
            path.getAttribute('d').match(/^M(\\d+) .* (\\d+) -?\\d+$/).slice(1).map(Number));
          return [words.map(middle), ends];
        }"""
    )
    centers, ends = found
    # Before the words stands a special token, which gets no arc.
    assert {start for start, _ in ends} == {centers[5]}
    assert sorted(end for _, end in ends) == [*centers[1:5], centers[6]]


@pytest.mark.browser
def test_map_and_table_choose_a_head(open_page):
    record = record_of(layers=2, heads=3)
    page = open_page(coreference_view(record, case_of()).to_html())
    page.click('[data-view="coreference"] [data-layer="1"][data-head="2"]')
    scores = score_case(record, case_of())[0]
    expected = f"L1H2: “she” gives {scores.antecedent_weight[1, 2]:.2f} to “Ann”"
    assert page.inner_text('[data-view="coreference"] .reading').startswith(expected)
    assert page.inner_text('tr[aria-current="true"] th') == "L1H2"
    page.click('[data-view="coreference"] tbody tr:first-child button')
    best = str(scores.ranked()[0])
    assert page.inner_text('[data-view="coreference"] .reading').startswith(f"{best}:")


@pytest.mark.browser
def test_table_is_ranked_and_opens_whole(open_page):
    record = record_of(layers=4, heads=5)
    page = open_page(coreference_view(record, case_of()).to_html())
    rows = page.locator('[data-view="coreference"] tbody tr')
    assert 10 <= rows.count() <= 11
    page.click("text=Show all 20 heads")
    assert rows.count() == 20
    named = [row.locator("th").inner_text() for row in rows.all()]
    assert named == [str(head) for head in score_case(record, case_of())[0].ranked()]


@pytest.mark.browser
def test_direction_switches_the_numbers(open_page):
    record = record_of(layers=1, heads=1)
    page = open_page(coreference_view(record, case_of()).to_html())
    page.select_option('select[name="direction"]', "candidate_to_pronoun")
    weight = float(score_case(record, case_of())[1].antecedent_weight[0, 0])
    reading = page.inner_text('[data-view="coreference"] .reading')
    assert reading.startswith(f"L0H0: “she” gets {weight:.2f} from “Ann”")


@pytest.mark.browser
def test_direction_that_a_mask_hides_is_said_not_shown_as_nothing(open_page):
    page = open_page(coreference_view(known_record(causal=True), case_of()).to_html())
    page.select_option('select[name="direction"]', "candidate_to_pronoun")
    assert "cannot be observed" in page.inner_text('[data-view="coreference"] .reading')
    assert page.locator('[data-view="coreference"] tbody tr').count() == 0


@pytest.mark.browser
def test_it_opens_its_head_view(open_page):
    page = open_page(coreference_view(known_record(), case_of(), head=(0, 1)).to_html())
    page.click("text=Open in the head view")
    assert page.locator('section[data-view="head"]').is_visible()
    chips = page.locator('[data-view="head"] button[name="head"][aria-pressed="true"]')
    assert [chip.get_attribute("data-head") for chip in chips.all()] == ["1"]


@pytest.mark.browser
@pytest.mark.parametrize(("words", "width"), [(7, 640), (12, 840), (30, 1200), (230, 3680)])
def test_the_figure_of_a_long_sentence_is_no_wider_than_it_must_be(words, width):
    text = " ".join(["Ann", "saw", "Bo", "so", "she", *(f"w{i}" for i in range(words - 5))])
    case = CorefCase.from_words(text, pronoun="she", antecedent="Ann", distractors=["Bo"])
    figure = coreference_view(record_of(text), case).figure
    assert len(figure.layout.xaxis.ticktext) == words
    assert figure.layout.width == width


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 800, 600])
def test_a_long_sentence_wraps_and_shows_both_mentions(open_page, width):
    text = "Ann saw Bo so she left " + "and then came another word " * 12 + "home"
    case = CorefCase.from_words(text, pronoun="she", antecedent="Ann", distractors=["Bo"])
    page = open_page(coreference_view(record_of(text), case).to_html(), width=width)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for role in ("pronoun", "antecedent", "distractor"):
        box = page.locator(f'[data-element="words"] span[data-role="{role}"]').bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width and box["y"] < 200


@pytest.mark.browser
def test_what_the_view_does_not_follow_it_says(open_page):
    page = open_page(coreference_view(known_record(), case_of()).to_html())
    said = page.locator('[data-view="coreference"] .note:visible')
    assert said.count() == 0
    page.select_option('[data-element="instrument"] [name="weights"]', "renormalized")
    assert said.inner_text() == (
        "This view keeps to the raw weights, by which the case was scored, whatever is chosen "
        "above."
    )
    page.locator('.word[data-label="saw"]').click()
    assert said.inner_text().startswith(
        "This view keeps to the pronoun “she” and its candidates and the raw weights"
    )
    page.select_option('[data-element="instrument"] [name="weights"]', "raw")
    assert said.inner_text().startswith(
        "This view keeps to the pronoun “she” and its candidates, by which"
    )

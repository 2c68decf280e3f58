"""The neuron and steps views: their numbers against the model's own, and their pages by acts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import introspect as ix
from introspect.errors import SelectionError
from introspect.records import TokenSequence
from introspect.views import focal, neuron_view, steps_view
from introspect.views.given import first_token

from .samples import record_of, record_with_parts

SENTENCE = "The animal didn't cross the street because it was too tired."
PARTS = ("scores", "queries", "keys", "values", "head_outputs")
HOSTILE = ["<img src=x onerror=alert(1)>", "</script>", "שלום", "😀", "x" * 300]


@pytest.fixture(scope="module")
def minilm_record():
    return ix.load("minilm").capture(SENTENCE, include=PARTS)


def numbers(page, column: int) -> list[str]:
    return page.locator(f"ol.numbers >> nth={column}").locator("li").all_inner_texts()


@pytest.mark.parametrize("token", [1, 10])
def test_the_numbers_are_the_models_own(minilm_record, token):
    neuron = neuron_view(minilm_record, layer=3, head=1, token=token)
    dots = neuron.products().sum(-1)
    torch.testing.assert_close(dots / 32**0.5, neuron.part("scores")[token], atol=1e-4, rtol=1e-4)
    steps = steps_view(minilm_record, layer=3, head=1, token=token)
    torch.testing.assert_close(steps.scores.softmax(-1), steps.weights, atol=1e-5, rtol=1e-5)
    output = steps.part("head_outputs")[token]
    torch.testing.assert_close(steps.contributions().sum(0), output, atol=1e-5, rtol=1e-5)


def test_heads_that_share_keys_each_get_their_own():
    record = record_with_parts()
    for head in range(4):
        view = neuron_view(record, layer=1, head=head, token=2)
        expected = record.parts["scores"][1, head, 2]
        torch.testing.assert_close(view.products().sum(-1) * 0.5, expected)


def test_masked_scores_are_missing():
    view = steps_view(record_with_parts(causal=True), token=2)
    assert view.scores.isnan().tolist() == [False] * 3 + [True] * 3


@pytest.mark.parametrize("view", [neuron_view, steps_view])
def test_what_there_is_not_is_refused(view):
    with pytest.raises(SelectionError, match=r"include=\(('\w+', )*'\w+'\)\."):
        view(record_of())
    record = record_with_parts()
    for wrong in ({"layer": 2}, {"head": 4}, {"token": 6}, {"token": -1}):
        with pytest.raises(SelectionError):
            view(record, **wrong)


@pytest.mark.parametrize("view", [neuron_view, steps_view])
def test_figures_show_the_first_state(view):
    made = view(record_with_parts(), layer=1, head=2, token=3)
    figure = made.figure
    assert figure.layout.title.text.startswith("L1H2")
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert list(bars[-1].x) == pytest.approx(made.weights.tolist())


def test_the_neuron_page_shows_the_numbers(open_page, minilm_record):
    view = neuron_view(minilm_record, layer=3, head=1, token=10)
    page = open_page(view.to_html())
    dots = view.products().sum(-1)
    shown = [float(text.replace("−", "-")) for text in numbers(page, 0)]
    assert shown == pytest.approx(dots.tolist(), abs=0.02)
    assert numbers(page, 2)[2] == "0.68"
    assert "q·k × 0.177" in page.inner_text("section")
    page.select_option("select[name=head]", "2")
    other = neuron_view(minilm_record, layer=3, head=2, token=10).weights
    assert [float(t) for t in numbers(page, 2)] == pytest.approx(other.tolist(), abs=0.006)
    page.select_option("select[name=sort]", "strongest")
    assert [float(t) for t in numbers(page, 2)] == pytest.approx(other.tolist(), abs=0.006)


def test_the_steps_page_by_acts(open_page, minilm_record, tmp_path):
    file = steps_view(minilm_record, layer=3, head=1, token=10).save(tmp_path / "steps.html")
    page = open_page(file)
    assert numbers(page, 1)[2] == "0.68"
    assert "Sum 1.00" in page.inner_text("section")
    page.click("[data-side=query][data-token-index='1']")
    page.locator("section [name=layer]").focus()
    page.keyboard.press("ArrowRight")
    expected = minilm_record.attentions[4, 1, 1]
    assert [float(t) for t in numbers(page, 1)] == pytest.approx(expected.tolist(), abs=0.006)
    page.wait_for_function("() => location.hash.includes('selection.head=L4H1')")
    kept = page.evaluate("() => location.hash")
    again = open_page(file, path_hash=kept)
    assert numbers(again, 1) == numbers(page, 1)
    with page.expect_download() as download:
        page.locator('section [name="export-svg"]').click()
    assert download.value.suggested_filename == "steps-view-L4H1-the-animal-didnt-cross-1.svg"
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert "what the head outputs" in text
    assert f"{SENTENCE[:11]}" in text and "MiniLM-L6-v2 · L4H1 · raw weights" in text


def test_the_neuron_picture_keeps_its_query(open_page, minilm_record):
    page = open_page(neuron_view(minilm_record, layer=3, head=1, token=10).to_html())
    with page.expect_download() as download:
        page.locator('section [name="export-svg"]').click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert all(f">{title}<" in text for title in ("query q", "key k", "q × k", "weight"))


@pytest.mark.parametrize("view", [neuron_view, steps_view])
@pytest.mark.parametrize("tokens", [HOSTILE, ["one"]])
def test_hostile_tokens_are_text(open_page, view, tokens):
    page = open_page(view(record_with_parts(tokens, causal=True), token=0).to_html())
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("[data-side=query]").count() == len(tokens)
    if len(tokens) > 1:
        assert "masked" in page.inner_text(
            "ol.numbers >> nth=" + ("1" if view is neuron_view else "0")
        )


def test_missing_weights_are_named(open_page):
    record = record_with_parts()
    record.attentions[0, 0, 5, 1] = torch.nan
    page = open_page(steps_view(record, token=5).to_html())
    assert numbers(page, 1)[1] == "missing"
    assert "cannot be compared" in page.inner_text("section")


@pytest.mark.parametrize(
    ("tokens", "special", "expected"),
    [
        (("[CLS]", "it", "sat", ".", "[SEP]"), (1, 0, 0, 0, 1), 2),
        (("[CLS]", "!", "?", "[SEP]"), (1, 0, 0, 1), 2),
        (("[CLS]", "[SEP]"), (1, 1), 0),
        (("我", "爱", "。"), (0, 0, 0), 1),
    ],
)
def test_the_last_word_is_the_first_choice(tokens, special, expected):
    mask = tuple(map(bool, special))
    assert first_token(TokenSequence(tokens=tokens, special_tokens_mask=mask)) == expected


@pytest.mark.browser
def test_the_cells_of_the_strips_are_walked_by_keys(open_page):
    record = record_with_parts()
    page = open_page(steps_view(record, layer=0, head=0, token=5).to_html())
    page.locator(".strips").first.focus()
    page.keyboard.press("ArrowRight")  # enters at the first cell
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    product = float(record.attentions[0, 0, 5, 1] * record.parts["values"][0, 0, 1, 1])
    said = page.inner_text(".reading").replace("−", "-")
    assert said.startswith("“saw”, dimension 1:")
    assert float(said.split("= ")[1]) == pytest.approx(product, abs=0.0051)
    assert page.input_value("[name=layer]") == "0"  # the arrows stay in the strips
    page.select_option("[name=head]", "2")
    assert "dimension" not in page.inner_text(".reading")


VIEWS = [neuron_view, steps_view]


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_holds_the_heads_asked_for(open_page, view):
    record = record_with_parts()
    made = view(record, heads=["L1H2", "L0H3"], token=5)
    assert (made.layer, made.head) == (1, 2)
    page = open_page(made.to_html())
    assert "This page holds L0H3 and L1H2, 2 of 8 heads; give heads=" in page.inner_text("section")
    column = VIEWS.index(view)
    shown = numbers(page, 2 - column)
    assert [float(t) for t in shown] == pytest.approx(made.weights.tolist(), abs=0.006)
    page.select_option("[name=head]", "1")
    said = page.inner_text("section .reading")
    assert said.startswith("L1H1 is not in this page, which holds L0H3 and L1H2.")
    assert not page.locator(".neuron, .steps").is_visible()
    assert not page.locator("section .exports").is_visible()
    page.select_option("[name=head]", "2")
    assert numbers(page, 2 - column) == shown
    assert page.locator(".neuron, .steps").is_visible()


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_of_a_large_record_holds_what_fits(monkeypatch, view):
    record = record_with_parts()
    assert view(record, head="L1H2").held is None
    whole = len(view(record, head="L1H2").to_html())
    each = [record.attentions, *view(record).record.parts.values()]
    of_head = sum(2 * part[0].numel() // part.shape[1] for part in each)
    monkeypatch.setattr(focal, "PAGE_BYTES", 3 * of_head)
    made = view(record, head="L1H2")
    assert [str(head) for head in made.held] == ["L1H0", "L1H1", "L1H2"]
    assert "This page holds L1H0–H2, 3 of 8 heads" in made.sections()[0].lead
    assert len(made.to_html()) < whole
    monkeypatch.setattr(focal, "PAGE_BYTES", 1)
    assert [str(head) for head in view(record, head="L1H2").held] == ["L1H2"]
    assert made.figure == view(record_with_parts(), head="L1H2", heads=["L1H2"]).figure


@pytest.mark.parametrize("view", VIEWS)
def test_heads_that_are_not_there_are_refused(view):
    for wrong in (["L9H0"], [7], "L0H1,L0H9"):
        with pytest.raises(SelectionError):
            view(record_with_parts(), heads=wrong)


@pytest.mark.browser
def test_a_table_that_is_wider_than_the_window_says_that_it_goes_on(open_page):
    page = open_page(steps_view(record_with_parts()).to_html(), width=640)
    table = page.locator(".steps")
    assert table.evaluate("one => one.scrollWidth > one.clientWidth")
    assert table.get_attribute("data-more") == ""
    table.evaluate("one => one.scrollTo({ left: one.scrollWidth })")
    page.wait_for_selector(".steps:not([data-more])")
    page.set_viewport_size({"width": 1440, "height": 900})
    assert table.get_attribute("data-more") is None

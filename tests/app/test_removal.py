"""Heads ablated, in the app: each number is that of the library, or counted by hand."""

from __future__ import annotations

import pytest
import torch

import introspect as ix
from introspect.app.entries import EXAMPLES, Removal, words_of
from introspect.app.tables import effect_table
from introspect.studies.causal import load_to_ask
from tests.app.test_pages import errors, frames, said

FOX = EXAMPLES["pronoun"].text


@pytest.fixture(scope="module")
def pronoun():
    return load_to_ask("pronoun")


def span(text: str, label: str) -> tuple[int, int]:
    return next(word.span for word in words_of(text) if word.label == label)


@pytest.mark.parametrize("method", ["zero", "mean", "uniform"])
def test_what_is_chosen_is_the_intervention_of_the_library(pronoun, method):
    references = ("The cat sat .",) if method == "mean" else ()
    compared = ix.before_after(pronoun, FOX, Removal(("L0H0",), method, references=references))
    with ix.ablate(pronoun, "L0H0", method=method, reference=references or None):
        after = pronoun.capture(FOX)
    assert torch.equal(compared.before.attentions, pronoun.capture(FOX).attentions)
    assert torch.equal(compared.after.attentions, after.attentions)
    assert compared.words == f"L0H0 ablated ({method})"


def test_a_word_that_is_cut_off_is_not_seen(pronoun):
    removal = Removal(("L1H0",), edge=(span(FOX, "it"), span(FOX, "fox")))
    compared = ix.before_after(pronoun, FOX, removal)
    tokens = compared.before.keys.tokens
    it, fox = tokens.index("it"), tokens.index("fox")
    assert compared.before.attentions[1, 0, it, fox] > 0.9
    assert compared.after.attentions[1, 0, it, fox] == 0
    assert compared.words == "it → fox cut in L1H0"


def test_the_table_of_effects_is_that_of_the_library_the_largest_first(pronoun):
    example = EXAMPLES["pronoun"]
    case = ix.CorefCase.from_words(
        FOX, pronoun="it", antecedent=example.antecedent, distractors=[example.distractor]
    )
    study = ix.causal_study(pronoun, [case], share=None, minimal_pairs=False)
    expected = ix.causal_effects(pronoun, [case]).set_index(["layer", "head"])["effect"]
    table = effect_table(study.heads)
    assert table.loc[0, "head"] == "L1H0" and table["effect"].is_monotonic_decreasing
    assert dict(table[["head", "effect"]].to_numpy().tolist()) == {
        f"L{layer}H{head}": value for (layer, head), value in expected.items()
    }


# The page


def test_the_example_is_taken_apart_at_once(app):
    page = app("removal.py")
    assert errors(page) == []
    assert said(page.subheader[0]) == "L3H1 ablated (zero)"
    assert 'data-view="compare"' in frames(page)[0]
    page.segmented_control(key="what of heads").set_value("words").run()
    assert any("no language-modeling head" in said(info) for info in page.info)
    page.segmented_control(key="what of heads").set_value("states").run()
    assert len(page.dataframe[0].value) == 16


def test_a_model_that_says_words_says_others_without_its_head(app):
    page = app("removal.py")
    page.selectbox(key="model").set_value("pronoun").run()
    assert any("No attention changes" in said(info) for info in page.info)
    page.segmented_control(key="what of heads").set_value("words").run()
    assert errors(page) == []
    assert any("Before, the model predicts “fox” (100.0%)" in said(m) for m in page.markdown)
    page.segmented_control(key="what of heads").set_value("effects").run()
    assert errors(page) == []
    table = page.dataframe[0].value
    assert table.loc[0, "head"] == "L1H0" and len(table) == 8
    assert 'data-view="causal"' in frames(page)[0]
    assert not any("surrogate" in said(m) for m in [*page.markdown, *page.warning])
    page.multiselect(key="heads of pronoun None True").set_value([]).run()
    assert [said(info) for info in page.info] == [
        "Choose a head, such as L3H1, or a whole layer, such as L3."
    ]


@pytest.mark.slow
def test_without_a_head_for_words_effects_are_called_a_surrogate(app):
    page = app("removal.py")
    page.segmented_control(key="what of heads").set_value("effects").run()
    assert errors(page) == []
    assert any("a surrogate, not the model’s answer" in said(each) for each in page.warning)
    assert any("cosine, a surrogate" in said(each) for each in page.markdown)
    assert len(page.dataframe[0].value) == 72


@pytest.mark.parametrize("way", ["mean", "uniform", "edge"])
def test_every_way_works_and_is_named(app, way):
    page = app("removal.py")
    page.segmented_control(key="method of ablation").set_value(way).run()
    assert errors(page) == [] and len(frames(page)) == 1
    words = said(page.subheader[0])
    assert words == ("it → animal cut" if way == "edge" else f"L3H1 ablated ({way})")


def test_bad_input_gets_a_message_and_the_page_goes_on(app):
    page = app("removal.py")
    page.text_area(key="text").set_value("<script>alert(1)</script> ![x](y) it").run()
    assert errors(page) == [] and "<script>alert" not in frames(page)[0]
    page.segmented_control(key="method of ablation").set_value("mean").run()
    key = f"references {page.text_area(key='text').value}"
    page.text_area(key=key).set_value("  ").run()
    assert "at least one text for the mean" in errors(page)[0]
    page.segmented_control(key="method of ablation").set_value("edge").run()
    assert any("Choose the word that attends" in said(info) for info in page.info)
    page.text_input(key="pair").set_value("It slept.").run()
    assert "got a pair" in errors(page)[0]
    page.text_input(key="pair").set_value("").run()
    page.text_area(key="text").set_value("").run()
    assert "got an empty one" in errors(page)[0]
    page.selectbox(key="model").set_value("reversal").run()
    page.text_area(key="text").set_value("a b c d e").run()
    assert "Expected the encoder's attention" in errors(page)[0]
    page.segmented_control(key="method of ablation").set_value("zero").run()
    assert errors(page) == [] and len(frames(page)) == 1

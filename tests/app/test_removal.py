"""Heads taken out, in the app: each number is that of the library, or counted by hand."""

from __future__ import annotations

import pytest
import torch

import introspect as ix
from introspect.app import Question, words_of
from introspect.app.questions import EXAMPLES
from introspect.errors import MentionError, SelectionError, TextError
from introspect.studies.causal import (
    Place,
    Removal,
    before_after,
    effects_of_study,
    head_names,
    load_to_ask,
    said_before_and_after,
    study_of_case,
    way_of_asking,
)
from introspect.studies.causal.asking import Reading, states_in
from introspect.studies.causal.before_after import state_changes
from tests.app.test_pages import errors, frames, said

FOX = EXAMPLES["pronoun"].text


@pytest.fixture(scope="module")
def pronoun():
    return load_to_ask("pronoun")


def span(text: str, label: str) -> tuple[int, int]:
    return next(word.span for word in words_of(text) if word.label == label)


def test_states_are_compared_token_by_token():
    before = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
    after = torch.tensor([[3.0, 4.0], [0.0, 1.0], [0.0, -1.0]])
    table = state_changes(before, after, ["a", "b", "<b>"])
    assert list(table["token"]) == ["a", "b", "<b>"]
    assert list(table["moved"]) == pytest.approx([0, 2**0.5, 1.5])
    assert list(table["cosine"]) == pytest.approx([1, 0, -1])


def test_what_can_be_taken_out_are_layers_and_their_heads():
    assert head_names(ix.load("pronoun"), None) == [
        "L0", "L0H0", "L0H1", "L0H2", "L0H3", "L1", "L1H0", "L1H1", "L1H2", "L1H3",
    ]  # fmt: skip
    with pytest.raises(SelectionError, match="kind"):
        head_names(ix.load("reversal"), None)


@pytest.mark.parametrize("method", ["zero", "mean", "uniform"])
def test_before_and_after_are_what_the_library_captures(pronoun, method):
    references = ("The cat sat .",) if method == "mean" else ()
    found = before_after(pronoun, Question(FOX), Removal(("L0H0",), method, references=references))
    with ix.ablate(pronoun, "L0H0", method=method, reference=references or None):
        after = pronoun.capture(FOX)
    assert torch.equal(found.view.record.attentions, pronoun.capture(FOX).attentions)
    assert torch.equal(found.view.other.attentions, after.attentions)
    change = found.view.changes()
    head, amount = found.most_changed
    by_hand = 0.5 * (after.attentions - found.view.record.attentions).abs().sum(-1).mean(-1)
    assert amount == pytest.approx(float(by_hand.max()), abs=1e-6)
    assert amount == change.total_variation.max()
    assert float(by_hand[tuple(head)]) == pytest.approx(amount, abs=1e-6)


def test_states_are_the_models_own_last_ones(pronoun):
    found = before_after(pronoun, Question(FOX), Removal(("L1H0",)))
    bert = pronoun.module.bert
    inputs = pronoun.tokenizer(FOX, return_tensors="pt")
    with torch.no_grad():
        one = bert(**inputs).last_hidden_state[0]
        with ix.ablate(pronoun, "L1H0"):
            other = bert(**inputs).last_hidden_state[0]
    expected = (other - one).norm(dim=-1) / one.norm(dim=-1)
    assert list(found.states["moved"]) == pytest.approx(expected.tolist(), abs=1e-5)
    assert found.most_changed is None  # no attention comes after the last layer's


def test_a_word_that_is_cut_off_is_not_seen(pronoun):
    edge = (span(FOX, "it"), span(FOX, "fox"))
    found = before_after(pronoun, Question(FOX), Removal(("L1H0",), edge=edge))
    tokens = found.view.record.keys.tokens
    it, fox = tokens.index("it"), tokens.index("fox")
    assert found.view.record.attentions[1, 0, it, fox] > 0.9
    assert found.view.other.attentions[1, 0, it, fox] == 0
    assert found.words == "it → fox cut in L1H0"


def test_words_before_and_after_are_the_models_own(pronoun):
    table = said_before_and_after(
        pronoun, Question(FOX), Removal(("L1H0",)), Place("at", span(FOX, "it")), top=3
    ).set_index("word")
    inputs = pronoun.tokenizer(FOX, return_tensors="pt")
    it = inputs["input_ids"][0].tolist().index(pronoun.tokenizer.convert_tokens_to_ids("it"))
    fox = pronoun.tokenizer.convert_tokens_to_ids("fox")
    with torch.no_grad():
        before = pronoun.module(**inputs).logits[0, it].softmax(-1)
        with ix.ablate(pronoun, "L1H0"):
            after = pronoun.module(**inputs).logits[0, it].softmax(-1)
    assert table.index[0] == "fox" and len(table) >= 3
    assert table.loc["fox", "before"] == pytest.approx(float(before[fox]), abs=1e-6)
    assert table.loc["fox", "after"] == pytest.approx(float(after[fox]), abs=1e-6)
    assert before[fox] > 0.99 and after[fox] < 0.01


def test_a_decoder_is_asked_after_a_word_and_a_writer_at_one():
    induction = load_to_ask("induction")
    text = "a b c d a b"
    last = words_of(text)[-1]
    assert way_of_asking(induction) == "after"
    table = said_before_and_after(
        induction, Question(text), Removal(("L1",)), Place("after", last.span)
    )
    assert table.loc[0, "word"] == "c" and table.loc[0, "after"] < table.loc[0, "before"]
    reversal = load_to_ask("reversal")
    question = Question("a b c d e", target="e d c b a", kind="cross")
    place = Place(way_of_asking(reversal), span(question.target, "c"))
    table = said_before_and_after(reversal, question, Removal(("L1",)), place)
    assert table.loc[0, "word"] == "c" and table.loc[0, "after"] < table.loc[0, "before"]
    with pytest.raises(MentionError):
        Reading.of(reversal, question).at(Place("written", (90, 91)))


def test_a_masked_word_is_hidden_from_the_model_and_others_stay_where_they_were(pronoun):
    question = Question("The [MASK] fox extraordinarily it .")
    hidden = span(question.text, "extraordinarily")
    reading = Reading.of(pronoun, question).at(Place("masked", hidden))
    ids = reading.tokens.token_ids
    mask = pronoun.tokenizer.mask_token_id
    assert [i for i, number in enumerate(ids) if number == mask][-1] == reading.position
    assert ids.count(mask) == 2
    assert reading.pieces(hidden) == [reading.position]
    inputs = pronoun.tokenizer("The [MASK] fox [MASK] it .", return_tensors="pt")
    assert inputs["input_ids"][0].tolist() == list(ids)
    with torch.no_grad():
        expected = pronoun.module(**inputs).logits[0, reading.position].softmax(-1)
    assert torch.allclose(reading.probabilities().float(), expected, atol=1e-6)
    for label in ("fox", "it"):
        (place,) = reading.pieces(span(question.text, label))
        assert reading.tokens.tokens[place] == label


def test_a_text_that_is_too_long_is_cut_where_that_is_asked_for(pronoun):
    text = "The fox did not rest . " * 12
    with pytest.raises(TextError, match="at most 32"):
        before_after(pronoun, Question(text), Removal(("L0",)))
    found = before_after(pronoun, Question(text, truncation=True), Removal(("L0",)))
    assert len(found.states) == len(found.view.record.queries) == 32
    assert states_in(Reading.of(pronoun, Question(text, truncation=True)).output()).shape[1] == 32


def test_effects_are_those_of_the_library_and_called_surrogates_where_they_are(pronoun):
    example = EXAMPLES["pronoun"]
    case = ix.CorefCase.from_words(
        FOX, pronoun="it", antecedent=example.antecedent, distractors=[example.distractor]
    )
    study = study_of_case(pronoun, case, "zero", ())
    found = effects_of_study(study, Removal(("L1H0", "L0H0")))
    expected = ix.causal_effects(pronoun, [case]).set_index(["layer", "head"])["effect"]
    assert found.table.loc[0, "head"] == "L1H0" and not found.is_surrogate
    assert dict(found.table[["head", "effect"]].to_numpy().tolist()) == {
        f"L{layer}H{head}": value for (layer, head), value in expected.items()
    }
    inputs = pronoun.tokenizer(FOX, return_tensors="pt")
    at = pronoun.tokenizer.convert_tokens_to_ids
    it = inputs["input_ids"][0].tolist().index(at("it"))

    def margin() -> float:
        with torch.no_grad():
            logits = pronoun.module(**inputs).logits[0, it]
        return float(logits[at("fox")] - logits[at("river")])

    assert found.before == pytest.approx(margin(), abs=1e-4)
    with ix.ablate(pronoun, ["L1H0", "L0H0"]):
        assert found.after == pytest.approx(margin(), abs=1e-4)
    assert found.after < found.before - 5


# The page


def test_the_example_is_taken_apart_at_once(app):
    page = app("removal.py")
    assert errors(page) == []
    assert said(page.subheader[0]) == "L3H1 ablated (zero)"
    assert 'data-view="compare"' in frames(page)[0]
    page.segmented_control(key="what of heads").set_value("words").run()
    assert any("no head for words" in said(info) for info in page.info)
    page.segmented_control(key="what of heads").set_value("states").run()
    assert len(page.dataframe[0].value) == 16


def test_a_model_that_says_words_says_others_without_its_head(app):
    page = app("removal.py")
    page.selectbox(key="model").set_value("pronoun").run()
    assert any("No attention changes" in said(info) for info in page.info)
    page.segmented_control(key="what of heads").set_value("words").run()
    assert errors(page) == []
    assert any("Before, the model says “fox” (100.0 %)" in said(m) for m in page.markdown)
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
    page.segmented_control(key="way of taking out").set_value(way).run()
    assert errors(page) == [] and len(frames(page)) == 1
    words = said(page.subheader[0])
    assert words == ("it → animal cut" if way == "edge" else f"L3H1 ablated ({way})")


def test_bad_input_gets_a_message_and_the_page_goes_on(app):
    page = app("removal.py")
    page.text_area(key="text").set_value("<script>alert(1)</script> ![x](y) it").run()
    assert errors(page) == [] and "<script>alert" not in frames(page)[0]
    page.segmented_control(key="way of taking out").set_value("mean").run()
    key = f"references {page.text_area(key='text').value}"
    page.text_area(key=key).set_value("  ").run()
    assert "at least one text for the mean" in errors(page)[0]
    page.segmented_control(key="way of taking out").set_value("edge").run()
    assert any("Choose the word that looks" in said(info) for info in page.info)
    page.text_input(key="pair").set_value("It slept.").run()
    assert "got a pair" in errors(page)[0]
    page.text_input(key="pair").set_value("").run()
    page.text_area(key="text").set_value("").run()
    assert "got an empty one" in errors(page)[0]
    page.selectbox(key="model").set_value("reversal").run()
    page.text_area(key="text").set_value("a b c d e").run()
    assert "Expected the encoder's attention" in errors(page)[0]
    page.segmented_control(key="way of taking out").set_value("zero").run()
    assert errors(page) == [] and len(frames(page)) == 1

"""The report of lens and divided logit: its words against tables made by hand, and the page."""

from __future__ import annotations

import re

import pandas as pd
import pytest
import torch

import introspect as ix
from introspect.errors import CaptureError, ModelError, SelectionError
from introspect.reporting.lens import finding_of_lens
from introspect.studies.lens.study import read_at
from tests import models_zoo as zoo
from tests.writers_zoo import writer

TEXT = "x a b c d e f g h a b c d"


@pytest.fixture(scope="module")
def induction():
    return ix.load("induction", lm_head=True)


@pytest.fixture(scope="module")
def made(induction):
    return ix.lens_report(ix.lens_study(induction, TEXT), command="introspect lens x")


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def readings(first_by_layer):
    """Of two tokens; ``first_by_layer`` is the top reading at the second one, from below."""
    rows = []
    for layer, word in enumerate(first_by_layer, -1):
        for place, token in enumerate(["it*", "was"]):
            tops = ["other", "x"] if place == 0 else [word, "x"]
            rows += [
                (layer, place, token, rank, top, 0.9 if rank == 1 else 0.05)
                for rank, top in enumerate(tops, 1)
            ]
    columns = ["layer", "position", "token", "rank", "predicted", "probability"]
    return pd.DataFrame(rows, columns=columns)


def parts(values, against=None):
    table = pd.DataFrame({"component": list(values), "contribution": list(values.values())})
    table.attrs |= {
        "logit": sum(values.values()), "token": "a*", "against": against, "at": "was",
        "position": 1,
    }  # fmt: skip
    return table


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "since"),
    [
        (["a", "b", "c"], "it is the top reading only after the last layer, L1"),
        (["c", "b", "c"], "it is the top reading only after the last layer, L1"),
        (["a", "c", "c"], "from L0 on it is the top reading"),
        (["c", "c", "c"], "it is the top reading at every layer, from the embeddings on"),
    ],
)
def test_the_headline_says_since_when_the_model_reads_its_answer(words, since):
    finding = finding_of_lens(read_at(readings(words), -1), None, None)
    assert finding.plain == (
        f"At “was” (token 1) the model predicts c, with a probability of 90.0%; {since}."
    )
    assert f"the LM head reads “{words[0]}”, with a probability of 90.0%." in finding.details[0]


def test_the_parts_that_add_and_take_most_are_named():
    reading = read_at(readings(["a", "c"]), 1)
    values = {"embeddings": 0.5, "L0H0": 3.0, "L0H1": -1.0, "L0 bias": 0.25, "L1H0": 2.0,
              "L1H1": -0.125}  # fmt: skip
    finding = finding_of_lens(reading, parts(values), None)
    assert finding.details[-1] == (
        "The logit of “a∗” less the mean over the vocabulary is 4.63: a sum of 6 parts. Most is "
        "added by L0H0 (+3.00), L1H0 (+2.00) and embeddings (+0.50). Most is taken off by L0H1 "
        "(−1.00) and L1H1 (−0.13)."
    )
    only = finding_of_lens(reading, parts({"L0H0": 1.0}, against="b"), None)
    assert only.details[-1] == (
        "The logit of “a∗” less that of “b” is 1.00: a sum of 1 part. Most is added by L0H0 "
        "(+1.00)."
    )
    refused = finding_of_lens(reading, None, "It does more than add.")
    assert refused.details[-1] == (
        "Which parts say it cannot be told of this model. It does more than add."
    )


def test_an_asterisk_in_a_token_ends_no_emphasis():
    finding = finding_of_lens(read_at(readings(["a", "*"]), 0), None, None)
    assert finding.headline.startswith("At “it∗” (token 0) the model predicts *other*,")


def test_a_token_that_is_not_there():
    with pytest.raises(SelectionError, match="from -2 to 1, for 2 tokens, got 2"):
        read_at(readings(["a"]), 2)


# --- the page -------------------------------------------------------------------------------------


def test_the_words_are_those_of_the_models_own_run(induction, made):
    ids = induction.tokens(TEXT).token_ids
    with torch.no_grad():
        logits = induction.module(input_ids=torch.tensor([ids])).logits[0, -1].double()
    best = int(logits.argmax())
    word = induction.tokenizer.convert_ids_to_tokens(best)
    assert word == "e"  # what followed “d” the first time
    assert made.finding.startswith(
        f"At “d” (token 13) the model predicts {word}, with a probability of "
        f"{float(logits.softmax(-1)[best]):.1%};"
    )
    less = float(logits[best] - logits.mean())
    said = f"The logit of “{word}” less the mean over the vocabulary is {less:.2f}"
    assert said in text_of(made.html)
    read = ix.logit_lens(induction, TEXT)
    row = read[(read["layer"] == 0) & (read["position"] == 13)]
    cells = " ".join(f"{r.predicted} {r.probability:.1%}" for r in row.itertuples())
    assert f"L0 {cells}" in text_of(made.html)


def test_the_page_says_what_it_rests_on(made):
    words = text_of(made.html)
    for expected in (
        "What induction would predict after each layer",
        "introspect lens x",
        "nostalgebraist 2020",
        "Elhage et al. 2021",
        "Difference between the sum of all parts and the model’s own logit",
        "Certificate of the capture",
        "need not be used as that word",
    ):
        assert expected in words, expected
    assert 'data-view="lens"' in made.html and 'data-view="logits"' in made.html
    assert made.notices == ()


def test_token_against_and_position_are_those_asked_for(induction):
    report = ix.lens_report(
        ix.lens_study(induction, TEXT, token="c", against="a", position=-3, top=2)
    )
    table = ix.direct_logit_attribution(induction, TEXT, token="c", against="a", position=-3)
    words = text_of(report.html)
    assert f"The logit of “c” less that of “a” is {table.attrs['logit']:.2f}" in words
    assert report.finding.startswith("At “b” (token 11) the model predicts c,")


def test_a_masked_model_is_read_at_its_mask_and_says_why_nothing_is_divided():
    model = ix.load("pronoun", lm_head=True)
    text = "The fox did not cross the [MASK] because it was too wide."
    report = ix.lens_report(ix.lens_study(model, text))
    assert report.finding.startswith("At “[MASK]” (token 7) the model predicts ")
    assert "Which parts say it cannot be told of this model. Expected" in text_of(report.html)
    assert 'data-view="logits"' not in report.html and "Elhage" not in report.html
    assert len(report.notices) == 1 and "normalize what they pass on" in report.notices[0]
    plain = ix.lens_report(ix.lens_study(model, text.replace("[MASK]", "river")))
    assert plain.finding.startswith("At “.” (token 13) ")  # not at [SEP]
    with pytest.raises(CaptureError):
        ix.lens_study(model, text, token="fox")


def test_of_an_encoder_decoder_what_it_writes_is_read():
    model = writer("t5")
    report = ix.lens_report(ix.lens_study(model, "a small text", target="two words"))
    length = len(model.capture("a small text", target="two words", kind="decoder").queries)
    with pytest.raises(SelectionError, match=f"for {length} tokens"):
        ix.lens_study(model, "a small text", target="two words", position=length)
    assert 'data-view="logits"' in report.html


def test_a_model_without_a_head_is_refused():
    with pytest.raises(ModelError, match="language-model head"):
        ix.lens_study(zoo.minilm(), TEXT)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 800])
def test_what_a_reader_does_with_the_page(induction, made, open_page, width):
    page = open_page(made.html, width=width)
    assert page.inner_text(".finding") == made.finding
    lens = page.locator('[data-view="lens"]')
    assert (
        lens.locator(".reading.strong").inner_text().startswith("After L1, at “d” (token 13): “e”")
    )
    # The token that is read is seen, however long the text is.
    cell = lens.locator('[aria-current="true"]').bounding_box()
    frame = lens.locator(".drawn-scroller").bounding_box()
    assert frame["x"] <= cell["x"] and cell["x"] + cell["width"] <= frame["x"] + frame["width"] + 1
    assert page.evaluate("window.scrollY") == 0
    parts = page.locator('[data-view="logits"] .reading.strong').inner_text()
    table = ix.direct_logit_attribution(induction, TEXT, token="e")
    heads = table[table["head"].notna()]
    best = heads.loc[heads["contribution"].abs().idxmax()]
    assert parts.startswith(f"{best['component']}: +{best['contribution']:.2f} logits")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_the_lens_begins_at_the_token_that_is_read(induction, open_page):
    page = open_page(ix.lens_report(ix.lens_study(induction, TEXT, position=3)).html)
    reading = page.locator('[data-view="lens"] .reading.strong').inner_text()
    assert reading.startswith("After L1, at “b” (token 3)")


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_breaks_no_rule_of_accessibility(made, open_page, theme, rules_broken):
    page = open_page(made.html, path_hash=f"#page.theme={theme}")
    assert rules_broken(page) == []

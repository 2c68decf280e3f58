"""Reports of models whose answers are known, of every kind of model, and their page."""

from __future__ import annotations

import re

import pytest
import torch
import transformers

import introspect as ix
from introspect.data import grammar_cases, own_cases
from introspect.models import Model
from introspect.reporting import finding_of_study
from introspect.text import quantity
from tests.studies.causal.test_every_model import MODELS
from tests.tokenizers_zoo import byte_level

# --- known answers ----------------------------------------------------------------------------


def study_of(name: str, **options):
    few = {"num_nouns": 12} if name == "pronoun-gated" else {}
    model = ix.load(name, lm_head=True)
    return ix.causal_study(model, grammar_cases(40, "en", seed=1000, **few), **options)


@pytest.fixture(scope="module")
def pronoun():
    return study_of("pronoun")


@pytest.fixture(scope="module")
def gated():
    return study_of("pronoun-gated")


def test_on_pronoun_the_head_that_attends_supports_the_answer(pronoun):
    report = ix.causal_report(pronoun)
    assert report.finding.startswith("L0H0 and L1H0 support the answer: without L0H0 the ")
    assert report.finding.endswith("L1H0 attends to the antecedent.")
    words = " ".join(finding_of_study(pronoun).details)
    assert "The model is right in 100.0% of 40 cases" in words
    assert "other: *L1H0*, effect" in words
    assert "Held out, its effect is above 0: one test, of this head alone." in words
    sentences = [claim.sentence for claim in report.claims]
    own = [claim.sentence for claim in pronoun.claims]
    # What heads attend to has a chapter and claims of its own.
    assert sentences[: len(own)] == own and len(sentences) > len(own)


def test_on_pronoun_gated_no_head_attends_and_yet_heads_support_the_answer(gated):
    finding = ix.causal_report(gated).finding
    assert finding.startswith("L0H1 and L0H0 support the answer: without L0H1 the preference ")
    assert finding.endswith(
        "No evidence that one of them attends to the antecedent. What L0H3 does for it depends on "
        "the method of ablation."
    )


def test_before_and_after_is_shown_where_attention_follows(pronoun, gated):
    assert "Before and after: without L0H0" in ix.causal_report(pronoun).html
    # Nothing attends after the only layer.
    assert "Before and after" not in ix.causal_report(gated).html
    by_mean = study_of("pronoun", heads="L0H0", method="mean", share=None, minimal_pairs=False)
    assert by_mean.heads["p_adjusted"][0] < 0.05
    assert "Before and after" not in ix.causal_report(by_mean).html


def test_the_figures_of_the_words_are_those_of_the_tables(pronoun):
    row = pronoun.heads[(pronoun.heads["layer"] == 1) & (pronoun.heads["head"] == 0)].iloc[0]
    # An ablation by hand: the head's part of the output projection is 0.
    answers = pronoun.effects.answers
    weight = answers.model.module.bert.encoder.layer[1].attention.output.dense.weight
    before, clean = weight.detach().clone(), answers.margins()
    weight.data[:, :16] = 0
    by_hand = float((clean - answers.margins()).mean())
    weight.data.copy_(before)
    assert row["effect"] == pytest.approx(by_hand, rel=1e-5)
    words = " ".join(finding_of_study(pronoun).details)
    assert (
        f"*L1H0* supports the answer: without it the preference falls by {quantity(by_hand)}"
        in words
    )


def test_the_study_says_where_heads_look_in_the_same_table(pronoun):
    scored = pronoun.scores.cases
    is_head = (scored["layer"] == 1) & (scored["head"] == 0)
    rows = scored[is_head & (scored["direction"] == "pronoun_to_candidate")]
    row = pronoun.heads.iloc[4]
    assert row["attention_weight"] == pytest.approx(rows["antecedent_weight"].mean())
    assert row["attention_p_adjusted"] < 0.05 and row["attention_accuracy"] == 1
    assert pronoun.heads.attrs["chance"] == 0.5 and pronoun.heads.attrs["unit"] == "nats"


@pytest.mark.slow
def test_minilm_is_reported_as_a_surrogate():
    model, cases = ix.load("minilm"), grammar_cases(12, "en", seed=1000)
    study = ix.causal_study(model, cases, ["L3H1", "L5H11"], share=None, minimal_pairs=False)
    report = ix.causal_report(study)
    assert report.finding.startswith("Measured by a surrogate, not by the model’s own answer.")
    assert report.notices[0].startswith("Effects are on a surrogate, not the model’s answer: ")
    assert "surrogate effect in cosine" in report.html
    assert "The few heads" not in report.html and "Minimal pairs: total" not in report.html


def test_few_cases_give_a_report_that_claims_nothing():
    model = ix.load("pronoun", lm_head=True)
    study = ix.causal_study(model, grammar_cases(4), "L1", share=None)
    report = ix.causal_report(study)
    assert "too few for intervals and tests: nothing is claimed of any head" in report.finding
    words = re.sub(r"<script.*?</script>", "", report.html, flags=re.DOTALL)
    assert not re.search(r"\bnan\b", words, re.IGNORECASE)


def own(number: int):
    """Cases in English, in groups of two."""
    return own_cases("en")[:number]


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5 encoder"])
def test_every_kind_of_model_gets_a_report(name):
    torch.manual_seed(2)
    model = MODELS[name][0]()
    study = ix.causal_study(model, own(12), "L1", share=None, minimal_pairs=False)
    assert not study.heads.attrs["is_surrogate"]
    report = ix.causal_report(study)
    assert "is right in" in report.finding and report.notices == ()
    assert study.heads.attrs["metric_words"] in report.html


@pytest.mark.browser
def test_a_head_that_is_alone_has_neither_control_nor_nan(open_page):
    torch.manual_seed(2)
    model = one_head()
    report = ix.causal_report(ix.causal_study(model, own(12), share=None, minimal_pairs=False))
    page = open_page(report.html)
    text = page.inner_text("main")
    assert "The only head of a layer has no other" in text
    assert "NaN" not in text and not re.search(r"\bnan\b", text)
    facts = dict(
        zip(
            page.locator(".drawn-facts dt").all_inner_texts(),
            page.locator(".drawn-facts dd").all_inner_texts(),
            strict=True,
        )
    )
    assert facts["Other heads of the same layer"] == facts["Difference"] == "–"


def one_head() -> Model:
    config = transformers.GPT2Config(
        vocab_size=len(byte_level()), n_embd=16, n_layer=1, n_head=1, n_positions=128
    )
    return Model(transformers.GPT2LMHeadModel(config).eval(), byte_level(), name="one head")


# --- the page ---------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_page_has_the_views_the_tables_and_the_proof(pronoun, open_page):
    html = ix.causal_report(
        pronoun,
        name="<b>my cases</b>",
        rejects=["Line 3 is <i>odd</i>."],
        command="introspect causal x",
    ).html
    page = open_page(html, width=800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    assert page.inner_text("h1") == "Which heads support the answer in <b>my cases</b>"
    chapters = page.locator("details.chapter > summary h2").all_inner_texts()
    assert chapters == [
        "What heads attend to, and their effects", "The effect of every head", "Heads in figures",
        "Before and after: without L0H0", "What heads attend to",
        "By other methods, directly, and in pairs", "A few heads that carry the answer",
        "Minimal pairs: total, direct and indirect effects",
        "What was left out", "How it was measured", "Proof and provenance",
    ]  # fmt: skip
    first = page.locator("table.data").first.locator("tbody tr").first
    cells = first.locator("td").all_inner_texts()
    assert cells[0] == "L0H0" and cells[-1] == "supports; no evidence that it attends"
    assert cells[6] == "50.0%"
    text = page.inner_text("main")
    assert "1 row was left out." in text and "Line 3 is <i>odd</i>." in text
    assert "introspect causal x" in text and "sha256:" in text
    assert page.locator('[data-view="causal"] .mark').count() == 8
    compared = page.locator('[data-view="compare"]').inner_text()
    assert "unchanged" in compared and "without L0H0" in compared
    assert page.locator('[data-view="effect-map"] .cell').count() == 8

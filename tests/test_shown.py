"""What a notebook shows of the objects that people meet: what they are, and not all they hold."""

from __future__ import annotations

import html
import re

import pytest
import torch

import introspect as ix
from introspect import primer
from introspect.data import grammar_cases, write_jsonl

TEXT = "The fox did not cross the river because it was too tired."


@pytest.fixture(scope="module")
def model() -> ix.Model:
    return ix.load("pronoun")


def test_a_record_says_how_large_it_is(model):
    record = model.capture(TEXT)
    assert repr(record) == "<AttentionRecord: 2 layers × 4 heads, 15 × 15 tokens>"
    assert repr(ix.head_view(record)) == "<HeadView: 2 layers × 4 heads, 15 × 15 tokens>"
    wide = ix.AttentionRecord.from_tensors(
        torch.ones(1, 2, 3, 5), list("abcde"), query_tokens=list("abc")
    )
    assert repr(wide) == "<AttentionRecord: 1 layer × 2 heads, 3 × 5 tokens>"


def test_a_model_says_its_name(model):
    assert repr(model) == "<Model: pronoun, BertModel>"


def test_scores_say_of_how_many(model):
    assert repr(ix.score(model, grammar_cases(10))) == (
        "<Scores: 8 heads, 10 cases of forced choice>"
    )
    lone = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="fox")
    assert repr(ix.score(model, [lone])) == "<Scores: 0 heads, 0 cases of forced choice>"


def test_a_report_is_its_page(model):
    made = ix.report(ix.coreference_study(model, TEXT))
    assert repr(made) == f"<Report: {made.finding}>"
    frame = made._repr_html_()
    assert frame.startswith('<iframe sandbox="allow-scripts allow-downloads"')
    held = re.search(r'srcdoc="([^"]*)"></iframe>', frame)
    page = html.unescape(held[1]) if held else ""
    assert page.replace(' data-frame="compact"', "", 1) == made.html


def test_a_story_is_told_with_its_heading():
    story = primer.menu()
    assert story._repr_markdown_() == "### The menu\n\n" + "\n\n".join(story.text)


def test_a_probe_says_where_it_is_and_what_it_found(model, tmp_path):
    cases = write_jsonl(tmp_path / "cases.jsonl", grammar_cases(10))
    run = ix.probe(model, cases, out=tmp_path / "probe")
    assert repr(run) == f"<ProbeRun in {str(tmp_path / 'probe')!r}: {run.finding}>"

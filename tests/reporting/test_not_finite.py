"""A report counts only heads that can be read, and says how many those are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import introspect as ix
from introspect.records import AttentionRecord, notices_of_weights
from introspect.reporting import finding_of_case
from introspect.reporting.prose import finding_of_text
from introspect.studies.coreference import CapturedText, CoreferenceAnalyzer, CoreferenceStudy
from introspect.text import CorefCase
from tests import models_zoo

CASE = CorefCase.from_words(
    "The animal didn't cross the street because it was too tired.",
    pronoun="it", antecedent="animal", distractors=["street"], id="w1",
)  # fmt: skip


def captured(value: float | None, *heads: tuple[int, int]) -> CapturedText:
    """The case with these heads made unreadable; all of them if none is named."""
    record = models_zoo.minilm().capture(CASE.text)
    weights = record.attentions.clone()
    if value is not None:
        for layer, head in heads or [(slice(None), slice(None))]:
            weights[layer, head] = value
    notices = notices_of_weights(weights, record.layers)
    return CapturedText(CASE, replace(record, attentions=weights, notices=notices))


def study(*texts: CapturedText) -> CoreferenceStudy:
    analyzer = CoreferenceAnalyzer()
    for number, text in enumerate(texts):
        analyzer.add(replace(CASE, id=f"w{number}"), text.columns)
    return CoreferenceStudy(texts, analyzer.compute())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_counts_are_over_heads_that_can_be_read(value):
    whole = captured(None)
    forward = whole.directions[0]
    best, _ = forward.strongest()[0]
    made = captured(value, tuple(best), (0, 0))
    finding = finding_of_case(made)
    assert finding.details[0].startswith("70 of 72 heads can be read")
    right = int((forward.credit == 1).sum()) - sum(
        float(forward.credit[place]) == 1 for place in (tuple(best), (0, 0))
    )
    assert any(f"{right} of 70 heads give" in detail for detail in finding.details)
    assert str(best) not in finding.headline
    assert best not in made.directions[0].ranked()
    page = ix.report(study(made)).html
    assert "70 of 72 heads can be read" in page
    assert "72 heads give" not in page


def test_a_whole_record_is_reported_as_before():
    finding = finding_of_case(captured(None))
    assert not any("can be read" in detail for detail in finding.details)
    assert any("of 72 heads give" in detail for detail in finding.details)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_without_a_readable_head_there_is_no_verdict(value):
    made = captured(value)
    report = ix.report(study(made))
    assert report.finding == ("None of the 72 heads can be read: what it attends to is not finite.")
    assert "None of the 72 heads can be read: their attention" in report.html
    assert made.directions[0].strongest() == []
    for view in (ix.coreference_view(made.record, CASE), ix.head_view(made.record)):
        assert view.figure is not None
        assert "can be read" in view.to_html()


def test_several_texts_say_which_of_them_cannot_be_read():
    report = ix.report(study(captured(float("nan")), captured(None)))
    assert report.finding.startswith("Over 1 case ")
    assert "not readable" in report.html
    nothing = ix.report(study(captured(float("nan")), captured(float("nan"))))
    assert nothing.finding.startswith("No head could be scored")


def test_a_text_without_a_case_says_it_too():
    weights = torch.full((2, 3, 4, 4), 0.25)
    weights[1, 2] = torch.nan
    finding = finding_of_text(AttentionRecord.from_tensors(weights, list("abcd")))
    assert finding.details[0].startswith("5 of 6 heads can be read; the attention of the other is")

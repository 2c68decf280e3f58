"""The sentences of a report: true for the numbers they are made from."""

from __future__ import annotations

import pytest
import torch

from introspect.page.bundle import emphasized
from introspect.records import AttentionRecord, TokenSequence
from introspect.records.tokens import assign_words
from introspect.reporting import finding_of_case
from introspect.reporting.prose import finding_of_set
from introspect.studies.coreference import CapturedText, CoreferenceAnalyzer, CoreferenceStudy
from introspect.text import CorefCase

TEXT = "cat saw dog it"
SAW, DOG, IT = 1, 2, 3


def record_of(weights: dict[tuple[int, int], tuple[float, float]], heads: int = 2):
    """A record of 2 layers in which the pronoun gives (cat, dog) the named weights."""
    offsets = [(0, 3), (4, 7), (8, 11), (12, 14)]
    word_ids, spans = assign_words(TEXT, offsets)
    tokens = TokenSequence(
        tokens=tuple(TEXT.split()),
        offsets=tuple(offsets),
        word_ids=tuple(word_ids),
        words=tuple(TEXT[s:e] for s, e in spans),
        texts=(TEXT,),
    )
    attentions = torch.full((2, heads, 4, 4), 0.25)
    for (layer, head), (cat, dog) in weights.items():
        attentions[layer, head, IT] = torch.tensor([cat, 1 - cat - dog, dog, 0.0])
    return AttentionRecord(attentions=attentions, queries=tokens, keys=tokens)


def case_of(**mentions):
    defaults = {"pronoun": "it", "antecedent": "cat", "distractors": ["dog"]}
    return CorefCase.from_words(TEXT, **{**defaults, **mentions})


def finding(weights, case=None, **options):
    case = case or case_of()
    return finding_of_case(CapturedText(case, record_of(weights, **options)))


def test_of_heads_that_point_the_strongest_is_the_headline_and_the_others_follow():
    found = finding({(0, 1): (0.6, 0.1), (1, 0): (0.7, 0.1)})
    assert found.headline == (
        "L1H0 points from *it* to *cat*: 0.70 of its attention; the other words give it 0.25. "
        "So does 1 more head."
    )
    assert "L0H1 (0.60) points to *cat* too: the other words give it 0.25." in found.details


def test_one_head_points():
    found = finding({(0, 1): (0.6, 0.1)})
    assert found.headline == (
        "L0H1 points from *it* to *cat*: 0.60 of its attention; the other words give it 0.25."
    )
    assert found.plain == found.headline.replace("*", "")


def test_exactly_half_does_not_point():
    found = finding({(0, 1): (0.5, 0.1)})
    assert found.headline == (
        "No head points from *it* to *cat*: the strongest, L0H1, gives it 0.50 of its attention; "
        "the other words give it 0.25. To *dog* it gives 0.10."
    )


def test_many_heads_are_counted_not_dropped():
    found = finding({(0, h): (0.9 - h / 100, 0.05) for h in range(7)}, heads=7)
    assert found.headline.endswith("So do 6 more heads.")
    assert any(
        detail.startswith("L0H1 (0.89, the others 0.25), ")
        and detail.endswith("L0H5 (0.85, the others 0.25) and 1 more point to *cat* too.")
        for detail in found.details
    )


def test_a_head_that_every_word_attends_from_does_not_point():
    record = record_of({(0, 1): (0.6, 0.1), (1, 0): (0.7, 0.1)})
    record.attentions[1, 0, SAW] = torch.tensor([0.4, 0.2, 0.2, 0.2])
    record.attentions[1, 0, DOG] = torch.tensor([0.4, 0.2, 0.2, 0.2])
    found = finding_of_case(CapturedText(case_of(), record))
    assert found.headline.startswith("L0H1 points from *it* to *cat*: 0.60 ")
    assert "L1H0 (0.70) attends to *cat* from everywhere: the other words give it 0.40." in (
        found.details
    )


def test_heads_that_point_to_the_distractor_are_told():
    found = finding({(0, 1): (0.6, 0.1), (1, 1): (0.1, 0.8)})
    assert "L1H1 (0.80) points to *dog* instead: the other words give it 0.25." in found.details


def test_a_mention_of_several_words_gets_the_sum_of_what_they_get():
    case = case_of(antecedent="cat saw", distractors=["dog"])
    found = finding({(0, 1): (0.36, 0.28)}, case=case)  # and 0.36 to saw
    assert found.headline == (
        "No head points from *it* to *cat saw*: the strongest, L0H1, gives it 0.72 of its "
        "attention; the other word gives it 0.50. To *dog* it gives 0.28."
    )
    assert any("gives *cat saw* more per word than *dog*" in detail for detail in found.details)


def test_without_another_word_nothing_is_compared():
    case = case_of(antecedent="cat saw dog", distractors=[])
    found = finding({(0, 1): (0.5, 0.3)}, case=case)
    assert found.headline == (
        "No head is said to point from *it* to *cat saw dog*: no other word can be compared. The "
        "strongest, L0H1, gives it 1.00 of its attention."
    )


def test_every_number_of_a_sentence_is_that_of_a_claim():
    found = finding({(0, 1): (0.6, 0.1), (1, 0): (0.7, 0.1), (1, 1): (0.1, 0.8)})
    assert [(c.kind, c.subject, round(c.estimate, 4)) for c in found.claims[:2]] == [
        ("points", "L1H0", 0.7),
        ("points: others", "L1H0", 0.25),
    ]
    for claim in found.claims:
        assert claim.sentence in (found.headline, *found.details)


def test_right_heads_are_counted_beside_blind_choice():
    found = finding({(0, 1): (0.6, 0.1), (1, 1): (0.1, 0.8)})
    # Of four heads one is right, one wrong, and two give both the same.
    assert "1 of 4 heads gives *cat* more than *dog*" in " ".join(found.details)
    assert "about 2 would." in " ".join(found.details)


def test_position_baselines_are_named():
    found = finding({(0, 1): (0.6, 0.1)})
    assert "the nearest candidate before the pronoun is wrong" in " ".join(found.details)
    assert "the first candidate in the text is right" in " ".join(found.details)


def test_one_sentence_is_never_sold_as_evidence():
    caveats = " ".join(finding({(0, 1): (0.9, 0.0)}).caveats)
    assert "does not show that a head resolves coreference" in caveats
    assert "not why the model decides" in caveats


def test_without_distractor_no_choice_is_claimed():
    found = finding({(0, 1): (0.6, 0.1)}, case=case_of(distractors=[]))
    assert "no choice between candidates was scored" in " ".join(found.details)


def test_without_antecedent_no_head_is_called_right():
    found = finding({(0, 1): (0.6, 0.1)}, case=case_of(antecedent=None))
    assert "No antecedent was given" in found.headline


def test_direction_hidden_by_a_causal_mask_is_not_a_zero():
    text_case = CorefCase.from_words(TEXT, pronoun="cat", antecedent="dog", distractors=["saw"])
    record = record_of({})
    causal = AttentionRecord(
        attentions=record.attentions.tril() / record.attentions.tril().sum(-1, keepdim=True),
        queries=record.queries,
        keys=record.keys,
    )
    found = finding_of_case(CapturedText(text_case, causal))
    assert "cannot be observed" in found.headline
    assert "0.00" not in found.headline


def test_set_finding_is_called_in_sample():
    analyzer = CoreferenceAnalyzer()
    case, record = case_of(), record_of({(0, 1): (0.6, 0.1)})
    analyzer.update([(case, record)])
    texts = (CapturedText(case, record), CapturedText("The animal slept.", record))
    study = CoreferenceStudy(texts, analyzer.compute())
    found = finding_of_set(study)
    assert [c.sentence for c in found.claims] == [c.sentence for c in study.claims]
    assert found.claims[0].sentence == found.headline
    assert "in-sample" in found.headline
    assert "No held-out accuracy was measured" in " ".join(found.caveats)
    assert "the nearest candidate 0.0%" in " ".join(found.details)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", '"quoted"'])
def test_words_of_the_text_stay_text(text):
    assert "<script>" not in emphasized(f"*{text}*")
    assert emphasized(f"*{text}*").startswith("<em>")

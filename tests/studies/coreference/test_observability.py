"""A mask or a position decides what can be observed, never a weight of exactly 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaModel, MistralConfig, MistralModel

import introspect as ix
from introspect.errors import InputError
from introspect.functional import assumed_mask
from introspect.records import AttentionRecord, TokenSequence
from introspect.runs.findings import CaseSet
from introspect.studies.analyzer import Texts
from introspect.studies.coreference import (
    LAST_POSITION,
    CaseList,
    CoreferenceAnalyzer,
    linear_claims,
    score_cases,
)
from introspect.studies.coreference.study import score_case
from introspect.views.forest import forest_rows
from tests import models_zoo
from tests.reporting.ledger import random_probe
from tests.runs import sets

TEXT = "cat saw dog it so"
CASE = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="cat", distractors=["dog"], id="one")
LATE = ix.CorefCase.from_words(
    TEXT, pronoun="saw", antecedent="cat", distractors=["dog"], id="late"
)
TOKENS = TokenSequence(
    tuple(TEXT.split()),
    offsets=((0, 3), (4, 7), (8, 11), (12, 14), (15, 17)),
    word_ids=tuple(range(5)),
    words=tuple(TEXT.split()),
    texts=(TEXT,),
)
TRIL = torch.ones(5, 5, dtype=torch.bool).tril()


def decisive(*targets: int, visible: torch.Tensor | None = None) -> AttentionRecord:
    """One head that gives each word's whole attention to one word, as if the rest underflowed."""
    weights = torch.nn.functional.one_hot(torch.tensor(targets), 5).float()
    return AttentionRecord(
        weights[None, None],
        TOKENS,
        TOKENS,
        visible=None if visible is None else visible[None],
    )


@pytest.mark.parametrize("visible", [None, TRIL, torch.ones_like(TRIL)])
def test_a_decisive_head_is_observed_and_scored(visible):
    forward, _ = score_case(decisive(0, 0, 0, 0, 0, visible=visible), CASE)
    assert forward.is_observable and float(forward.credit) == 1
    forward, _ = score_case(decisive(0, 0, 2, 2, 0, visible=visible), CASE)
    assert forward.is_observable and float(forward.credit) == 0
    assert float(score_case(decisive(0, 0, 1, 1, 0), CASE)[0].credit) == 0.5


@pytest.mark.parametrize("visible", [None, TRIL])
def test_a_mask_hides_whatever_the_weights(visible):
    record = decisive(0, 0, 0, 0, 0, visible=visible)
    forward, backward = score_case(record, LATE)
    assert not forward.is_observable and not backward.is_observable


def test_a_window_a_prefix_and_no_mask_are_known_from_the_mask():
    offsets = torch.arange(5) - torch.arange(5)[:, None]
    window, prefix = TRIL & (offsets > -3), TRIL | (torch.arange(5) < 3)
    record = decisive(0, 0, 0, 1, 2)
    for mask, case, is_seen in (
        (window, CASE, False), (prefix, CASE, True), (prefix, LATE, True), (TRIL, LATE, False),
    ):  # fmt: skip
        found = score_case(replace(record, visible=mask[None]), case)[0]
        assert found.is_observable is is_seen


def test_masks_are_assumed_by_their_shape():
    torch.manual_seed(0)
    length = 8
    offsets = torch.arange(length) - torch.arange(length)[:, None]
    causal = offsets <= 0
    masks = {
        "none": torch.ones_like(causal),
        "causal": causal,
        "window": causal & (offsets > -3),
        "window both ways": offsets.abs() < 3,
        "prefix": causal | (torch.arange(length) < 4),
    }
    for name, mask in masks.items():
        scores = torch.randn(3, length, length).masked_fill(~mask, -torch.inf)
        assert torch.equal(assumed_mask(scores.softmax(-1)), mask), name
    # With holes there is no telling a window from what was rounded to 0.
    holes = (torch.randn(3, length, length) * 60).masked_fill(~masks["window"], -torch.inf)
    assert torch.equal(assumed_mask(holes.softmax(-1).half().float()), causal)


def test_rows_that_are_not_finite_hide_nothing():
    weights = torch.full((1, 2, 5, 5), 0.2).tril()
    weights[0, 0, 3] = torch.nan
    assert torch.equal(assumed_mask(weights)[0], TRIL)
    weights[:] = torch.nan
    assert assumed_mask(weights).shape == (1, 5, 5)


def test_a_capture_brings_the_mask():
    ids = torch.arange(1, 13)[None]
    small = {
        "vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1,
    }  # fmt: skip
    for model, lowest in (
        (LlamaModel(LlamaConfig(**small)), -12),
        (MistralModel(MistralConfig(**small, sliding_window=4)), -4),
    ):
        captured = ix.capture(model.half().eval(), {"input_ids": ids})
        offsets = torch.arange(12) - torch.arange(12)[:, None]
        for mask in captured.visible["self"]:
            assert torch.equal(mask[0, 0], (offsets <= 0) & (offsets > lowest))


def test_records_of_models_hold_their_masks(tmp_path):
    record = models_zoo.minilm().capture(CASE.text)
    assert record.visible is None or bool(record.visible.all())
    causal = ix.load("induction").capture("a b c a")
    expected = torch.ones(causal.attentions.shape[2:], dtype=torch.bool).tril()
    assert all(torch.equal(mask, expected) for mask in causal.seen())
    again = AttentionRecord.load(causal.save(tmp_path / "record"))
    assert torch.equal(again.seen(), causal.seen())
    assert torch.equal(causal.only([1]).seen(), causal.seen()[1:])
    assert causal.words().seen().shape == causal.words().attentions[:, 0].shape


def test_padding_is_not_seen_and_rows_alone_say_the_same():
    record = decisive(0, 0, 0, 0, 0)
    padded = torch.zeros(2, 1, 8, 8)
    padded[:, :, :5, :5] = record.attentions
    longer = replace(
        TOKENS,
        tokens=(*TOKENS.tokens, "x", "x", "x"),
        token_ids=(), offsets=(*TOKENS.offsets, *((0, 0),) * 3), word_ids=(*range(5), *(None,) * 3),
        special_tokens_mask=(), unknown_mask=(), generated_mask=(), sequence_ids=(),
    )  # fmt: skip
    texts = Texts((TOKENS, longer), (LATE, CASE))
    by_rows, whole = CoreferenceAnalyzer(), CoreferenceAnalyzer()
    for analyzer in (by_rows, whole):
        analyzer.begin(texts)
    rows = by_rows.rows()[:, None, :, None].expand(-1, 1, -1, 8)
    by_rows.see_rows(0, padded.gather(2, rows), padded.sum(2, keepdim=True))
    whole.see(0, padded)
    for analyzer in (by_rows, whole):
        analyzer.end()
    assert np.array_equal(by_rows.columns.observable, whole.columns.observable)
    assert not whole.columns.observable[0].any() and whole.columns.observable[1, 0].all()


def test_the_last_position_sees_candidates_that_the_pronoun_does_not():
    record = decisive(0, 0, 0, 0, 2, visible=TRIL)
    scored = {}
    for last_position in (False, True):
        analyzer = CoreferenceAnalyzer(last_position=last_position)
        analyzer.update([(LATE, record), (CASE, record)])
        scored[last_position] = analyzer.compute().heads.set_index("direction")
    last = scored[True].loc["last_position_to_candidate"]
    assert (last["n"], last["n_not_observable"], last["accuracy"]) == (2, 0, 0)  # on *dog*
    assert scored[True].loc["pronoun_to_candidate", "n_not_observable"] == 1
    # Asked or not, the other directions are scored alike.
    columns = ["n", "n_not_observable", "accuracy", "margin"]
    assert scored[False][columns].equals(scored[True].iloc[:2][columns])


@pytest.mark.parametrize("weights", ["raw", "renormalized"])
def test_scores_of_the_last_position_are_those_of_its_row(weights):
    """Of a causal model, whose pronoun comes before a candidate, and of a text in a batch."""
    model = ix.load("induction")
    short, long = "a b c d e", "c b a d e f g"
    cases = [
        ix.CorefCase.from_words(text, pronoun="b", antecedent="a", distractors=["c"], id=text)
        for text in (short, long)
    ]
    scores = ix.score(model, cases, last_position=True, weights=weights)
    rows = scores.cases[scores.cases["direction"] == "last_position_to_candidate"]
    for text in (short, long):
        record = model.capture(text)
        row = record.attentions[..., -1, :].double()
        if weights == "renormalized":
            row[..., [*map(bool, record.keys.special_tokens_mask[:-1]), True]] = 0
            row = row / row.sum(-1, keepdim=True)
        expected = row[..., record.keys.tokens.index("a")].numpy().ravel()
        of_text = rows[rows["id"] == text]
        np.testing.assert_allclose(of_text["antecedent_weight"], expected, atol=1e-5)
    hidden = scores.heads.groupby("direction")["n_not_observable"].max()
    assert hidden["pronoun_to_candidate"] == 2 and hidden["last_position_to_candidate"] == 0


def test_the_last_position_is_kept_with_what_was_analyzed():
    analyzer = CoreferenceAnalyzer(last_position=True)
    analyzer.update([(CASE, decisive(0, 0, 0, 0, 2))])
    again = CoreferenceAnalyzer.from_state(analyzer.state())
    assert again.last_position and len(again.compute().heads) == 3
    with pytest.raises(InputError, match="one way to score"):
        again.merge(CoreferenceAnalyzer())


def test_the_last_position_may_be_chosen():
    """A page then lists its cases, names it in the plot, and captures the hardest."""
    analyzer = score_cases(sets.model("llama"), sets.cases(), last_position=True)
    scores = analyzer.compute(sets.FEW)
    scores = replace(scores, choice=replace(scores.choice, direction=LAST_POSITION))
    listed = CaseList.of(analyzer.columns, analyzer.scored, scores)
    assert listed.heads[0] == (scores.choice.head, LAST_POSITION) and listed.is_every_head
    assert len(listed.heads) == 3 * 3 * 4
    captured = []
    capture = type("Capture", (), {"many": lambda _, texts: captured.extend(texts) or texts})()
    hardest = CaseSet(analyzer.columns, analyzer.scored, sets.FEW).hardest(scores, capture)
    place = (2, scores.choice.head.layer, scores.choice.head.head)
    least = min(float(c.antecedent_weight[place] - c.distractor_weight[place])
                for c in analyzer.scored)  # fmt: skip
    assert hardest[0][2] == least and captured[0] == hardest[0][1]
    linear = random_probe(np.random.default_rng(0), analyzer.scored)
    assert "all heads in all directions" in linear_claims(linear, scores)[0].sentence
    names = [row["name"] for row in forest_rows(scores, heads=36) if row["kind"] == "head"]
    assert sum(name.endswith("⇥") for name in names) == 12

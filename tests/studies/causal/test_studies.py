"""The smallest set of heads, and studies: what they search, tell and set side by side."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

import introspect as ix
from introspect.data import grammar_cases
from introspect.errors import InputError, SelectionError
from introspect.records import Head
from introspect.statistics import fold_of_groups
from introspect.studies.causal import (
    Resampling,
    causal_study,
    follow,
    measure_effects,
    prepare_answers,
    smallest_set,
)
from introspect.studies.causal.effects import ABLATING, ablations_for
from introspect.studies.causal.followed import (
    FOLLOWING,
    _Changes,
    relations_of_pairs,
    verdicts_by_method,
)
from introspect.studies.causal.mediation import PATCHING
from introspect.studies.causal.smallest import _Search
from introspect.text import CorefCase, quantity

SCORING = "scoring attention"


@pytest.fixture(scope="module")
def many():
    return grammar_cases(40, "en", seed=3, num_nouns=12)


def test_a_set_is_measured_on_other_cases_than_it_was_found_on(model, many):
    effects = measure_effects(prepare_answers(model, many))
    found = smallest_set(effects, share=0.95, random_sets=20)
    assert found.reached and found.heads[0] == Head(0, 1) and found.n == 20
    # The other half by hand, from the figures of single cases.
    groups = sorted({case.group for case in many})
    index = np.array([groups.index(case.group) for case in many])
    other = np.flatnonzero(fold_of_groups(index, 2)[index] == 1)
    answers = effects.answers.subset(other.tolist())
    clean = answers.margins()
    np.testing.assert_allclose(clean, effects.margins[other], atol=1e-4)
    with ix.ablate(model, "L0"):
        none = answers.margins()
    with ix.ablate(model, [(0, h) for h in range(4) if Head(0, h) not in found.heads]):
        kept = answers.margins()
    with ix.ablate(model, found.heads):
        rest = answers.margins()
    assert found.total == pytest.approx((clean - none).mean())
    assert found.faithfulness == pytest.approx((kept - none).mean() / (clean - none).mean())
    assert found.incompleteness == pytest.approx((rest - none).mean() / (clean - none).mean())
    assert found.low <= found.faithfulness <= found.high
    assert f"keep a faithfulness of {quantity(found.faithfulness)} on 20 other cases" in found.words


def test_random_sets_run_together_are_those_run_alone(model, many):
    effects = measure_effects(prepare_answers(model, many))
    ablations = ablations_for(effects.answers, "zero", None, None, 0)
    search = _Search(effects.answers, effects, ablations, lambda *_: None, 1)
    sets = [[Head(0, 1)], [Head(0, 2), Head(0, 3)], []]
    found = search._by_item(np.array([4, 0, 9]), sets)
    for value, case, heads in zip(found, (4, 0, 9), sets, strict=True):
        with ix.ablate(model, [(0, h) for h in range(4) if Head(0, h) not in heads]):
            alone = effects.answers.subset([case]).margins()[0]
        assert value == pytest.approx(alone, abs=1e-4)


def test_a_set_that_is_not_reached_says_so_and_few_groups_are_refused(model, many, cases):
    effects = measure_effects(prepare_answers(model, many))
    found = smallest_set(effects, "L0H3", random_sets=0)
    assert not found.reached
    assert found.words.startswith("No set of up to 1 head reaches a faithfulness of 0.800: L0H3")
    # A head that another stands in for has no effect to be found by, and is added last.
    added = smallest_set(effects, "L0H3", standing_in=[Head(0, 0)], random_sets=0).heads
    assert added == [Head(0, 3)]  # it is not among the heads to choose from
    added = smallest_set(effects, ["L0H3", "L0H2"], standing_in=[Head(0, 2)], random_sets=0).heads
    assert added == [Head(0, 3), Head(0, 2)]
    with pytest.raises(SelectionError, match="`share`"):
        smallest_set(effects, share=0)
    with pytest.raises(SelectionError, match="`most` of at least 1, got 0"):
        smallest_set(effects, most=0)
    with pytest.raises(InputError, match="at least 10 groups of cases"):
        smallest_set(measure_effects(prepare_answers(model, cases)))


def test_other_texts_are_neither_the_case_nor_its_minimal_pair(model, many):
    answers = prepare_answers(model, many)
    resampling = Resampling(answers, "self", [Head(0, 1)], seed=0, draws=3)
    for drawn in resampling._drawn:
        for number, other in enumerate(drawn):
            assert answers.groups[number] != answers.groups[other]
    # By hand: each case with the output of its text, one at a time.
    expected = []
    for number in range(3):
        margins = []
        for drawn in resampling._drawn:
            text = many[drawn[number]].text
            known = len(model.tokens(text))
            places = range(len(model.tokens(many[number].text)))
            taken = {place: min(place, known - 1) for place in places}
            with ix.patch(model, text, "L0H1", positions=taken):
                margins.append(answers.subset([number]).margins()[0])
        expected.append(np.mean(margins))
    np.testing.assert_allclose(resampling.margins(Head(0, 1))[:3], expected, atol=1e-4)


def test_resampled_effects_hold_what_the_draw_does_and_no_batch_moves_them(model, many):
    """Taking texts by the place in the batch gave intervals that exclude each other."""

    def measured(seed, batch_size=32):
        answers = prepare_answers(model, many, batch_size=batch_size)
        return measure_effects(answers, ["L0H0", "L0H1"], method="resample", seed=seed)

    effects = [measured(seed) for seed in range(3)]
    for other in (measured(0, 5), measured(0, 40)):
        pd.testing.assert_frame_equal(effects[0].heads, other.heads, atol=1e-3)
    largest = [one.heads.iloc[0] for one in effects]
    assert len({one.effect for one in largest}) == 3
    for one, other in product(largest, largest):
        assert one.ci_low < other.effect < one.ci_high
    # What follows them up draws the same texts: the sum of both alone is that of the effects.
    followed = follow(effects[0], [Head(0, 0), Head(0, 1)])
    row = followed.pairs.iloc[0]
    assert row.alone == pytest.approx(effects[0].heads["effect"].sum())
    answers = effects[0].answers
    resampling = Resampling(answers, "self", [Head(0, 0)], seed=0)
    both = effects[0].margins - resampling.margins(Head(0, 0), Head(0, 1))
    assert row.effect == pytest.approx(both.mean(), abs=1e-3)


def test_heads_are_followed_by_other_methods_and_in_pairs(model, many):
    effects = measure_effects(prepare_answers(model, many))
    found = follow(effects)
    assert found.heads[:2] == (Head(0, 1), Head(0, 0))
    first = found.pairs.iloc[0]
    with ix.ablate(model, found.heads[:2]):
        both = effects.margins - effects.answers.margins()
    assert first["effect"] == pytest.approx(both.mean())
    alone = effects.heads.set_index(["layer", "head"])["effect"]
    assert first["alone"] == pytest.approx(alone[0, 1] + alone[0, 0])
    assert first["interaction"] == pytest.approx(first["effect"] - first["alone"])
    with ix.ablate(model, "L0H1", method="mean", reference=effects.answers.texts):
        by_mean = (effects.margins - effects.answers.margins()).mean()
    methods = found.methods.set_index(["head", "method"])["effect"]
    assert methods[1, "mean"] == pytest.approx(by_mean)
    # There is one layer: nothing comes between a head and the answer.
    np.testing.assert_allclose(found.direct["direct"], found.direct["total"], atol=1e-4)


def test_how_two_heads_go_together():
    changes, yes, no = np.array([1.0, -1.0]), np.array([True, True]), np.array([False, False])
    assert relations_of_pairs(changes, yes, yes, yes) == [
        "stand in for each other",
        "work together",
    ]
    assert relations_of_pairs(changes, yes, no, no) == [
        "do more than in sum",
        "do less than in sum",
    ]
    assert relations_of_pairs(changes, no, yes, yes) == ["no evidence"] * 2


def test_of_later_heads_the_one_that_changes_most_is_returned():
    changes = _Changes("self")
    before = torch.ones(1, 2, 3, 4)
    (edit,) = changes.edits({1: before}, torch.tensor([[True, True, False]]))
    after = before.clone()
    after[0, 0, 2] = 9.0  # a token of padding
    after[0, 1, 0] = 2.0
    assert edit(after, None) is after
    assert changes.largest({Head(1, 0), Head(1, 1)}) == Head(1, 1)
    assert changes.largest({Head(1, 0)}) is None
    assert changes.largest(()) is None


def test_a_verdict_on_which_methods_disagree_depends_on_the_method():
    methods = pd.DataFrame(
        [(0, 1, "zero", "supports"), (0, 1, "mean", "no evidence"), (0, 2, "zero", "opposes"),
         (0, 2, "mean", "opposes")],
        columns=["layer", "head", "method", "verdict"],
    )  # fmt: skip
    assert verdicts_by_method(methods) == {
        Head(0, 1): "depends on the method",
        Head(0, 2): "opposes",
    }


def test_a_study_sets_both_side_by_side(model, cases):
    seen = []
    study = causal_study(
        model,
        cases,
        share=None,
        minimal_pairs=False,
        progress=lambda stage, number, total: seen.append((stage, number, total)),
    )
    assert seen[:5] == [(ABLATING, number, 4) for number in range(5)]
    assert {stage for stage, _, _ in seen[5:]} == {SCORING, FOLLOWING}
    assert study.smallest is None
    assert study.mediation is None
    scored = ix.score(model, cases).heads.query("direction == 'pronoun_to_candidate'")
    np.testing.assert_array_equal(study.heads["attention_accuracy"], scored["accuracy"])
    np.testing.assert_array_equal(study.heads["effect"], ix.causal_effects(model, cases)["effect"])
    chosen = study.chosen
    values, heads = study.effects.by_case()
    assert chosen.n == len(cases)
    assert values.mean(0).min() <= chosen.effect <= values.mean(0).max()
    assert set(chosen.heads) <= set(heads)
    alone = causal_study(model, cases, chosen.heads, share=None, minimal_pairs=False).chosen
    assert (alone.effect, alone.control) == (chosen.effect, chosen.control)
    unknown = CorefCase.from_words(
        "The zyx saw the qvw because it was big.", pronoun="it", antecedent="zyx",
        distractors=["qvw"],
    )  # fmt: skip
    again = causal_study(model, [unknown, *cases], share=None, minimal_pairs=False)
    assert [number for number, _ in again.rejected] == [0]
    np.testing.assert_array_equal(again.heads["effect"], study.heads["effect"])


def test_a_study_tells_its_stages_in_their_order(model, cases):
    told = []
    causal_study(model, cases, ["L0H0"], progress=lambda *each: told.append(each))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages[:3] == [ABLATING, SCORING, FOLLOWING]
    for stage in stages:
        counts = [number for each, number, _ in told if each == stage]
        assert counts[0] == 0
    ends = {stage: (number, total) for stage, number, total in told}
    assert ends[ABLATING] == (4, 4)  # with its controls
    told.clear()
    lone = [replace(case, group=None) for case in cases]
    causal_study(model, lone, ["L0H0"], share=None, progress=lambda *each: told.append(each))
    assert PATCHING not in {stage for stage, _, _ in told}  # there are no minimal pairs


@pytest.mark.slow
def test_a_study_of_a_model_without_head_is_a_surrogate_throughout():
    model = ix.load("minilm")
    cases = grammar_cases(4, "en", seed=3)
    study = causal_study(model, cases, ["L3H1", "L5H11"], share=None)
    assert study.heads.attrs["is_surrogate"]
    assert len(study.heads) == 2

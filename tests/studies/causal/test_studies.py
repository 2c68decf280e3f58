"""The smallest set of heads, and studies: what they search, tell and set side by side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import introspect as ix
from introspect.data import grammar_cases
from introspect.errors import SelectionError
from introspect.records import Head
from introspect.studies.causal import causal_study, prepare_answers, smallest_set
from introspect.studies.causal.effects import ABLATING
from introspect.studies.causal.mediation import PATCHING
from introspect.studies.causal.smallest import SEARCHING
from introspect.text import CorefCase

SCORING = "scoring attention"


def test_the_smallest_set_is_the_best_at_each_step(model, cases):
    answers = prepare_answers(model, cases)
    found = smallest_set(answers, share=0.95, random_sets=3)
    clean = answers.margins()

    def effect(heads):
        with ix.ablate(model, heads):
            return (clean - answers.margins()).mean()

    everything = effect("L0")
    assert found.total == pytest.approx(everything)
    best_one = max(range(4), key=lambda h: effect([(0, h)]))
    assert found.heads[0] == Head(0, best_one)
    rest = [h for h in range(4) if h != best_one]
    best_two = max(rest, key=lambda h: effect([(0, best_one), (0, h)]))
    assert found.heads[1] == Head(0, best_two)
    assert found.steps["effect"][1] == pytest.approx(effect([(0, best_one), (0, best_two)]))
    assert found.steps["share"].iloc[-1] >= 0.95
    assert found.reached
    assert "together carry" in found.words
    with ix.ablate(model, [(0, h) for h in range(4) if Head(0, h) not in found.heads]):
        kept = (answers.margins() > 0).mean()
    assert found.steps["accuracy_with_only"].iloc[-1] == kept


@pytest.mark.parametrize(
    ("heads", "share", "at_most"),
    [
        # All heads; three tried, three random sets and the others alone; two tried, and so on.
        (["L0H0", "L0H1", "L0H2"], 0.01, 1 + 3 + 4 + 2 + 4 + 1 + 4),
        ("L0H2", 1, 1 + 1 + 4),
    ],
)
def test_a_search_tells_its_runs_and_how_many_there_may_be(model, cases, heads, share, at_most):
    answers = prepare_answers(model, cases)
    told, runs = [], []
    margins = type(answers).margins

    class Counted(type(answers)):
        def margins(self, scores=None):
            runs.append(len(told))
            return margins(self, scores)

    counted = Counted(**vars(answers))
    smallest_set(
        counted, heads, share=share, random_sets=3, progress=lambda *each: told.append(each[1:])
    )
    assert [number for number, _ in told] == list(range(len(runs)))  # the unchanged model first
    assert {total for _, total in told} == {at_most}
    # A hundredth is reached with the first head; all is not, with one that does not matter.
    assert told[-1][0] == (1 + 3 + 4 if share < 1 else at_most)


def test_a_set_that_is_not_reached_says_so(model, cases):
    answers = prepare_answers(model, cases)
    found = smallest_set(answers, "L0H2", random_sets=0)
    assert not found.reached
    assert found.words.startswith("No 1 heads")
    with pytest.raises(SelectionError, match="`share`"):
        smallest_set(answers, share=0)


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
    assert {stage for stage, _, _ in seen[5:]} == {SCORING}
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
    assert stages == [ABLATING, SCORING, SEARCHING, PATCHING]
    for stage in stages:
        counts = [number for each, number, _ in told if each == stage]
        assert counts[0] == 0 and counts == sorted(set(counts))
    ends = {stage: (number, total) for stage, number, total in told}
    assert ends[ABLATING] == (4, 4)  # with its controls
    assert ends[PATCHING] == (2, 2)
    told.clear()
    lone = [replace(case, group=None) for case in cases]
    causal_study(model, lone, ["L0H0"], share=None, progress=lambda *each: told.append(each))
    assert told[-1][0] == SCORING  # there are no minimal pairs to wait for


def test_a_study_of_a_model_without_head_is_a_surrogate_throughout():
    model = ix.load("minilm")
    cases = grammar_cases(4, "en", seed=3)
    study = causal_study(model, cases, ["L3H1", "L5H11"], share=None)
    assert study.heads.attrs["is_surrogate"]
    assert study.mediation.heads.attrs["is_surrogate"]
    assert len(study.heads) == 2

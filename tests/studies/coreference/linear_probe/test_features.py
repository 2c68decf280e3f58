"""The features of a candidate: the weights of both directions."""

from __future__ import annotations

import numpy as np
import pytest

from introspect.studies.coreference import CandidateFeatures, CoreferenceAnalyzer, score_case
from introspect.text import CorefCase
from tests.synthetic import TEXT, case, record


def candidate_features(case, record, mention="mean"):
    analyzer = CoreferenceAnalyzer(mention)
    analyzer.update([(case, record)])
    return CandidateFeatures.of(analyzer.columns, 0)


def test_features_are_the_weights_of_both_directions():
    made = candidate_features(case(id="c", group="g"), record())
    assert (made.name, made.group, made.antecedents) == ("c", "g", (True, False))
    assert made.weights.shape == (2, 2, 2, 3)
    for place, scores in enumerate(score_case(record(), case())):
        assert np.array_equal(made.weights[:, place], scores.weights.numpy())


def test_the_way_to_join_mentions_reaches_the_features():
    text = "The old animal left the street because it was tired."
    rows = [
        candidate_features(case(text, antecedents=["old animal"]), record(text), mention).weights[0]
        for mention in ("mean", "sum")
    ]
    assert rows[1] == pytest.approx(2 * rows[0])


def test_what_the_mask_forbids_says_nothing_of_any_candidate():
    # "street" stands after the pronoun: its direction is closed, and "animal" is not seen either.
    text = "The animal said it was on the street."
    made = candidate_features(case(text), record(text, causal=True))
    assert (made.weights == 0).all()
    later = candidate_features(case(), record(causal=True))
    assert (later.weights[:, 0] > 0).all() and (later.weights[:, 1] == 0).all()


def test_a_case_without_id_and_group_is_its_own():
    given = CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors="street")
    made = candidate_features(given, record())
    assert made.group == made.name == "case-1"

"""Scores by a real model, on the published collection too."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

import introspect as ix
from introspect.data import own_cases
from introspect.errors import InputError
from introspect.studies.coreference import score
from introspect.studies.runner import BatchRunner
from introspect.text import Candidate, CorefCase
from tests.studies.coreference.helpers import GAP, QUICK, assert_slow_accuracy_agrees, computed
from tests.synthetic import TEXT, case


@pytest.mark.slow
@pytest.mark.skipif(not GAP.is_file(), reason="the GAP collection is not beside the project")
def test_the_slow_loop_agrees_on_real_cases(minilm):
    chosen = [given for given in gap_cases() if given.is_forced_choice and len(given.text) < 500]
    batch = [(given, minilm.capture(given.text)) for given in chosen[:80]]
    assert len(batch) == 80
    assert_slow_accuracy_agrees(batch, computed(batch).heads)


@pytest.mark.slow
@pytest.mark.skipif(not GAP.is_file(), reason="the GAP collection is not beside the project")
def test_gap_has_a_held_out_figure_under_the_in_sample_one(gap_scores):
    choice = gap_scores.choice
    assert choice.in_sample_accuracy >= choice.accuracy
    assert choice.ci_low < choice.accuracy < choice.ci_high
    assert choice.n == 392
    row = gap_scores.heads.query("layer == 3 and head == 1").iloc[0]
    assert row["p_adjusted"] < 0.001
    assert row["ci_low"] < 0.724 < row["ci_high"]


def test_score_captures_and_scores_each_case(minilm):
    scores = score(minilm, [case(id="tired")])
    best = scores.heads.query("direction == 'pronoun_to_candidate'").set_index(["layer", "head"])
    assert best.loc[(3, 1), "accuracy"] == 1
    row = scores.cases.query("layer == 3 and head == 1").iloc[0]
    assert row["antecedent_weight"] == pytest.approx(0.68, abs=0.005)


def test_score_takes_one_case_without_a_list(minilm):
    assert len(score(minilm, case()).cases) == 6 * 12 * 2


def test_score_names_the_case_that_failed_and_keeps_the_cause(minilm):
    long = " ".join(["word"] * 600) + " " + TEXT
    cases = [case(id="fine"), case(long, id="too-long")]
    with pytest.raises(ix.IntrospectError, match="Case too-long: Expected at most") as caught:
        score(minilm, cases)
    assert isinstance(caught.value.__cause__, ix.IntrospectError)


def test_scores_of_batches_are_those_of_records(minilm):
    cases = [
        *own_cases("en")[:12],
        case(id="short"),
        case(TEXT + " So the day went on." * 12, id="long"),
    ]
    batch = [(given, minilm.capture(given.text)) for given in cases]
    alone, together = computed(batch), score(minilm, cases)
    assert list(together.cases["id"]) == list(alone.cases["id"])
    for name in ("antecedent_weight", "distractor_weight"):
        np.testing.assert_allclose(together.cases[name], alone.cases[name], atol=1e-5, rtol=0)
    # Records have no embeddings.
    known = together.baselines[together.baselines["baseline"] != "word_association"]
    np.testing.assert_allclose(known["accuracy"], alone.baselines["accuracy"])


def test_score_runs_batches_and_not_one_text_at_a_time(minilm):
    runs = []
    hook = minilm.module.register_forward_pre_hook(lambda *_: runs.append(1))
    try:
        score(minilm, own_cases("en"), options=QUICK)
    finally:
        hook.remove()
    assert len(runs) <= 2


def test_score_tells_how_many_cases_are_done(minilm):
    told = []
    cases = own_cases("en")[:5]
    score(minilm, cases, options=QUICK, progress=lambda *what: told.append(what))
    assert told[0] == ("scoring cases", 0, 5)
    assert ("scoring cases", 5, 5) in told
    assert [done for stage, done, _ in told if stage == "scoring cases"] == sorted(
        done for stage, done, _ in told if stage == "scoring cases"
    )


def test_texts_that_are_too_long_are_cut_where_that_is_asked_for(minilm):
    long = case(TEXT + " word" * 600, id="long")
    cut = score(minilm, [long], truncation=True)
    alone = computed([(long, minilm.capture(long.text, truncation=True))])
    ours, theirs = (scores.cases["antecedent_weight"] for scores in (cut, alone))
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


def test_a_batch_that_is_too_large_for_memory_is_divided(minilm, monkeypatch):
    run, sizes = BatchRunner.run, []

    def refuse(self, encoded, items, analyzers):
        sizes.append(len(items))
        if len(items) > 2:
            raise RuntimeError("out of memory")
        return run(self, encoded, items, analyzers)

    cases = own_cases("en")[:8]
    expected = score(minilm, cases, options=QUICK)
    monkeypatch.setattr(BatchRunner, "run", refuse)
    divided = score(minilm, cases, options=QUICK)
    assert max(sizes) > 2
    assert list(divided.cases["id"]) == list(expected.cases["id"])
    monkeypatch.setattr(BatchRunner, "run", lambda *_: refuse(None, [], [1] * 3, []))
    with pytest.raises(ix.IntrospectError, match="Case .*memory enough"):
        score(minilm, cases, options=QUICK)


def test_score_without_cases_is_refused(minilm):
    with pytest.raises(InputError, match="at least one case"):
        score(minilm, [])


def gap_cases():
    with GAP.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            spans = [
                (int(row[f"{name}-offset"]), int(row[f"{name}-offset"]) + len(row[name]))
                for name in ("Pronoun", "A", "B")
            ]
            yield CorefCase(
                text=row["Text"],
                pronoun=spans[0],
                candidates=(
                    Candidate(spans[1], antecedent=row["A-coref"] == "TRUE"),
                    Candidate(spans[2], antecedent=row["B-coref"] == "TRUE"),
                ),
                id=row["ID"],
                group=row["URL"],
            )


@pytest.fixture(scope="module")
def gap_scores(minilm):
    return score(minilm, list(gap_cases()))


@pytest.mark.slow
@pytest.mark.skipif(not GAP.is_file(), reason="the GAP collection is not beside the project")
def test_gap_validation_gives_the_published_numbers(gap_scores):
    scores = gap_scores
    assert len(scores.outside_forced_choice) == 62
    head = scores.heads.query(
        "layer == 3 and head == 1 and direction == 'pronoun_to_candidate'"
    ).iloc[0]
    assert head["n"] == 392
    assert head["accuracy"] == pytest.approx(0.724, abs=0.0005)
    baselines = scores.baselines.set_index("baseline")
    assert (baselines["n"] == 392).all()
    assert baselines["accuracy"]["nearest_preceding"] == pytest.approx(0.538, abs=0.0005)
    assert baselines["accuracy"]["first_mentioned"] == pytest.approx(0.477, abs=0.0005)
    assert baselines["accuracy"]["random"] == 0.5
    assert not math.isnan(head["margin"])

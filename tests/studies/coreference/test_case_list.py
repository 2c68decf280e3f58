"""The list of all cases for a page: whose numbers it has, and how many cases fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from introspect.data import case_to_json
from introspect.records import Head
from introspect.studies.coreference import DIRECTIONS, CaseColumns, CaseList, Options, scores_of
from introspect.studies.coreference import case_list as module
from introspect.text import CorefCase
from introspect.views import cases_section

QUICK = Options(resamples=50, permutations=20, selections=2)
LAYERS, HEADS = (3, 5), 2


def columns_of(count: int) -> CaseColumns:
    """Cases of two candidates; L5H1 is right from the pronoun, and the other way is not seen."""
    cases = [
        CorefCase.from_words(
            f"Number {number}: the cat saw the dog as it slept.",
            pronoun="it",
            antecedent="dog",
            distractors=["cat"],
        )
        for number in range(count)
    ]
    weights = np.full((2 * count, len(DIRECTIONS), len(LAYERS), HEADS), 0.1)
    weights[0::2, 0, 1, 1] = 0.7
    observable = np.ones((count, len(DIRECTIONS), len(LAYERS)), dtype=bool)
    observable[:, 1] = False
    return CaseColumns(
        names=tuple(f"c{number}" for number in range(count)),
        groups=tuple(f"g{number}" for number in range(count)),
        lines=tuple(map(case_to_json, cases)),
        layers=LAYERS,
        num_candidates=np.full(count, 2),
        weights=weights,
        raw_weights=np.empty(0),
        antecedents=np.tile([True, False], count),
        distances=np.tile([-3, -6], count),
        lengths=np.ones(2 * count, dtype=int),
        received=np.full(2 * count, 0.1),
        observable=observable,
        removed=np.empty(0),
        positions=np.full((count, 6), np.nan),
    )


def list_of(columns: CaseColumns) -> CaseList:
    scored = columns.scored()
    return CaseList.of(columns, scored, scores_of(scored, pd.DataFrame(), QUICK))


def test_every_head_of_a_small_set_has_its_numbers_and_the_best_comes_first():
    listed = list_of(columns_of(12))
    assert listed.is_every_head
    assert len(listed.heads) == len(set(listed.heads)) == 2 * len(LAYERS) * HEADS
    assert listed.heads[0] == (Head(5, 1), "pronoun_to_candidate")
    assert listed.weights[0].tolist() == pytest.approx([0.7, 0.1] * 12)
    assert listed.credits[0].tolist() == [1.0] * 12
    unseen = [way == "candidate_to_pronoun" for _, way in listed.heads]
    assert np.isnan(listed.weights).all(axis=1).tolist() == unseen
    lead = cases_section(listed).lead
    assert lead.startswith("All 12 cases: ")
    assert lead.endswith("for every head.")


def test_the_more_cases_there_are_the_fewer_heads_have_numbers(monkeypatch):
    monkeypatch.setattr(module, "_MOST_WEIGHTS", 3 * 24)
    listed = list_of(columns_of(12))
    assert len(listed.heads) == 3
    assert not listed.is_every_head
    assert cases_section(listed).lead.endswith("the 3 heads and directions right most often.")


@pytest.mark.parametrize(("limit", "kept"), [({"MOST_CASES": 5}, 5), ({"_MOST_CHARACTERS": 1}, 1)])
def test_of_too_many_cases_the_first_are_listed_and_this_is_said(monkeypatch, limit, kept):
    for name, value in limit.items():
        monkeypatch.setattr(module, name, value)
    listed = list_of(columns_of(12))
    assert listed.names == tuple(f"c{number}" for number in range(kept))
    assert listed.weights.shape[1] == 2 * kept
    lead = cases_section(listed).lead
    assert lead.startswith(f"The first {kept} of 12 cases; the others are in cases.parquet")


def test_mentions_stand_where_a_script_finds_them_whatever_characters_come_before():
    # Two units of 16 bits, an invisible character that is written out, and a line end.
    text = "\U0001f43e\u202e\nThe cat saw the dog as it slept."
    case = CorefCase.from_words(text, pronoun="it", antecedent="dog", distractors=["cat"])
    listed = list_of(columns_of(12))
    section = cases_section(replace(listed, cases=(case,)))
    shown, *numbers = section.packed["cases"][0]
    assert shown == "\U0001f43e⟨U+202E⟩↵The cat saw the dog as it slept."
    units = shown.encode("utf-16-le")
    spans = [numbers[:2], numbers[2:4], numbers[5:7]]
    phrases = [units[2 * start : 2 * end].decode("utf-16-le") for start, end in spans]
    assert phrases == ["it", "dog", "cat"]
    assert [numbers[4], numbers[7]] == [1, 0]


def test_norms_are_brought_between_0_and_1_and_back():
    columns = columns_of(12)
    columns.weights[...] *= 10
    section = cases_section(list_of(columns))
    assert section.state["scale"] == pytest.approx(7.0)
    assert np.nanmax(section.arrays["weights"]) == 1

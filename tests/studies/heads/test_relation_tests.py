"""Held-out choices and tests of relations: a planted head is named, and on random trees none is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.random_trees import PLANTED, random_tree, relations_of
from introspect.reporting.syntax import finding_of_relations
from introspect.statistics import share_intervals
from introspect.studies.heads import SyntaxAnalyzer
from introspect.studies.heads import sentence_blocks as blocks
from tests.synthetic import record

SENTENCES = [
    f"The {a} {b} saw the old {c} near a house." for a in "abcd" for b in "ef" for c in "ghi"
]


@pytest.fixture(scope="module")
def records():
    return [record(text, seed=seed, heads=4) for seed, text in enumerate(SENTENCES * 3, 0)][:24]


@pytest.mark.slow
def test_no_head_is_named_on_trees_drawn_by_chance(records):
    # In-sample, the best of heads and directions is nearly always above the best offset.
    named = total = above = 0
    for seed in range(6):
        table, relations = relations_of(records, seed)
        named += int(relations["is_followed"].sum())
        total += int(relations["accuracy"].notna().sum())
        best = table.loc[table.groupby("relation")["accuracy"].idxmax()]
        above += int((best["accuracy"] > best["baseline_accuracy"]).sum())
    assert total > 60
    assert above > 0.3 * total
    assert named <= 0.05 * total
    claim = finding_of_relations(relations, len(records)).claims[0]
    assert claim.kind == "no-follows"


def test_a_planted_head_is_named_with_what_the_offset_and_even_attention_get(records):
    table, relations = relations_of(records, 1, strength=0.95)
    row = relations[relations["relation"] == PLANTED].iloc[0]
    assert (row["layer"], row["head"], row["direction"]) == (0, 0, "dependent_to_head")
    assert row["is_followed"]
    assert row["ci_low"] <= row["accuracy"] <= row["ci_high"]
    assert row["even_accuracy"] < 0.3
    assert row["offset_accuracy"] < 0.6
    finding = finding_of_relations(relations, len(records))
    claim = next(c for c in finding.claims if PLANTED in c.sentence)
    assert (claim.kind, claim.subject) == ("follows", f"L0H0, {PLANTED}")
    assert claim.sentence in finding.details
    assert claim.estimate == row["accuracy"]
    # The other relations of these trees mean nothing.
    assert relations["is_followed"].sum() == 1
    of_head = table.query("relation == @PLANTED and layer == 0 and head == 0")
    assert of_head["p_adjusted"].min() < 0.05


def test_even_attention_in_a_column_is_a_blind_choice():
    tree = random_tree(SENTENCES[0], np.random.default_rng(0))
    analyzer = SyntaxAnalyzer()
    analyzer.update(record(SENTENCES[0]), tree)
    table = analyzer.compute()
    others = len(tree.words) - 1
    assert table["even_accuracy"].to_numpy() == pytest.approx(1 / others)


def test_the_first_row_has_the_most_of_a_column_in_a_causal_model():
    # Even attention of a causal model gives a word most in the row that sees least.
    tree = random_tree(SENTENCES[0], np.random.default_rng(0))
    analyzer = SyntaxAnalyzer()
    analyzer.update(record(SENTENCES[0], causal=True), tree)
    column = analyzer.compute().query("direction == 'head_to_dependent_column' and n > 0")
    near = {
        w.deprel
        for i, w in enumerate(tree.words)
        if w.head == i + 1 and sum(o.deprel == w.deprel for o in tree.words) == 1
    }
    seen = column[column["relation"].isin(near)]
    assert (seen["even_accuracy"] == 1).all()


def test_few_sentences_have_no_intervals_and_no_p_values():
    table, relations = relations_of([record(text) for text in SENTENCES[:4]], 0)
    assert table[["ci_low", "ci_high", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert relations["accuracy"].isna().all()
    assert "No relation" in finding_of_relations(relations, 4).plain


def test_more_sentences_than_blocks_give_one_table_in_any_order(monkeypatch):
    monkeypatch.setattr(blocks, "MOST_BLOCKS", 7)
    items = [
        (record(text, seed=seed), random_tree(text, np.random.default_rng(seed)))
        for seed, text in enumerate(SENTENCES)
    ]
    once = SyntaxAnalyzer()
    for item in items:
        once.update(*item)
    parts = [SyntaxAnalyzer() for _ in range(3)]
    for number, item in enumerate(reversed(items)):
        parts[number % 2].update(*item)
    merged = SyntaxAnalyzer()
    for part in parts:
        merged.merge(SyntaxAnalyzer.from_state(part.state()))
    assert 1 < len(once._blocks.blocks) <= 7
    pd.testing.assert_frame_equal(merged.compute(), once.compute(), check_exact=True)
    pd.testing.assert_frame_equal(merged.relations(), once.relations(), check_exact=True)


def test_copies_of_a_sentence_are_one_part():
    analyzer = SyntaxAnalyzer()
    for seed in range(9):
        tree = random_tree(SENTENCES[0], np.random.default_rng(0))
        analyzer.update(record(SENTENCES[0], seed=seed), tree)
    assert set(analyzer.relations()["n_sentences"]) == {1}


def test_intervals_of_shares_hold_what_they_promise():
    low, high = share_intervals(np.ones((5, 1)), np.ones((5, 1)))
    assert (low[0], high[0]) == pytest.approx((0.478, 1.0), abs=1e-3)
    random = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        # Pairs of a sentence are alike: each sentence has a share of its own.
        n = random.integers(1, 6, size=(30, 1)).astype(float)
        credits = random.binomial(n.astype(int), random.beta(4, 2, size=(30, 1))).astype(float)
        low, high = share_intervals(credits, n)
        inside.append(low[0] <= 4 / 6 <= high[0])
    assert 0.92 <= np.mean(inside) <= 0.98

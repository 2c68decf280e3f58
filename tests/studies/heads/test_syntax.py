"""Heads that follow relations: by hand, against a slow loop, and what is counted apart."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.data import Sentence, SyntaxWord
from introspect.errors import InputError, MentionError, SelectionError
from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.heads import SyntaxAnalyzer
from introspect.studies.heads.syntax import SYNTAX_COLUMNS, SYNTAX_DIRECTIONS
from introspect.text import segment_words
from tests.synthetic import record, sequence

TEXT = "The big animals slept."


def sentence(text=TEXT, heads=(2, 2, 3, None, 3), relations=("det", "amod", "nsubj", "", "punct")):
    spans = segment_words(text)
    return Sentence(
        text,
        tuple(
            SyntaxWord(text[start:end], (start, end), head, relation)
            for (start, end), head, relation in zip(spans, heads, relations, strict=True)
        ),
    )


def computed(*items, **options):
    analyzer = SyntaxAnalyzer(**options)
    for pattern, words in items:
        analyzer.update(pattern, words)
    return analyzer.compute()


def row(table, relation, direction=SYNTAX_DIRECTIONS[0], layer=0, head=0):
    (found,) = table.query(
        "relation == @relation and direction == @direction and layer == @layer and head == @head"
    ).to_dict("records")
    return found


def weights(text, rows):
    tokens = sequence(text, special=False)
    return AttentionRecord(torch.tensor([[rows]]), queries=tokens, keys=tokens)


# --- by hand --------------------------------------------------------------------------------------

THREE = ("a b c", (1, None, 1), ("left", "", "right"))


def test_three_words_by_hand():
    # a → b is followed (0.3 against 0.2; 0.5 on itself does not count). c → b is tied with c → a.
    # Back from b, everything goes to c: the relation "right" is found, "left" is not.
    pattern = weights("a b c", [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.25, 0.25, 0.5]])
    table = computed((pattern, sentence(*THREE)))
    assert list(table.columns) == list(SYNTAX_COLUMNS)
    assert row(table, "left")["accuracy"] == 1
    assert row(table, "right")["accuracy"] == 0.5
    assert row(table, "left", "head_to_dependent")["accuracy"] == 0
    assert row(table, "right", "head_to_dependent")["accuracy"] == 1
    assert row(table, "left")["baseline_offset"] == 1
    assert row(table, "right")["baseline_offset"] == -1
    assert row(table, "right", "head_to_dependent")["baseline_offset"] == 1
    assert set(table["baseline_accuracy"]) == {1.0}
    assert set(table["n"]) == {1}


def test_below_the_floor_all_that_can_be_seen_are_tied():
    table = computed((weights("a b c", [[1.0, 1e-8, 1e-7]] * 3), sentence(*THREE)))
    assert row(table, "left")["accuracy"] == 0.5


def test_special_tokens_are_left_out():
    tokens = sequence("a b c")
    pattern = torch.full((1, 1, 5, 5), 0.01)
    pattern[..., 0] = 0.9
    pattern[0, 0, 1, 2] = 0.02
    table = computed((AttentionRecord(pattern, queries=tokens, keys=tokens), sentence(*THREE)))
    assert row(table, "left")["accuracy"] == 1


def test_a_word_of_pieces_gets_their_sum_and_gives_their_mean():
    # "aa" is two pieces. From c: 0.2 + 0.2 on aa beats 0.3 on b. From aa: the mean prefers b.
    tokens = sequence("aa b c", piece=1, special=False)
    rows = [
        [0.5, 0.0, 0.1, 0.4],
        [0.0, 0.1, 0.8, 0.1],
        [0.0, 0.0, 1.0, 0.0],
        [0.2, 0.2, 0.3, 0.3],
    ]
    pattern = AttentionRecord(torch.tensor([[rows]]), queries=tokens, keys=tokens)
    words = sentence("aa b c", (1, None, 0), ("to_b", "", "to_aa"))
    table = computed((pattern, words))
    assert row(table, "to_b")["accuracy"] == 1
    assert row(table, "to_aa")["accuracy"] == 1


def test_the_best_offset_is_the_most_frequent_and_the_nearest_of_equals():
    near = sentence("a b c d", (1, None, None, 1), ("x", "", "", "x"))
    far = sentence("a b c d", (3, None, None, None), ("x", "", "", ""))
    pattern = record("a b c d", special=False)
    first = row(computed((pattern, near)), "x")
    assert (first["baseline_offset"], first["baseline_accuracy"]) == (1, 0.5)
    both = row(computed((pattern, near), (pattern, near), (pattern, far)), "x")
    assert (both["n"], both["baseline_offset"], both["baseline_accuracy"]) == (5, 1, 0.4)
    only = row(computed((pattern, far), (pattern, far), (pattern, near)), "x")
    assert (only["baseline_offset"], only["baseline_accuracy"]) == (3, 0.5)


# --- what is counted apart ------------------------------------------------------------------------


def test_what_a_causal_mask_hides_is_not_observable():
    table = computed((record(TEXT, causal=True), sentence()))
    hidden = row(table, "det")
    assert (hidden["n"], hidden["n_not_observable"]) == (0, 1)
    assert math.isnan(hidden["accuracy"])
    assert math.isnan(hidden["baseline_accuracy"])
    assert pd.isna(hidden["baseline_offset"])
    assert table["baseline_offset"].dtype == "Int64"
    seen = row(table, "det", "head_to_dependent")
    assert (seen["n"], seen["n_not_observable"]) == (1, 0)


def test_missing_rows_are_counted_and_spoil_no_others():
    full = record(TEXT)
    attentions = full.attentions.clone()
    attentions[0, 0, 1] = torch.nan  # the row of "The"
    broken = AttentionRecord(attentions, queries=full.queries, keys=full.keys)
    table, whole = computed((broken, sentence())), computed((full, sentence()))
    assert (row(table, "det")["n"], row(table, "det")["n_missing"]) == (0, 1)
    # In a column the row of "The" competes everywhere, so that head's columns are all missing.
    columns = table.query("direction == 'head_to_dependent_column' and layer == 0 and head == 0")
    assert set(columns.query("relation != 'det'")["n_missing"]) == {1}
    others = table.query("not (relation == 'det' and layer == 0 and head == 0)").drop(
        columns.index, errors="ignore"
    )
    pd.testing.assert_frame_equal(others, whole.loc[others.index])


def test_words_that_the_model_cannot_tell_apart_are_not_aligned():
    words = Sentence(
        "del mar",
        (
            SyntaxWord("de", (0, 3), 2, "case"),
            SyntaxWord("el", (0, 3), 0, "fixed"),
            SyntaxWord("mar", (4, 7), None, "root"),
        ),
    )
    table = computed((record("del mar"), words))
    assert row(table, "fixed")["n_unaligned"] == 1
    assert row(table, "fixed")["n"] == 0
    assert row(table, "case")["n"] == 1
    assert row(table, "case")["accuracy"] == 1  # there is but one other word


def test_a_piece_of_two_words_makes_them_one():
    words = Sentence(
        "don't go",
        (
            SyntaxWord("do", (0, 2), 2, "aux"),
            SyntaxWord("n't", (2, 5), 2, "advmod"),
            SyntaxWord("go", (6, 8), None, "root"),
        ),
    )
    # "don" is of both words.
    tokens = TokenSequence(
        tokens=("don", "'t", "go"),
        offsets=((0, 3), (3, 5), (6, 8)),
        word_ids=(0, 0, 1),
        words=("don't", "go"),
        texts=("don't go",),
    )
    pattern = AttentionRecord(torch.full((1, 1, 3, 3), 1 / 3), queries=tokens, keys=tokens)
    table = computed((pattern, words))
    assert row(table, "aux")["baseline_offset"] == row(table, "advmod")["baseline_offset"] == 1


def test_words_that_were_cut_off_are_not_aligned():
    whole = record(TEXT, special=False)
    kept = range(3)
    cut = AttentionRecord(
        whole.attentions[:, :, :3, :3], queries=whole.queries.at(kept), keys=whole.keys.at(kept)
    )
    table = computed((cut, sentence()))
    assert row(table, "nsubj")["n_unaligned"] == 1
    assert row(table, "det")["n"] == 1


def test_a_text_of_which_nothing_is_left_is_counted():
    tokens = TokenSequence(
        tokens=("[CLS]",), special_tokens_mask=(True,), sequence_ids=(None,), texts=(TEXT,)
    )
    table = computed((AttentionRecord(torch.ones(1, 1, 1, 1), tokens, tokens), sentence()))
    assert set(table["n"]) == {0}
    assert set(table["n_unaligned"]) == {1}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 500), causal=st.booleans(), piece=st.integers(1, 4))
def test_every_pair_is_counted_once_and_accuracies_are_shares(seed, causal, piece):
    table = computed((record(TEXT, seed=seed, causal=causal, piece=piece), sentence()))
    counted = table[["n", "n_not_observable", "n_missing", "n_unaligned"]].sum(axis=1)
    assert set(counted) == {1}
    known = table[table["n"] > 0]
    assert known["accuracy"].between(0, 1).all()
    assert known["baseline_accuracy"].between(0, 1).all()
    assert table.loc[table["n"] == 0, "accuracy"].isna().all()


# --- against a slow loop --------------------------------------------------------------------------


def slow(pattern, words):
    """Credits by (relation, direction, layer, head), from floats, one pair at a time."""
    text_tokens = [
        [i for i, (s, e) in enumerate(pattern.keys.offsets) if s < w.span[1] and w.span[0] < e]
        for w in words.words
    ]
    found: dict[tuple[object, ...], list[float]] = {}
    for layer in range(pattern.num_layers):
        for head in range(pattern.num_heads):
            a = pattern.attentions[layer, head].tolist()
            for index, word in enumerate(words.words):
                if word.head is None:
                    continue
                for direction, source, target in (
                    (SYNTAX_DIRECTIONS[0], index, word.head),
                    (SYNTAX_DIRECTIONS[1], word.head, index),
                ):
                    given_to = {
                        other: sum(a[i][j] for i in text_tokens[source] for j in pieces)
                        / len(text_tokens[source])
                        for other, pieces in enumerate(text_tokens)
                        if other != source
                    }
                    if given_to[target] == 0:
                        continue  # the mask
                    best = max(given_to.values())
                    tied = [w for w, value in given_to.items() if value == best]
                    credit = (target in tied) / len(tied)
                    found.setdefault((word.deprel, direction, layer, head), []).append(credit)
                given_by = {
                    other: sum(a[i][j] for i in pieces for j in text_tokens[index]) / len(pieces)
                    for other, pieces in enumerate(text_tokens)
                    if other != index
                }
                if given_by[word.head] == 0:
                    continue
                best = max(given_by.values())
                tied = [w for w, value in given_by.items() if value == best]
                key = (word.deprel, SYNTAX_DIRECTIONS[2], layer, head)
                found.setdefault(key, []).append((word.head in tied) / len(tied))
    return found


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("piece", [2, 100])
def test_the_table_is_that_of_the_slow_loop(causal, piece):
    items = [(record(TEXT, seed=s, piece=piece, causal=causal), sentence()) for s in range(6)]
    expected: dict[tuple[object, ...], list[float]] = {}
    for item in items:
        for key, credits in slow(*item).items():
            expected.setdefault(key, []).extend(credits)
    table = computed(*items)
    for found in table.to_dict("records"):
        key = tuple(found[name] for name in ("relation", "direction", "layer", "head"))
        assert found["n"] == len(expected.get(key, []))
        if found["n"]:
            assert found["accuracy"] == pytest.approx(np.mean(expected[key]), abs=1e-6)


# --- parts and errors -----------------------------------------------------------------------------


def test_parts_in_any_order_give_the_table_of_one_pass():
    items = [
        (
            record(TEXT, seed=s, causal=s % 2 == 0, piece=2 + s),
            sentence(heads=(2, s % 2, 3, None, 3)),
        )
        for s in range(1, 6)
    ] + [(weights_like(tied=True), sentence())]
    once = computed(*items)
    parts = [SyntaxAnalyzer() for _ in range(3)]
    for number, item in enumerate(items):
        parts[number % 3].update(*item)
    merged = SyntaxAnalyzer()
    for part in reversed(parts):
        merged.merge(part)
    merged.merge(SyntaxAnalyzer())
    pd.testing.assert_frame_equal(merged.compute(), once, check_exact=True)


def weights_like(*, tied):
    base = record(TEXT)
    return AttentionRecord(torch.full_like(base.attentions, 1 / 7), base.queries, base.keys)


def test_subtypes_are_kept_or_joined():
    words = sentence(relations=("det", "amod", "nsubj:pass", "", "punct"))
    assert "nsubj:pass" in set(computed((record(TEXT), words))["relation"])
    assert "nsubj" in set(computed((record(TEXT), words), subtypes=False)["relation"])
    with pytest.raises(InputError, match="subtypes=True and subtypes=False"):
        SyntaxAnalyzer().merge(SyntaxAnalyzer(subtypes=False))


def test_a_sentence_without_relations_gives_an_empty_table():
    table = computed((record("a b"), sentence("a b", (None, None), ("", ""))))
    assert list(table.columns) == list(SYNTAX_COLUMNS)
    assert table.empty


def test_what_does_not_fit_is_refused():
    analyzer = SyntaxAnalyzer()
    with pytest.raises(InputError, match="at least one sentence"):
        analyzer.compute()
    with pytest.raises(MentionError, match="another one"):
        analyzer.update(record("Something else."), sentence())
    with pytest.raises(SelectionError, match="all of itself"):
        whole = record(TEXT)
        rows = AttentionRecord(whole.attentions[:, :, :2], whole.queries.at([0, 1]), whole.keys)
        analyzer.update(rows, sentence())
    analyzer.update(record(TEXT), sentence())
    with pytest.raises(InputError, match="one model"):
        analyzer.update(record(TEXT, heads=2), sentence())

"""Roles of heads: by hand, against a slow loop, and what is left out of which mean."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.errors import InputError, SelectionError
from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.analyzer import EXACT_UP_TO, addable, ratio
from introspect.studies.heads import RolesAnalyzer, role_names
from tests.synthetic import TEXT, record

ALL_ROLES = role_names()

TEXTS = [
    TEXT,
    "No marks here at all",
    "A rose is a rose, and a rose is (still) a rose!",
    "One",
    "Wait ... what?",
]


def computed(*records, **options):
    analyzer = RolesAnalyzer(**options)
    for item in records:
        analyzer.update(item)
    return analyzer.compute()


def hand(rows, tokens, special=()):
    sequence = TokenSequence(
        tokens=tuple(tokens),
        special_tokens_mask=tuple(i in special for i in range(len(tokens))),
    )
    return AttentionRecord(torch.tensor([[rows]]), queries=sequence, keys=sequence)


# --- by hand --------------------------------------------------------------------------------------


def test_three_tokens_by_hand():
    # [CLS] is no query. "go" gives half to [CLS], a quarter each to itself and the mark, and the
    # mark all to "go". [CLS] cannot be seen from the mark, as far as these weights show.
    rows = [[1.0, 0.0, 0.0], [0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]
    (found,) = computed(hand(rows, ["[CLS]", "go", "!"], special={0})).to_dict("records")
    assert (found["n_texts"], found["n_tokens"], found["n_missing"]) == (1, 2, 0)
    expected = {
        "entropy": 0.75,  # 1.5 bits and 0
        "relative_entropy": (1.5 / math.log2(3) + 0) / 2,
        "largest": 0.75,
        "distance": (0.5 + 0.25 + 1) / 2,
        "special": 0.5,
        "first": 0.5,
        "same_token": math.nan,
        "punctuation": 0.125,
        "self": 0.125,
        "previous": 0.75,
        "next": 0.25,
        "before_2": math.nan,
        "after_2": math.nan,
        "before_3": math.nan,
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-7, nan_ok=True), name
    counts = {"next": 1, "before_2": 0, "after_2": 0, "same_token": 0, "previous": 2, "entropy": 2}
    assert {name: found[f"n_{name}"] for name in counts} == counts


def test_other_occurrences_are_those_of_the_same_entry():
    rows = [[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1]]
    (found,) = computed(hand(rows, ["a", "b", "a"])).to_dict("records")
    assert found["same_token"] == pytest.approx((0.7 + 0.6) / 2, abs=1e-7)
    assert found["n_same_token"] == 2


@pytest.mark.parametrize(
    ("label", "expected"),
    [("...", True), (" ,", True), ("—", True), ("。", True), ("«", True), ("$", False),
     ("+", False), ("a.", False), ("", False), (" ", False)],
)  # fmt: skip
def test_punctuation_is_category_p_and_nothing_else(label, expected):
    table = computed(hand([[0.5, 0.5], [0.5, 0.5]], ["word", label]))
    assert table["n_punctuation"].item() == (2 if expected else 0)


def test_the_text_and_not_the_label_says_what_is_punctuation():
    sequence = TokenSequence(
        tokens=("▁Hi", "##!"), offsets=((0, 2), (2, 3)), word_ids=(0, 1),
        words=("Hi", "!"), texts=("Hi!",),
    )  # fmt: skip
    pattern = AttentionRecord(torch.full((1, 1, 2, 2), 0.5), sequence, sequence)
    assert computed(pattern)["punctuation"].item() == 0.5


# --- what is left out -----------------------------------------------------------------------------


def test_a_text_without_punctuation_says_nothing_about_it():
    with_marks, without = record(TEXTS[0]), record(TEXTS[1], seed=1)
    alone, both = computed(with_marks), computed(with_marks, without)
    pd.testing.assert_series_equal(alone["punctuation"], both["punctuation"])
    assert (both["n_punctuation"] == alone["n_tokens"]).all()
    assert (both["n_entropy"] == both["n_tokens"]).all()


def test_a_causal_mask_hides_the_next_token():
    table = computed(record(TEXT, causal=True))
    assert table["next"].isna().all()
    assert (table["n_next"] == 0).all()
    assert table["previous"].notna().all()


def test_each_layer_has_the_mask_of_its_own():
    causal, full = record(TEXT, causal=True), record(TEXT, seed=1)
    mixed = AttentionRecord(
        torch.stack([causal.attentions[0], full.attentions[1]]), full.queries, full.keys
    )
    table = computed(mixed)
    expected = pd.concat([computed(causal).query("layer == 0"), computed(full).query("layer == 1")])
    pd.testing.assert_frame_equal(table, expected, check_exact=True)


def test_one_visible_key_has_no_relative_entropy():
    table = computed(record("One two", causal=True, special=False))
    assert (table["n_relative_entropy"] == 1).all()
    assert (table["n_entropy"] == 2).all()
    assert table["relative_entropy"].between(0, 1).all()


def test_missing_and_empty_rows_are_counted_out_and_said():
    full = record(TEXT)
    attentions = full.attentions.clone()
    attentions[0, 0, 3] = torch.nan
    attentions[0, 1, 4] = 0
    attentions[0, 2, 0] = torch.nan  # of a special token: it does not count anyway
    table = computed(AttentionRecord(attentions, full.queries, full.keys))
    assert table["n_missing"].tolist() == [1, 1, 0, 0, 0, 0]
    assert (table["n_entropy"] + table["n_missing"] == table["n_tokens"]).all()
    assert table.drop(columns=["n_missing"])["entropy"].notna().all()
    assert table["previous"].notna().all()


def test_a_text_of_missing_rows_alone_has_no_roles():
    full = record(TEXT)
    nothing = AttentionRecord(torch.full_like(full.attentions, torch.nan), full.queries, full.keys)
    table = computed(nothing)
    assert table[list(ALL_ROLES)].isna().all(axis=None)
    assert (table["n_missing"] == table["n_tokens"]).all()


# --- against a slow loop --------------------------------------------------------------------------


def slow(records, layer, head):
    """Means of every role from Python floats, one row at a time; masks from all heads."""
    values: dict[str, list[float]] = {name: [] for name in ALL_ROLES}
    for item in records:
        tokens = item.keys
        for i, row in enumerate(item.attentions[layer, head].tolist()):
            if tokens.special_tokens_mask[i]:
                continue
            seen = [
                j for j in range(len(row)) if float(item.attentions[layer, :, i, j].abs().sum()) > 0
            ]
            bits = -sum(w * math.log2(w) for w in row if w > 0)
            values["entropy"].append(bits)
            values["largest"].append(max(row))
            values["distance"].append(sum(w * abs(i - j) for j, w in enumerate(row)))
            if len(seen) > 1:
                values["relative_entropy"].append(bits / math.log2(len(seen)))
            chosen = {
                "special": [j for j in seen if tokens.special_tokens_mask[j]],
                "first": [j for j in seen if j == 0 and i != 0],
                "same_token": [j for j in seen if j != i and tokens.tokens[j] == tokens.tokens[i]],
                "punctuation": [
                    j
                    for j in seen
                    if not tokens.special_tokens_mask[j]
                    and all(unicodedata.category(c).startswith("P") for c in tokens.tokens[j])
                ],
                "self": [j for j in seen if j == i],
                "previous": [j for j in seen if j == i - 1],
                "next": [j for j in seen if j == i + 1],
            }
            for k in (2, 3, 4):
                chosen[f"before_{k}"] = [j for j in seen if j == i - k]
                chosen[f"after_{k}"] = [j for j in seen if j == i + k]
            for name, keys in chosen.items():
                if keys:
                    values[name].append(sum(row[j] for j in keys))
    return values


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("special", [False, True])
def test_the_table_is_that_of_the_slow_loop(causal, special):
    records = [
        record(text, seed=i, causal=causal, special=special, piece=3)
        for i, text in enumerate(TEXTS)
    ]
    for found in computed(*records).to_dict("records"):
        expected = slow(records, found["layer"], found["head"])
        for name, values in expected.items():
            assert found[f"n_{name}"] == len(values), name
            mean = np.mean(values) if values else math.nan
            assert found[name] == pytest.approx(mean, abs=1e-6, nan_ok=True), name


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    text=st.sampled_from(TEXTS),
    causal=st.booleans(),
    special=st.booleans(),
)
def test_numbers_stay_in_their_range(seed, text, causal, special):
    table = computed(record(text, seed=seed, causal=causal, special=special))
    shares = [name for name in ALL_ROLES if name not in ("entropy", "distance")]
    known = table[shares].to_numpy()
    known = known[~np.isnan(known)]
    assert (known >= 0).all()
    assert (known <= 1 + 1e-6).all()
    assert (table["entropy"] >= 0).all()
    assert (table["largest"] <= 1).all()


# --- parts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_parts_in_any_order_give_the_table_of_one_pass(causal):
    records = [record(text, seed=i, causal=causal) for i, text in enumerate(TEXTS * 2)]
    parts = [RolesAnalyzer() for _ in range(3)]
    for number, item in enumerate(records):
        parts[number % 3].update(item)
    merged = RolesAnalyzer()
    for part in reversed(parts):
        merged.merge(part)
    merged.merge(RolesAnalyzer())
    pd.testing.assert_frame_equal(merged.compute(), computed(*records), check_exact=True)


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_addable_numbers_have_one_sum(values, random):
    first = sum(addable(v) for v in values)
    random.shuffle(values)
    assert sum(addable(v) for v in values) == first
    assert float(first) == pytest.approx(math.fsum(values), abs=3e-8 * len(values))
    assert first < EXACT_UP_TO


def test_a_ratio_of_nothing_is_no_number():
    assert ratio([3.0, 0.0], [2, 0]).tolist() == pytest.approx([1.5, math.nan], nan_ok=True)


# --- names and errors -----------------------------------------------------------------------------


def test_there_is_a_column_for_each_role_and_its_count():
    table = computed(record(TEXT), reach=6)
    names = list(role_names(6))
    first = ["layer", "head", "n_texts", "n_tokens", "n_missing"]
    counts, even = ([f"{start}_{name}" for name in names] for start in ("n", "even"))
    assert list(table.columns) == [*first, *names, *counts, *even]
    assert "after_6" in names
    assert list(role_names(1))[-1] == "next"
    assert all("\n" not in text and text for text in ALL_ROLES.values())
    assert pd.api.types.is_integer_dtype(table["n_before_6"])


@pytest.mark.parametrize("causal", [False, True])
def test_beside_each_role_is_what_even_attention_gives(causal):
    item = record(TEXT, causal=causal, piece=3)
    seen = item.attentions[0, 0] > 0
    even = (seen / seen.sum(-1, keepdim=True)).expand_as(item.attentions)
    table = computed(item)
    alike = computed(replace(item, attentions=even))
    for name in ALL_ROLES:
        # As if all heads attended evenly, up to the grains in which weights are summed.
        pd.testing.assert_series_equal(
            table[f"even_{name}"], alike[name], check_names=False, atol=1e-6
        )


@pytest.mark.parametrize(
    ("asked", "columns"),
    [("entropy", ["entropy", "relative_entropy", "largest"]), ("sinks", ["special", "first"]),
     ("positions", ["self", "previous", "next", "before_2", "after_2", "before_4", "after_4"]),
     ("same token", ["same_token"]), ("distances", ["distance"])],
)  # fmt: skip
def test_each_question_has_its_columns_and_their_counts(asked, columns):
    table = computed(record("A rose is a rose."))
    for column in columns:
        assert table[column].notna().all(), asked
        assert (table[f"n_{column}"] > 0).all(), asked


def test_the_layers_keep_their_numbers():
    table = computed(record(TEXT).only([1]))
    assert table["layer"].tolist() == [1, 1, 1]


def test_what_does_not_fit_is_refused():
    whole = record(TEXT)
    analyzer = RolesAnalyzer()
    with pytest.raises(InputError, match="at least one text"):
        analyzer.compute()
    for odd in (
        AttentionRecord(whole.attentions[:, :, :2], whole.queries.at([0, 1]), whole.keys),
        AttentionRecord(whole.attentions, whole.queries, whole.keys, kind="cross"),
    ):
        with pytest.raises(SelectionError, match="all of itself"):
            analyzer.update(odd)
    analyzer.update(whole)
    with pytest.raises(InputError, match="one model"):
        analyzer.update(record(TEXT, heads=2))
    with pytest.raises(InputError, match="4 and 2"):
        analyzer.merge(RolesAnalyzer(reach=2))
    with pytest.raises(SelectionError, match="at least 1"):
        RolesAnalyzer(reach=0)

"""Batches: padding never counts, any division gives one table, an unfinished leaves no trace."""

from __future__ import annotations

import math
import random

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from introspect.data import Sentence, SyntaxWord
from introspect.errors import InputError, MentionError
from introspect.records import AttentionRecord, TokenSequence
from introspect.studies.analyzer import Texts
from introspect.studies.heads import RolesAnalyzer, SimilarityAnalyzer, SyntaxAnalyzer
from introspect.text import segment_words
from tests.synthetic import TEXT, padded, record

TEXTS = [
    TEXT,
    "One",
    "A rose is a rose, and a rose is (still) a rose!",
    "Wait ... what?",
    "No marks here at all",
    "It rained. " * 6,
]


def broken(item, seed):
    """With rows that are missing and empty, as a model in half precision may leave them."""
    attentions = item.attentions.clone()
    generator = torch.Generator().manual_seed(seed)
    for value in (torch.nan, 0.0):
        attentions[torch.rand(attentions.shape[:3], generator=generator) > 0.9] = value
    return AttentionRecord(attentions, item.queries, item.keys)


def roles_record(number, seed=0):
    text = TEXTS[number % len(TEXTS)]
    item = record(text, seed=seed + number, causal=number % 2 == 1, piece=3)
    return broken(item, seed + number) if number % 3 == 2 else item


class Roles:
    """How the tests make and feed this analyzer."""

    kind = RolesAnalyzer
    texts = staticmethod(roles_record)

    @staticmethod
    def update(analyzer, item):
        analyzer.update(item)

    @staticmethod
    def of(item):
        return item, None


class Similarity(Roles):
    kind = SimilarityAnalyzer


def syntax_item(number, seed=0):
    item = roles_record(number, seed)
    text = item.keys.texts[0]
    words = segment_words(text)
    heads = [(i * 7 + seed) % len(words) for i in range(len(words))]
    names = ("det", "nsubj:pass", "amod")
    return item, Sentence(
        text,
        tuple(
            SyntaxWord(text[s:e], (s, e), None if head == i else head, names[i % 3])
            for i, ((s, e), head) in enumerate(zip(words, heads, strict=True))
        ),
    )


class Syntax:
    kind = SyntaxAnalyzer
    texts = staticmethod(syntax_item)

    @staticmethod
    def update(analyzer, item):
        analyzer.update(*item)

    @staticmethod
    def of(item):
        return item


KINDS = [Roles, Similarity, Syntax]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind.__name__)


def see(analyzer, kind, items, fill=torch.nan):
    """One batch."""
    records, given_items = zip(*(kind.of(item) for item in items), strict=True)
    analyzer.begin(Texts(tuple(r.keys for r in records), given_items))
    for layer, attentions in zip(records[0].layers, padded(records, fill), strict=True):
        analyzer.see(layer, attentions)
    analyzer.end()


def one_by_one(kind, items):
    analyzer = kind.kind()
    for item in items:
        kind.update(analyzer, item)
    return analyzer


def assert_same_state(one, other):
    assert list(one.state()) == list(other.state())
    for name, values in one.state().items():
        np.testing.assert_array_equal(values, other.state()[name], err_msg=name, strict=True)


# --- padding and division -------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("fill", [math.nan, math.inf, -1.0, 1 / 7])
def test_what_stands_in_padding_changes_no_bit(kind, fill):
    items = [kind.texts(number) for number in range(8)]
    batch = kind.kind()
    see(batch, kind, items, fill)
    assert_same_state(batch, one_by_one(kind, items))
    pd.testing.assert_frame_equal(
        batch.compute(), one_by_one(kind, items).compute(), check_exact=True
    )


@every_kind
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_division_into_batches_and_parts_gives_one_table(kind, data):
    numbers = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=9))
    seed = data.draw(st.integers(0, 99))
    items = [kind.texts(number, seed) for number in numbers]
    whole = one_by_one(kind, items)
    order = data.draw(st.permutations(items))
    parts = [kind.kind() for _ in range(data.draw(st.integers(1, 3)))]
    while order:
        size = data.draw(st.integers(1, len(order)))
        see(data.draw(st.sampled_from(parts)), kind, order[:size])
        order = order[size:]
    merged = kind.kind()
    for part in parts:
        merged.merge(kind.kind.from_state(part.state()))
    pd.testing.assert_frame_equal(merged.compute(), whole.compute(), check_exact=True)


@every_kind
def test_the_state_comes_back_whole(kind, tmp_path):
    analyzer = one_by_one(kind, [kind.texts(number) for number in range(4)])
    np.savez(tmp_path / "state.npz", allow_pickle=False, **analyzer.state())
    with np.load(tmp_path / "state.npz", allow_pickle=False) as stored:
        again = kind.kind.from_state(dict(stored))
    assert_same_state(again, analyzer)
    pd.testing.assert_frame_equal(again.compute(), analyzer.compute(), check_exact=True)
    # It is a copy: what is added to one is not added to the other.
    kind.update(again, kind.texts(5))
    kind.update(analyzer, kind.texts(5))
    assert_same_state(again, analyzer)
    assert_same_state(kind.kind.from_state(kind.kind().state()), kind.kind())


def test_the_options_are_part_of_the_state():
    analyzer = RolesAnalyzer(reach=2)
    assert RolesAnalyzer.from_state(analyzer.state()).reach == 2
    analyzer.update(record(TEXT))
    assert "after_2" in RolesAnalyzer.from_state(analyzer.state()).compute()


def test_relations_need_a_sentence_of_the_same_text():
    pattern, sentence = syntax_item(0)
    other = syntax_item(1)[1]
    analyzer = SyntaxAnalyzer(subtypes=False)
    with pytest.raises(InputError, match="sentence of a treebank"):
        analyzer.begin(Texts((pattern.keys,), (None,)))
    with pytest.raises(MentionError, match="another one"):
        analyzer.begin(Texts((pattern.keys,), (other,)))
    with pytest.raises(InputError, match="begun first"):
        analyzer.see(0, padded([pattern])[0])
    analyzer.update(pattern, sentence)
    assert not SyntaxAnalyzer.from_state(analyzer.state()).subtypes


def test_a_long_batch_is_worked_on_in_parts():
    # 40 texts of up to 110 tokens are several times what is worked on at a time.
    generator = random.Random(0)
    items = [
        record(" ".join(["the", "cat", "sat", "."] * generator.randint(1, 27)), seed=n)
        for n in range(40)
    ]
    batch = RolesAnalyzer()
    see(batch, Roles, items)
    assert_same_state(batch, one_by_one(Roles, items))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_taken_as_it_is(dtype):
    items = [roles_record(0), roles_record(4)]
    half, full = RolesAnalyzer(), RolesAnalyzer()
    for analyzer, convert in ((half, lambda w: w.to(dtype)), (full, lambda w: w.to(dtype).float())):
        analyzer.begin(Texts(tuple(item.keys for item in items), (None, None)))
        for layer, attentions in enumerate(padded(items)):
            analyzer.see(layer, convert(attentions))
        analyzer.end()
    assert_same_state(half, full)


# --- what a batch is ------------------------------------------------------------------------------


def test_masks_tell_padding_and_special_tokens_apart():
    texts = Texts(
        (TokenSequence(("[CLS]", "a", "b"), special_tokens_mask=(True, False, False)),
         TokenSequence(("c",))),
        ("case", None),
    )  # fmt: skip
    assert (texts.lengths, texts.length, len(texts)) == ((3, 1), 3, 2)
    assert texts.is_token.tolist() == [[True, True, True], [True, False, False]]
    assert texts.is_query.tolist() == [[False, True, True], [True, False, False]]
    for wrong in ((), ("case",)):
        with pytest.raises(InputError, match="an item for each"):
            Texts(texts.sequences, wrong)
    with pytest.raises(InputError, match="at least one text"):
        Texts((), ())


@every_kind
def test_an_unfinished_batch_leaves_no_trace(kind):
    items = [kind.texts(number) for number in range(3)]
    analyzer = one_by_one(kind, items)
    before = {name: values.copy() for name, values in analyzer.state().items()}
    pattern, item = kind.of(items[0])
    texts = Texts((pattern.keys,), (item,))
    analyzer.begin(texts)
    analyzer.see(0, padded([pattern])[0])
    for name, values in analyzer.state().items():
        np.testing.assert_array_equal(values, before[name])
    see(analyzer, kind, items[1:])
    assert_same_state(analyzer, one_by_one(kind, [*items, *items[1:]]))


@every_kind
def test_what_comes_out_of_turn_is_refused_and_leaves_no_trace(kind):
    pattern, item = kind.of(kind.texts(0))
    texts, layer = Texts((pattern.keys,), (item,)), padded([pattern])[0]
    analyzer = one_by_one(kind, [kind.texts(0)])
    before = {name: values.copy() for name, values in analyzer.state().items()}
    for act in (analyzer.end, lambda: analyzer.see(0, layer)):
        with pytest.raises(InputError, match="begun first"):
            act()
    analyzer.begin(texts)
    with pytest.raises(InputError, match="at least one layer"):
        analyzer.end()
    analyzer.begin(texts)
    analyzer.see(1, layer)
    with pytest.raises(InputError, match="ascending order, got 1 after 1"):
        analyzer.see(1, layer)
    # An error ends the batch: it cannot be counted without the layer.
    with pytest.raises(InputError, match="begun first"):
        analyzer.end()
    for wrong in (layer[0], layer[..., :-1], layer.expand(2, -1, -1, -1)):
        analyzer.begin(texts)
        with pytest.raises(InputError, match="Expected attention of shape"):
            analyzer.see(0, wrong)
    analyzer.begin(texts)
    analyzer.see(0, layer)
    with pytest.raises(InputError, match="of one model"):
        analyzer.end()  # a layer less than the batch before
    for name, values in analyzer.state().items():
        np.testing.assert_array_equal(values, before[name])

"""Records of many texts are those of one text at a time, in their order."""

from __future__ import annotations

import itertools

import pytest
import torch

import introspect as ix
import introspect.models.batch_capture as batch_capture
from introspect.errors import SelectionError, TextError
from tests.models.capture.helpers import SOURCE, tiny

TEXTS = [
    SOURCE,
    "dog",
    "it was on the mat and the dog ran",
    "the cat",
    ["the", "dog", "sat"],
    "the dog sat on the mat and it ran and it was the cat",
]
MODELS = ["bert", "gpt2", "llama", "t5", "bart"]
PARTS = ("attentions", "queries", "values", "head_outputs", "value_norms")
NUMBERS = ("max_row_sum_error", "max_head_output_error", "max_decomposition_error")


def assert_equal_records(ours, theirs):
    assert (ours.queries, ours.keys, ours.kind) == (theirs.queries, theirs.keys, theirs.kind)
    assert (ours.layers, ours.notices) == (theirs.layers, theirs.notices)
    torch.testing.assert_close(ours.attentions, theirs.attentions, atol=1e-5, rtol=1e-5)
    assert list(ours.parts) == list(theirs.parts)
    for name, part in ours.parts.items():
        torch.testing.assert_close(part, theirs.parts[name], atol=1e-4, rtol=1e-4)
    ours, theirs = vars(ours.certificate).copy(), vars(theirs.certificate).copy()
    for name in NUMBERS:
        mine, other = ours.pop(name), theirs.pop(name)
        assert (mine is None) == (other is None), name
        assert mine is None or abs(mine - other) < 1e-4, name
    assert ours == theirs


@pytest.mark.parametrize("include", [("attentions",), PARTS], ids=["attention", "parts"])
@pytest.mark.parametrize("name", MODELS)
def test_each_record_is_that_of_the_text_alone(name, include):
    model = tiny(name, eos_token="[SEP]")
    records = list(model.capture_many(TEXTS, batch_size=4, include=include))
    assert len(records) == len(TEXTS)
    for text, record in zip(TEXTS, records, strict=True):
        assert_equal_records(record, model.capture(text, include=include))


def test_texts_of_like_length_run_together_and_come_back_in_order(monkeypatch):
    model, shapes = tiny(), []
    model.module.register_forward_pre_hook(
        lambda _, args, inputs: shapes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    records = list(model.capture_many(TEXTS, batch_size=3))
    lengths = [len(record.keys) for record in records]
    assert lengths == [len(model.capture(text).keys) for text in TEXTS]
    short, long = sorted(lengths)[2], max(lengths)
    assert shapes[:2] == [(3, short), (3, long)]


def test_no_more_texts_are_read_than_a_window_holds(monkeypatch):
    read = []

    def texts():
        for number in itertools.count():
            read.append(number)
            yield "the cat sat"

    monkeypatch.setattr(batch_capture, "_WINDOW_BATCHES", 2)
    records = tiny().capture_many(texts(), batch_size=4)
    assert not read
    next(records)
    assert 8 <= len(read) <= 12
    for _ in range(7):
        next(records)
    assert len(read) <= 12


def test_long_texts_make_the_window_smaller(monkeypatch):
    monkeypatch.setattr(batch_capture, "_WINDOW_WEIGHTS", 1)
    model, batches = tiny(), []
    model.module.register_forward_pre_hook(lambda *_: batches.append(1))
    assert len(list(model.capture_many(TEXTS, batch_size=4))) == len(batches) == len(TEXTS)


def test_only_the_layers_that_were_chosen():
    (record,) = tiny().capture_many([SOURCE], layers=[1])
    assert record.layers == (1,)
    assert_equal_records(record, tiny().capture(SOURCE, layers=[1]))


def test_a_text_that_cannot_be_read_is_named_by_its_number():
    records = tiny().capture_many([SOURCE, "the cat", " "], batch_size=2)
    with pytest.raises(TextError, match="Text 3: .*empty"):
        list(records)


@pytest.mark.slow
def test_long_texts_are_cut_where_that_is_asked_for(minilm):
    long = "word " * 600
    (record,) = minilm.capture_many([long], truncation=True)
    assert_equal_records(record, minilm.capture(long, truncation=True))
    with pytest.raises(TextError, match="Text 1: Expected at most"):
        list(minilm.capture_many([long]))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"include": ("gradients",)}, "`of`"),
        ({"kind": "encoder"}, "encoder-decoder"),
    ],
)
def test_options_are_checked_before_the_first_text(options, match):
    with pytest.raises(SelectionError, match=match):
        tiny().capture_many(iter([]), **options)


def test_a_decoder_needs_a_target_which_is_of_one_text():
    with pytest.raises(SelectionError, match="target"):
        tiny("t5", eos_token="[SEP]").capture_many([SOURCE], kind="cross")


def test_no_texts_give_no_records():
    assert list(tiny().capture_many([])) == []


def test_progress_hears_of_every_record():
    heard = []
    model = ix.load("induction")
    list(model.capture_many(["a b", "a b c"], progress=lambda *told: heard.append(told)))
    assert heard[0] == ("capturing texts", 0, 2) and heard[-1] == ("capturing texts", 2, 2)


def test_one_text_is_a_list_of_one():
    (record,) = ix.load("induction").capture_many("a b c")
    assert record.keys.texts == ("a b c",)

"""Records: shapes checked once, merged to words, made of any tensors, with norms."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest
import torch

import introspect as ix
from introspect.errors import RecordError, SelectionError
from introspect.records import AttentionRecord, Certificate, TokenSequence
from tests import models_zoo
from tests.records.helpers import TOKENS, even, sequence
from tests.synthetic import TEXT, record

# --- records ----------------------------------------------------------------------------------


def test_a_record_knows_its_size():
    made = AttentionRecord(even(5, 7), sequence(*TOKENS), sequence(*TOKENS))
    assert (made.num_layers, made.num_heads) == (5, 7)
    assert made.layers == (0, 1, 2, 3, 4)
    assert made.tokens == TOKENS


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3), (1, 2, 2, 3, 3)])
def test_another_number_of_dimensions_is_refused(shape):
    with pytest.raises(RecordError, match="num_layers, num_heads, query_len, key_len"):
        AttentionRecord(torch.zeros(shape), sequence(*TOKENS), sequence(*TOKENS))


@pytest.mark.parametrize("shape", [(2, 2, 4, 3), (2, 2, 3, 2)])
def test_tokens_that_do_not_fit_are_refused(shape):
    with pytest.raises(RecordError, match="3 query and 3 key tokens"):
        AttentionRecord(torch.zeros(shape), sequence(*TOKENS), sequence(*TOKENS))


@pytest.mark.parametrize("shape", [(0, 2, 3, 3), (2, 0, 3, 3)])
def test_nothing_to_show_is_refused(shape):
    with pytest.raises(RecordError, match="at least one"):
        AttentionRecord(torch.zeros(shape), sequence(*TOKENS), sequence(*TOKENS))


def test_an_unknown_kind_is_refused():
    with pytest.raises(RecordError, match="self, encoder, decoder, cross"):
        AttentionRecord(even(), sequence(*TOKENS), sequence(*TOKENS), kind="other")


def test_a_number_for_each_layer_is_asked_for():
    with pytest.raises(RecordError, match="each of the 2 layers, got 3"):
        AttentionRecord(even(), sequence(*TOKENS), sequence(*TOKENS), layers=(0, 1, 2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_attention_becomes_float32(dtype):
    made = AttentionRecord(even().to(dtype), sequence(*TOKENS), sequence(*TOKENS))
    assert made.attentions.dtype == torch.float32


def test_attention_keeps_no_graph():
    leaf = even().requires_grad_()
    made = AttentionRecord(leaf * 1, sequence(*TOKENS), sequence(*TOKENS))
    assert not made.attentions.requires_grad


def test_a_record_cannot_be_changed():
    made = record()
    with pytest.raises(FrozenInstanceError):
        made.attentions = even()


def test_defaults_are_not_shared():
    one, other = record(), record(seed=1)
    assert one.certificate == other.certificate
    assert one.notices == ()


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 2, 3, 100])
def test_rows_over_words_sum_to_one(piece):
    words = record(piece=piece).words()
    sums = words.attentions.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_the_words_are_those_of_the_text():
    words = record(piece=2).words()
    assert words.tokens == (
        "[CLS]", "The", "animal", "didn't", "cross", "the", "street", "because", "it", "was",
        "too", "tired", ".", "[SEP]",
    )  # fmt: skip
    assert words.keys.texts == (TEXT,)


def test_the_words_of_words_are_the_same():
    words = record(piece=2).words()
    torch.testing.assert_close(words.words().attentions, words.attentions)
    assert words.words().keys == words.keys


def test_words_keep_everything_else():
    made = replace(
        record(), kind="encoder", layers=(4, 9), notices=("cut",), certificate=Certificate("x", 0.5)
    )
    words = made.words()
    assert (words.kind, words.layers, words.notices) == ("encoder", (4, 9), ("cut",))
    assert words.certificate == made.certificate


def test_queries_and_keys_are_merged_each_by_its_own_words():
    made = AttentionRecord(
        torch.tensor([[[[0.2, 0.3, 0.5], [0.4, 0.4, 0.2]]]]),
        queries=TokenSequence(("q1", "q2"), word_ids=(0, 0), words=("q",)),
        keys=TokenSequence(("k1", "k2", "k3"), word_ids=(0, 1, 1), words=("k", "l")),
        kind="cross",
    ).words()
    torch.testing.assert_close(made.attentions, torch.tensor([[[[0.3, 0.7]]]]))


# --- from_tensors -----------------------------------------------------------------------------


def test_bertvizs_list_of_batches_of_one():
    layers = [torch.rand(1, 2, 3, 3) for _ in range(4)]
    made = AttentionRecord.from_tensors(layers, TOKENS)
    assert made.attentions.shape == (4, 2, 3, 3)
    assert torch.equal(made.attentions, torch.cat(layers))
    assert made.certificate.route == "given tensors"


def test_a_tuple_as_transformers_returns_it():
    layers = tuple(torch.rand(1, 2, 3, 3) for _ in range(2))
    assert torch.equal(AttentionRecord.from_tensors(layers, TOKENS).attentions, torch.cat(layers))


def test_one_tensor():
    whole = torch.rand(4, 2, 3, 3)
    assert torch.equal(AttentionRecord.from_tensors(whole, TOKENS).attentions, whole)


def test_one_tensor_with_a_batch_of_one():
    whole = torch.rand(4, 1, 2, 3, 3)
    assert torch.equal(AttentionRecord.from_tensors(whole, TOKENS).attentions, whole[:, 0])


def test_a_single_layer_of_a_single_head():
    assert AttentionRecord.from_tensors(torch.ones(1, 1, 1, 1), ["a"]).num_heads == 1


def test_cross_attention_has_tokens_of_its_own_on_each_side():
    made = AttentionRecord.from_tensors(
        [torch.rand(1, 2, 2, 3)], TOKENS, query_tokens=["x", "y"], kind="cross"
    )
    assert made.queries.tokens == ("x", "y")
    assert made.keys.tokens == TOKENS


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [torch.zeros(2, 2, 3, 3)],
        [torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 4, 4)],
        [torch.zeros(1, 2, 3, 3), torch.zeros(1, 4, 3, 3)],
        [torch.zeros(3, 3)],
        torch.zeros(3, 3),
        [torch.zeros(2, 4, 4)],
    ],
    ids=["none", "batch", "lengths", "heads", "matrix", "one matrix", "tokens"],
)
def test_tensors_that_do_not_fit_are_refused(layers):
    with pytest.raises(RecordError, match="Expected"):
        AttentionRecord.from_tensors(layers, TOKENS)


# Norms of values


def test_norms_are_weights_times_lengths():
    """By hand: weights 0.25 and 0.75 on values of length 8 and 2 bring 2 and 1.5."""
    pattern = torch.tensor([[[[0.25, 0.75], [1.0, 0.0]]]])
    record = AttentionRecord.from_tensors(pattern, ["a", "b"])
    record = replace(record, parts={"value_norms": torch.tensor([[[8.0, 2.0]]])})
    assert ix.norms(record).tolist() == [[[[2.0, 1.5], [8.0, 0.0]]]]


def test_norms_need_their_part_and_its_shape():
    record = AttentionRecord.from_tensors(torch.full((1, 1, 2, 2), 0.5), ["a", "b"])
    with pytest.raises(SelectionError, match="include=\\('value_norms',\\)"):
        ix.norms(record)
    with pytest.raises(RecordError, match=r"'value_norms' as \(1, 1, 2\)"):
        replace(record, parts={"value_norms": torch.ones(1, 1, 2, 1)})


def test_norms_of_the_bundled_model_are_those_of_its_own_layers():
    """‖α v W_O‖ from the attention and the layers' weights, read by their names."""
    model = models_zoo.minilm()
    text = "The animal didn't cross the street because it was too tired."
    record = model.capture(text, include=("value_norms", "values"))
    found = ix.norms(record)
    assert found.shape == record.attentions.shape
    layer, head = 3, 1
    dense = model.module.encoder.layer[layer].attention.output.dense.weight.detach()
    part = dense[:, head * 32 : (head + 1) * 32].T
    values = record.parts["values"][layer, head]
    weights = record.attentions[layer, head]
    for query in range(len(record.queries)):
        for key in range(len(record.keys)):
            length = (weights[query, key] * values[key] @ part).norm()
            assert float(found[layer, head, query, key]) == pytest.approx(float(length), abs=1e-5)

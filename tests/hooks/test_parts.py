"""Scores, queries, keys, values and head outputs: each held against what the model computes."""

from __future__ import annotations

import pytest
import torch

from introspect.errors import SelectionError
from introspect.hooks import capture
from tests import models_zoo as zoo

PARTS = ("attentions", "scores", "queries", "keys", "values", "head_outputs")
#: Part of each row goes to a sink, which no key has.
WITH_SINKS = {"gpt_oss"}


@pytest.fixture(params=zoo.ALL)
def name(request):
    return request.param


@pytest.fixture
def captured(name):
    return capture(zoo.build(name), zoo.batch(name), PARTS)


def layers_of(captured, *parts):
    for kind, numbers in captured.layers.items():
        for index in range(len(numbers)):
            yield tuple(getattr(captured, part)[kind][index] for part in parts)


def test_softmax_of_the_scores_is_the_attention(name, captured):
    for scores, attention in layers_of(captured, "scores", "attentions"):
        expected = attention
        if name in WITH_SINKS:
            shares = attention.sum(-1, keepdim=True)
            assert (shares < 0.999).any()
            # Where the sink takes nearly all, what is left has few digits to compare.
            expected = torch.where(shares > 0.01, attention / shares, scores.softmax(-1))
            assert (shares > 0.01).any()
        torch.testing.assert_close(scores.softmax(-1), expected, atol=1e-6, rtol=0)


def test_attention_times_values_is_the_head_output(captured):
    for attention, values, output in layers_of(captured, "attentions", "values", "head_outputs"):
        repeats = output.shape[1] // values.shape[1]
        expected = attention @ values.repeat_interleave(repeats, dim=1)
        torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)


def test_scores_are_products_of_queries_and_keys_where_nothing_is_added():
    """BERT: no rotation, no bias; the mask only touches the keys of the padding."""
    inputs = zoo.batch("bert")
    captured = capture(zoo.build("bert"), inputs, PARTS)
    real = inputs["attention_mask"][:, None, None, :].bool()
    for scores, queries, keys in layers_of(captured, "scores", "queries", "keys"):
        expected = queries @ keys.transpose(-1, -2) * queries.shape[-1] ** -0.5
        difference = (scores - expected).masked_fill(~real, 0)
        assert difference.abs().max() < 1e-5


def test_head_outputs_are_what_the_output_projection_is_given():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    seen = []
    handles = [
        layer.attention.output.dense.register_forward_pre_hook(lambda m, args: seen.append(args[0]))
        for layer in model.encoder.layer
    ]
    captured = capture(model, inputs, PARTS)
    for handle in handles:
        handle.remove()
    for (output,), given in zip(layers_of(captured, "head_outputs"), seen, strict=True):
        assert torch.equal(output.transpose(1, 2).flatten(2), given)


def test_grouped_keys_and_values_are_not_repeated():
    captured = capture(zoo.build("llama"), zoo.batch("llama"), PARTS)
    for queries, keys, values in layers_of(captured, "queries", "keys", "values"):
        assert (queries.shape[1], keys.shape[1], values.shape[1]) == (4, 2, 2)


def test_only_the_parts_asked_for_are_kept():
    captured = capture(zoo.build("bert"), zoo.batch("bert"), "queries")
    assert captured.queries["self"]
    assert not captured.attentions and not captured.scores and not captured.values
    assert captured.certificate.max_row_sum_error is None


def test_parts_are_kept_in_the_type_asked_for():
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    half = capture(model, inputs, PARTS, dtype=torch.float16)
    whole = capture(model, inputs, PARTS)
    for part in PARTS:
        for ours, theirs in zip(
            getattr(half, part)["self"], getattr(whole, part)["self"], strict=True
        ):
            assert torch.equal(ours, theirs.half())


def test_the_run_stops_after_the_last_layer_asked_for():
    model = zoo.build("bert")
    ran = []
    for number, layer in enumerate(model.encoder.layer):
        layer.register_forward_pre_hook(lambda m, a, number=number: ran.append(number))
    captured = capture(model, zoo.batch("bert"), layers=[1])
    assert captured.layers == {"self": [1]}
    assert captured.output is None
    assert ran == [0, 1]
    whole = capture(model, zoo.batch("bert"))
    assert torch.equal(captured.attentions["self"][0], whole.attentions["self"][1])


def test_an_unknown_part_names_those_there_are():
    with pytest.raises(SelectionError, match="head_outputs, .*value_norms, .*, got 'outputs'"):
        capture(zoo.build("bert"), zoo.batch("bert"), ("attentions", "outputs"))


def test_stopping_early_keeps_all_that_a_layer_weighs():
    """DiffLlama weighs two halves of its values, in two calls, with the same attention."""
    import transformers as tf

    sizes = {**zoo._DECODER, "num_hidden_layers": 3}
    model = zoo.build("diffllama", config=tf.DiffLlamaConfig(**sizes))
    inputs = zoo.batch("llama")
    whole, first = capture(model, inputs, PARTS), capture(model, inputs, PARTS, layers=[0])
    assert whole.layers == {"self": [0, 1, 2]}
    assert first.layers == {"self": [0]}
    for part in PARTS:
        assert torch.equal(getattr(whole, part)["self"][0], getattr(first, part)["self"][0])
    for attention, values, output in layers_of(whole, "attentions", "values", "head_outputs"):
        repeats = output.shape[1] // values.shape[1]
        expected = attention @ values.repeat_interleave(repeats, dim=1)
        torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)
    with torch.no_grad():
        own = zoo.eager_twin(model)(**inputs, output_attentions=True).attentions
    for ours, theirs in zip(whole.attentions["self"], own, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_an_encoder_of_its_own_making_beside_an_ordinary_decoder():
    """PEGASUS-X: local and global attention in the encoder, the interface in the decoder."""
    import transformers as tf

    config = tf.PegasusXConfig(
        vocab_size=zoo.VOCABULARY,
        d_model=32,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=64,
        num_global_tokens=2,
        block_size=4,
    )
    model = zoo.build("pegasus_x", config=config)
    inputs = {
        "input_ids": torch.randint(5, 60, (2, 16)),
        "decoder_input_ids": torch.randint(5, 60, (2, 6)),
    }
    captured = capture(model, inputs)
    assert captured.layers == {"decoder": [0, 1, 2], "cross": [0, 1, 2]}
    # Its encoder returns local and global attention apart: said, not made into something else.
    assert captured.certificate.note.startswith("encoder attention is not captured")
    with torch.no_grad():
        own = zoo.eager_twin(model)(**inputs, output_attentions=True)
    for ours, theirs in zip(captured.attentions["decoder"], own.decoder_attentions, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_only_the_heads_asked_for_are_kept_in_their_order():
    model, inputs = zoo.build("llama"), zoo.batch("llama")
    whole, some = capture(model, inputs, PARTS), capture(model, inputs, PARTS, heads=[3, 0])
    for part in PARTS:
        is_shared = part in ("keys", "values")
        for ours, theirs in zip(
            getattr(some, part)["self"], getattr(whole, part)["self"], strict=True
        ):
            assert torch.equal(ours, theirs if is_shared else theirs[:, [3, 0]])


@pytest.mark.parametrize(("heads", "expected"), [([4], r"in 0–3, got \[4\]"), ([], "at least one")])
def test_a_head_the_model_does_not_have_is_refused_and_the_model_put_back(heads, expected):
    model = zoo.build("bert")
    before = zoo.State.of(model)
    with pytest.raises(SelectionError, match=expected):
        capture(model, zoo.batch("bert"), heads=heads)
    assert zoo.State.of(model) == before

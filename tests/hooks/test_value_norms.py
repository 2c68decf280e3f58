"""Norms of values: against a slow loop over the model's own layers, named by hand."""

from __future__ import annotations

import math

import pytest
import torch
import transformers as tf

from introspect.errors import CaptureError, SelectionError
from introspect.hooks import capture, find_projections, stream
from tests import models_zoo as zoo
from tests.models_zoo import LEGACY

#: Where each architecture keeps the output projection of a layer, found in its file by eye.
PROJECTIONS = {
    "bert": lambda m: [layer.attention.output.dense for layer in m.encoder.layer],
    "roberta": lambda m: [layer.attention.output.dense for layer in m.encoder.layer],
    "gpt2": lambda m: [layer.attn.c_proj for layer in m.h],
    "llama": lambda m: [layer.self_attn.o_proj for layer in m.layers],
    "albert": lambda m: [m.encoder.albert_layer_groups[0].albert_layers[0].attention.dense] * 3,
    "t5": lambda m: [block.layer[0].SelfAttention.o for block in m.encoder.block],
    "bart": lambda m: [layer.self_attn.out_proj for layer in m.encoder.layers],
}
LIKE_LEGACY = ("deberta", "deberta-v2", "mpnet", "bloom", "falcon", "roformer", "gptj", "mpt")


def slow_norms(values: torch.Tensor, layer: torch.nn.Module, heads: int) -> torch.Tensor:
    """One value after the other, with plain numbers."""
    weight = layer.weight.detach()
    weight = weight if isinstance(layer, tf.pytorch_utils.Conv1D) else weight.T
    shared, length, size = values.shape
    found = torch.empty(heads, length)
    for head in range(heads):
        for key in range(length):
            value = values[head * shared // heads, key]
            brought = [
                sum(float(value[d]) * float(weight[head * size + d, m]) for d in range(size))
                for m in range(weight.shape[1])
            ]
            found[head, key] = math.sqrt(sum(b * b for b in brought))
    return found


@pytest.mark.parametrize("name", PROJECTIONS)
def test_norms_are_those_of_a_slow_loop_over_the_layers_own_weights(name):
    model, inputs = zoo.build(name), zoo.batch(name)
    captured = capture(model, inputs, ("value_norms", "values"))
    kind = "encoder" if name in zoo.ENCODER_DECODERS else "self"
    layers = PROJECTIONS[name](model)
    assert len(layers) == len(captured.value_norms[kind])
    norms, values = captured.value_norms[kind][-1], captured.values[kind][-1]
    expected = slow_norms(values[1], layers[-1], 4)
    torch.testing.assert_close(norms[1], expected, atol=1e-5, rtol=1e-5)
    assert captured.attentions == {} and captured.head_outputs == {}


@pytest.mark.parametrize("name", zoo.ALL)
def test_every_kind_of_attention_has_norms(name):
    captured = capture(zoo.build(name), zoo.batch(name), ("attentions", "value_norms"))
    for kind, layers in captured.attentions.items():
        for attention, norms in zip(layers, captured.value_norms[kind], strict=True):
            batch, heads, _, key_len = attention.shape
            assert norms.shape == (batch, heads, key_len)
            assert (norms > 0).all()


@pytest.mark.parametrize("name", LIKE_LEGACY)
def test_models_that_bypass_the_interface_have_norms_or_say_why_not(name):
    model = tf.AutoModel.from_config(LEGACY[name]()).eval()
    inputs = zoo.batch("bert")
    captured = capture(model, inputs, ("value_norms", "values", "head_outputs"))
    for values, norms in zip(captured.values["self"], captured.value_norms["self"], strict=True):
        assert norms.shape == (values.shape[0], 4, values.shape[2])


def test_a_gate_behind_the_heads_is_refused_by_name():
    config = tf.Qwen3NextConfig(
        **{**zoo._DECODER, "num_hidden_layers": 1},
        layer_types=["full_attention"],
        num_experts=2,
        num_experts_per_tok=1,
        moe_intermediate_size=16,
        shared_expert_intermediate_size=16,
        linear_num_value_heads=2,
        linear_num_key_heads=2,
    )
    model = tf.AutoModel.from_config(config).eval()
    with pytest.raises(CaptureError, match="Qwen3Next.*such as a gate"):
        capture(model, zoo.batch("llama"), ("value_norms",))


def test_a_layer_that_gives_something_else_is_refused():
    """The sum of all heads is not what the projection gives."""
    model = zoo.build("bert")
    dense = model.encoder.layer[1].attention.output.dense
    dense.forward = lambda given: torch.nn.functional.linear(given, dense.weight).tanh()
    with pytest.raises(CaptureError, match="add up to something else"):
        capture(model, zoo.batch("bert"), ("value_norms",))


def test_a_layer_is_asked_what_it_does_with_its_weights():
    """As an adapter would: what counts is what the module gives, not the weights it holds."""
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    dense = model.encoder.layer[1].attention.output.dense
    plain = capture(model, inputs, ("value_norms", "values"))
    dense.forward = lambda given: torch.nn.functional.linear(given, dense.weight) * 1.5
    asked = capture(model, inputs, ("value_norms", "values"))
    assert torch.equal(plain.values["self"][1], asked.values["self"][1])
    expected = plain.value_norms["self"][1] * 1.5
    torch.testing.assert_close(asked.value_norms["self"][1], expected, atol=1e-5, rtol=1e-5)


class Beside(torch.nn.Module):
    """An attention of one's own, with an adapter beside the output projection."""

    def __init__(self, attention: torch.nn.Module) -> None:
        super().__init__()
        self.attention = attention
        self.down = torch.nn.Linear(32, 4, bias=False)
        self.up = torch.nn.Linear(4, 32, bias=False)
        self.kept: list[torch.Tensor] = []
        attention.o_proj.register_forward_pre_hook(lambda _, args: self.kept.append(args[0]))

    def forward(self, *args, **named):
        output, weights = self.attention(*args, **named)
        return output + self.up(self.down(self.kept.pop())), weights


def test_an_adapter_beside_the_projection_does_not_go_unnoticed():
    model, inputs = zoo.build("llama"), zoo.batch("llama")
    model.layers[1].self_attn = Beside(model.layers[1].self_attn)
    assert len(capture(model, inputs).attentions["self"]) == 3
    with pytest.raises(CaptureError, match="Beside passes on is not the output"):
        capture(model, inputs, ("value_norms",))
    model.layers[1].self_attn.up.weight.data.zero_()
    ours = capture(model, inputs, ("value_norms",)).value_norms["self"][1]
    right = capture(zoo.build("llama"), inputs, ("value_norms",)).value_norms["self"][1]
    assert torch.equal(ours, right)


def test_an_attention_that_was_patched_is_held_to_what_it_gives_on():
    model, inputs = zoo.build("llama"), zoo.batch("llama")
    attention = model.layers[1].self_attn
    original = attention.forward
    attention.forward = lambda *args, **named: (original(*args, **named)[0] * 1.5, None)
    with pytest.raises(CaptureError, match="LlamaAttention passes on is not the output"):
        capture(model, inputs, ("value_norms",))


def test_layers_and_heads_are_chosen_after_the_sum_over_all():
    model, inputs = zoo.build("llama"), zoo.batch("llama")
    whole = capture(model, inputs, ("value_norms",)).value_norms["self"]
    some = capture(model, inputs, ("value_norms",), layers=[1], heads=[3, 0], dtype=torch.float64)
    assert some.layers["self"] == [1]
    assert torch.equal(some.value_norms["self"][0], whole[1][:, [3, 0]].double())


def test_rows_have_no_norms():
    with pytest.raises(SelectionError, match="of single rows only the attention"):
        capture(zoo.build("bert"), zoo.batch("bert"), ("attentions", "value_norms"), rows=[1])


@pytest.mark.parametrize("name", [*PROJECTIONS, "gemma3", "gpt_oss"])
def test_projections_found_once_give_the_norms_of_any_batch(name):
    model, inputs = zoo.build(name), zoo.batch(name)
    projections = find_projections(model, {key: one[:1] for key, one in inputs.items()})
    streamed = []

    def receive(kind, layer, parts):
        streamed.append((kind, layer, projections[kind, layer].norms(parts["values"])))

    stream(model, inputs, receive, ("attentions", "values"))
    whole = capture(model, inputs, ("value_norms",))
    assert len(streamed) == sum(map(len, whole.layers.values()))
    for kind, layer, norms in streamed:
        expected = whole.value_norms[kind][whole.layers[kind].index(layer)]
        torch.testing.assert_close(norms, expected, atol=1e-5, rtol=0)


def test_projections_of_a_model_that_bypasses_the_interface():
    model, inputs = tf.AutoModel.from_config(LEGACY["deberta"]()).eval(), zoo.batch("bert")
    projections = find_projections(model, {key: one[:1] for key, one in inputs.items()})
    whole = capture(model, inputs, ("values", "value_norms"))
    for layer, norms in enumerate(whole.value_norms["self"]):
        found = projections["self", layer].norms(whole.values["self"][layer])
        torch.testing.assert_close(found, norms, atol=1e-5, rtol=0)


def test_hooks_are_gone_afterwards_also_after_an_error():
    model = zoo.build("bert")
    before = zoo.State.of(model)
    capture(model, zoo.batch("bert"), ("value_norms",))
    find_projections(model, zoo.batch("bert"))
    with pytest.raises(CaptureError, match="index out of range"):
        capture(model, {"input_ids": torch.tensor([[zoo.VOCABULARY + 1]])}, ("value_norms",))
    assert zoo.State.of(model) == before

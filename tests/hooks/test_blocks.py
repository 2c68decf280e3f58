"""Blocks taken apart: against a slow loop over the model's own layers, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
import transformers as tf

from introspect.errors import CaptureError, SelectionError
from introspect.hooks import capture
from introspect.hooks.downstream import blocks
from tests import models_zoo as zoo
from tests.models_zoo import LEGACY

PARTS = ("residual_norms", "contributions")
#: Their feed-forward layer runs beside the attention, or a norm lies between it and the sum.
OTHERWISE = ("gpt_neox", "gemma2", "gemma3")


@dataclass
class Named:
    """The layers of one block, found in the model's file by eye."""

    values: torch.nn.Module
    projection: torch.nn.Module
    norm: torch.nn.Module
    is_post: bool
    reads: torch.nn.Module | None = None  # the norm before the attention


NAMED = {
    "bert": lambda m, at: Named(
        m.encoder.layer[at].attention.self.value,
        m.encoder.layer[at].attention.output.dense,
        m.encoder.layer[at].attention.output.LayerNorm,
        is_post=True,
    ),
    "bart": lambda m, at: Named(
        m.encoder.layers[at].self_attn.v_proj,
        m.encoder.layers[at].self_attn.out_proj,
        m.encoder.layers[at].self_attn_layer_norm,
        is_post=True,
    ),
    "gpt2": lambda m, at: Named(
        m.h[at].attn.c_attn, m.h[at].attn.c_proj, m.h[at].ln_2, False, m.h[at].ln_1
    ),
    "llama": lambda m, at: Named(
        m.layers[at].self_attn.v_proj,
        m.layers[at].self_attn.o_proj,
        m.layers[at].post_attention_layernorm,
        False,
        m.layers[at].input_layernorm,
    ),
    "t5": lambda m, at: Named(
        m.encoder.block[at].layer[0].SelfAttention.v,
        m.encoder.block[at].layer[0].SelfAttention.o,
        m.encoder.block[at].layer[1].layer_norm,
        False,
        m.encoder.block[at].layer[0].layer_norm,
    ),
}


def seen_by(model: torch.nn.Module, parts: dict[str, torch.nn.Module], inputs: Any) -> Any:
    """What each of these layers was given and gave, in a run of its own."""
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    handles = [
        part.register_forward_hook(
            lambda _part, args, result, name=name: seen.__setitem__(name, (args[0], result))
        )
        for name, part in parts.items()
    ]
    with torch.no_grad():
        model(**inputs)
    for handle in handles:
        handle.remove()
    return seen


def slow_vectors(model: torch.nn.Module, named: Named, inputs: Any, weights: torch.Tensor) -> Any:
    """T_ij of the first text, one pair of tokens after the other, and what the block gave."""
    parts = {"values": named.values, "projection": named.projection, "norm": named.norm}
    if named.reads is not None:
        parts["reads"] = named.reads
    seen = seen_by(model, parts, inputs)
    values = seen["values"][1][0]
    heads, n, _ = weights.shape
    size = named.projection.weight.numel() // seen["projection"][1].shape[-1] // heads
    if values.shape[-1] == 3 * heads * size:
        values = values[:, 2 * heads * size :]  # GPT-2 makes queries, keys and values at once
    shared = values.shape[-1] // size
    residual = seen["values"][0][0] if named.is_post else seen["reads"][0][0]
    matrix = named.projection.weight.detach()
    matrix = matrix if isinstance(named.projection, tf.pytorch_utils.Conv1D) else matrix.T
    given = seen["norm"][0][0]
    found = torch.zeros(n, n, matrix.shape[-1])
    for i in range(n):
        for j in range(n):
            total = residual[i].clone() if i == j else torch.zeros(matrix.shape[-1])
            for head in range(heads):
                own = head * shared // heads
                value = values[j, own * size : (own + 1) * size]
                rows = matrix[head * size : (head + 1) * size]
                total += weights[head, i, j] * (value @ rows)
            if named.is_post:
                total = normed(named.norm, total, given[i])
            found[i, j] = total
    return found, seen["norm"][1][0] if named.is_post else given


def normed(norm: torch.nn.Module, part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """A part of a sum, as the norm of the whole lets it through."""
    if isinstance(norm, torch.nn.RMSNorm):
        return part / (whole.square().mean() + (norm.eps or 0)).sqrt() * norm.weight.detach()
    scale = (whole.var(unbiased=False) + norm.eps).sqrt()
    return (part - part.mean()) / scale * norm.weight.detach()


@pytest.mark.parametrize("name", NAMED)
def test_a_slow_loop_over_the_layers_own_weights_agrees(name):
    model = zoo.build(name)
    inputs = {key: one[:1] for key, one in zoo.batch(name).items()}
    captured = capture(model, inputs, ("attentions", *PARTS))
    kind = "encoder" if name in zoo.ENCODER_DECODERS else "self"
    for at in (0, 1):
        vectors, output = slow_vectors(
            model, NAMED[name](model, at), inputs, captured.attentions[kind][at][0]
        )
        norms = vectors.norm(dim=-1)
        torch.testing.assert_close(
            captured.residual_norms[kind][at][0, 0], norms, atol=1e-4, rtol=1e-4
        )
        near = output.abs().sum(-1)[:, None] - (vectors - output[:, None]).abs().sum(-1)
        near = near.clamp(min=0)
        torch.testing.assert_close(
            captured.contributions[kind][at][0, 0],
            near / near.sum(-1, keepdim=True),
            atol=1e-4,
            rtol=1e-4,
        )


@pytest.mark.parametrize("name", [name for name in zoo.ALL if name not in OTHERWISE])
def test_the_sum_over_keys_is_what_the_block_gave(name):
    captured = capture(zoo.build(name), zoo.batch(name), ("attentions", *PARTS))
    assert 0 < captured.certificate.max_decomposition_error <= 1e-5
    for kind in captured.residual_norms:
        for weights, norms, shares in zip(
            captured.attentions[kind],
            captured.residual_norms[kind],
            captured.contributions[kind],
            strict=True,
        ):
            batch, _, n, _ = weights.shape
            assert norms.shape == shares.shape == (batch, 1, n, n)
            torch.testing.assert_close(shares.sum(-1), torch.ones(batch, 1, n))


def test_cross_attention_has_none_and_its_sides_have():
    captured = capture(zoo.build("t5"), zoo.batch("t5"), ("attentions", *PARTS))
    assert set(captured.attentions) == {"encoder", "decoder", "cross"}
    assert set(captured.contributions) == {"encoder", "decoder"}


@pytest.mark.parametrize("name", ["bloom", "mpnet", "roformer", "mpt", "deberta", "deberta-v2"])
def test_models_that_bypass_the_interface_are_taken_apart_too(name):
    model = tf.AutoModel.from_config(LEGACY[name]()).eval()
    captured = capture(model, zoo.batch("bert"), PARTS)
    assert captured.certificate.max_decomposition_error <= 1e-5
    assert captured.attentions == {} and captured.values == {}


@pytest.mark.parametrize("name", [*OTHERWISE, "falcon", "gptj"])
def test_other_blocks_are_refused_by_name(name):
    if name in LEGACY:
        model, inputs = zoo.build("bert", config=LEGACY[name]()), zoo.batch("bert")
    else:
        model, inputs = zoo.build(name), zoo.batch(name)
    with pytest.raises(CaptureError, match=rf"{type(model).__name__}.*is neither a state"):
        capture(model, inputs, ("residual_norms",))
    assert capture(model, inputs, ("value_norms",)).value_norms["self"]


def test_a_scaled_residual_is_refused():
    model = zoo.build("bert")
    output = model.encoder.layer[1].attention.output
    output.forward = lambda states, given: output.LayerNorm(output.dense(states) + 0.5 * given)
    with pytest.raises(CaptureError, match="is neither a state"):
        capture(model, zoo.batch("bert"), PARTS)


def test_attention_that_reads_something_else_than_the_norm_is_refused():
    model = zoo.build("llama")
    attention = model.layers[1].self_attn
    original = attention.forward
    attention.forward = lambda hidden_states, **named: original(hidden_states * 2, **named)
    with pytest.raises(CaptureError, match="nor one of which it reads the norm"):
        capture(model, zoo.batch("llama"), PARTS)


@pytest.mark.parametrize("epsilon", [0.1, None])
def test_a_norm_without_centring_is_found_by_what_it_gives(epsilon):
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    for layer in model.encoder.layer:
        layer.attention.output.LayerNorm = torch.nn.RMSNorm(32, eps=epsilon)
    captured = capture(model, inputs, ("attentions", "residual_norms"))
    assert captured.certificate.max_decomposition_error <= 1e-5
    one = {key: part[:1] for key, part in inputs.items()}
    weights = captured.attentions["self"][1][0]
    vectors, _ = slow_vectors(model, NAMED["bert"](model, 1), one, weights)
    torch.testing.assert_close(
        captured.residual_norms["self"][1][0, 0], vectors.norm(dim=-1), atol=1e-4, rtol=1e-4
    )


def test_a_norm_of_another_kind_is_refused():
    class HalfNorm(torch.nn.LayerNorm):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return super().forward(given) * 0.5

    model = zoo.build("bert")
    model.encoder.layer[0].attention.output.LayerNorm = HalfNorm(32)
    with pytest.raises(CaptureError, match="its HalfNorm is neither a layer norm nor"):
        capture(model, zoo.batch("bert"), PARTS)


def test_a_sum_that_is_something_else_is_refused(monkeypatch):
    """The last check, whatever the ones before it let through."""
    original = blocks.block_vectors
    monkeypatch.setattr(blocks, "block_vectors", lambda *args: original(*args) * 1.001)
    with pytest.raises(CaptureError, match="the sum over its keys is .* away from what it gives"):
        capture(zoo.build("bert"), zoo.batch("bert"), PARTS)


def test_few_rows_at_a_time_give_the_same(monkeypatch):
    model, inputs = zoo.build("bert"), zoo.batch("bert")
    whole = capture(model, inputs, PARTS)
    monkeypatch.setattr(blocks, "_MOST_NUMBERS", 2 * 9 * 32)
    some = capture(model, inputs, PARTS)
    for part in PARTS:
        for one, other in zip(
            getattr(whole, part)["self"], getattr(some, part)["self"], strict=True
        ):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_layers_are_chosen_and_heads_do_not_matter():
    model, inputs = zoo.build("llama"), zoo.batch("llama")
    whole = capture(model, inputs, PARTS)
    some = capture(model, inputs, ("attentions", *PARTS), layers=[1], heads=[3])
    assert some.layers["self"] == [1]
    assert some.attentions["self"][0].shape[1] == 1
    assert torch.equal(some.residual_norms["self"][0], whole.residual_norms["self"][1])


def test_rows_have_none():
    with pytest.raises(SelectionError, match="of single rows only the attention"):
        capture(zoo.build("bert"), zoo.batch("bert"), ("attentions", *PARTS), rows=[1])


def test_hooks_are_gone_afterwards_also_after_an_error():
    model = zoo.build("gpt_neox")
    before = zoo.State.of(model)
    with pytest.raises(CaptureError):
        capture(model, zoo.batch("gpt_neox"), PARTS)
    assert zoo.State.of(model) == before

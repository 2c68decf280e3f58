"""Copying by weights: maps of values on texts they were not found on, slow loops, planted heads."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from introspect.errors import CaptureError
from introspect.models import Model
from introspect.studies.lens import OvCircuits, copied, run_noted
from introspect.studies.lens.value_maps import value_map
from tests.studies.heads.test_importance import masked
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import _module, writer

TEXT, OTHER = "The cat sat on the mat.", "Where is that other dog?"
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
}
#: Fused by thirds, by head and by group, several queries to one value, norms and gains elsewhere.
FURTHER = {
    "gpt_neox": lambda ids: tf.GPTNeoXConfig(**_SIZES, **ids),
    "falcon": lambda ids: tf.FalconConfig(**_SIZES, new_decoder_architecture=False, **ids),
    "bigcode": lambda ids: tf.GPTBigCodeConfig(n_embd=32, n_layer=2, n_head=4, **ids),
    "phi3": lambda ids: tf.Phi3Config(**_SIZES, num_key_value_heads=2, **ids),
    "gemma2": lambda ids: tf.Gemma2Config(**_SIZES, num_key_value_heads=2, head_dim=8, **ids),
    "olmo2": lambda ids: tf.Olmo2Config(**_SIZES, **ids),
}


def further(name: str) -> Model:
    tokenizer = byte_level()
    ids = {"vocab_size": len(tokenizer), "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": None}
    return Model(_module(FURTHER[name](ids)), tokenizer, name=f"tiny-{name}")


@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom", "gptj", "bert", *FURTHER])
def test_the_map_of_values_gives_those_of_another_text(name):
    """The difference of two values is that of the states they come from, in all but its scale."""
    model = masked() if name == "bert" else further(name) if name in FURTHER else writer(name)
    run, other = run_noted(model, TEXT), run_noted(model, OTHER)
    for number in range(len(run.layers)):
        found = value_map(run, "self", number)
        values = other.captured.values["self"][number][0].double()
        state = other.layers[number].given[0].double()
        assert found.shape == (len(values), state.shape[-1], values.shape[-1])
        # Without biases, each token's values are the map of its state times its own scale.
        biases = _value_bias(run, number)
        made = state @ found
        scale = ((values - biases) * made).sum((0, 2)) / (made**2).sum((0, 2))
        assert bool((scale > 0).all())
        assert torch.allclose(made * scale[:, None], values - biases, atol=1e-4)


def _value_bias(run: Any, number: int) -> torch.Tensor:
    """What values have of any bias: by least squares, what the map and a constant leave least."""
    values = run.captured.values["self"][number][0].double()
    made = run.layers[number].given[0].double() @ value_map(run, "self", number)
    # One equation for each number of a value: constant + scale of the token × what is made of it.
    heads, length, size = values.shape
    constant = torch.eye(heads * size, dtype=torch.float64).repeat(length, 1)
    flat = made.transpose(0, 1).reshape(length, -1)
    scales = torch.block_diag(*flat[:, None]).T
    solved = torch.linalg.lstsq(
        torch.cat([constant, scales], 1), values.transpose(0, 1).reshape(-1, 1)
    ).solution
    return solved[: heads * size, 0].reshape(heads, 1, size)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_scores_are_those_of_a_slow_loop(name):
    model = writer(name)
    entries = [5, 17, 80, 200]
    found = OvCircuits(run_noted(model, TEXT), torch.tensor(entries)).scores(1)
    module, loops = model.module.double(), torch.zeros(4, 4, 4, dtype=torch.float64)
    layer = (module.model.layers if name == "llama" else module.transformer.h)[1]
    embedding, rows = module.get_input_embeddings().weight, module.lm_head.weight
    for head in range(4):
        for i, one in enumerate(entries):
            state = embedding[one]
            if name == "llama":
                normed = state * layer.input_layernorm.weight
                own = layer.self_attn.v_proj.weight[8 * (head // 2) : 8 * (head // 2 + 1)]
                brought = layer.self_attn.o_proj.weight[:, 8 * head : 8 * head + 8] @ (own @ normed)
                read = brought * module.model.norm.weight
            else:
                normed = (state - state.mean()) * layer.ln_1.weight
                own = layer.attn.c_attn.weight[:, 64 + 8 * head : 72 + 8 * head]
                brought = (normed @ own) @ layer.attn.c_proj.weight[8 * head : 8 * head + 8]
                read = (brought - brought.mean()) * module.transformer.ln_f.weight
            for j, other in enumerate(entries):
                loops[head, i, j] = (read @ (rows[other] - rows[entries[0]])).detach()
    # Each norm has one positive scale for all heads and entries.
    factor = float((found * loops).sum() / (loops**2).sum())
    assert factor > 0
    assert torch.allclose(found, factor * loops, atol=1e-5 * float(found.abs().max()))


def planted() -> Model:
    """A model whose first head copies, whose second writes against, and others do neither."""
    model = copy.deepcopy(writer("llama"))
    module = model.module
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        embedded = torch.randn(len(model.tokenizer), 32, generator=generator)
        module.get_input_embeddings().weight.copy_(embedded)
        module.lm_head.weight.copy_(embedded)
        module.model.norm.weight.fill_(1.0)
        layer = module.model.layers[1]
        layer.input_layernorm.weight.fill_(1.0)
        some = torch.linalg.qr(torch.randn(32, 32, generator=generator)).Q[:8]
        layer.self_attn.v_proj.weight[:8] = some
        layer.self_attn.o_proj.weight[:, :8] = some.T
        layer.self_attn.o_proj.weight[:, 8:16] = -some.T
    return model


def test_a_planted_head_copies_another_writes_against_and_the_rest_do_neither():
    run = run_noted(planted(), TEXT)
    shares, first = copied(OvCircuits(run, torch.arange(4, 104)).scores(1))
    assert shares.mean(-1)[0] > 0.9 > 0.1 > shares.mean(-1)[1]
    assert first[0].double().mean() > 0.3 and not first[1].any()
    assert bool(((shares.mean(-1)[2:] > 0.3) & (shares.mean(-1)[2:] < 0.7)).all())


class Squashed(nn.Module):
    """A linear layer with more behind it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.inner(state))


def test_values_that_are_no_linear_map_of_the_state_are_refused():
    model = copy.deepcopy(writer("llama"))
    attention = model.module.model.layers[0].self_attn
    attention.v_proj = Squashed(attention.v_proj)
    run = run_noted(model, TEXT)
    with pytest.raises(CaptureError, match="Squashed does more than multiply"):
        value_map(run, "self", 0)
    assert value_map(run, "self", 1).shape == (2, 32, 8)


def test_a_head_that_writes_nothing_neither_copies_nor_is_first():
    shares, first = copied(torch.zeros(3, 3))
    assert shares.tolist() == [0.5] * 3 and not first.any()

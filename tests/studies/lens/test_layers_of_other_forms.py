"""Layers whose parts stand elsewhere than in GPT-2: divided exactly, or refused for a reason."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.errors import CaptureError
from introspect.models import Model, load

TEXT = "a b c d a b"
_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_HEADS = {**_SMALL, "head_dim": 8}
_FALCON: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}

FORMS = {
    # All tokens in one row in the feed-forward.
    "opt": lambda size: tf.OPTConfig(
        vocab_size=size, hidden_size=32, ffn_dim=48, num_hidden_layers=3, num_attention_heads=4,
        word_embed_proj_dim=32, max_position_embeddings=64,
    ),
    "llama4": lambda size: tf.Llama4TextConfig(
        vocab_size=size, **_HEADS, intermediate_size_mlp=48, num_local_experts=2,
        num_experts_per_tok=1,
    ),
    # A sum in place, after the feed-forward.
    "falcon": lambda size: tf.FalconConfig(vocab_size=size, **_FALCON),
    "falcon, in turn": lambda size: tf.FalconConfig(
        vocab_size=size, **_FALCON, parallel_attn=False, bias=True
    ),
    "falcon, new": lambda size: tf.FalconConfig(
        vocab_size=size, **_FALCON, new_decoder_architecture=True, num_kv_heads=2
    ),
    # A norm of what the heads bring.
    "gemma2": lambda size: tf.Gemma2Config(
        vocab_size=size, **_HEADS, query_pre_attn_scalar=8, final_logit_softcapping=None
    ),
    "gemma3": lambda size: tf.Gemma3TextConfig(
        vocab_size=size, **_HEADS, query_pre_attn_scalar=8
    ),
    "olmo2": lambda size: tf.Olmo2Config(vocab_size=size, **_SMALL),
}  # fmt: skip


def built(config) -> Model:
    plain = load("induction", lm_head=True)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        made = config(plain.module.config.vocab_size)
        module = tf.AutoModelForCausalLM.from_config(made).eval()
        for part in module.parameters():
            part.add_(torch.randn_like(part) * (0.3 if part.ndim > 1 else 0.1))
    return load((module, plain.tokenizer))


@pytest.mark.parametrize("name", FORMS)
def test_the_parts_sum_to_the_logit_in_every_form(name):
    model = built(FORMS[name])
    for token, against in (("c", "d"), ("a", None)):
        table = ix.direct_logit_attribution(model, TEXT, token=token, against=against)
        assert table.contribution.sum() == pytest.approx(table.attrs["logit"], abs=1e-5)
        assert table.attrs["error"] <= 1e-5
        heads = table[table["head"].notna()]
        assert len(heads) == 12 and heads.contribution.abs().max() > 1e-3


def output_projection(model: Model, layer: int) -> torch.nn.Linear:
    return model.module.model.layers[layer].self_attn.o_proj


@pytest.mark.parametrize("name", ["gemma3", "olmo2"])
def test_a_head_behind_a_norm_adds_what_its_vectors_add_at_the_runs_scale(name):
    """Against a slow computation: the head's part of the sum, times the norm's own factors."""
    model = built(FORMS[name])
    layer, head, place = 1, 2, 4
    kept: dict[str, torch.Tensor] = {}
    block = model.module.model.layers[layer]
    handles = [
        block.self_attn.o_proj.register_forward_hook(lambda _, a, r: kept.update(heads=a[0])),
        block.post_attention_layernorm.register_forward_hook(
            lambda _, a, r: kept.update(given=a[0], normed=r)
        ),
        model.module.model.norm.register_forward_hook(
            lambda _, a, r: kept.update(last=a[0], out=r)
        ),
    ]
    table = ix.direct_logit_attribution(model, TEXT, token=7, position=place)
    for handle in handles:
        handle.remove()
    own = slice(8 * head, 8 * (head + 1))
    weight = output_projection(model, layer).weight.double()
    brought = kept["heads"][0, place, own].double() @ weight[:, own].T
    factors = (kept["normed"] / kept["given"])[0, place].double()
    final = (kept["out"] / kept["last"])[0, place].double()
    unembedding = model.module.lm_head.weight.double()
    row = unembedding[7] - unembedding.mean(0)
    expected = float(((brought * factors * final) @ row).detach())
    (found,) = table[(table["layer"] == layer) & (table["head"] == head)].contribution
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_cap_on_the_logits_is_refused_by_its_name():
    model = built(lambda size: tf.Gemma2Config(vocab_size=size, **_HEADS, query_pre_attn_scalar=8))
    with pytest.raises(CaptureError, match="they may be capped"):
        ix.direct_logit_attribution(model, TEXT, token="c")
    assert ix.logit_lens(model, TEXT).attrs["error"] <= 1e-5


@pytest.mark.parametrize("name", FORMS)
def test_the_lens_reads_every_form(name):
    lens = ix.logit_lens(built(FORMS[name]), TEXT)
    assert sorted(set(lens.layer)) == [-1, 0, 1, 2]
    assert lens.attrs["error"] <= 1e-5


def test_the_lens_needs_no_attention():
    model = built(
        lambda size: tf.MambaConfig(
            vocab_size=size, hidden_size=32, num_hidden_layers=2, state_size=4
        )
    )
    assert sorted(set(ix.logit_lens(model, TEXT).layer)) == [-1, 0, 1]
    with pytest.raises(CaptureError, match="no attention weights"):
        ix.direct_logit_attribution(model, TEXT, token="c")

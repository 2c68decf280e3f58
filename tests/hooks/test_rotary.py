"""Queries and keys before rotary embedding: from the weights, by hand, and turned again."""

from __future__ import annotations

import sys
import threading

import pytest
import torch
import transformers as tf

import introspect as ix
from introspect.hooks import capture
from introspect.hooks.rotary import ROTARY_PARTS
from tests import models_zoo as zoo

SIZE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
CONFIGS = {
    "llama": lambda: tf.LlamaConfig(**SIZE),
    "qwen2": lambda: tf.Qwen2Config(**SIZE),
    "qwen3": lambda: tf.Qwen3Config(**SIZE, head_dim=16),
    "gpt_neox": lambda: tf.GPTNeoXConfig(**{k: v for k, v in SIZE.items() if "value" not in k}),
    "gemma3": lambda: tf.Gemma3TextConfig(**SIZE, head_dim=16, sliding_window=8),
    "phi": lambda: tf.PhiConfig(**SIZE),
}
PARTS = ("queries", "keys", *ROTARY_PARTS)
IDS = torch.randint(1, 60, (2, 9), generator=torch.Generator().manual_seed(0))


def built(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return tf.AutoModel.from_config(CONFIGS[name]()).eval()


def attentions_of(model: torch.nn.Module) -> list[torch.nn.Module]:
    names = ("Attention",)
    return [part for part in model.modules() if type(part).__name__.endswith(names)]


def by_hand(module: torch.nn.Module, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys from the weights, one head and position at a time."""
    if hasattr(module, "query_key_value"):  # GPT-NeoX: for each head queries, keys and values
        joint, heads = module.query_key_value, 4
        size = joint.weight.shape[0] // (3 * heads)
        rows = torch.arange(joint.weight.shape[0]).view(heads, 3, size)
        places = [rows[:, part].flatten() for part in range(2)]
        pairs = [(joint.weight[place], joint.bias[place]) for place in places]
    else:
        pairs = [(part.weight, part.bias) for part in (module.q_proj, module.k_proj)]
        size = getattr(module, "head_dim", 8)
    norms = [getattr(module, f"{name}_norm", None) for name in "qk"]
    made = []
    for (weight, bias), norm in zip(pairs, norms, strict=True):
        heads = weight.shape[0] // size
        out = torch.empty(states.shape[0], heads, states.shape[1], size)
        for item in range(states.shape[0]):
            for place in range(states.shape[1]):
                for head in range(heads):
                    rows = slice(head * size, (head + 1) * size)
                    one = weight[rows] @ states[item, place]
                    one = one if bias is None else one + bias[rows]
                    out[item, head, place] = one if norm is None else norm(one)
        made.append(out)
    return made[0], made[1]


@pytest.mark.parametrize("name", CONFIGS)
def test_they_are_what_the_weights_make_of_the_states(name):
    model = built(name)
    given: list[tuple[torch.nn.Module, torch.Tensor]] = []
    hooks = [
        part.register_forward_pre_hook(
            lambda part, args, kwargs: given.append(
                (part, kwargs["hidden_states"] if "hidden_states" in kwargs else args[0])
            ),
            with_kwargs=True,
        )
        for part in attentions_of(model)
    ]
    captured = capture(model, {"input_ids": IDS}, ("attentions", *PARTS))
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        for layer, (module, states) in enumerate(given):
            queries, keys = by_hand(module, states)
            own = captured.queries_before_rotary["self"][layer]
            assert torch.allclose(own, queries, atol=1e-6)
            assert torch.allclose(captured.keys_before_rotary["self"][layer], keys, atol=1e-6)
            assert own.shape == captured.queries["self"][layer].shape
            # The first position is not turned, and all others are.
            turned = (captured.queries["self"][layer] - own).abs().amax((0, 1, 3))
            assert turned[0] < 1e-6 and (turned[1:] > 1e-3).all()


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3"])
def test_turned_again_they_are_the_queries_and_keys(name):
    model = built(name)
    captured = capture(model, {"input_ids": IDS}, ("attentions", *PARTS))
    file = sys.modules[type(model).__module__]
    places = torch.arange(9)[None]
    for layer in range(2):
        kinds = getattr(model.config, "layer_types", None)
        named = {"layer_type": kinds[layer]} if name == "gemma3" else {}
        cos, sin = model.rotary_emb(torch.zeros(1), places, **named)
        before = (getattr(captured, part)["self"][layer] for part in ROTARY_PARTS)
        queries, keys = file.apply_rotary_pos_emb(*before, cos, sin)
        assert torch.allclose(queries, captured.queries["self"][layer], atol=1e-6)
        assert torch.allclose(keys, captured.keys["self"][layer], atol=1e-6)


def test_attention_is_as_without_them_and_nothing_is_left_behind():
    model = built("llama")
    file = sys.modules[type(model).__module__]
    function = file.apply_rotary_pos_emb
    plain = capture(model, {"input_ids": IDS})
    captured = capture(model, {"input_ids": IDS}, ("attentions", *ROTARY_PARTS), layers=[1])
    assert torch.equal(captured.attentions["self"][0], plain.attentions["self"][1])
    assert captured.layers == {"self": [1]}
    assert captured.queries == {}
    assert file.apply_rotary_pos_emb is function
    with pytest.raises(ix.IntrospectError):
        capture(model, {"input_ids": IDS + 100}, ROTARY_PARTS)
    assert file.apply_rotary_pos_emb is function


def test_two_threads_note_their_own():
    models = [built("llama"), built("llama")]
    ids = [IDS, IDS.flip(1)]
    expected = [capture(m, {"input_ids": i}, PARTS) for m, i in zip(models, ids, strict=True)]
    captured: list[ix.Captured | None] = [None, None]

    def run(number: int) -> None:
        for _ in range(3):
            captured[number] = capture(models[number], {"input_ids": ids[number]}, PARTS)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, theirs in zip(expected, captured, strict=True):
        for part in PARTS:
            for one, other in zip(
                getattr(mine, part)["self"], getattr(theirs, part)["self"], strict=True
            ):
                assert torch.allclose(one, other, atol=1e-6)
    assert not hasattr(
        sys.modules[type(models[0]).__module__].apply_rotary_pos_emb, "_notes_rotations"
    )


def test_a_layer_without_rotation_has_its_queries():
    torch.manual_seed(0)
    config = tf.SmolLM3Config(**SIZE, no_rope_layers=[1, 0], bos_token_id=1, eos_token_id=2)
    captured = capture(tf.SmolLM3Model(config).eval(), {"input_ids": IDS}, PARTS)
    queries, before = captured.queries["self"], captured.queries_before_rotary["self"]
    assert torch.equal(queries[1], before[1])
    assert not torch.allclose(queries[0], before[0])


def test_a_part_of_each_head_that_heads_share():
    """DeepSeek turns the last dimensions, in keys once for all heads."""
    torch.manual_seed(0)
    config = tf.DeepseekV2Config(
        **(SIZE | {"num_key_value_heads": 4}), kv_lora_rank=8, q_lora_rank=8, qk_rope_head_dim=4,
        qk_nope_head_dim=8, v_head_dim=8, first_k_dense_replace=2,
    )  # fmt: skip
    captured = capture(tf.DeepseekV2Model(config).eval(), {"input_ids": IDS}, PARTS)
    for part in ("queries", "keys"):
        after, before = (
            getattr(captured, part)["self"][0],
            getattr(captured, f"{part}_before_rotary")["self"][0],
        )
        assert torch.equal(after[..., :8], before[..., :8])
        assert not torch.allclose(after[:, :, 1:, 8:], before[:, :, 1:, 8:])
        norms = [each[..., 8:].norm(dim=-1) for each in (after, before)]
        assert torch.allclose(*norms, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_a_model_without_rotary_embedding_is_refused(name):
    with pytest.raises(ix.IntrospectError, match=r"Expected rotary embedding in \w+Model"):
        capture(zoo.build(name), zoo.batch(name), ROTARY_PARTS)


def test_rows_have_none():
    with pytest.raises(ix.IntrospectError, match="include=.'attentions'"):
        capture(built("llama"), {"input_ids": IDS}, ROTARY_PARTS, rows=[1])


def test_what_an_edit_has_changed_is_refused():
    model = built("llama")
    edit = ix.Edit("self", 0, "queries", lambda queries, _: queries + 1)
    with ix.intervene(model, [edit]), pytest.raises(ix.IntrospectError, match="or edited"):
        capture(model, {"input_ids": IDS}, ROTARY_PARTS)

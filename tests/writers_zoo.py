"""Tiny random models with a language-model head, which write: no network, no files."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
import transformers as tf
from torch import nn

from introspect.models import Model
from tests.tokenizers_zoo import byte_level

WINDOW = 6

_DECODER: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}
_OLD: dict[str, Any] = {"n_embd": 32, "n_layer": 3, "n_head": 4}

CONFIGS: dict[str, Callable[..., Any]] = {
    "llama": lambda **ids: tf.LlamaConfig(**_DECODER, **ids),
    "mistral": lambda **ids: tf.MistralConfig(**_DECODER, sliding_window=WINDOW, **ids),
    "gemma3": lambda **ids: tf.Gemma3TextConfig(**_DECODER, sliding_window=WINDOW, **ids),
    "gpt_oss": lambda **ids: tf.GptOssConfig(
        **_DECODER,
        sliding_window=WINDOW,
        num_local_experts=4,
        num_experts_per_tok=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        **ids,
    ),
    "gpt2": lambda **ids: tf.GPT2Config(**_OLD, n_positions=128, **ids),
    "bloom": lambda **ids: tf.BloomConfig(hidden_size=32, n_layer=3, n_head=4, **ids),
    "gptj": lambda **ids: tf.GPTJConfig(**_OLD, n_positions=128, rotary_dim=4, **ids),
    "openai": lambda **ids: tf.OpenAIGPTConfig(**_OLD, n_positions=128, **ids),
    "t5": lambda **ids: tf.T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=3, num_heads=4, **ids),
    "bart": lambda **ids: tf.BartConfig(
        d_model=32,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_position_embeddings=128,
        forced_eos_token_id=None,
        **ids,
    ),
}
ENCODER_DECODERS = ("t5", "bart")
WITH_WINDOWS = ("mistral", "gemma3", "gpt_oss")


def writer(name: str, tokenizer: Any = None) -> Model:
    """A model that writes; the same weights every time, and no end token that would stop it."""
    tokenizer = tokenizer or byte_level()
    config = CONFIGS[name](
        vocab_size=len(tokenizer), pad_token_id=1, bos_token_id=0, eos_token_id=None,
        **({"decoder_start_token_id": 0} if name in ENCODER_DECODERS else {}),
    )  # fmt: skip
    return Model(_module(config), tokenizer, name=f"tiny-{name}")


def eager_twin(module: nn.Module) -> nn.Module:
    """A second model with the same weights that was built eager."""
    twin = type(module)._from_config(copy.deepcopy(module.config), attn_implementation="eager")
    twin.load_state_dict(module.state_dict())
    return twin.eval()


def _module(config: Any) -> nn.Module:
    auto = tf.AutoModelForSeq2SeqLM if config.is_encoder_decoder else tf.AutoModelForCausalLM
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        module = auto.from_config(config)
        for part in module.parameters():
            fan_in = part.shape[-1] if part.dim() > 1 else 4
            part.add_(torch.randn(part.shape) / math.sqrt(fan_in))
    return module.eval()

"""Tiny random models with several towers, and inputs with several pictures: no network, no files.

The weights are far larger than a fresh model's, as in ``tests.models_zoo``.
"""

from __future__ import annotations

import copy
import functools
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers as tf
from torch import nn

VOCABULARY = 100
PICTURE = 99
_WORDS = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 5,
    "eos_token_id": 6,
}
_SIGHT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
_BERT = {
    key: value for key, value in _WORDS.items() if key not in ("num_key_value_heads", "head_dim")
}
_ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [1, 1, 2]}

Inputs = dict[str, torch.Tensor]
Made = tuple[Any, Any, Inputs]


def pictures(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def text(places: int, batch: int = 1) -> Inputs:
    row = [5, *[PICTURE] * places, 10, 11, 12, 13]
    ids = torch.tensor([row] * batch)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def words(*rows: list[int]) -> Inputs:
    ids = torch.tensor(rows)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def llava() -> Made:
    """Two texts with one picture each."""
    config = tf.LlavaConfig(
        vision_config=tf.CLIPVisionConfig(**_SIGHT),
        text_config=tf.LlamaConfig(**_WORDS),
        image_token_index=PICTURE,
        vision_feature_layer=-1,
    )
    inputs = {**text(4, batch=2), "pixel_values": pictures(2, 3, 16, 16)}
    return tf.LlavaForConditionalGeneration, config, inputs


def gemma3() -> Made:
    """Two pictures in one text, which attend both ways among themselves."""
    sides = ["sliding_attention", "sliding_attention", "full_attention"]
    config = tf.Gemma3Config(
        vision_config=tf.SiglipVisionConfig(**_SIGHT, vision_use_head=False).to_dict(),
        text_config=tf.Gemma3TextConfig(**_WORDS, sliding_window=4, layer_types=sides).to_dict(),
        image_token_index=PICTURE,
        mm_tokens_per_image=4,
        boi_token_index=97,
        eoi_token_index=98,
    )
    inputs = words([5, 97, *[PICTURE] * 4, 98, 10, 97, *[PICTURE] * 4, 98, 11, 12])
    is_picture = (inputs["input_ids"] == PICTURE).long()
    inputs |= {"token_type_ids": is_picture, "pixel_values": pictures(2, 3, 16, 16)}
    return tf.Gemma3ForConditionalGeneration, config, inputs


def clip() -> Made:
    """Three pictures, and two texts, one of them padded."""
    config = tf.CLIPConfig(
        text_config=tf.CLIPTextConfig(**_BERT, projection_dim=16).to_dict(),
        vision_config=tf.CLIPVisionConfig(**_SIGHT, projection_dim=16).to_dict(),
        projection_dim=16,
    )
    inputs = words([5, 10, 11, 12, 6], [5, 13, 14, 6, 0])
    inputs["attention_mask"][1, -1] = 0
    return tf.CLIPModel, config, {**inputs, "pixel_values": pictures(3, 3, 16, 16)}


def mllama() -> Made:
    """Two texts with pictures of two tiles and of one; two text layers look at them."""
    config = tf.MllamaConfig(
        vision_config={
            **_SIGHT,
            "num_global_layers": 2,
            "attention_heads": 2,
            "max_num_tiles": 2,
            "vision_output_dim": 64,
            "intermediate_layers_indices": [1],
            "supported_aspect_ratios": [[1, 1], [1, 2]],
        },
        text_config={
            **{key: value for key, value in _WORDS.items() if key != "head_dim"},
            "num_hidden_layers": 4,
            "cross_attention_layers": [1, 3],
        },
        image_token_index=PICTURE,
    )
    inputs = words([5, PICTURE, 10, 11, 12, 13], [5, PICTURE, 14, 15, 16, 17])
    inputs |= {
        "pixel_values": pictures(2, 1, 2, 3, 16, 16),
        "aspect_ratio_ids": torch.tensor([[2], [1]]),
        "aspect_ratio_mask": torch.tensor([[[1, 1]], [[1, 0]]]),
        "cross_attention_mask": torch.tensor([[[[1, 1]]] * 6, [[[1, 0]]] * 6]),
    }
    return tf.MllamaForConditionalGeneration, config, inputs


def blip() -> Made:
    """A model whose towers compute attention without the interface."""
    config = tf.BlipConfig(
        text_config={**_BERT, "encoder_hidden_size": 32, "sep_token_id": 6, "projection_dim": 16},
        vision_config={**_SIGHT, "projection_dim": 16},
        projection_dim=16,
    )
    inputs = {**words([5, 10, 11, 12]), "pixel_values": pictures(1, 3, 16, 16)}
    return tf.BlipForConditionalGeneration, config, inputs


def blip_questions() -> Made:
    _, config, inputs = blip()
    return tf.BlipForQuestionAnswering, config, {**inputs, **_written([5, 20, 21])}


def _blip2(reader: Any) -> Any:
    return tf.Blip2Config(
        vision_config=_SIGHT,
        qformer_config={
            **_BERT,
            "num_hidden_layers": 4,
            "encoder_hidden_size": 32,
            "cross_attention_frequency": 2,
        },
        text_config=reader.to_dict(),
        num_query_tokens=3,
        image_token_index=PICTURE,
    )


def blip2() -> Made:
    reader = tf.OPTConfig(**_BERT, ffn_dim=48, word_embed_proj_dim=32)
    inputs = {**text(3), "pixel_values": pictures(1, 3, 16, 16)}
    return tf.Blip2ForConditionalGeneration, _blip2(reader), inputs


def blip2_t5() -> Made:
    """A tower of the words that is itself an encoder-decoder."""
    reader = tf.T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=6,
    )  # fmt: skip
    inputs = {**text(3), "pixel_values": pictures(1, 3, 16, 16), **_written([0, 10, 11])}
    return tf.Blip2ForConditionalGeneration, _blip2(reader), inputs


def _written(row: list[int]) -> Inputs:
    return {"decoder_input_ids": torch.tensor([row])}


def idefics() -> Made:
    """Two pictures in one text; gated layers of their own look at what is made of them."""
    config = tf.IdeficsConfig(
        **{**_BERT, "num_hidden_layers": 4},
        additional_vocab_size=2,
        cross_layer_interval=2,
        use_resampler=True,
        perceiver_config={
            "resampler_n_latents": 3,
            "resampler_depth": 2,
            "resampler_n_heads": 2,
            "resampler_head_dim": 8,
            "qk_layer_norms_perceiver": False,
        },
        vision_config={**_SIGHT, "embed_dim": 32},
        alpha_initializer="ones",
    )
    inputs = {**words([5, 10, 11, 12, 13]), "pixel_values": pictures(1, 2, 3, 16, 16)}
    inputs["image_attention_mask"] = torch.ones(1, 5, 2, dtype=torch.long)
    return tf.IdeficsForVisionText2Text, config, inputs


def idefics2() -> Made:
    """Two pictures in one text, each resampled by a tower between."""
    config = tf.Idefics2Config(
        vision_config=_SIGHT,
        perceiver_config={
            "hidden_size": 32,
            "resampler_n_latents": 3,
            "resampler_depth": 2,
            "resampler_n_heads": 4,
            "num_key_value_heads": 2,
            "resampler_head_dim": 8,
        },
        text_config=tf.MistralConfig(**_WORDS).to_dict(),
        image_token_id=PICTURE,
    )
    seen = torch.ones(1, 2, 16, 16, dtype=torch.long)
    inputs = {**text(6), "pixel_values": pictures(1, 2, 3, 16, 16), "pixel_attention_mask": seen}
    return tf.Idefics2ForConditionalGeneration, config, inputs


def _qwen(config_class: Any, sight: dict[str, Any]) -> tuple[Any, Inputs]:
    config = config_class(
        vision_config={
            **sight,
            "hidden_size": 32,
            "num_heads": 2,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        text_config={**_WORDS, "rope_parameters": _ROPE},
        image_token_id=PICTURE,
        video_token_id=98,
        vision_start_token_id=97,
        vision_end_token_id=96,
    )
    inputs = words([5, 97, *[PICTURE] * 4, 96, 97, PICTURE, 96, 10, 11, 12, 13])
    inputs |= {
        "pixel_values": pictures(20, 96),
        "image_grid_thw": torch.tensor([[1, 4, 4], [1, 2, 2]]),
        "mm_token_type_ids": (inputs["input_ids"] == PICTURE).long(),
    }
    return config, inputs


def qwen2_vl() -> Made:
    """Two pictures of different sizes, packed in one sequence."""
    sight = {"depth": 2, "embed_dim": 32, "mlp_ratio": 2}
    return tf.Qwen2VLForConditionalGeneration, *_qwen(tf.Qwen2VLConfig, sight)


def qwen2_5_vl() -> Made:
    """The same, and the first layer attends within windows."""
    sight = {
        "depth": 2,
        "out_hidden_size": 32,
        "intermediate_size": 48,
        "window_size": 8,
        "fullatt_block_indexes": [1],
    }
    return tf.Qwen2_5_VLForConditionalGeneration, *_qwen(tf.Qwen2_5_VLConfig, sight)


def git() -> Made:
    """A tower of pictures that uses the interface, and words that do not."""
    config = tf.GitConfig(vision_config=_SIGHT, **_BERT)
    inputs = {**words([5, 10, 11, 12]), "pixel_values": pictures(1, 3, 16, 16)}
    return tf.GitForCausalLM, config, inputs


def qwen2_audio() -> Made:
    config = tf.Qwen2AudioConfig(
        audio_config={
            "model_type": "qwen2_audio_encoder",
            "num_mel_bins": 8,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 48,
            "d_model": 32,
            "max_source_positions": 8,
        },
        text_config=tf.Qwen2Config(**_WORDS).to_dict(),
        audio_token_index=PICTURE,
    )
    inputs = {**text(4), "input_features": pictures(1, 8, 16)}
    inputs["feature_attention_mask"] = torch.ones(1, 16, dtype=torch.long)
    return tf.Qwen2AudioForConditionalGeneration, config, inputs


def llama4() -> Made:
    """Two pictures in one text, and an eager function of its own for their tower."""
    config = tf.Llama4Config(
        text_config={
            **_WORDS,
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "intermediate_size_mlp": 48,
            "attention_chunk_size": 8,
        },
        vision_config={
            **_SIGHT,
            "intermediate_size": 128,
            "patch_size": 4,
            "vision_output_dim": 32,
            "projector_input_dim": 32,
            "projector_output_dim": 32,
        },
        image_token_index=PICTURE,
    )
    inputs = {**text(8), "pixel_values": pictures(2, 3, 16, 16)}
    return tf.Llama4ForConditionalGeneration, config, inputs


MADE: dict[str, Callable[[], Made]] = {
    each.__name__: each
    for each in (
        llava, gemma3, clip, mllama, blip, blip_questions, blip2, blip2_t5, idefics, idefics2,
        qwen2_vl, qwen2_5_vl, git, qwen2_audio, llama4,
    )
}  # fmt: skip


@functools.cache
def build(name: str, implementation: str | None = None) -> tuple[nn.Module, Inputs]:
    """Return a model with the same weights every time, whatever the implementation."""
    cls, config, inputs = MADE[name]()
    options = {} if implementation is None else {"attn_implementation": implementation}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = cls._from_config(copy.deepcopy(config), **options)
        for parameter in model.parameters():
            fan_in = parameter.shape[-1] if parameter.dim() > 1 else 4
            parameter.add_(torch.randn(parameter.shape) * 0.7 / math.sqrt(fan_in))
    return model.eval(), inputs


Computed = tuple[torch.Tensor, torch.Tensor | None]


@contextmanager
def eager_replaced(
    model: nn.Module, change: Callable[[nn.Module, Computed], Computed]
) -> Iterator[None]:
    """Change what the eager attention function of each of a model's files returns.

    None of our code takes part in what an eager model then computes.
    """
    files = {sys.modules[type(part).__module__] for part in model.modules()}
    own = {
        (file, name): getattr(file, name)
        for file in files
        for name in ("eager_attention_forward", "vision_eager_attention_forward")
        if hasattr(file, name)
    }

    def replaced(function: Callable[..., Computed]) -> Callable[..., Computed]:
        return lambda module, *args, **kwargs: change(module, function(module, *args, **kwargs))

    try:
        for (file, name), function in own.items():
            setattr(file, name, replaced(function))
        yield
    finally:
        for (file, name), function in own.items():
            setattr(file, name, function)


def run_eagerly(name: str) -> tuple[Any, dict[str, list[torch.Tensor]]]:
    """Return the output of an eager run, and the weights of each module, by its place."""
    model, inputs = build(name, "eager")
    places = {module: place for place, module in model.named_modules()}
    seen: dict[str, list[torch.Tensor]] = {}

    def note(module: nn.Module, computed: Computed) -> Computed:
        assert computed[1] is not None
        seen.setdefault(places[module], []).append(computed[1])
        return computed

    with torch.no_grad(), eager_replaced(model, note):
        output = model(**inputs, output_attentions=True)
    return output, seen

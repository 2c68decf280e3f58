"""Small vision models, their processors, and a picture."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
import transformers as tf

SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
TEXT_SIZE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 20,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
CONFIGS: dict[str, tuple[Callable[[], tf.PreTrainedConfig], tuple[str, ...]]] = {
    "vit": (lambda: tf.ViTConfig(**SIZE), ("[CLS]",)),
    "deit": (lambda: tf.DeiTConfig(**SIZE), ("[CLS]", "[DIST]")),
    "dinov2": (lambda: tf.Dinov2Config(**SIZE), ("[CLS]",)),
    "registers": (
        lambda: tf.Dinov2WithRegistersConfig(**SIZE, num_register_tokens=3),
        ("[CLS]", "[REG1]", "[REG2]", "[REG3]"),
    ),
    "dinov3": (
        lambda: tf.DINOv3ViTConfig(**SIZE, num_register_tokens=2),
        ("[CLS]", "[REG1]", "[REG2]"),
    ),
    "clip": (lambda: tf.CLIPVisionConfig(**SIZE), ("[CLS]",)),
    "siglip": (lambda: tf.SiglipVisionConfig(**SIZE), ()),
}


@functools.cache
def build(name: str) -> torch.nn.Module:
    """A model that attends unevenly: fresh weights would hide a patch at a wrong place."""
    return sharpened(tf.AutoModel.from_config(CONFIGS[name][0]()))


def sharpened(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(1)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, torch.nn.Linear | torch.nn.Conv2d):
                part.weight.normal_(std=3 / part.weight[0].numel() ** 0.5)
    return module.eval()


def processor(height: int = 32, width: int = 32) -> tf.ViTImageProcessorPil:
    return tf.ViTImageProcessorPil(size={"height": height, "width": width})


def cropping() -> tf.CLIPImageProcessorPil:
    return tf.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )


def picture(height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@functools.cache
def clip() -> tf.CLIPModel:
    text = tf.CLIPTextConfig(**TEXT_SIZE)
    vision = tf.CLIPVisionConfig(**SIZE)
    config = tf.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    return sharpened(tf.CLIPModel(config))


def own_attention(module: torch.nn.Module, **inputs: torch.Tensor) -> torch.Tensor:
    """What the model returns itself when it runs eagerly, ``(layers, heads, length, length)``."""
    before = module.config._attn_implementation
    module.set_attn_implementation("eager")
    with torch.no_grad():
        own = module(**inputs, output_attentions=True).attentions
    module.set_attn_implementation(before)
    return torch.cat(own)

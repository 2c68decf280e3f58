"""Small models of sound, what reads for them, and sounds."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from scipy.io import wavfile

from introspect.models import AudioModel, load

RATE = 16_000
SIZE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 12,
}
SPECIALS = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    "<|en|>",
    "<|transcribe|>",
    "<|translate|>",
    "<|notimestamps|>",
)
# Whisper cuts 30 s into 1,500 frames; these read 2 s, in 100.
SECONDS = 2


@functools.cache
def whisper() -> AudioModel:
    """A Whisper that reads 2 s, with its processor."""
    torch.manual_seed(0)
    tokenizer = whisper_tokenizer()
    ids = {name: tokenizer.convert_tokens_to_ids(name) for name in SPECIALS}
    config = tf.WhisperConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        max_source_positions=SECONDS * 50,
        max_target_positions=40,
        pad_token_id=ids["<|endoftext|>"],
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"],
        decoder_start_token_id=ids["<|startoftranscript|>"],
        median_filter_width=5,
    )
    module = sharpened(tf.WhisperForConditionalGeneration(config))
    module.generation_config.suppress_tokens = list(ids.values())
    extractor = tf.WhisperFeatureExtractor(chunk_length=SECONDS)
    return load((module, tf.WhisperProcessor(extractor, tokenizer)))  # type: ignore[return-value]


@functools.cache
def whisper_tokenizer() -> tf.WhisperTokenizer:
    """A tokenizer of bytes, with Whisper's special tokens."""
    names = [*map(chr, range(33, 127)), "Ġ", *SPECIALS]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = tf.WhisperTokenizer(vocabulary, [], language="english", task="transcribe")
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIALS[1:])})
    return tokenizer


@functools.cache
def wav2vec2(name: str = "Wav2Vec2", **options: object) -> AudioModel:
    """A small model of the family of wav2vec 2, with its feature extractor."""
    torch.manual_seed(0)
    config = getattr(tf, f"{name}Config")(**({"conv_dim": (16,) * 7} | SIZE | options))
    module = sharpened(getattr(tf, f"{name}Model")(config))
    return load((module, tf.Wav2Vec2FeatureExtractor()))  # type: ignore[return-value]


def sharpened(module: torch.nn.Module) -> torch.nn.Module:
    """Return a model that attends unevenly: fresh weights would hide a frame at a wrong place."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, part in module.named_modules():
            if isinstance(part, torch.nn.Linear) and ("q_proj" in name or "k_proj" in name):
                part.weight.normal_(std=2 / part.weight[0].numel() ** 0.5)
    return module.eval()


def sound(seconds: float = 0.5, *, seed: int = 0) -> np.ndarray:
    """Noise that swells and fades."""
    count = round(seconds * RATE)
    noise = np.random.default_rng(seed).normal(size=count) * 0.1
    return (noise * np.sin(np.linspace(0, 7, count))).astype(np.float32)


def written(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    """Write a WAV file."""
    wavfile.write(path, rate, samples)
    return path

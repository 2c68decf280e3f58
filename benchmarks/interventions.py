"""What an intervention costs, as a ratio to the plain forward at batch 32.

    python benchmarks/interventions.py [--runs 20]

All in one process, the two sides of a ratio in turn, medians of pairs; the intervention is opened
and closed within what is timed. ``mean`` and ``resample`` have run their reference before. Models
that compute attention by themselves (DeBERTa) are compared with their own eager forward.
"""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager

import torch
import transformers as tf
from capture import build, gpt2, ids, llama, ratio

import introspect as ix


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    loaded = ix.load("minilm")
    sentences = [f"The animal number {i} crossed the street, for it was tired." for i in range(32)]
    batch = dict(loaded.tokenizer(sentences, return_tensors="pt", padding=True))
    models = {
        "minilm, 32 sentences": (loaded.module, batch),
        "GPT-2 shape, 32 x 32": (build(tf.GPT2Model, gpt2(), "sdpa"), ids(32, 32)),
        "Llama shape, 32 x 32": (build(tf.LlamaModel, llama(), "sdpa"), ids(32, 32)),
        "DeBERTa, 32 sentences": (build(tf.DebertaV2Model, deberta(), "eager"), batch),
    }
    for name, (module, inputs) in models.items():
        measure(name, module, inputs, options.runs)


def measure(name: str, module: torch.nn.Module, inputs: dict, runs: int) -> None:
    """Each intervention in one head, and zero in all heads of a layer."""
    interventions = {
        "zero": ix.ablate(module, "L1H2"),
        "zero, all heads of a layer": ix.ablate(module, "L1"),
        "mean": ix.ablate(module, "L1H2", method="mean", reference=inputs),
        "resample": ix.ablate(module, "L1H2", method="resample", reference=inputs),
        "uniform": ix.ablate(module, "L1H2", method="uniform"),
        "an edge knocked out": ix.knock_out(module, [(5, 1)], "L1H2"),
        "patched": ix.patch(module, inputs, "L1H2"),
    }

    def plain() -> None:
        with torch.no_grad():
            module(**inputs)

    def changed(intervention: AbstractContextManager) -> None:
        with intervention, torch.no_grad():
            module(**inputs)

    for words, intervention in interventions.items():
        ratio(f"{name}: {words}", lambda it=intervention: changed(it), plain, runs)


def deberta() -> tf.DebertaV2Config:
    """Of minilm's size."""
    return tf.DebertaV2Config(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
    )


if __name__ == "__main__":
    main()

"""What a capture costs, as ratios to what the model does anyway.

    python benchmarks/capture.py [--runs 30]

All in one process, the two sides of a ratio in turn, medians of pairs:

* whole patterns, over the model's own eager forward with ``output_attentions=True``;
* selected rows, over the plain SDPA forward, at batch 32;
* peak memory of selected rows at 4,096 tokens, over that of the plain forward;
* modules that are none of transformers: whole patterns of ``nn.MultiheadAttention`` over the same
  module that returns its weights, and selected rows of ``scaled_dot_product_attention`` over the
  plain run.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import transformers as tf
from torch import nn

import introspect as ix

LONG = 4096


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--memory", choices=["plain", "rows"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(peak_memory(options.memory))
        return
    loaded = ix.load("minilm")
    sentences = [f"The animal number {i} crossed the street, for it was tired." for i in range(32)]
    batch = dict(loaded.tokenizer(sentences, return_tensors="pt", padding=True))
    models = {
        "minilm, 32 sentences": (type(loaded.module), loaded.module.config, batch),
        "GPT-2 shape, 4 x 128": (tf.GPT2Model, gpt2(), ids(4, 128)),
        "Llama shape, 4 x 128": (tf.LlamaModel, llama(), ids(4, 128)),
    }
    for name, (cls, config, inputs) in models.items():
        eager, sdpa = build(cls, config, "eager"), build(cls, config, "sdpa")
        compare_whole(name, eager, sdpa, inputs, options.runs)
        compare_rows(name, sdpa, inputs, options.runs)
    compare_own(options.runs)
    plain, rows = (run_for_memory(side) for side in ("plain", "rows"))
    print(
        f"{f'rows at {LONG} tokens, peak memory':<44} {rows / plain:5.2f} x  ({plain} → {rows} MB)"
    )


def compare_whole(
    name: str, eager: torch.nn.Module, sdpa: torch.nn.Module, inputs: dict, runs: int
) -> None:
    """Whole patterns against the model's own eager attention."""

    def own() -> object:
        with torch.no_grad():
            return eager(**inputs, output_attentions=True, use_cache=False)

    ratio(f"{name}: whole / own eager", lambda: ix.capture(sdpa, inputs), own, runs)


def compare_rows(name: str, sdpa: torch.nn.Module, inputs: dict, runs: int) -> None:
    """Two selected rows against the plain forward."""

    def plain() -> object:
        with torch.no_grad():
            return sdpa(**inputs, use_cache=False)

    ratio(f"{name}: rows / plain SDPA", lambda: ix.capture(sdpa, inputs, rows=[3, 7]), plain, runs)


class Layer(nn.Module):
    """A layer whose attention is torch's, with its weights or without."""

    def __init__(self, *, needs_weights: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(384, 12, batch_first=True)
        self.inner = nn.Sequential(nn.Linear(384, 1536), nn.GELU(), nn.Linear(1536, 384))
        self.norms = nn.ModuleList(nn.LayerNorm(384) for _ in range(2))
        self.needs_weights = needs_weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend, and map each state."""
        given = self.norms[0](x)
        x = (
            x
            + self.attention(
                given, given, given, need_weights=self.needs_weights, average_attn_weights=False
            )[0]
        )
        return x + self.inner(self.norms[1](x))


def compare_own(runs: int) -> None:
    """Modules without transformers, six layers of minilm's size, 8 texts of 128 tokens."""
    x = torch.randn(8, 128, 384)
    with_weights, without = (
        nn.Sequential(*(Layer(needs_weights=needs) for _ in range(6))).eval()
        for needs in (True, False)
    )

    def plain(module: nn.Module) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                return module(x)

        return run

    ratio("own module, whole", lambda: ix.capture(with_weights, x), plain(with_weights), runs)
    rows = [0, 64]
    ratio("own module, rows", lambda: ix.capture(without, x, rows=rows), plain(without), runs)


def ratio(name: str, ours: Callable[[], object], theirs: Callable[[], object], runs: int) -> None:
    """Run both in turn, and print the median of the ratios."""
    for act in (ours, theirs, ours, theirs):
        act()
    ratios = []
    for _ in range(runs):
        seconds = []
        for act in (ours, theirs):
            start = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    low, high = statistics.quantiles(ratios, n=4)[0], statistics.quantiles(ratios, n=4)[2]
    print(f"{name:<44} {statistics.median(ratios):5.2f} x  (quartiles {low:.2f}–{high:.2f})")


def build(cls: type, config: tf.PretrainedConfig, implementation: str) -> torch.nn.Module:
    """A random model; the same weights do not matter for time."""
    copy = type(config).from_dict(config.to_dict())
    return cls._from_config(copy, attn_implementation=implementation).eval()


def gpt2() -> tf.GPT2Config:
    """GPT-2's own shape with half its layers."""
    return tf.GPT2Config(n_layer=6)


def llama(layers: int = 6) -> tf.LlamaConfig:
    """A small Llama with grouped queries."""
    return tf.LlamaConfig(
        vocab_size=1000,
        hidden_size=512,
        intermediate_size=1024,
        num_hidden_layers=layers,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=LONG,
    )


def ids(batch: int, length: int) -> dict[str, torch.Tensor]:
    """Random tokens."""
    return {"input_ids": torch.randint(0, 1000, (batch, length))}


def peak_memory(side: str) -> int:
    """Peak memory of this process in MB, after one forward of 4,096 tokens."""
    model, inputs = build(tf.LlamaModel, llama(8), "sdpa"), ids(1, LONG)
    if side == "rows":
        ix.capture(model, inputs, rows=[5, LONG - 1])
    else:
        # The same package is loaded on both sides.
        ix.capture(model, ids(1, 4), rows=[1])
        with torch.no_grad():
            model(**inputs, use_cache=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run_for_memory(side: str) -> int:
    """Peak memory of a process of its own."""
    command = [sys.executable, __file__, "--memory", side]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()

"""The logit lens against one forward pass of the same model, in one process.

    python benchmarks/lens.py [--layers 24] [--length 64]

The model has random weights and the shape of GPT-2: what is measured is time, not words. At 24
layers the goal is at most 2.5 forwards.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from transformers import GPT2Config, GPT2LMHeadModel

import introspect as ix
from introspect.models.circuits import SYMBOLS

ROUNDS = 7


def model_of(layers: int, size: int, length: int) -> ix.Model:
    tokenizer = ix.load("induction").tokenizer
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_layer=layers,
        n_embd=size,
        n_head=size // 64,
        n_positions=length + 8,
    )
    return ix.load((GPT2LMHeadModel(config).eval(), tokenizer))


def seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--length", type=int, default=64)
    options = parser.parse_args()
    model = model_of(options.layers, options.size, options.length)
    text = " ".join(SYMBOLS[place % len(SYMBOLS)] for place in range(options.length))
    inputs = model.run_plan(text, whole=True).inputs

    def forward() -> None:
        with torch.no_grad():
            model.module(**inputs)

    forward()
    ix.logit_lens(model, text)
    once, lens = [], []
    for _ in range(ROUNDS):  # in turn, so that what else the machine does weighs on both
        once.append(seconds(forward))
        lens.append(seconds(lambda: ix.logit_lens(model, text)))
    ratio = statistics.median(b / a for a, b in zip(once, lens, strict=True))
    print(f"one forward {statistics.median(once) * 1000:.1f} ms, the lens {ratio:.2f} forwards")


if __name__ == "__main__":
    main()

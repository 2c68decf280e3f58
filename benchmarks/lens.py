"""The logit lens of a model of 24 layers, in forward passes of that model.

    python benchmarks/lens.py

One process; the bare model and the lens take turns, and the median of the ratios is printed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import introspect as ix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    model = ix.load((random_gpt2(options.layers), words()))
    text = " ".join(f"w{number % 900}" for number in range(options.tokens))
    inputs = model.tokenizer(text, return_tensors="pt")
    forward, lens = [], []
    for _ in range(options.rounds + 1):
        forward.append(seconds(lambda: bare(model.module, inputs)))
        lens.append(seconds(lambda: ix.logit_lens(model, text)))
    ratios = [two / one for one, two in zip(forward[1:], lens[1:], strict=True)]
    print(
        f"{options.layers} layers, {options.tokens} tokens: a forward pass "
        f"{statistics.median(forward[1:]):.3f} s, the lens {statistics.median(ratios):.2f} of it "
        f"({min(ratios):.2f}-{max(ratios):.2f})"
    )


def bare(module: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        module(**inputs)


def seconds(run: object) -> float:
    began = time.perf_counter()
    run()  # type: ignore[operator]
    return time.perf_counter() - began


def random_gpt2(layers: int) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(n_layer=layers, n_embd=512, n_head=8, vocab_size=1000)
    return GPT2LMHeadModel(config).eval()


def words() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(1000)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0")


if __name__ == "__main__":
    main()

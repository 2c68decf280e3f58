"""Shared training code of the small models: seeds, the loop, tokenizers, and the folder."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import PreTrainedTokenizerFast

FOLDER = Path(__file__).resolve().parents[2] / "introspect" / "models" / "circuits"


def trained(
    model: nn.Module,
    loss_of: Callable[[torch.Generator], torch.Tensor],
    *,
    steps: int,
    seed: int,
    rate: float = 2e-3,
    weight_decay: float = 0.01,
    report_every: int = 500,
    after_step: Callable[[], None] = lambda: None,
) -> nn.Module:
    """Train a model with a rate that rises and then decays like a cosine.

    Args:
        model: the module.
        loss_of: draws a batch and returns the model's loss on it.
        steps: the number of steps.
        seed: the random seed of the draws.
        rate: the highest rate.
        weight_decay: the weight decay of AdamW.
        report_every: print a line of progress every this many steps.
        after_step: what is done to the model before the first step and after each.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=weight_decay
    )
    warm = max(1, steps // 20)

    def factor(step: int) -> float:
        return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * step / steps)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    model.train()
    after_step()
    begun = time.perf_counter()
    for step in range(1, steps + 1):
        loss = loss_of(generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        after_step()
        if step % report_every == 0 or step == steps:
            took = time.perf_counter() - begun
            print(f"step {step}: loss {loss.item():.4f}, {took:.0f} s", flush=True)
    return model.eval()


def symbol_tokenizer(symbols: Iterable[str], *, ends: bool = False) -> Any:
    """Return a tokenizer whose words are single characters, with or without spaces between them.

    Args:
        symbols: the characters.
        ends: put ``</s>`` after a text, as encoder-decoders read it; else ``<s>`` before it.
    """
    names = ["<s>", "<pad>", "</s>", "<unk>", *symbols]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    )
    edge = "</s>" if ends else "<s>"
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {edge}" if ends else f"{edge} $A",
        special_tokens=[(edge, names.index(edge))],
    )
    return _fast(backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def word_tokenizer(words: Iterable[str]) -> Any:
    """Return a tokenizer of whole words; Chinese words have no spaces between them.

    If several match, the longest is taken.
    """
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(words)]
    chinese = sorted((w for w in names if ord(w[0]) > 0x2E80), key=len, reverse=True)
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\w+(?:['’]\w+)*|[^\w\s]"), "removed", invert=True),
            pre_tokenizers.Split(Regex("|".join(chinese)), "isolated"),
        ]
    )
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, names.index(name)) for name in ("[CLS]", "[SEP]")],
    )
    return _fast(
        backend,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    )  # fmt: skip


def _fast(backend: Tokenizer, **special: str) -> Any:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


def write(model: Any, tokenizer: Any, card: str, folder: Path) -> None:
    """Write the shipped folder: configuration, weights, tokenizer, and model card."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")
    # Weights are written for their owner alone, but are for everybody who installs the package.
    (folder / "model.safetensors").chmod(0o644)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder.name}: {size / 1e6:.2f} MB")

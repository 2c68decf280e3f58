"""Models to wrap, texts, and what must be the same with the wrapper and without it."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import introspect as ix
from introspect.models import Model
from tests.tokenizers_zoo import byte_level
from tests.writers_zoo import writer

#: The largest difference from merged weights, or from the model without its wrapper.
SAME = 1e-5
TEXT = "The animal didn't cross the street because it was too tired."
CASE = ix.CorefCase.from_words(TEXT, pronoun="it", antecedent="animal", distractors=["street"])
PARTS = ("value_norms", "residual_norms", "contributions")


def llama() -> Model:
    """A small writer, as a model of its own each time."""
    made = writer("llama", byte_level())
    return Model(made.module, made.tokenizer)


def away(one: Model, other: Model, *texts: str, **options: Any) -> float:
    """How far the attention of two models is apart on a text or a pair."""
    a, b = (model.capture(*texts, **options).attentions for model in (one, other))
    assert a.shape == b.shape
    return float((a - b).abs().max())


def parts_away(one: Model, other: Model, text: str, parts: tuple[str, ...] = PARTS) -> float:
    """How far the derived parts of two models are apart, relative to their size."""
    a, b = (model.capture(text, include=parts).parts for model in (one, other))
    return max(
        float(((a[name] - b[name]).abs() / b[name].abs().clamp(min=1)).max()) for name in parts
    )


def trained(adapted: nn.Module) -> nn.Module:
    """An adapter that does something: its second factor is zero when it is made."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        for name, part in adapted.named_parameters():
            if "lora_B" in name:
                part.normal_(0, 0.05)
    return adapted.eval()

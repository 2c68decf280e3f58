"""Even attention, and sequences of bare tokens."""

from __future__ import annotations

import torch

from introspect.records import TokenSequence

TOKENS = ("a", "b", "c")


def even(layers=2, heads=2, queries=3, keys=3):
    return torch.full((layers, heads, queries, keys), 1 / keys)


def sequence(*tokens: str) -> TokenSequence:
    return TokenSequence(tokens=tokens)

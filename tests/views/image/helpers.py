"""A record of a picture of 3 × 4 patches."""

from __future__ import annotations

import numpy as np
import torch

from introspect.records import AttentionRecord, PatchGrid, TokenSequence
from introspect.views import image_view

ROWS, COLUMNS, FIRST = 3, 4, 2
TOKENS = ("[CLS]", "[REG1]", *(f"r{r}c{c}" for r in range(ROWS) for c in range(COLUMNS)))


def record_of(*, layers=(0, 1), heads=3, tokens=TOKENS, first=FIRST, patch=(8, 8), seed=0):
    """A record of a picture of 3 × 4 patches."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(layers), heads, len(tokens), len(tokens), generator=generator)
    sequence = TokenSequence(
        tokens=tokens,
        special_tokens_mask=tuple(not first <= i < first + 12 for i in range(len(tokens))),
    )
    return AttentionRecord(
        attentions=(2 * logits).softmax(-1),
        queries=sequence,
        keys=sequence,
        layers=tuple(layers),
        grid=PatchGrid(ROWS, COLUMNS, first, patch),
    )


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def view_of(record=None, **options):
    return image_view(record or record_of(), picture(), **options)


def place(row: int, column: int) -> int:
    return FIRST + row * COLUMNS + column

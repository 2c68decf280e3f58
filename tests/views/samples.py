"""Small records whose weights are known by hand."""

from __future__ import annotations

import torch

from introspect.alignment import assign_words
from introspect.records import AttentionRecord, TokenSequence

TEXT = "Ann saw Bo so she left"


def record_of(text: str = TEXT, *, layers: int = 2, heads: int = 3, seed: int = 0):
    """A record of a text whose tokens are its words, with a special token before them."""
    spans = []
    position = 0
    for word in text.split(" "):
        spans.append((position, position + len(word)))
        position += len(word) + 1
    word_ids, words = assign_words(text, spans)
    tokens = TokenSequence(
        tokens=("[CLS]", *text.split(" ")),
        offsets=((0, 0), *spans),
        word_ids=(None, *word_ids),
        special_tokens_mask=(True, *(False for _ in spans)),
        sequence_ids=(None, *(0 for _ in spans)),
        words=tuple(text[s:e] for s, e in words),
        texts=(text,),
    )
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(layers, heads, len(tokens), len(tokens), generator=generator)
    return AttentionRecord(attentions=(2 * logits).softmax(-1), queries=tokens, keys=tokens)


def bare_record(tokens: list[str], *, layers: int = 1, heads: int = 1, seed: int = 0):
    """A record of nothing but tokens."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(layers, heads, len(tokens), len(tokens), generator=generator)
    return AttentionRecord.from_tensors(logits.softmax(-1), tokens)

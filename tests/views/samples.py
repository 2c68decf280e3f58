"""Small records whose weights are known by hand."""

from __future__ import annotations

from dataclasses import replace

import torch

from introspect.records import AttentionRecord, TokenSequence
from introspect.records.tokens import assign_words

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


def record_with_parts(
    tokens: list[str] | None = None, *, causal: bool = False, heads: int = 4, layers: int = 2
):
    """A record whose attention is made of its parts; of an even number, two heads share keys.

    Scores are q·k × 0.5 (4 dimensions), masked with the lowest float32, head outputs are weights ×
    values.
    """
    record = bare_record(tokens or TEXT.split(" "), layers=layers, heads=heads)
    length = len(record.keys)
    shared = 1 if heads % 2 else 2
    generator = torch.Generator().manual_seed(1)
    queries = torch.randn(layers, heads, length, 4, generator=generator)
    keys, values = torch.randn(2, layers, heads // shared, length, 4, generator=generator)
    scores = queries @ keys.repeat_interleave(shared, 1).transpose(-1, -2) * 0.5
    if causal:
        hidden = torch.ones(length, length).triu(1).bool()
        scores = scores.masked_fill(hidden, torch.finfo(torch.float32).min)
    weights = scores.softmax(-1)
    outputs = weights @ values.repeat_interleave(shared, 1)
    parts = {
        "scores": scores,
        "queries": queries,
        "keys": keys,
        "values": values,
        "head_outputs": outputs,
    }
    return replace(record, attentions=weights, parts=parts)

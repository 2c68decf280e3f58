"""Pairs of records that differ by a word, a token, a tokenizer or a model."""

from __future__ import annotations

import math

import torch

from introspect.page.codec import encode
from introspect.records import AttentionRecord, TokenSequence
from introspect.views import compare_view
from tests.page.decoding import decode
from tests.views.samples import bare_record, record_of

TIRED = "Ann was too tired"
WIDE = "Ann was too wide"
LONGER = "Ann was really not too tired"
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\u2028",
    "\x00",
    "עברית",
    "\u202eabc",
    "x" * 300,
    "&amp;",
]


def pair(**options):
    return compare_view(record_of(TIRED), record_of(WIDE, seed=1), **options)


def missing(values) -> list:
    """Nested lists of numbers with ``None`` for NaN."""
    if isinstance(values, list):
        return [missing(value) for value in values]
    return None if values is None or math.isnan(values) else values


def in_pieces(text: str, sizes: list[int], *, seed: int = 0) -> AttentionRecord:
    """A record of a text whose words are cut into pieces of at most so many characters."""
    tokens, offsets, word_ids = [], [], []
    position = 0
    for number, (word, size) in enumerate(zip(text.split(), sizes, strict=True)):
        for start in range(0, len(word), size):
            tokens.append(word[start : start + size])
            offsets.append((position + start, position + start + len(tokens[-1])))
            word_ids.append(number)
        position += len(word) + 1
    sequence = TokenSequence(
        tokens=tuple(tokens),
        offsets=tuple(offsets),
        word_ids=tuple(word_ids),
        words=tuple(text.split()),
        texts=(text,),
    )
    attentions = bare_record(tokens, layers=2, heads=2, seed=seed).attentions
    return AttentionRecord(attentions=attentions, queries=sequence, keys=sequence)


def decoded(record: AttentionRecord) -> torch.Tensor:
    return torch.from_numpy(decode(encode(record.attentions.numpy())).copy())

"""Attention weights of heads between words of a text."""

from __future__ import annotations

import torch

from introspect.alignment import mention_pieces
from introspect.mentions import find_mention
from introspect.records import AttentionRecord, Head

__all__ = ["at_head", "from_word_to", "largest", "pieces_of"]


def from_word_to(record: AttentionRecord, source: str, target: str) -> torch.Tensor:
    """Return each head's weight from one word of the text to another, ``(num_layers, num_heads)``.

    It is the mean over the tokens of the source and the sum over those of the target.

    Raises:
        MentionError: a word is not in the text, or occurs several times.
    """
    sources, targets = (pieces_of(record, word) for word in (source, target))
    return record.attentions[:, :, sources][..., targets].sum(-1).mean(-1)


def pieces_of(record: AttentionRecord, word: str) -> list[int]:
    """Return the tokens of a word of the text.

    Raises:
        MentionError: it is not in the text, or occurs several times.
    """
    groups = mention_pieces(record.keys, find_mention(record.keys.texts[0], word))
    return [index for group in groups for index in group]


def largest(record: AttentionRecord, values: torch.Tensor) -> Head:
    """Return the head with the largest of some values, ``(num_layers, num_heads)``."""
    row, head = divmod(int(values.argmax()), record.num_heads)
    return Head(record.layers[row], head)


def at_head(record: AttentionRecord, values: torch.Tensor, head: Head) -> float:
    """Return one head's value of some values, ``(num_layers, num_heads)``."""
    return float(values[record.layers.index(head.layer), head.head])

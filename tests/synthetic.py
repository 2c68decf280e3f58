"""Cases and records made by hand, without a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from introspect.records import AttentionRecord, TokenSequence
from introspect.records.tokens import assign_words
from introspect.text import Candidate, CorefCase, find_mention, segment_words

TEXT = "The animal didn't cross the street because it was too tired."


def sequence(text: str, *, piece: int = 100, special: bool = True) -> TokenSequence:
    """The words of a text cut into pieces of at most ``piece`` characters, between two specials."""
    spans = [
        (start, min(start + piece, end))
        for first, end in segment_words(text)
        for start in range(first, end, piece)
    ]
    word_ids, word_spans = assign_words(text, spans)
    tokens = [text[s:e] for s, e in spans]
    outside = 1 if special else 0
    return TokenSequence(
        tokens=("[CLS]",) * outside + tuple(tokens) + ("[SEP]",) * outside,
        offsets=((0, 0),) * outside + tuple(spans) + ((0, 0),) * outside,
        word_ids=(None,) * outside + tuple(word_ids) + (None,) * outside,
        special_tokens_mask=(True,) * outside + (False,) * len(spans) + (True,) * outside,
        sequence_ids=(None,) * outside + (0,) * len(spans) + (None,) * outside,
        words=tuple(text[s:e] for s, e in word_spans),
        texts=(text,),
    )


def record(
    text: str = TEXT,
    *,
    layers: int = 2,
    heads: int = 3,
    seed: int = 0,
    piece: int = 100,
    causal: bool = False,
    special: bool = True,
) -> AttentionRecord:
    """Random attention over a text; exactly 0 for the future where ``causal``."""
    tokens = sequence(text, piece=piece, special=special)
    n = len(tokens)
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(layers, heads, n, n, generator=generator)
    if causal:
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
    return AttentionRecord(scores.softmax(-1), queries=tokens, keys=tokens)


def plant(
    base: AttentionRecord, head: tuple[int, int], source: str, target: str, weight: float
) -> AttentionRecord:
    """``base`` with one head that gives ``weight`` from every piece of a word to one of another."""
    text = base.keys.texts[0]
    (i_start, i_end), (j_start, j_end) = (find_mention(text, word) for word in (source, target))
    rows = [i for i, (s, e) in enumerate(base.queries.offsets) if s < i_end and e > i_start]
    column = next(j for j, (s, e) in enumerate(base.keys.offsets) if s < j_end and e > j_start)
    attentions = base.attentions.clone()
    for row in rows:
        line = attentions[(*head, row)]
        line *= (1 - weight) / (line.sum() - line[column])
        line[column] = weight
    return AttentionRecord(attentions, queries=base.queries, keys=base.keys)


def case(
    text: str = TEXT,
    *,
    pronoun: str = "it",
    antecedents: Sequence[str] = ("animal",),
    distractors: Sequence[str] = ("street",),
    id: str | None = None,
    group: str | None = None,
) -> CorefCase:
    """A case with any number of antecedents and distractors."""
    candidates = [Candidate(find_mention(text, word), antecedent=True) for word in antecedents]
    candidates += [Candidate(find_mention(text, word)) for word in distractors]
    return CorefCase(
        text=text,
        pronoun=find_mention(text, pronoun),
        candidates=tuple(candidates),
        id=id,
        group=group,
    )


def padded(records: Sequence[AttentionRecord], fill: float = torch.nan) -> list[torch.Tensor]:
    """Each layer of several texts as a batch, with ``fill`` in what is padding."""
    length = max(len(item.keys) for item in records)
    layers = []
    for row in range(records[0].num_layers):
        layer = torch.full((len(records), records[0].num_heads, length, length), fill)
        for place, item in zip(layer, records, strict=True):
            n = len(item.keys)
            place[:, :n, :n] = item.attentions[row]
        layers.append(layer)
    return layers

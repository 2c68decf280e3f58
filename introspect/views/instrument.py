"""The text of a record as words to choose from, and what is chosen in it first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from introspect.page import Instrument, Measure
from introspect.records import AttentionRecord, TokenSequence


@dataclass(frozen=True)
class Choice:
    """What a view shows first; ``None`` for what it does not say.

    Args:
        layer: the layer of a head, by the model's own number.
        head: the number of a head in it.
        query: the token that attends.
        key: the token attended to.
        weights: ``raw``, ``renormalized`` or the name of a method.
        granularity: ``word`` or ``token``.
        roles: what tokens are in a case.
        measures: numbers of the heads beside those of the two words.
        methods: the methods that the view offers.
    """

    layer: int | None = None
    head: int | None = None
    query: int | None = None
    key: int | None = None
    weights: str = "raw"
    granularity: str = "word"
    roles: Mapping[int, str] = field(default_factory=dict)
    measures: Sequence[Measure] = ()
    methods: Sequence[str] = ()


def instrument(record: AttentionRecord, choice: Choice | None = None) -> Instrument:
    """Return the instrument of a record; what the choice leaves open is the strongest there is.

    The word that attends is by default the last of the text, or, of a head that is named, the one
    that gives another word most. The word attended to is by default the other word that is given
    most; the head is by default the one that gives it.

    Args:
        record: the attention.
        choice: what is chosen first.
    """
    choice = choice or Choice()
    row = None if choice.layer is None else record.layers.index(choice.layer)
    query = choice.query
    if query is None and row is not None and choice.head is not None:
        query = _strongest_query(record, row, choice.head, choice.key)
    if query is None:
        query = first_token(record.queries)
    key = choice.key
    if key is None or row is None or choice.head is None:
        row, head, found = _strongest(record, query, key, row, choice.head)
        key = found if key is None else key
    else:
        head = choice.head
    return Instrument(
        record=record,
        layer=record.layers[row],
        head=head,
        query=query,
        key=key,
        weights=choice.weights,
        granularity=choice.granularity,
        roles=choice.roles,
        measures=choice.measures,
        methods=choice.methods,
    )


def first_token(tokens: TokenSequence) -> int:
    """Return the index of the token that a view of one token shows first: the last word.

    This is the last non-special token with a letter or digit; else the last non-special token;
    else the first token.
    """
    own = [index for index, flag in enumerate(tokens.special_tokens_mask) if not flag]
    words = [index for index in own if any(map(str.isalnum, tokens.tokens[index]))]
    return (words or own or [0])[-1]


def _strongest(
    record: AttentionRecord, query: int, key: int | None, row: int | None, head: int | None
) -> tuple[int, int, int | None]:
    """Return the row, head and key of the largest share that a word gives another."""
    word = next(pieces for pieces in record.queries.pieces() if query in pieces)
    is_self = record.queries == record.keys
    targets = [
        pieces
        for pieces in record.keys.pieces()
        if (key in pieces if key is not None else _is_word(record.keys, pieces))
        and not (is_self and query in pieces)
    ]
    if not targets:
        return row or 0, head or 0, None
    shares = _shares(record, word, targets)
    rows = slice(None) if row is None else slice(row, row + 1)
    heads = slice(None) if head is None else slice(head, head + 1)
    chosen = shares[rows, heads]
    if not chosen.isfinite().any():
        return row or 0, head or 0, None
    place = int(chosen.nan_to_num(-math.inf).argmax())
    found_row, rest = divmod(place, chosen.shape[1] * chosen.shape[2])
    found_head, target = divmod(rest, chosen.shape[2])
    return (row or 0) + found_row, (head or 0) + found_head, targets[target][0]


def _strongest_query(record: AttentionRecord, row: int, head: int, key: int | None) -> int | None:
    """Return the word that gives another word, or a named one, most in a head."""
    words = [pieces for pieces in record.queries.pieces() if _is_word(record.queries, pieces)]
    targets = [pieces for pieces in record.keys.pieces() if _is_word(record.keys, pieces)]
    if key is not None:
        targets = [pieces for pieces in record.keys.pieces() if key in pieces]
    if not words or not targets:
        return None
    pattern = record.attentions[row, head].double()
    columns = torch.stack([pattern[:, target].sum(-1) for target in targets], -1)
    shares = torch.stack([columns[word].mean(0) for word in words])
    if record.queries == record.keys:
        # What a word gives itself is no pair.
        places = {word[0]: number for number, word in enumerate(words)}
        for number, target in enumerate(targets):
            own = places.get(target[0])
            if own is not None:
                shares[own, number] = -math.inf
    shares = shares.nan_to_num(-math.inf)
    return words[int(shares.max(-1).values.argmax())][0] if shares.isfinite().any() else None


def _shares(
    record: AttentionRecord, word: Sequence[int], targets: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Return the share of each target in each head, ``(num_layers, num_heads, len(targets))``."""
    rows = record.attentions[:, :, list(word)].double().mean(2)
    return torch.stack([rows[..., list(target)].sum(-1) for target in targets], -1)


def _is_word(tokens: TokenSequence, pieces: Sequence[int]) -> bool:
    if tokens.special_tokens_mask[pieces[0]]:
        return False
    return any(map(str.isalnum, "".join(tokens.tokens[piece] for piece in pieces)))

"""The text of a record as words to choose from, and what is chosen in it first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from introspect.functional import merge_pieces
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
    query, key, head = choice.query, choice.key, choice.head
    if query is None and head is None and key is None:
        query = first_token(record.queries)
    if None in (row, head, query, key):
        row, head, query, key = _strongest(record, query, key, row, head)
    assert row is not None
    assert head is not None
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
    record: AttentionRecord, query: int | None, key: int | None, row: int | None, head: int | None
) -> tuple[int, int, int | None, int | None]:
    """Return row, head, query and key of the largest share; what is given is not chosen.

    Pairs of neighbors are passed over where there are others: many heads attend to the word before
    or after, whatever it is.
    """
    sources = _words(record.queries, query)
    targets = _words(record.keys, key)
    rows = range(record.num_layers) if row is None else [row]
    heads = range(record.num_heads) if head is None else [head]
    nothing = rows[0], heads[0], query, key
    if not sources or not targets:
        return nothing
    apart = _distances(record, sources, targets)
    # Only the rows that are needed: all of a long text would take seconds.
    used = sorted({piece for source in sources for piece in source})
    rows_of = {piece: number for number, piece in enumerate(used)}
    weights = record.attentions[list(rows)][:, list(heads)][:, :, used]
    shares = merge_pieces(weights, [[rows_of[p] for p in source] for source in sources], targets)
    for least in (2, 1):
        allowed = shares.masked_fill(apart < least, torch.nan)
        if allowed.isfinite().any():
            place = int(allowed.nan_to_num(-math.inf, neginf=-math.inf).argmax())
            where = [int(index) for index in torch.unravel_index(torch.tensor(place), shares.shape)]
            source, target = sources[where[2]][0], targets[where[3]][0]
            return (
                rows[where[0]],
                heads[where[1]],
                source if query is None else query,
                target if key is None else key,
            )
    return nothing


def _words(tokens: TokenSequence, token: int | None) -> list[list[int]]:
    """Return the word that a token is of; without a token, all words that have a letter."""
    if token is not None:
        return [pieces for pieces in tokens.pieces() if token in pieces]
    return [pieces for pieces in tokens.pieces() if _is_word(tokens, pieces)]


def _distances(
    record: AttentionRecord, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Return how many words each pair is apart, ``(len(sources), len(targets))``.

    Words of two texts are far apart, so that none is passed over.
    """
    if record.queries != record.keys:
        return torch.full((len(sources), len(targets)), len(record.queries) + 2)
    numbers = {pieces[0]: number for number, pieces in enumerate(record.queries.pieces())}
    places = [torch.tensor([numbers[p[0]] for p in words]) for words in (sources, targets)]
    return (places[0][:, None] - places[1]).abs()


def _is_word(tokens: TokenSequence, pieces: Sequence[int]) -> bool:
    if tokens.special_tokens_mask[pieces[0]]:
        return False
    return any(map(str.isalnum, "".join(tokens.tokens[piece] for piece in pieces)))

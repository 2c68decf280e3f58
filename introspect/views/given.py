"""What a view is given: a record, its layers, heads and weights, and what it shows first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

import torch

from introspect.calls import kind_of_thing
from introspect.errors import RecordError, SelectionError
from introspect.functional import merge_pieces
from introspect.page import Choice as Choice
from introspect.page import Instrument, Measure
from introspect.records import (
    LARGEST_SHOWN,
    METHODS,
    AttentionRecord,
    Head,
    HeadLike,
    TokenSequence,
    as_head,
    as_record,
    attributed,
    listed_heads,
    offered,
)
from introspect.text import shortened, visible, whole

Tokens = TokenSequence | Sequence[str]

_OF_TWO_TEXTS = (
    "a record has the tokens of one kind of attention: make one of each with "
    "ix.AttentionRecord.from_tensors(attention, tokens, query_tokens=…, kind=…), and show "
    "ix.head_view([encoder, decoder, cross])"
)
RAW = "raw"
_LONGEST_NAME = 24
#: What BertViz's views take by other names.
BERTVIZ_NAMES = {"attention": "record"}
#: What BertViz's views take and these do not, with what to do.
BERTVIZ_ONLY = {
    **dict.fromkeys(
        ("encoder_attention", "decoder_attention", "cross_attention", "encoder_tokens",
         "decoder_tokens"),
        _OF_TWO_TEXTS,
    ),
    "prettify_tokens": "tokens are shown as they are given: leave it out",
    "include_layers": "leave layers out of a record: record.only(layers=[…])",
    "html_action": "the page is view.to_html(), and view.save('view.html') writes it",
    "display_mode": "the page follows the reader's own setting of dark or light",
}  # fmt: skip


def shown_record(
    given: AttentionRecord | Any,
    tokens: Tokens | None = None,
    sentence_b_start: int | None = None,
    *,
    view: str,
) -> AttentionRecord:
    """Return the record to show, made of attention and its tokens where it is none.

    Args:
        given: a record, or what ``AttentionRecord.from_tensors`` takes.
        tokens: the tokens, where it is no record.
        sentence_b_start: of a pair of texts, the first token of the second one.
        view: the function that shows it, for errors.

    Raises:
        RecordError: it is neither, or a record with tokens beside it.
    """
    if isinstance(given, AttentionRecord):
        if sentence_b_start is not None:
            raise RecordError(
                "Expected a record alone, got `sentence_b_start` too: it knows its texts. Leave "
                "that out."
            )
        if isinstance(tokens, str | Integral):
            raise RecordError(
                f"Expected a record alone for ix.{view}, got {tokens!r} beside it. Name what it "
                f"stands for: ix.{view}(record, head=…), layer=… or token=…, as the view has them."
            )
        return as_record(given, tokens)
    if tokens is None or isinstance(given, str) or hasattr(given, "capture"):
        raise RecordError(
            f"Expected a record for ix.{view}, got {kind_of_thing(given)}. Capture a text, "
            f"ix.{view}(model.capture(text)), or give attention with its tokens, "
            f"ix.{view}(ix.AttentionRecord.from_tensors(attention, tokens))."
        )
    record = as_record(given, tokens)
    return record if sentence_b_start is None else _of_pair(record, sentence_b_start)


def checked_records(given: Any, *, view: str) -> tuple[AttentionRecord, ...]:
    """Return one record or several as a tuple.

    Raises:
        RecordError: they are something else.
        SelectionError: there is none.
    """
    if isinstance(given, list | tuple) or hasattr(given, "__next__"):
        several = tuple(shown_record(one, view=view) for one in given)
        if not several:
            raise SelectionError(f"Expected at least one record for ix.{view}, got none.")
        return several
    return (shown_record(given, view=view),)


def _of_pair(record: AttentionRecord, start: int) -> AttentionRecord:
    """Return the record of two texts, of which the second one begins at a token."""
    count = len(record.keys)
    if not isinstance(start, int | Integral) or not 0 < start < count:
        raise RecordError(
            f"Expected `sentence_b_start` from 1 to {count - 1}, the index of the first token of "
            f"the second text, got {start!r}."
        )
    ids = (0,) * int(start) + (1,) * (count - int(start))
    keys = replace(record.keys, sequence_ids=ids)
    return replace(record, keys=keys, queries=keys)


def layer_row(record: AttentionRecord, layer: int) -> int:
    """Return the row of the record that holds a layer, given in the model's own numbering.

    Raises:
        SelectionError: the record has no such layer.
    """
    if layer not in record.layers:
        raise SelectionError(f"Expected `layer` in {_span(record.layers)}, got {layer}.")
    return record.layers.index(layer)


def head_number(record: AttentionRecord, head: int) -> int:
    """Return ``head`` if the record has it.

    Raises:
        SelectionError: the record does not have it.
    """
    if not 0 <= head < record.num_heads:
        numbers = range(record.num_heads)
        raise SelectionError(f"Expected `heads` in {_span(numbers)}, got {head}.")
    return head


def named_head(
    record: AttentionRecord, layer: int | None, head: int | HeadLike | None
) -> tuple[int | None, int | None]:
    """Return a layer and the number of a head in it, from a number or from a name with its layer.

    Args:
        record: the attention.
        layer: the layer, if it is given apart.
        head: a number in that layer, or a head such as ``"L3H1"``, which names its layer itself.

    Raises:
        SelectionError: the record does not have the named head, or it is of another layer.
    """
    if head is None or isinstance(head, int | Integral):
        return layer, head
    chosen = as_head(head, dict.fromkeys(record.layers, record.num_heads))
    if layer not in (None, chosen.layer):
        raise SelectionError(f"Expected a head of layer {layer}, which is shown, got {chosen}.")
    return chosen


def one_or_several(
    head: int | HeadLike | None, heads: Iterable[int | HeadLike] | HeadLike | None
) -> Iterable[int | HeadLike] | HeadLike:
    """Return the heads that are named as one ``head`` or as several ``heads``.

    Raises:
        SelectionError: both are given.
    """
    if head is not None and heads is not None:
        raise SelectionError("Expected `head` or `heads`, got both. Leave one of them out.")
    return (head,) if head is not None else () if heads is None else heads


def named_heads(
    record: AttentionRecord, layer: int | None, heads: Iterable[int | HeadLike] | HeadLike | int
) -> tuple[int | None, list[int]]:
    """Return a layer and the numbers of several heads in it, as ``named_head`` does for one."""
    if isinstance(heads, str):
        heads = listed_heads(heads)
    several = [heads] if isinstance(heads, Integral | Head) else heads
    numbers = []
    for head in several:  # type: ignore[union-attr]
        layer, number = named_head(record, layer, head)
        assert number is not None
        numbers.append(number)
    return layer, numbers


def _span(numbers: Sequence[int]) -> str:
    first, last = numbers[0], numbers[-1]
    if list(numbers) == list(range(first, last + 1)):
        return str(first) if first == last else f"{first}–{last}"
    return ", ".join(map(str, numbers))


def checked_weights(record: AttentionRecord, weights: str, own: Sequence[str] = (RAW,)) -> None:
    """Raise an error unless the record can be shown with these weights.

    Args:
        record: the attention.
        weights: one of ``own``, or the name of a method.
        own: the weights that the view computes itself.

    Raises:
        SelectionError: there are no such weights, the record cannot provide them, or a page cannot
            hold them.
    """
    if weights in own:
        return
    if weights not in METHODS:
        known = ", ".join((*own, *METHODS))
        raise SelectionError(f"Expected `weights` as one of {known}, got {weights!r}.")
    if weights != "norm" and len(record.keys) > LARGEST_SHOWN:
        raise SelectionError(
            f"Expected at most {LARGEST_SHOWN} tokens to show by {weights}, got "
            f"{whole(len(record.keys))}. Shorten the text, or show raw weights."
        )
    attributed(record, weights)


def by_method(record: AttentionRecord, weights: str) -> AttentionRecord:
    """Replace a record's attention with a method's numbers, with one head if the method has one."""
    if weights not in METHODS:
        return record
    return replace(record, attentions=attributed(record, weights), parts={})


def is_whole(weights: str) -> bool:
    """Return whether one map represents all heads together."""
    return weights in METHODS and not METHODS[weights].by_head


def scale_of(weights: str, shown: torch.Tensor) -> float:
    """Return the weight drawn at full strength: 1, or the largest shown if unbounded."""
    if weights not in METHODS or METHODS[weights].bounded:
        return 1.0
    largest = float(shown.nan_to_num(0.0).max())
    return largest if largest > 0 else 1.0


def page_methods(record: AttentionRecord, weights: str = RAW) -> tuple[str, ...]:
    """Return the methods that a page can show: those the record offers and the named one."""
    named = (weights,) if weights in METHODS else ()
    return tuple(dict.fromkeys((*offered(record), *named)))


def whole_words(weights: str, layer: int) -> str:
    """Describe a method that combines all heads, and its layer, in words."""
    method = METHODS[weights]
    where = f"up to layer {layer}" if method.through else f"layer {layer}"
    return f"{method.label[:1].upper()}{method.label[1:]}, {where}, all heads together"


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
    chosen = replace(choice, layer=record.layers[row], head=head, query=query, key=key)
    return Instrument(record=record, pair=_pair(record, query, key), **vars(chosen))


def _pair(record: AttentionRecord, query: int | None, key: int | None) -> Measure | None:
    """Return the share that each head gives from one word to another."""
    if query is None or key is None:
        return None
    (source,), (target,) = _words(record.queries, query), _words(record.keys, key)
    rows = record.attentions[:, :, source][..., target]
    shares = rows.sum(-1).mean(-1).double().clamp(0, 1).tolist()
    values = [[share if math.isfinite(share) else None for share in line] for line in shares]
    names = (_word_name(record.queries, query), _word_name(record.keys, key))
    label = " to ".join(f"“{shortened(name, _LONGEST_NAME)}”" for name in names)
    return Measure("weight", f"weight from {label}", values, 0.0, 0.0, 1.0)


def _word_name(tokens: TokenSequence, token: int) -> str:
    """Return the word that a token is of, as it stands in the text."""
    word = tokens.word_ids[token]
    return visible(tokens.tokens[token] if word is None else tokens.words[word])


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
            if not float(shares.flatten()[place]) > 0:
                continue  # What comes later gets nothing.
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

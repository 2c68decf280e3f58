"""Changes of heads and rows from one record to another, and the choice of what to show first."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from numbers import Integral

import torch

from introspect.errors import SelectionError
from introspect.functional import total_variation
from introspect.records import AttentionRecord, Head, HeadLike, TokenSequence
from introspect.text import shortened, visible_text
from introspect.views.given import head_number, layer_row, named_head

#: A place in the joined order of two sequences: the index in each, ``None`` if it has none.
Place = tuple[int | None, int | None]
#: Matched tokens: the index in one sequence and in the other.
Pairs = Sequence[tuple[int, int]]


def align_tokens(a: Sequence[str], b: Sequence[str]) -> list[Place]:
    """Align two token sequences in one order, with matching tokens in one place.

    Example:
        >>> align_tokens(["it", "was", "tired"], ["it", "was", "too", "wide"])
        [(0, 0), (1, 1), (2, None), (None, 2), (None, 3)]
        >>> align_tokens(["was", "tired"], ["was", "wide"])
        [(0, 0), (1, 1)]
    """
    places: list[Place] = []
    # The matcher treats frequent items as junk; frequent tokens are not junk.
    matcher = SequenceMatcher(None, list(a), list(b), autojunk=False)
    for _, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        ours, theirs = range(a_start, a_end), range(b_start, b_end)
        if len(ours) == len(theirs):
            places += zip(ours, theirs, strict=True)
        else:
            places += [(i, None) for i in ours]
            places += [(None, j) for j in theirs]
    return places


def join_pairs(pairs: Pairs, length_a: int, length_b: int) -> list[Place]:
    """Join all tokens of two sequences in one order, given the matching pairs.

    The order is that of A; a token only in B follows the token that it follows in B.

    Raises:
        SelectionError: an index does not exist or is named twice.

    Example:
        >>> join_pairs([(0, 0), (1, 2)], 2, 3)
        [(0, 0), (None, 1), (1, 2)]
    """
    for side, (name, length) in enumerate((("a", length_a), ("b", length_b))):
        indices = [pair[side] for pair in pairs]
        for index in indices:
            if not isinstance(index, int) or not 0 <= index < length:
                raise SelectionError(
                    f"Expected `alignment` with tokens of {name} in 0–{length - 1}, got {index!r}."
                )
        if len(set(indices)) < len(indices):
            raise SelectionError(
                f"Expected `alignment` to name each token of {name} once, got one twice. Pair it "
                "with one token, or align words."
            )
    of_a, of_b = dict(pairs), {j: i for i, j in pairs}
    # Tokens only in B, keyed by the token of A matched to the closest matched one before them.
    following: dict[int | None, list[Place]] = {}
    anchor: int | None = None
    for j in range(length_b):
        if j in of_b:
            anchor = of_b[j]
        else:
            following.setdefault(anchor, []).append((None, j))
    places = following.get(None, [])
    for i in range(length_a):
        places += [(i, of_a.get(i)), *following.get(i, [])]
    return places


def aligned(
    a: AttentionRecord, b: AttentionRecord, given: Pairs | Mapping[str, Pairs] | None
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """Return the places of the queries and of the keys."""
    is_self = a.queries == a.keys and b.queries == b.keys
    if given is None:
        keys = _matched(a.keys, b.keys)
        return (keys if is_self else _matched(a.queries, b.queries)), keys
    if not isinstance(given, Mapping):
        if not is_self:
            raise SelectionError(
                "Expected `alignment` for queries and keys, which are not the same tokens, got one "
                'list. Give {"query": pairs, "key": pairs}.'
            )
        given = {"query": given, "key": given}
    if set(given) != {"query", "key"}:
        raise SelectionError(
            f"Expected `alignment` with query and key, got {', '.join(map(repr, given))}."
        )
    for pairs in given.values():
        if not pairs:
            raise SelectionError("Expected `alignment` with at least one pair of tokens, got none.")
    queries = join_pairs(given["query"], len(a.queries), len(b.queries))
    return tuple(queries), tuple(join_pairs(given["key"], len(a.keys), len(b.keys)))


def _matched(a: TokenSequence, b: TokenSequence) -> tuple[Place, ...]:
    if not set(a.tokens) & set(b.tokens):
        raise SelectionError(
            f"Expected two texts with tokens in common, got {_sample(a)} and {_sample(b)}. Say "
            "which belong together: alignment=[(index in a, index in b), …]."
        )
    return tuple(align_tokens(a.tokens, b.tokens))


def _sample(sequence: TokenSequence) -> str:
    return repr(shortened(visible_text(" ".join(sequence.tokens)), 40))


def match_better_by_word(a: AttentionRecord, b: AttentionRecord) -> bool:
    """Return whether tokenizers split equal words differently, so that words match better."""
    sides = [(a.keys, b.keys), (a.queries, b.queries)]
    if not any(_cut_differently(ours, theirs) for ours, theirs in sides):
        return False
    by_token = sum(_likeness(ours.tokens, theirs.tokens) for ours, theirs in sides)
    by_word = sum(
        _likeness(ours.at_word_level().tokens, theirs.at_word_level().tokens)
        for ours, theirs in sides
    )
    return by_word > by_token


def _cut_differently(a: TokenSequence, b: TokenSequence) -> bool:
    words = a.at_word_level().tokens, b.at_word_level().tokens
    pieces = a.pieces(), b.pieces()
    return any(
        i is not None
        and j is not None
        and words[0][i] == words[1][j]
        and [a.tokens[piece] for piece in pieces[0][i]]
        != [b.tokens[piece] for piece in pieces[1][j]]
        for i, j in align_tokens(*words)
    )


def _likeness(a: Sequence[str], b: Sequence[str]) -> float:
    return SequenceMatcher(None, list(a), list(b), autojunk=False).ratio()


def differs(place: Place, ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Return whether the token of a place differs between the two records."""
    i, j = place
    return i is None or j is None or ours[i] != theirs[j]


#: One number for both records, or one for each.
Pair = int | tuple[int, int]


def head_changes(
    a: AttentionRecord, b: AttentionRecord, queries: Sequence[Place], keys: Sequence[Place]
) -> torch.Tensor:
    """Compute the mean total variation of each head, ``(num_layers, num_heads)``."""
    changes = torch.empty(a.num_layers, a.num_heads, dtype=torch.float64)
    # One head at a time: for a long text, all heads in double precision might not fit in memory.
    for row in range(a.num_layers):
        for head in range(a.num_heads):
            rows = (
                _both(record.attentions[row, head], queries, keys, side)
                for side, record in enumerate((a, b))
            )
            changes[row, head] = total_variation(*rows).nanmean()
    return changes


def _both(
    pattern: torch.Tensor, queries: Sequence[Place], keys: Sequence[Place], side: int
) -> torch.Tensor:
    """Select from one record's pattern the tokens that both records have."""
    chosen = (
        torch.tensor([place[side] for place in places if None not in place])
        for places in (queries, keys)
    )
    rows, columns = chosen
    return pattern[rows][:, columns]


def placed(
    pattern: torch.Tensor, queries: Sequence[Place], keys: Sequence[Place], side: int
) -> torch.Tensor:
    """Return one record's pattern at the places of both records, NaN where it has no token."""
    whole = torch.full((len(queries), len(keys)), torch.nan)
    rows = [row for row, place in enumerate(queries) if place[side] is not None]
    columns = [column for column, place in enumerate(keys) if place[side] is not None]
    sources = [queries[row][side] for row in rows], [keys[c][side] for c in columns]
    own = pattern[torch.tensor(sources[0])][:, torch.tensor(sources[1])]
    whole[torch.tensor(rows)[:, None], torch.tensor(columns)] = own
    return whole


def is_same_shape(a: AttentionRecord, b: AttentionRecord) -> bool:
    """Return whether each head of one record corresponds to a head of the other."""
    return a.layers == b.layers and a.num_heads == b.num_heads


def extent(record: AttentionRecord) -> str:
    """Describe the number of layers and heads in words."""
    numbers = record.layers
    heads = f"{record.num_heads} head{'s' if record.num_heads > 1 else ''}"
    if numbers == tuple(range(len(numbers))):
        return f"{len(numbers)} layer{'s' if len(numbers) > 1 else ''} of {heads}"
    return f"the layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))} of {heads}"


def heads_of_pair(
    records: tuple[AttentionRecord, AttentionRecord],
    layer: Pair | None,
    head: Pair | HeadLike | tuple[HeadLike, HeadLike] | None,
) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Return the layers and heads of both records; a name such as ``L3H1`` gives both numbers.

    Raises:
        SelectionError: a pair is none, or a named head does not exist.
    """
    layers = pair_of("layer", layer)
    if isinstance(head, str | Head):
        head = (head, head)
    if not isinstance(head, tuple) or all(isinstance(each, Integral) for each in head):
        return layers, pair_of("head", head)  # type: ignore[arg-type]
    named = [
        named_head(record, None if layers is None else layers[side], each)
        for side, (record, each) in enumerate(zip(records, head, strict=True))
    ]
    return tuple(one[0] for one in named), tuple(one[1] for one in named)  # type: ignore[return-value]


def pair_of(name: str, given: Pair | None) -> tuple[int, int] | None:
    """Return one number for each record, from a pair or from one number for both.

    Raises:
        SelectionError: it is neither a number nor a pair.
    """
    if given is None or isinstance(given, int):
        return None if given is None else (int(given), int(given))
    pair = tuple(given)
    if len(pair) != 2:
        raise SelectionError(f"Expected `{name}` as a number or a pair, got {given!r}.")
    return pair


def first_heads(
    a: AttentionRecord,
    b: AttentionRecord,
    places: tuple[tuple[Place, ...], tuple[Place, ...]],
    layers: tuple[int, int] | None,
    heads: tuple[int, int] | None,
    labels: tuple[str, str],
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the layers and heads shown first; by default, those that change most."""
    records = (a, b)
    for side, (record, label) in enumerate(zip(records, labels, strict=True)):
        try:
            if layers is not None:
                layer_row(record, layers[side])
            if heads is not None:
                head_number(record, heads[side])
        except SelectionError as error:
            raise SelectionError(f"{error} This is about {label}.") from error
    if layers is None or heads is None:
        first = (a.layers[0], b.layers[0]), (0, 0)
        if is_same_shape(a, b):
            first = _most_changed(a, head_changes(a, b, *places), layers, heads)
        layers, heads = layers or first[0], heads or first[1]
    return layers, heads


def _most_changed(
    record: AttentionRecord,
    changes: torch.Tensor,
    layers: tuple[int, int] | None,
    heads: tuple[int, int] | None,
) -> tuple[tuple[int, int], tuple[int, int]]:
    known = changes.nan_to_num(-1.0).clone()
    if layers is not None:
        chosen = record.layers.index(layers[0])
        known[[row for row in range(len(known)) if row != chosen]] = -2
    if heads is not None:
        known[:, [head for head in range(known.shape[1]) if head != heads[0]]] = -2
    row, head = divmod(int(known.argmax()), known.shape[1])
    layer = record.layers[row]
    return (layer, layer), (head, head)


def first_query(
    a: AttentionRecord,
    b: AttentionRecord,
    places: tuple[tuple[Place, ...], tuple[Place, ...]],
    layers: tuple[int, int],
    heads: tuple[int, int],
) -> int:
    """Return the place of the query whose row changes most, preferably a word that both have."""
    queries, keys = places
    shared = [place for place, (i, j) in enumerate(queries) if i is not None and j is not None]
    rows_a, rows_b = (
        _both(record.attentions[layer_row(record, layer), head], queries, keys, side)
        for side, (record, layer, head) in enumerate(zip((a, b), layers, heads, strict=True))
    )
    changes = total_variation(rows_a, rows_b).nan_to_num(-1.0)
    special = [a.queries.special_tokens_mask[queries[place][0] or 0] for place in shared]
    same = [not differs(queries[place], a.queries.tokens, b.queries.tokens) for place in shared]
    ranked = zip(map(operator.not_, special), same, changes.tolist(), shared, strict=True)
    return max(ranked, key=lambda one: (*one[:3], -one[3]))[3]

"""Alignment of the tokens of two records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher

from introspect.errors import SelectionError
from introspect.records import AttentionRecord, TokenSequence
from introspect.text import shortened, visible_text

__all__ = [
    "Pairs",
    "Place",
    "align_tokens",
    "aligned",
    "differs",
    "join_pairs",
    "match_better_by_word",
]

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

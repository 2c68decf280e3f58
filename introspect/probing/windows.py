"""Division of texts that are longer than the model reads into parts that fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from introspect.analyzers.coreference.batch import mention_words
from introspect.errors import MentionError, TextError
from introspect.mentions import Candidate, CorefCase, Span
from introspect.probing.rows import ProbeRow
from introspect.records import TokenSequence

__all__ = ["windows"]

# Cut from its text, a part may need a few more tokens than it had within the text.
_SPARE = 4


def windows(row: ProbeRow, tokens: TokenSequence, limit: int) -> list[ProbeRow]:
    """Return the parts of a row that the model reads.

    A plain text is divided between words, and each of its tokens is in one part; the parts are
    called ``ID#1``, ``ID#2``, …. A case keeps the part around its mentions, with as much text
    before them as after.

    Args:
        row: a text over the limit.
        tokens: the tokens of the whole text.
        limit: the most tokens that the model reads, special tokens included.

    Raises:
        MentionError: the mentions of a case are further apart than the model reads.
        TextError: the row is a tree, which cannot be divided, or only special tokens fit.
    """
    room = limit - sum(tokens.special_tokens_mask) - _SPARE
    if room < 1:
        raise TextError(
            f"Expected room for a word in {limit} tokens, beside the special ones, got none. "
            "Choose a model that reads more."
        )
    if row.item is None:
        parts = _parts(tokens, room)
        return [
            replace(row, id=f"{row.id}#{number}", text=row.text[start:end])
            for number, (start, end) in enumerate(parts, start=1)
        ]
    if isinstance(row.item, CorefCase):
        return [_around(row, row.item, tokens, room)]
    raise TextError(
        f"Expected at most {limit} tokens of a sentence with a tree, got {len(tokens)}: it is "
        "longer than the model reads, and a tree cannot be divided."
    )


def _parts(tokens: TokenSequence, room: int) -> Iterator[Span]:
    """Yield the character spans of the parts, each with as many whole words as fit."""
    held: list[int] = []
    for word in _words(tokens):
        if held and len(held) + len(word) > room:
            yield _characters(tokens, held)
            held = []
        # A word longer than a part has to be divided.
        while len(word) > room:
            yield _characters(tokens, word[:room])
            word = word[room:]
        held += word
    if held:
        yield _characters(tokens, held)


def _words(tokens: TokenSequence) -> Iterator[list[int]]:
    for word in tokens.pieces():
        if not tokens.special_tokens_mask[word[0]]:
            yield word


def _characters(tokens: TokenSequence, pieces: list[int]) -> Span:
    spans = [tokens.offsets[i] for i in pieces if tokens.offsets[i][0] < tokens.offsets[i][1]]
    return (spans[0][0], spans[-1][1]) if spans else (0, 0)


def _around(row: ProbeRow, case: CorefCase, tokens: TokenSequence, room: int) -> ProbeRow:
    mentioned = [i for mention in mention_words(tokens, case) for word in mention for i in word]
    words = list(_words(tokens))
    of_piece = {piece: number for number, word in enumerate(words) for piece in word}
    first, last = (of_piece[end(mentioned)] for end in (min, max))
    held = sum(len(word) for word in words[first : last + 1])
    if held > room:
        raise MentionError(
            f"Expected the mentions within the {room} tokens that the model reads at once, but "
            f"they are {held} apart. Choose a model that reads more."
        )
    # Add a word before and a word after in turn, as long as they fit.
    is_open = {-1: True, 1: True}
    while any(is_open.values()):
        for side in (-1, 1):
            number = first - 1 if side < 0 else last + 1
            fits = 0 <= number < len(words) and held + len(words[number]) <= room
            is_open[side] = is_open[side] and fits
            if is_open[side]:
                held += len(words[number])
                first, last = (number, last) if side < 0 else (first, number)
    start, end = _characters(tokens, [i for word in words[first : last + 1] for i in word])
    # A mention may begin or end inside a word.
    spans = [case.pronoun, *(candidate.span for candidate in case.candidates)]
    start, end = min(start, *(s for s, _ in spans)), max(end, *(e for _, e in spans))

    def moved(span: Span) -> Span:
        return span[0] - start, span[1] - start

    cut = replace(
        case,
        text=case.text[start:end],
        pronoun=moved(case.pronoun),
        candidates=tuple(Candidate(moved(c.span), c.antecedent) for c in case.candidates),
    )
    return replace(row, text=cut.text, item=cut)

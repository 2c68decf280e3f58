"""Preparation of a shard before the model runs: its tokens and its rejected rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from introspect.data import Reject
from introspect.errors import InputError, MentionError, TextError
from introspect.models import EncodedText, Model, TooLongError, encode_batch
from introspect.records import TokenSequence, resegmented_tokens
from introspect.runs.rows import ProbeRow, Shard
from introspect.studies.coreference import mention_words
from introspect.text import Candidate, CorefCase, Span, whole

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
    if not tokens.texts:
        raise TextError(
            f"Expected a text of at most {limit} tokens, got {len(tokens)}: it cannot be divided, "
            "as the characters of its tokens are not known. Shorten it."
        )
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
        f"Expected at most {whole(limit)} tokens of a sentence with a tree, got "
        f"{whole(len(tokens))}: it is longer than the model reads, and a tree cannot be divided."
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


Segment = Callable[[str], Sequence[Span]]

#: How to handle a text that is longer than the model reads.
Long = Literal["reject", "window"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A shard, ready for the model.

    Args:
        shard: the shard.
        rows: the rows that run.
        encoded: their tokens.
        places: the number of each row within the shard; parts of one text share it.
        rejects: rows that do not run, by number within the shard.
    """

    shard: Shard
    rows: tuple[ProbeRow, ...]
    encoded: tuple[EncodedText, ...]
    places: tuple[int, ...]
    rejects: dict[int, Reject]


def prepare(
    model: Model,
    shard: Shard,
    *,
    limit: int | None,
    segment: Segment | None = None,
    long: Long = "reject",
) -> Prepared:
    """Encode the rows of a shard, and reject those that this model cannot be asked about.

    Args:
        model: the model, whose tokenizer encodes the rows.
        shard: the rows.
        limit: the most tokens that the model reads.
        segment: maps a text to the spans of its words, for scripts without spaces.
        long: how to handle a text over the limit.
    """
    rejects = {place: row for place, row in enumerate(shard.rows) if isinstance(row, Reject)}
    given = {place: row for place, row in enumerate(shard.rows) if isinstance(row, ProbeRow)}
    outcomes = _encoded(model, [row.text for row in given.values()], limit)
    parts_read: list[tuple[int, ProbeRow, EncodedText]] = []
    for (place, row), outcome in zip(given.items(), outcomes, strict=True):
        try:
            if isinstance(outcome, TooLongError) and long == "window" and limit is not None:
                parts = list(_windowed(model, row, limit))
            else:
                parts = [(row, outcome)]
            parts_read += [(place, part, _checked(part, each, segment)) for part, each in parts]
        except InputError as error:
            kind = "mention" if isinstance(error, MentionError) else "text"
            rejects[place] = row.rejected(str(error), kind)
    places, rows, encoded = zip(*parts_read, strict=True) if parts_read else ((), (), ())
    return Prepared(shard, rows, encoded, places, rejects)


def _encoded(
    model: Model, texts: Sequence[str], limit: int | None
) -> list[EncodedText | TextError]:
    with model.tokenizing():
        return encode_batch(model.tokenizer, texts, limit=limit)


def _windowed(
    model: Model, row: ProbeRow, limit: int
) -> Iterator[tuple[ProbeRow, EncodedText | TextError]]:
    (whole,) = _encoded(model, [row.text], None)
    if isinstance(whole, TextError):
        raise whole
    parts = windows(row, whole.tokens, limit)
    yield from zip(parts, _encoded(model, [part.text for part in parts], limit), strict=True)


def _checked(
    row: ProbeRow, outcome: EncodedText | TextError, segment: Segment | None
) -> EncodedText:
    """Return the tokens of a row after checking them.

    Raises:
        TextError: the model does not read this text.
        MentionError: a mention has no tokens, or the tokenizer does not know it.
    """
    if isinstance(outcome, TextError):
        raise outcome
    if segment is not None:
        outcome = replace(outcome, tokens=resegmented_tokens(outcome.tokens, segment))
    if isinstance(row.item, CorefCase):
        mention_words(outcome.tokens, row.item)
        check_known(outcome.tokens, row.item)
    return outcome


def check_known(tokens: TokenSequence, case: CorefCase) -> None:
    """Check that no mention contains the unknown token, whose attention says nothing about it.

    Raises:
        MentionError: a mention has such a token.
    """
    if not any(tokens.unknown_mask):
        return
    spans = (case.pronoun, *(candidate.span for candidate in case.candidates))
    for span, words in zip(spans, mention_words(tokens, case), strict=True):
        pieces = [i for word in words for i in word]
        if any(tokens.unknown_mask[piece] for piece in pieces):
            raise MentionError(
                f"Expected a tokenizer that knows {case.phrase(span)!r}, but this model's reads "
                f"{'it' if len(pieces) == 1 else 'a part of it'} as unknown. Use a model whose "
                "vocabulary has these characters."
            )

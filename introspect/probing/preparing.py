"""Preparation of a shard before the model runs: its tokens and its rejected rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from introspect.alignment import mention_pieces, resegmented_tokens
from introspect.analyzers.coreference.batch import mention_words
from introspect.cases import NO_CHOICE, Reject
from introspect.errors import InputError, MentionError, TextError
from introspect.mentions import CorefCase, Span
from introspect.models import Model
from introspect.models.batching import encode_batch
from introspect.models.encoding import Encoded, TooLongError
from introspect.probing.rows import ProbeRow, Shard
from introspect.probing.windows import windows
from introspect.records import TokenSequence

__all__ = ["Long", "Prepared", "Segment", "check_known", "prepare"]

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
        rejects: rows that do not run, by number within the shard, and cases that run but offer no
            choice.
    """

    shard: Shard
    rows: tuple[ProbeRow, ...]
    encoded: tuple[Encoded, ...]
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
    found: list[tuple[int, ProbeRow, Encoded]] = []
    for (place, row), outcome in zip(given.items(), outcomes, strict=True):
        try:
            if isinstance(outcome, TooLongError) and long == "window" and limit is not None:
                parts = list(_windowed(model, row, limit))
            else:
                parts = [(row, outcome)]
            found += [(place, part, _checked(part, each, segment)) for part, each in parts]
            if isinstance(row.item, CorefCase) and not row.item.is_forced_choice:
                which = (
                    "all of its candidates are"
                    if row.item.antecedents
                    else ("none of its candidates is")
                )
                reason = f"Offers no choice: {which} an antecedent. It counts in no accuracy."
                rejects[place] = row.rejected(reason, NO_CHOICE)
        except InputError as error:
            kind = "mention" if isinstance(error, MentionError) else "text"
            rejects[place] = row.rejected(str(error), kind)
    places, rows, encoded = zip(*found, strict=True) if found else ((), (), ())
    return Prepared(shard, rows, encoded, places, rejects)


def _encoded(model: Model, texts: Sequence[str], limit: int | None) -> list[Encoded | TextError]:
    with model.tokenizing():
        return encode_batch(model.tokenizer, texts, limit=limit)


def _windowed(
    model: Model, row: ProbeRow, limit: int
) -> Iterator[tuple[ProbeRow, Encoded | TextError]]:
    (whole,) = _encoded(model, [row.text], None)
    if isinstance(whole, TextError):
        raise whole
    parts = windows(row, whole.tokens, limit)
    yield from zip(parts, _encoded(model, [part.text for part in parts], limit), strict=True)


def _checked(row: ProbeRow, outcome: Encoded | TextError, segment: Segment | None) -> Encoded:
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
    for span in (case.pronoun, *(candidate.span for candidate in case.candidates)):
        pieces = [i for word in mention_pieces(tokens, span) for i in word]
        if any(tokens.unknown_mask[piece] for piece in pieces):
            raise MentionError(
                f"Expected a tokenizer that knows {case.phrase(span)!r}, but this model's reads "
                f"{'it' if len(pieces) == 1 else 'a part of it'} as unknown. Use a model whose "
                "vocabulary has these characters."
            )

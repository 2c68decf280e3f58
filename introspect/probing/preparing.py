"""Before the model runs: the tokens of a shard, and which of its rows it cannot be asked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from introspect.alignment import mention_pieces, resegmented_tokens
from introspect.analyzers.coreference_batch import mention_words
from introspect.cases import Reject
from introspect.errors import InputError, MentionError, TextError
from introspect.mentions import CorefCase, Span
from introspect.models import Model
from introspect.models.batching import encode_batch
from introspect.models.encoding import Encoded
from introspect.probing.rows import ProbeRow, Shard
from introspect.records import TokenSequence

__all__ = ["Prepared", "Segment", "check_known", "prepare"]

Segment = Callable[[str], Sequence[Span]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A shard, ready for the model.

    Args:
        shard: the shard.
        rows: what runs, and
        encoded: their tokens.
        rejects: what does not, in the order of the input.
    """

    shard: Shard
    rows: tuple[ProbeRow, ...]
    encoded: tuple[Encoded, ...]
    rejects: tuple[Reject, ...]


def prepare(
    model: Model, shard: Shard, *, limit: int | None, segment: Segment | None = None
) -> Prepared:
    """Encode the rows of a shard; those that this model cannot be asked about become rejects.

    Args:
        model: whose tokenizer reads them.
        shard: the rows.
        limit: how many tokens the model reads.
        segment: from a text to the spans of its words, for scripts without spaces.
    """
    given = [row for row in shard.rows if isinstance(row, ProbeRow)]
    with model.tokenizing():
        outcomes = encode_batch(model.tokenizer, [row.text for row in given], limit=limit)
    fit: dict[int, Encoded] = {}
    wrong: dict[int, Reject] = {}
    for row, outcome in zip(given, outcomes, strict=True):
        try:
            fit[id(row)] = _checked(row, outcome, segment)
        except InputError as error:
            kind = "mention" if isinstance(error, MentionError) else "text"
            wrong[id(row)] = row.rejected(str(error), kind)
    rejects = [wrong.get(id(row), row) for row in shard.rows]
    kept = [row for row in given if id(row) in fit]
    return Prepared(
        shard,
        tuple(kept),
        tuple(fit[id(row)] for row in kept),
        tuple(row for row in rejects if isinstance(row, Reject)),
    )


def _checked(row: ProbeRow, outcome: Encoded | TextError, segment: Segment | None) -> Encoded:
    """The tokens of a row.

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
    """Attention to a piece that stands for any unknown character says nothing of the mention.

    Raises:
        MentionError: a mention has such a piece.
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

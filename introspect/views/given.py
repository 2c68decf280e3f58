"""The attention that a view is given: a record, or tensors and tokens, as BertViz has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any

from introspect.calls import kind_of_thing
from introspect.errors import RecordError, SelectionError
from introspect.records import AttentionRecord, TokenSequence, as_record

Tokens = TokenSequence | Sequence[str]

_OF_TWO_TEXTS = (
    "a record has the tokens of one kind of attention: make one of each with "
    "ix.AttentionRecord.from_tensors(attention, tokens, query_tokens=…, kind=…), and show "
    "ix.head_view([encoder, decoder, cross])"
)
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

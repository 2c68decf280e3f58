"""The tokens of a text that a model has continued."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from introspect.mentions import Span
from introspect.models.tokens import assembled
from introspect.records import TokenSequence

__all__ = ["continued"]


def continued(tokenizer: Any, tokens: TokenSequence, new_ids: Sequence[int]) -> TokenSequence:
    """Append the tokens that a model generated after ``tokens``, which continue the last text.

    If a character consists of several tokens, each of them stands for that character.

    Args:
        tokenizer: the fast tokenizer that made the tokens.
        tokens: the tokens that the model had read.
        new_ids: the vocabulary ids that it then generated.
    """
    special_ids = set(tokenizer.all_special_ids)
    special = [i in special_ids for i in new_ids]
    read = [i for i in tokens.token_ids if i not in special_ids]
    written = [
        _written(tokenizer, read, [i for i in new_ids[:count] if i not in special_ids])
        for count in range(len(new_ids) + 1)
    ]
    before = tokens.texts[-1]
    spans = [
        (0, 0) if is_special else _within(before + written[-1], span, len(before))
        for span, is_special in zip(_spans(written), special, strict=True)
    ]
    number = len(tokens.texts) - 1
    return assembled(
        tokenizer,
        [*tokens.token_ids, *new_ids],
        [*tokens.special_tokens_mask, *special],
        [*tokens.offsets, *spans],
        [*tokens.sequence_ids, *(None if flag else number for flag in special)],
        [*tokens.texts[:-1], before + written[-1]],
    )


def _written(tokenizer: Any, read: list[int], new: list[int]) -> str:
    """Decode the new tokens after those that were read, so that a leading space is kept."""
    options = {"clean_up_tokenization_spaces": False}
    return str(tokenizer.decode([*read, *new], **options))[len(tokenizer.decode(read, **options)) :]


def _spans(written: Sequence[str]) -> list[Span]:
    """Return the span of each token in the growing text; byte tokens span their whole character."""
    whole = written[-1]
    ends = [0]
    for text in written[1:]:
        # Bytes of an incomplete character decode differently once it is complete.
        ends.append(max(ends[-1], _common(text, whole)))
    return [
        (start, next((end for end in ends[index:] if end > start), start))
        for index, start in enumerate(ends[:-1], start=1)
    ]


def _common(a: str, b: str) -> int:
    """Return the length of the common prefix of two texts."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def _within(text: str, span: Span, first: int) -> Span:
    """Shift ``span`` by ``first``, and trim leading spaces."""
    start, end = first + span[0], first + span[1]
    inner = text[start:end]
    return start + (len(inner) - len(inner.lstrip()) if inner.strip() else 0), end

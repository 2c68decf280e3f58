"""The tokens of a text that a model went on writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from introspect.mentions import Span
from introspect.models.tokens import assembled
from introspect.records import TokenSequence

__all__ = ["continued"]


def continued(tokenizer: Any, tokens: TokenSequence, new_ids: Sequence[int]) -> TokenSequence:
    """``tokens`` with those that a model wrote after them; the last text goes on.

    Where a character is made of several tokens, each of them stands for that character.

    Args:
        tokenizer: the fast tokenizer that made them.
        tokens: what the model had read.
        new_ids: the vocabulary ids that it wrote then.
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
    """The text of the new tokens: decoded after what was read, so that a first space is kept."""
    options = {"clean_up_tokenization_spaces": False}
    return str(tokenizer.decode([*read, *new], **options))[len(tokenizer.decode(read, **options)) :]


def _spans(written: Sequence[str]) -> list[Span]:
    """The span of each token, from the text as it grew; bytes wait for their character."""
    whole = written[-1]
    ends = [0]
    for text in written[1:]:
        # Bytes that are no character yet look otherwise at the end.
        ends.append(max(ends[-1], _common(text, whole)))
    return [
        (start, next((end for end in ends[index:] if end > start), start))
        for index, start in enumerate(ends[:-1], start=1)
    ]


def _common(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))


def _within(text: str, span: Span, first: int) -> Span:
    """``span``, counted from ``first``, without the spaces before what it stands for."""
    start, end = first + span[0], first + span[1]
    inner = text[start:end]
    return start + (len(inner) - len(inner.lstrip()) if inner.strip() else 0), end

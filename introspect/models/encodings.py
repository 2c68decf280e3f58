"""Encodings of tokenizers that are written in Python, with the characters of each token.

Tokenizers of the ``tokenizers`` library say the characters. Of the others they are found from the
pieces, or the encoding has none.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizer

from introspect.errors import TextError
from introspect.text import Span, places_of_pieces

# What a Japanese vocabulary writes for any character, or expression, of a class.
_CLASS = re.compile(r"<(?:KIGOU|U2000U2BFF|BLOCK|URL|EMAIL|TEL|DATE|PRICE)>|<\|emoji\d+\|>")


class PlacedEncoding(BatchEncoding):
    """The encoding of a tokenizer written in Python, with the parts that others give.

    ``offset_mapping`` is ``None`` where the characters of the tokens are not known; ``words`` are
    then the number of the word of each token, and the words, if those are known. ``cut`` is how
    many pieces of the text were truncated.
    """

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return the text that each token is of, and ``None`` for special tokens."""
        numbers: list[int | None] = self["sequence_numbers"]
        return numbers


def python_encoding(
    tokenizer: Any, texts: Sequence[str], options: dict[str, Any], *, as_target: bool
) -> PlacedEncoding:
    """Encode a text or a pair of texts with a tokenizer written in Python.

    Args:
        tokenizer: the tokenizer.
        texts: the text, or both.
        options: what the tokenizer is called with, the texts among it.
        as_target: whether they are what the model writes.

    Raises:
        TextError: they are encoded with the vocabulary of what the model reads.
    """
    with _without_word_of_overflow():
        encoding = tokenizer(**options)
    switches = ("_switch_to_target_mode", "_switch_to_input_mode") if as_target else ()
    try:
        _call(tokenizer, *switches[:1])
        with _without_word_of_overflow():
            placed = _placed(
                tokenizer, encoding, texts, options["max_length"],
                add_special_tokens=options["add_special_tokens"],
            )  # fmt: skip
        if as_target:
            _check_written(tokenizer, placed)
        return placed
    finally:
        _call(tokenizer, *switches[1:])


@contextmanager
def _without_word_of_overflow() -> Iterator[None]:
    """Keep transformers from saying that it returns no tokens beyond the limit.

    Nobody asks for them; what was cut is said in a record's notices.
    """
    logger = logging.getLogger(PreTrainedTokenizer.__module__)

    def is_other(record: logging.LogRecord) -> bool:
        return "overflowing tokens are not returned" not in record.getMessage()

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _check_written(tokenizer: Any, encoding: PlacedEncoding) -> None:
    """Raise if a tokenizer encodes what is written with the vocabulary of what is read.

    Raises:
        TextError: an id stands for another piece in what the model writes.
    """
    ids = list(encoding["input_ids"])
    for i, entry, piece in zip(
        ids, tokenizer.convert_ids_to_tokens(ids), encoding["pieces"], strict=True
    ):
        if piece is not None and entry != piece and i != tokenizer.unk_token_id:
            raise TextError(
                f"Expected the vocabulary of the target in {type(tokenizer).__name__}, but it "
                f"encodes what the model writes with that of what it reads: {piece!r} would be "
                f"read as {entry!r}. Capture without a target, or let the model write."
            )


def _call(tokenizer: Any, *names: str) -> None:
    for name in names:
        getattr(tokenizer, name, lambda: None)()


def _placed(
    tokenizer: Any,
    encoding: Any,
    texts: Sequence[str],
    limit: int | None,
    *,
    add_special_tokens: bool,
) -> PlacedEncoding:
    """Return an encoding with the text and the characters of each token."""
    ids = [int(i) for i in encoding["input_ids"]]
    pieces = [list(tokenizer.tokenize(text)) for text in texts]
    owners = _owners(tokenizer, [len(part) for part in pieces], limit, add_special_tokens)
    own = [[int(i) for i in tokenizer.convert_tokens_to_ids(part)] for part in pieces]
    if not _fits(owners, own, ids):
        special = set(tokenizer.all_special_ids) if add_special_tokens else set()
        owners = [None if i in special else (0, -1) for i in ids]
        offsets, words = None, None
    else:
        offsets = _offsets(tokenizer, texts, pieces, owners)
        words = None if offsets else _words(tokenizer, texts, pieces, owners)
    return PlacedEncoding(
        {
            **encoding,
            "special_tokens_mask": [int(owner is None) for owner in owners],
            "sequence_numbers": [None if owner is None else owner[0] for owner in owners],
            "offset_mapping": offsets,
            "words": words,
            # Without a limit nothing is truncated, whatever a text's own special tokens count as.
            "cut": 0
            if limit is None
            else sum(map(len, pieces)) - sum(owner is not None for owner in owners),
            "pieces": [
                None if owner is None or owner[1] < 0 else pieces[owner[0]][owner[1]]
                for owner in owners
            ],
        }
    )


#: The text that a token is of, and its place among the pieces of that text; none of special ones.
_Owner = tuple[int, int] | None


def _owners(
    tokenizer: Any, counts: Sequence[int], limit: int | None, add_special_tokens: bool
) -> list[_Owner]:
    """Return which piece each token is, from where the tokenizer puts numbers that are no ids."""
    places = [(number, place) for number, count in enumerate(counts) for place in range(count)]
    # Ids are not negative, so that a special token is never taken for a piece.
    given = [-1 - number for number in range(len(places))]
    first, second = given[: counts[0]], given[counts[0] :] if len(counts) > 1 else None
    extra = tokenizer.num_special_tokens_to_add(second is not None) if add_special_tokens else 0
    try:
        if limit is not None and (over := len(given) + extra - limit) > 0:
            first, second, _ = tokenizer.truncate_sequences(
                first, pair_ids=second, num_tokens_to_remove=over,
                truncation_strategy="longest_first",
            )  # fmt: skip
        whole = [*first, *(second or [])]
        if add_special_tokens:
            whole = tokenizer.build_inputs_with_special_tokens(first, second)
    except (TypeError, ValueError, AttributeError):
        return []
    return [None if number >= 0 else places[-1 - number] for number in whole]


def _fits(owners: Sequence[_Owner], own: Sequence[Sequence[int]], ids: Sequence[int]) -> bool:
    """Return whether the tokens are the pieces where they are said to be."""
    return len(owners) == len(ids) and all(
        owner is None or own[owner[0]][owner[1]] == token_id
        for owner, token_id in zip(owners, ids, strict=True)
    )


def _offsets(
    tokenizer: Any,
    texts: Sequence[str],
    pieces: Sequence[Sequence[str]],
    owners: Sequence[_Owner],
) -> list[Span] | None:
    """Return the characters of each token, if those of all of them are sure."""
    unknown = {tokenizer.unk_token, *(p for part in pieces for p in part if _CLASS.fullmatch(p))}
    spans = [
        places_of_pieces(text, part, unknown=unknown, divide=tokenizer.tokenize)
        for text, part in zip(texts, pieces, strict=True)
    ]
    if any(found is None for found in spans):
        return None
    return [(0, 0) if owner is None else spans[owner[0]][owner[1]] for owner in owners]  # type: ignore[index]


def _words(
    tokenizer: Any,
    texts: Sequence[str],
    pieces: Sequence[Sequence[str]],
    owners: Sequence[_Owner],
) -> tuple[list[int | None], list[str]] | None:
    """Return the word of each token and all words, if apart they have the pieces of the text."""
    words: list[str] = []
    numbers: list[list[int]] = []
    for text, part in zip(texts, pieces, strict=True):
        divided = [list(tokenizer.tokenize(word)) for word in text.split()]
        if [piece for of_word in divided for piece in of_word] != list(part):
            return None
        numbers.append([n for n, own in enumerate(divided, start=len(words)) for _ in own])
        words += text.split()
    return [None if owner is None else numbers[owner[0]][owner[1]] for owner in owners], words

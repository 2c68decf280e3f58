"""What a tokenizer makes of a text: ids, special tokens, and the characters of each token.

Tokenizers of the ``tokenizers`` library say the characters. Those written in Python do not; their
characters are found from their pieces, or the encoding has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizerBase

from introspect.errors import TextError
from introspect.text import Span, places_of_pieces

#: The options of every tokenizer call. The limit is checked elsewhere, with an error instead of
#: the tokenizer's warning.
_ASKED: dict[str, Any] = {"return_special_tokens_mask": True, "verbose": False}

# What a Japanese vocabulary writes for any character, or expression, of a class.
_CLASS = re.compile(r"<(?:KIGOU|U2000U2BFF|BLOCK|URL|EMAIL|TEL|DATE|PRICE)>|<\|emoji\d+\|>")


class PlacedEncoding(BatchEncoding):
    """The encoding of a tokenizer written in Python, with the parts that others give.

    ``offset_mapping`` is ``None`` where the characters of the tokens are not known.
    """

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Return the text that each token is of, and ``None`` for special tokens."""
        numbers: list[int | None] = self["sequence_numbers"]
        return numbers


def is_tokenizer(given: Any) -> bool:
    """Return whether something is a tokenizer of transformers, in Rust or in Python."""
    return isinstance(given, PreTrainedTokenizerBase)


def is_fast(tokenizer: Any) -> bool:
    """Return whether a tokenizer says itself which characters a token stands for."""
    return bool(getattr(tokenizer, "is_fast", False))


def encoding_of(
    tokenizer: Any,
    texts: Sequence[str],
    *,
    limit: int | None = None,
    add_special_tokens: bool = True,
    as_target: bool = False,
) -> Any:
    """Encode a text or a pair of texts.

    Args:
        tokenizer: a tokenizer of transformers.
        texts: the text, or both.
        limit: cut them at so many tokens; ``None`` to leave them whole.
        add_special_tokens: whether the tokenizer adds those that the model was trained with.
        as_target: encode them as what the model writes.
    """
    names = ("text_target", "text_pair_target") if as_target else ("text", "text_pair")
    options = {
        **dict(zip(names, texts, strict=False)),
        "truncation": limit is not None,
        "max_length": limit,
        "add_special_tokens": add_special_tokens,
        **_ASKED,
    }
    if is_fast(tokenizer):
        return tokenizer(**options, return_offsets_mapping=True)
    encoding = tokenizer(**options)
    switches = ("_switch_to_target_mode", "_switch_to_input_mode") if as_target else ()
    try:
        _call(tokenizer, *switches[:1])
        placed = _placed(tokenizer, encoding, texts, limit, add_special_tokens=add_special_tokens)
        if as_target:
            _check_written(tokenizer, placed)
        return placed
    finally:
        _call(tokenizer, *switches[1:])


def entries_of(tokenizer: Any, encoding: Any) -> list[str | None]:
    """Return the entry of the vocabulary for each token of an encoding.

    A tokenizer with a vocabulary for each of two languages names ids by that of the written one,
    so that of a text that is read the pieces say it.
    """
    ids = [int(i) for i in encoding["input_ids"]]
    entries: list[str | None] = tokenizer.convert_ids_to_tokens(ids)
    pieces = encoding["pieces"] if isinstance(encoding, PlacedEncoding) else [None] * len(ids)
    return [
        entry if piece is None or token_id == tokenizer.unk_token_id else piece
        for entry, piece, token_id in zip(entries, pieces, ids, strict=True)
    ]


def encodings_of(tokenizer: Any, texts: Sequence[str]) -> Iterator[Any]:
    """Yield the encoding of each text, whole; a fast tokenizer is called once for all."""
    if not texts:
        return
    if not is_fast(tokenizer):
        for text in texts:
            yield encoding_of(tokenizer, [text])
        return
    together = tokenizer(list(texts), truncation=False, return_offsets_mapping=True, **_ASKED)
    for number, encoding in enumerate(together.encodings):
        yield BatchEncoding({name: of[number] for name, of in together.items()}, encoding=encoding)


def _check_written(tokenizer: Any, encoding: PlacedEncoding) -> None:
    """Raise if a tokenizer encodes what is written with the vocabulary of what is read.

    Raises:
        TextError: an id stands for another piece in what the model writes.
    """
    entries = tokenizer.convert_ids_to_tokens(list(encoding["input_ids"]))
    for entry, piece in zip(entries, entries_of(tokenizer, encoding), strict=True):
        if entry != piece:
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
        offsets = None
    else:
        offsets = _offsets(tokenizer, texts, pieces, owners)
    return PlacedEncoding(
        {
            **encoding,
            "special_tokens_mask": [int(owner is None) for owner in owners],
            "sequence_numbers": [None if owner is None else owner[0] for owner in owners],
            "offset_mapping": offsets,
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

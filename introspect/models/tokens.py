"""Convert a tokenizer's encoding to a human-readable ``TokenSequence``."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from itertools import accumulate, groupby
from typing import Any
from weakref import WeakKeyDictionary

from transformers import PreTrainedTokenizerBase

from introspect.changes import lock
from introspect.errors import ModelError
from introspect.records import TokenSequence, words_of_texts
from introspect.text import Span, spelled_bytes, whole

_REPLACEMENT = "\ufffd"
_SPACE_TOKENS = ("▁", "Ġ")
_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def token_sequence(
    tokenizer: Any,
    encoding: Any,
    texts: Sequence[str],
    words: Sequence[Sequence[Span] | None] | None = None,
    special_ids: Collection[int] = (),
) -> TokenSequence:
    """Return the tokens of one encoded text or pair, with offsets, words and labels.

    Args:
        tokenizer: the tokenizer.
        encoding: its encoding of the texts, with offsets, if they are known, and the
            special-tokens mask.
        texts: the text, or the two texts of a pair.
        words: for each text the spans of its words, or ``None`` to find them.
        special_ids: ids that are special even if they are written out in the text, as in a chat
            template.
    """
    ids = [int(i) for i in encoding["input_ids"]]
    raw = _entries(tokenizer, ids, None)
    if "pieces" in encoding:
        raw = _as_read(tokenizer, ids, raw, encoding["pieces"])
    special = [
        bool(flag) or i in special_ids
        for i, flag in zip(ids, encoding["special_tokens_mask"], strict=True)
    ]
    sequence_ids = [
        None if is_special else number
        for number, is_special in zip(encoding.sequence_ids(), special, strict=True)
    ]
    if encoding["offset_mapping"] is None:
        return without_characters(
            tokenizer, ids, special, sequence_ids, entries=raw, words=encoding["words"]
        )
    offsets = [
        (0, 0) if number is None else _trimmed(texts[number], span, token)
        for span, number, token in zip(encoding["offset_mapping"], sequence_ids, raw, strict=True)
    ]
    _divide_byte_runs(offsets, raw, sequence_ids, texts)
    return assembled(tokenizer, ids, special, offsets, sequence_ids, texts, words, raw)


def is_tokenizer(given: Any) -> bool:
    """Return whether something is a tokenizer of transformers, in Rust or in Python."""
    return isinstance(given, PreTrainedTokenizerBase)


def is_fast(tokenizer: Any) -> bool:
    """Return whether a tokenizer says itself which characters a token stands for."""
    return bool(getattr(tokenizer, "is_fast", False))


def _as_read(
    tokenizer: Any, ids: Sequence[int], entries: Sequence[str], pieces: Sequence[str | None]
) -> list[str]:
    """Return the entries of tokens that are read.

    A tokenizer with a vocabulary for each of two languages names ids by that of the written one.
    """
    unknown = tokenizer.unk_token_id
    return [
        entry if piece is None or token_id == unknown else piece
        for entry, piece, token_id in zip(entries, pieces, ids, strict=True)
    ]


def assembled(
    tokenizer: Any,
    ids: Sequence[int],
    special: Sequence[bool],
    offsets: Sequence[Span],
    sequence_ids: Sequence[int | None],
    texts: Sequence[str],
    given_words: Sequence[Sequence[Span] | None] | None = None,
    entries: Sequence[str | None] | None = None,
) -> TokenSequence:
    """Assemble a sequence from what is known about each token, and find its words and labels.

    Raises:
        ModelError: the tokenizer does not know an id.
    """
    raw = _entries(tokenizer, ids, entries)
    word_ids, words = words_of_texts(
        texts, offsets, sequence_ids, given_words or [None] * len(texts)
    )
    return TokenSequence(
        tokens=tuple(_labels(tokenizer, raw, offsets, sequence_ids, texts)),
        token_ids=tuple(ids),
        offsets=tuple(offsets),
        word_ids=tuple(word_ids),
        special_tokens_mask=tuple(special),
        unknown_mask=_unknown(tokenizer, ids, special),
        sequence_ids=tuple(sequence_ids),
        words=tuple(words),
        texts=tuple(texts),
    )


def without_characters(
    tokenizer: Any,
    ids: Sequence[int],
    special: Sequence[bool],
    sequence_ids: Sequence[int | None],
    *,
    entries: Sequence[str | None] | None = None,
    words: tuple[Sequence[int | None], Sequence[str]] | None = None,
) -> TokenSequence:
    """Return a sequence of tokens without a text, where their characters are not known.

    Args:
        tokenizer: the tokenizer.
        ids: the id of each token.
        special: whether it stands for no part of the text.
        sequence_ids: the text that it is of.
        entries: its entry of the vocabulary, if the tokenizer is not to say it.
        words: the word of each token, and the words; each token is one where they are not known.

    Raises:
        ModelError: the tokenizer does not know an id.
    """
    raw = _entries(tokenizer, ids, entries)
    if words is None:
        numbers = accumulate((not flag for flag in special), initial=0)
        word_ids = [None if flag else n for flag, n in zip(special, numbers, strict=False)]
        words = word_ids, [entry for entry, flag in zip(raw, special, strict=True) if not flag]
    return TokenSequence(
        tokens=tuple(raw),
        token_ids=tuple(ids),
        word_ids=tuple(words[0]),
        special_tokens_mask=tuple(special),
        unknown_mask=_unknown(tokenizer, ids, special),
        sequence_ids=tuple(sequence_ids),
        words=tuple(words[1]),
    )


def _entries(tokenizer: Any, ids: Sequence[int], given: Sequence[str | None] | None) -> list[str]:
    """Return the entry of the vocabulary for each id, if they are not given.

    Raises:
        ModelError: the tokenizer does not know an id.
    """
    found = tokenizer.convert_ids_to_tokens(list(ids)) if given is None else given
    raw = [entry for entry in found if entry is not None]
    if len(raw) < len(found):
        unknown = next(i for i, entry in zip(ids, found, strict=True) if entry is None)
        raise ModelError(
            f"Expected a tokenizer that has an entry for each id that it gives, but it has none "
            f"for {whole(unknown)}: it is damaged. Copy its files again."
        )
    return raw


def _unknown(tokenizer: Any, ids: Sequence[int], special: Sequence[bool]) -> tuple[bool, ...]:
    unknown = tokenizer.unk_token_id
    return tuple(i == unknown and not flag for i, flag in zip(ids, special, strict=True))


def _trimmed(text: str, span: Span, token: str) -> Span:
    """Trim ``span`` to the characters that the token stands for.

    Some vocabularies include the spaces before the first character. If the space that some prepend
    to a text is a separate token, its span covers the character after it.
    """
    start, end = span
    inner = text[start:end]
    if not inner.strip():
        return start, end
    if token in _SPACE_TOKENS and inner != token:
        return start, start
    return start + len(inner) - len(inner.lstrip()), end


def _divide_byte_runs(
    offsets: list[Span],
    raw: Sequence[str],
    sequence_ids: Sequence[int | None],
    texts: Sequence[str],
) -> None:
    """Assign each byte token its own character if its span is a whole run of unknown characters."""
    places = [
        (number, span) if number is not None and _BYTE_TOKEN.fullmatch(token) else None
        for number, span, token in zip(sequence_ids, offsets, raw, strict=True)
    ]
    index = 0
    for place, run in groupby(places):
        count = len(list(run))
        if place is not None:
            number, (start, end) = place
            owners = [i for i in range(start, end) for _ in texts[number][i].encode()]
            if len(owners) == count:
                offsets[index : index + count] = [(i, i + 1) for i in owners]
        index += count


def _labels(
    tokenizer: Any,
    raw: Sequence[str],
    offsets: Sequence[Span],
    sequence_ids: Sequence[int | None],
    texts: Sequence[str],
) -> list[str]:
    """Return the label to show for each token.

    Byte-level vocabularies spell ``中`` as ``ä¸Ń``, so their tokens are decoded. A token with only
    some bytes of a character is shown as that character with its fraction: ``中¹⁄₃``.
    """
    decoder = _byte_decoder(tokenizer)
    labels = list(raw)
    broken: dict[tuple[int, Span], list[int]] = {}
    for index, token in enumerate(raw):
        number = sequence_ids[index]
        is_bytes = decoder is not None or _BYTE_TOKEN.fullmatch(token)
        if number is None or not is_bytes:
            continue
        decoded = decoder.decode([token]) if decoder else _REPLACEMENT
        if _REPLACEMENT not in decoded:
            labels[index] = decoded
        elif offsets[index][0] < offsets[index][1]:
            broken.setdefault((number, offsets[index]), []).append(index)
    for (number, (start, end)), parts in broken.items():
        character = texts[number][start:end]
        for place, index in enumerate(parts, start=1):
            labels[index] = character + _fraction(place, len(parts))
    return labels


def _fraction(part: int, parts: int) -> str:
    if parts == 1:
        return ""
    return f"{str(part).translate(_SUPERSCRIPTS)}⁄{str(parts).translate(_SUBSCRIPTS)}"


class _Bytes:
    """The decoder of a vocabulary of bytes of a tokenizer written in Python."""

    @staticmethod
    def decode(tokens: Sequence[str]) -> str:
        """Return what the tokens spell, with a mark instead of an incomplete character."""
        return b"".join(spelled_bytes(token) or b"\xff" for token in tokens).decode(
            errors="replace"
        )


_divides_into_bytes: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def _byte_decoder(tokenizer: Any) -> Any | None:
    """Return the decoder of a byte-level vocabulary, or ``None`` for other vocabularies."""
    if not is_fast(tokenizer):
        with lock:
            known = _divides_into_bytes.get(tokenizer)
        if known is None:
            # A letter of several bytes shows whether bytes are what it is divided into.
            known = spelled_bytes("".join(tokenizer.tokenize("中"))) == "中".encode()
            with lock:
                _divides_into_bytes[tokenizer] = known
        return _Bytes if known else None
    decoder = tokenizer.backend_tokenizer.decoder
    if decoder is None:
        return None
    # Serialize only the decoder: the whole tokenizer takes 10 to 100 ms per call.
    state = json.loads(decoder.__getstate__())
    parts = [state, *state.get("decoders", [])]
    return decoder if any(part["type"] == "ByteLevel" for part in parts) else None

"""The tokens of one side of an attention pattern, and their words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from itertools import accumulate, groupby
from numbers import Integral
from typing import Any

from introspect.errors import MentionError, RecordError, SelectionError
from introspect.text import find_mention, listed, occurrences

#: A token: its index, from 0, or its word; ``"it#2"`` is the second *it* of the text.
TokenLike = int | str


@dataclass(frozen=True)
class TokenSequence:
    """The tokens of one side of an attention pattern, and the text they came from.

    All sequences have one entry per token. ``None`` marks what a special token lacks.

    Args:
        tokens: the tokens as shown. Byte-level vocabularies are shown as the text's characters.
        token_ids: vocabulary ids.
        offsets: half-open character spans in the token's text; ``(0, 0)`` for special tokens.
        word_ids: index into ``words``.
        special_tokens_mask: true for tokens that stand for no part of a text.
        unknown_mask: true where the vocabulary has no entry for what the text says.
        sequence_ids: 0 for the first text, 1 for the second of a pair.
        words: the words of the text or texts, in order.
        texts: the text, or the pair.
    """

    tokens: tuple[str, ...]
    token_ids: tuple[int, ...] = ()
    offsets: tuple[tuple[int, int], ...] = ()
    word_ids: tuple[int | None, ...] = ()
    special_tokens_mask: tuple[bool, ...] = ()
    unknown_mask: tuple[bool, ...] = ()
    sequence_ids: tuple[int | None, ...] = ()
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_labels(self.tokens)
        n = len(self.tokens)
        defaults: dict[str, tuple[Any, ...]] = {
            "token_ids": (-1,) * n,
            "offsets": ((0, 0),) * n,
            "word_ids": tuple(range(n)),
            "special_tokens_mask": (False,) * n,
            "unknown_mask": (False,) * n,
            "sequence_ids": (0,) * n,
        }
        # A bare list of tokens, as BertViz takes, is a sequence whose words are its tokens.
        if not self.word_ids and not self.words:
            object.__setattr__(self, "words", tuple(self.tokens))
        for name, default in defaults.items():
            given = tuple(getattr(self, name)) or default
            if len(given) != n:
                raise RecordError(
                    f"Expected {name!r} to have one entry for each of the {n} tokens, "
                    f"got {len(given)}. Give all parts of the sequence at the same length."
                )
            object.__setattr__(self, name, given)
        object.__setattr__(self, "tokens", tuple(self.tokens))
        object.__setattr__(self, "offsets", tuple((int(s), int(e)) for s, e in self.offsets))
        for word in self.word_ids:
            if word is not None and not 0 <= word < len(self.words):
                raise RecordError(
                    f"Expected word ids from 0 to {len(self.words) - 1}, got {word}. "
                    "Every word id must name an entry of `words`."
                )

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, indices: Iterable[int]) -> TokenSequence:
        """Return only the tokens at these indices; their words and texts stay whole."""
        chosen = list(indices)
        return replace(
            self,
            **{
                part.name: tuple(getattr(self, part.name)[i] for i in chosen)
                for part in fields(self)
                if part.name not in ("words", "texts")
            },
        )

    def pieces(self) -> list[list[int]]:
        """Return token indices grouped by word, in text order; special tokens are single."""
        groups: list[list[int]] = []
        last: int | None = None
        for index, word in enumerate(self.word_ids):
            if word is not None and word == last:
                groups[-1].append(index)
            else:
                groups.append([index])
            last = word
        return groups

    def at_word_level(self) -> TokenSequence:
        """Return the same sequence with one token for each word."""
        groups = self.pieces()
        firsts = [group[0] for group in groups]
        words = tuple(
            self.tokens[first] if self.word_ids[first] is None else self._word(first)
            for first in firsts
        )
        return TokenSequence(
            tokens=words,
            token_ids=tuple(self.token_ids[g[0]] if len(g) == 1 else -1 for g in groups),
            offsets=tuple((self.offsets[g[0]][0], self.offsets[g[-1]][1]) for g in groups),
            word_ids=tuple(self.word_ids[first] for first in firsts),
            special_tokens_mask=tuple(self.special_tokens_mask[first] for first in firsts),
            unknown_mask=tuple(any(self.unknown_mask[i] for i in g) for g in groups),
            sequence_ids=tuple(self.sequence_ids[first] for first in firsts),
            words=self.words,
            texts=self.texts,
        )

    def _word(self, index: int) -> str:
        word = self.word_ids[index]
        assert word is not None
        return self.words[word]


def read_tokens(
    given: Any,
    *,
    special_tokens: Iterable[Any] | None = None,
    word_ids: Iterable[int | None] | None = None,
    offsets: Iterable[tuple[int, int]] | None = None,
) -> TokenSequence:
    """Return a sequence of tokens with what is known of them.

    Args:
        given: the tokens as text, or a sequence of them.
        special_tokens: the tokens that stand for no part of a text: 1 or 0 for each, or their
            labels, such as ``["[CLS]", "[SEP]"]``; by default those without a word.
        word_ids: the word of each token, as a tokenizer's ``word_ids()``; by default each token
            that is not special is a word.
        offsets: the characters of each token, as a tokenizer's ``offset_mapping``.

    Raises:
        RecordError: the tokens are no text, or a part is not one for each token.

    Example:
        >>> read_tokens(["[CLS]", "un", "##do"], word_ids=[None, 0, 0]).words
        ('undo',)
    """
    sequence = given if isinstance(given, TokenSequence) else TokenSequence(_labels(given))
    if word_ids is not None:
        sequence = _of_words(sequence, list(word_ids))
    if special_tokens is not None:
        mask = _special(sequence, list(special_tokens))
        words = sequence.word_ids
        if word_ids is None and not isinstance(given, TokenSequence):
            words = tuple(None if is_special else i for i, is_special in enumerate(mask))
        sequence = replace(sequence, special_tokens_mask=mask, word_ids=words)
    if offsets is not None:
        sequence = replace(sequence, offsets=_spans(offsets))
    return sequence


def _labels(given: Any) -> tuple[str, ...]:
    """Return tokens as text.

    Raises:
        RecordError: they are something else; the message says what to hand over.
    """
    if isinstance(given, str | bytes):
        raise RecordError(
            f"Expected a list of tokens, got one text, {given!r:.60}. Hand over the tokens that "
            "the model saw: tokenizer.convert_ids_to_tokens(ids)."
        )
    if callable(getattr(given, "word_ids", None)) or hasattr(given, "input_ids"):
        raise RecordError(
            "Expected a list of tokens, got what a tokenizer returned. Hand over its tokens(), and "
            "word_ids=encoding.word_ids() beside them."
        )
    try:
        labels = tuple(given)
    except TypeError as error:
        raise RecordError(
            f"Expected a list of tokens, got {given!r:.60}. Hand over the tokens that the model "
            "saw, special ones too."
        ) from error
    _check_labels(labels)
    return tuple(map(str, labels))


def _check_labels(labels: Iterable[Any]) -> None:
    for index, label in enumerate(labels):
        if isinstance(label, str):
            continue
        if isinstance(label, bytes):
            advice = "Decode them: [token.decode() for token in tokens]"
        elif label is None:
            advice = "Put a text in its place, such as '?'"
        else:
            advice = "Of ids hand over tokenizer.convert_ids_to_tokens(ids)"
        raise RecordError(
            f"Expected tokens as text, got {label!r:.40} at place {index} of them. {advice}."
        )


def _special(sequence: TokenSequence, given: list[Any]) -> tuple[bool, ...]:
    if given and all(isinstance(item, str) for item in given):
        if strangers := sorted(set(given) - set(sequence.tokens)):
            _check_some_known(strangers, given)
        return tuple(token in given for token in sequence.tokens)
    _check_length("special_tokens", given, len(sequence))
    try:
        numbers = [int(item) for item in given]
    except (TypeError, ValueError):
        numbers = [-1]
    if set(numbers) - {0, 1}:
        raise RecordError(
            "Expected `special_tokens` as 1 or 0 for each token, or as labels such as '[CLS]', got "
            f"{given!r:.60}."
        )
    return tuple(map(bool, numbers))


def _check_some_known(strangers: list[str], given: list[str]) -> None:
    # A tokenizer's list of all special tokens has many that a text has not.
    if len(strangers) == len(set(given)):
        raise RecordError(
            "Expected `special_tokens` among the tokens, got "
            f"{listed(map(repr, strangers), most=5)}. Write them as the tokens are written."
        )


def _of_words(sequence: TokenSequence, given: list[Any]) -> TokenSequence:
    """Return the sequence in words: neighbors with the same id are one, those with none special."""
    _check_length("word_ids", given, len(sequence))
    for index, word in enumerate(given):
        if word is not None and not isinstance(word, int | Integral):
            raise RecordError(
                "Expected `word_ids` as whole numbers, or None for special tokens, got "
                f"{word!r} at place {index}."
            )
    ids: list[int | None] = []
    words: list[str] = []
    # The second text of a pair counts its words from 0 again, so that runs count and not ids.
    for word, group in groupby(range(len(given)), key=lambda index: given[index]):
        pieces = list(group)
        ids += [None if word is None else len(words)] * len(pieces)
        if word is not None:
            words.append("".join(_bare(sequence.tokens[index]) for index in pieces))
    mask = tuple(word is None for word in ids)
    return replace(sequence, word_ids=tuple(ids), words=tuple(words), special_tokens_mask=mask)


def _bare(piece: str) -> str:
    """Return a token without the marks by which vocabularies say where a word begins or ends."""
    return piece.removeprefix("##").lstrip("Ġ▁").removesuffix("</w>") or piece


def _spans(offsets: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    spans = []
    for given in offsets:
        try:
            start, end = (int(edge) for edge in given)
        except (TypeError, ValueError):
            start, end = 1, 0
        if not 0 <= start <= end:
            raise RecordError(
                f"Expected `offsets` as pairs (start, end) of characters, got {given!r:.40}."
            )
        spans.append((start, end))
    return tuple(spans)


def _check_length(name: str, given: list[Any], count: int) -> None:
    if len(given) != count:
        raise RecordError(
            f"Expected `{name}` to have one entry for each of the {count} tokens, got {len(given)}."
        )


def as_token(
    tokens: TokenSequence, token: TokenLike, *, name: str = "token", from_end: bool = False
) -> int:
    """Return the index of a token; of a word in several pieces, the first piece.

    Args:
        tokens: the tokens.
        token: an index from 0; a word or phrase of the text, ``it#2`` for the second *it* (of a
            pair, it is looked for in the first text first); or the label of a token that is no
            part of the text, such as ``[CLS]``.
        name: what an error calls the token.
        from_end: whether a negative index counts from the end.

    Raises:
        SelectionError: the index is out of range.
        MentionError: the word is not there, or is there several times and not numbered.

    Example:
        >>> as_token(TokenSequence(("it", "was", "it")), "it#2")
        2
    """
    if isinstance(token, str):
        return _index_of(tokens, token, name)
    first, count = -len(tokens) if from_end else 0, len(tokens)
    if not isinstance(token, int | Integral) or not first <= token < count:
        span = (
            f"from {first} to {count - 1}, for {count} tokens" if from_end else f"in 0–{count - 1}"
        )
        raise SelectionError(f"Expected `{name}` {span}, got {token!r}.")
    return int(token) % count


def _index_of(tokens: TokenSequence, word: str, name: str) -> int:
    places = list(zip(tokens.sequence_ids, tokens.offsets, strict=True))
    labels = [i for i, label in enumerate(tokens.tokens) if label == word and not any(places[i][1])]
    if tokens.texts and len(labels) == 1:
        return labels[0]
    texts = tokens.texts
    if not texts:
        # A bare list of tokens has no text, so it is one text of these tokens.
        ends = list(accumulate(len(token) + 1 for token in tokens.tokens))
        texts = (" ".join(tokens.tokens),)
        places = [
            (0, (end - 1 - len(token), end - 1))
            for token, end in zip(tokens.tokens, ends, strict=True)
        ]
    text = next((number for number, text in enumerate(texts) if occurrences(text, word)), 0)
    start, end = find_mention(texts[text], word, role=name)
    for index, (number, (first, last)) in enumerate(places):
        if number == text and max(start, first) < min(end, last):
            return index
    raise MentionError(
        f"Expected tokens for the {name} {word!r}, but the model saw none: it was truncated, or "
        "the tokenizer dropped it. Shorten the text, or choose another model."
    )

"""Encode a text as model inputs, with notices for the reader."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from transformers import BatchEncoding

from introspect.calls import kind_of_thing
from introspect.errors import ModelError, TextError
from introspect.models.encodings import python_encoding
from introspect.models.tokens import is_fast, token_sequence
from introspect.records import TokenSequence
from introspect.text import Span, counted, listed, shortened, verb, whole

Readable = str | Sequence[str] | Sequence[Mapping[str, str]]


class Words(tuple[str, ...]):
    """Words that the caller calls words, whatever is in them."""


@dataclass(frozen=True)
class InputText:
    """A text, and what is known about it besides its characters.

    Args:
        text: the characters.
        words: the spans of its words, if they were given; ``None`` to find them in the text.
        is_templated: whether it already has all its special tokens, so the tokenizer adds none.
    """

    text: str
    words: tuple[Span, ...] | None = None
    is_templated: bool = False


def listed_texts(texts: Iterable[Any] | str) -> list[Any]:
    """Return texts as a list; one text is a list of one.

    Raises:
        TextError: they are a file, a table, or nothing that has texts in it.

    Example:
        >>> listed_texts("The cat sat.")
        ['The cat sat.']
    """
    if isinstance(texts, str) and not os.path.isfile(texts):
        return [texts]
    check_texts(texts)
    return list(texts)


def check_texts(texts: Any) -> None:
    """Raise unless texts are an iterable of them.

    Raises:
        TextError: they are a file, a table, one text, or nothing that has texts in it.
    """
    is_list = isinstance(texts, Iterable) and not isinstance(texts, str | bytes | Mapping)
    if not is_list or hasattr(texts, "columns") or isinstance(texts, os.PathLike | nn.Module):
        raise TextError(
            f"Expected a list of texts, got {kind_of_thing(texts)}. Of a table take a column, "
            "table['text'].tolist(); of a file its lines, Path(file).read_text().splitlines()."
        )


def as_input_text(
    tokenizer: Any, given: Readable, *, name: str, add_generation_prompt: bool = False
) -> InputText:
    """Convert a text, a list of words or a list of messages to one text.

    Words are joined by spaces, as in the text that the model was trained on; each remains one word
    of the record. Messages go through the tokenizer's chat template.

    Args:
        tokenizer: the tokenizer.
        given: a text; words, ``["The", "cat"]``; or messages,
            ``[{"role": "user", "content": "Hello."}]``.
        name: the model's name, for errors.
        add_generation_prompt: end the chat with the prompt for the model's answer.

    Raises:
        TextError: the input is neither a text nor words nor messages.
        ModelError: the input is messages, but the tokenizer has no chat template.
    """
    if isinstance(given, str):
        return InputText(given)
    if isinstance(given, Words):
        return _joined(given)
    items: list[Any] = list(given) if isinstance(given, Sequence) else []
    if items and all(isinstance(item, str) and item.strip() for item in items):
        _check_words(tokenizer, items)
        return _joined(items)
    if items and all(isinstance(item, Mapping) and "role" in item for item in items):
        return InputText(
            _templated(tokenizer, items, name, add_generation_prompt), is_templated=True
        )
    raise TextError(
        "Expected a text (str), a list of words, or a list of messages with role and content, got "
        f"{type(given).__name__}{' of other things, or with nothing in it' if items else ''}. "
        "Give for example 'The cat sat.', ['The', 'cat'] or [{'role': 'user', 'content': 'Hi'}]; a "
        "sound or a picture, to a model that reads them."
    )


def _check_words(tokenizer: Any, items: Sequence[str]) -> None:
    """Raise if a list may hold something else than words.

    Raises:
        TextError: it holds sentences, or the tokens of a record.
    """
    ends = {getattr(tokenizer, f"{name}_token", None) for name in ("cls", "sep", "bos", "eos")}
    marked = [item for item in items if item in ends or re.match(r"##.|[Ġ▁]", item)]
    if marked:
        raise TextError(
            f"Expected a text or its words, got tokens such as {marked[0]!r}, which the model "
            "would read as text. Give the text itself: of a record, record.keys.texts[0]."
        )
    if spaced := [item for item in items if any(mark.isspace() for mark in item)]:
        raise TextError(
            f"Expected words in a list, got {shortened(spaced[0], 40)!r}, which has a space in it. "
            "Capture several texts with model.capture_many(texts); one text is model.capture(text);"
            " of words with spaces in them, give model.capture(words=[…])."
        )


def _joined(words: Sequence[str]) -> InputText:
    spans = []
    start = 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return InputText(" ".join(words), words=tuple(spans))


def _templated(tokenizer: Any, messages: list[Any], name: str, add_generation_prompt: bool) -> str:
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            f"Expected a chat template with the tokenizer of {name}, to read messages with, but it "
            "has none: it is no instruction model. Give a text instead."
        )
    from jinja2.exceptions import TemplateError

    try:
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=add_generation_prompt
        )
    except (TemplateError, TypeError, KeyError) as error:
        raise TextError(
            f"Expected messages that the chat template of {name} takes, but it refused them: "
            f"{error}. Most want the roles user and assistant in turn."
        ) from error
    return str(text)


# Tokenizers without a limit report a number near 10**30.
_NO_LIMIT = 1 << 24
_SHOWN_OF_CUT = 240


class TooLongError(TextError):
    """A text has more tokens than the model reads."""


@dataclass(frozen=True, eq=False)
class EncodedText:
    """One text or pair, ready for the model; each tensor has a batch size of one."""

    inputs: dict[str, torch.Tensor]
    tokens: TokenSequence
    notices: tuple[str, ...] = ()


def encode(
    tokenizer: Any,
    text: str | InputText,
    text_pair: str | InputText | None = None,
    *,
    limit: int | None = None,
    truncation: bool = False,
    as_target: bool = False,
    as_prompt: bool = False,
) -> EncodedText:
    """Encode a text or a pair as tokens and model inputs.

    Args:
        tokenizer: the tokenizer.
        text: the text.
        text_pair: the second text of a pair.
        limit: the maximum number of tokens that the model reads; ``None`` for any number.
        truncation: truncate the text at the limit, and say so in the notices.
        as_target: encode the text as a target that the model writes.
        as_prompt: omit an end token, because the model is to continue the text.

    Raises:
        TextError: the text is empty, not valid Unicode, or over the limit without truncation.
    """
    given = [text] if text_pair is None else [text, text_pair]
    readings = [part if isinstance(part, InputText) else InputText(part) for part in given]
    texts = [reading.text for reading in readings]
    for part in texts:
        check_text(part)
    is_templated = any(reading.is_templated for reading in readings)
    # The tokenizer gets a limit only to truncate: otherwise it must see the whole text, so that the
    # error can say how long it is.
    encoding = encoding_of(
        tokenizer,
        texts,
        limit=limit if truncation else None,
        add_special_tokens=not is_templated,
        as_target=as_target,
    )
    encoded = encoded_as(tokenizer, encoding, readings, limit=limit)
    return _without_end(tokenizer, encoded) if as_prompt else encoded


# The limit is checked here, with an error instead of the tokenizer's warning.
_ASKED: dict[str, Any] = {"return_special_tokens_mask": True, "verbose": False}


def encoding_of(
    tokenizer: Any,
    texts: Sequence[str],
    *,
    limit: int | None = None,
    add_special_tokens: bool = True,
    as_target: bool = False,
) -> Any:
    """Return what a tokenizer makes of a text or a pair of texts, with the characters of tokens.

    Args:
        tokenizer: the tokenizer.
        texts: the text, or both.
        limit: cut them at so many tokens; ``None`` to leave them whole.
        add_special_tokens: whether the tokenizer adds those that the model was trained with.
        as_target: encode them as what the model writes.
    """
    names = ("text_target", "text_pair_target") if as_target else ("text", "text_pair")
    options = {
        **dict(zip(names, texts, strict=False)),
        "truncation": bool(limit),
        "max_length": limit,
        "add_special_tokens": add_special_tokens,
        **_ASKED,
    }
    if is_fast(tokenizer):
        return tokenizer(**options, return_offsets_mapping=True)
    return python_encoding(tokenizer, texts, options, as_target=as_target)


def _encodings(tokenizer: Any, texts: Sequence[str]) -> Iterator[Any]:
    """Yield one encoding per text; a tokenizer that is not written in Python is called once."""
    if not texts:
        return
    if not is_fast(tokenizer):
        for text in texts:
            yield encoding_of(tokenizer, [text])
        return
    together = tokenizer(list(texts), truncation=False, return_offsets_mapping=True, **_ASKED)
    for number, encoding in enumerate(together.encodings):
        yield BatchEncoding({name: of[number] for name, of in together.items()}, encoding=encoding)


def encoded_as(
    tokenizer: Any, encoding: Any, readings: Sequence[InputText], *, limit: int | None
) -> EncodedText:
    """Build the model's inputs and tokens from the tokenizer's encoding of one text or pair.

    Raises:
        TooLongError: the text is over the limit.
        TextError: the text has no tokens.
    """
    texts = [reading.text for reading in readings]
    is_templated = any(reading.is_templated for reading in readings)
    count = len(encoding["input_ids"])
    if limit is not None and count > limit:
        raise TooLongError(
            f"Expected at most {limit} tokens, got {count}: the text is longer than the "
            "model reads. Shorten it, cut its end with truncation=True (--truncation), or in a "
            "probe read it in parts with long='window' (--long window)."
        )
    tokens = token_sequence(
        tokenizer,
        encoding,
        texts,
        words=[reading.words for reading in readings],
        special_ids=set(tokenizer.all_special_ids) if is_templated else (),
    )
    if all(tokens.special_tokens_mask):
        raise TextError(
            f"Expected a text with tokens in it, but the tokenizer makes none of "
            f"{shortened(texts[0])!r}. Give another text."
        )
    names_read = [n for n in tokenizer.model_input_names if n in encoding]
    inputs = {name: torch.tensor([encoding[name]]) for name in names_read}
    notices = (*_cut_notices(tokens), *_unknown_notices(tokenizer, tokens))
    if not tokens.texts:
        notices = (
            _without_characters(tokenizer, tokens),
            *_cut_tokens(tokenizer, encoding["cut"], len(texts)),
        )
    return EncodedText(inputs, tokens, notices)


def _cut_tokens(tokenizer: Any, count: int, num_texts: int) -> list[str]:
    """Return the notice of texts without characters whose tokens were truncated, if any were."""
    if count < 1:
        return []
    side = "first" if tokenizer.truncation_side == "left" else "last"
    # Of a pair, both may have lost some.
    which = f"Its {side} {counted(count, 'token')}" if num_texts == 1 else counted(count, "token")
    return [
        f"The text is longer than the model reads. {which} {verb(count, 'was', 'were')} truncated "
        f"and {verb(count, 'counts', 'count')} in no figure."
    ]


def _without_characters(tokenizer: Any, tokens: TokenSequence) -> str:
    """Return the notice of a text whose tokens have no characters."""
    has_words = len(tokens.words) < sum(not flag for flag in tokens.special_tokens_mask)
    return (
        f"Which characters a token stands for is not known: {type(tokenizer).__name__} does not "
        "say it, and its tokens put together do not give the text. "
        + ("Words are what is between spaces." if has_words else "Each token counts as a word.")
    )


def _without_end(tokenizer: Any, encoded: EncodedText) -> EncodedText:
    """Remove the end-of-text token if the tokenizer has added one."""
    tokens = encoded.tokens
    if not (tokens.special_tokens_mask[-1] and tokens.token_ids[-1] == tokenizer.eos_token_id):
        return encoded
    inputs = {name: tensor[:, :-1] for name, tensor in encoded.inputs.items()}
    return replace(encoded, inputs=inputs, tokens=tokens.at(range(len(tokens) - 1)))


def encode_target(
    tokenizer: Any, target: str, *, start_id: int, limit: int | None, truncation: bool
) -> EncodedText:
    """Encode what the decoder reads while it writes ``target``: the start token, then the target.

    The end token is left out: it is written but never read.
    """
    encoded = encode(
        tokenizer,
        target,
        limit=limit,
        truncation=truncation,
        as_target=True,
        as_prompt=True,
    )
    tokens = encoded.tokens
    shifted = replace(
        tokens,
        tokens=(tokenizer.convert_ids_to_tokens(start_id), *tokens.tokens),
        token_ids=(start_id, *tokens.token_ids),
        offsets=((0, 0), *tokens.offsets),
        word_ids=(None, *tokens.word_ids),
        special_tokens_mask=(True, *tokens.special_tokens_mask),
        unknown_mask=(False, *tokens.unknown_mask),
        generated_mask=(False, *tokens.generated_mask),
        sequence_ids=(None, *tokens.sequence_ids),
    )
    return replace(encoded, inputs={"input_ids": torch.tensor([shifted.token_ids])}, tokens=shifted)


def length_limit(module: nn.Module, tokenizer: Any) -> int | None:
    """Return the maximum number of tokens: the smaller of the model's and tokenizer's limits."""
    limits = [int(tokenizer.model_max_length)]
    positions = getattr(getattr(module, "config", None), "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        limits.append(positions)
    for name, part in module.named_modules():
        # RoBERTa numbers its positions from after the padding index, so two of them are unused.
        if name.endswith("position_embeddings") and isinstance(part, nn.Embedding):
            padding = part.padding_idx
            limits.append(part.num_embeddings - (0 if padding is None else padding + 1))
    smallest = min(limits)
    return smallest if smallest < _NO_LIMIT else None


def num_embeddings(module: nn.Module) -> int | None:
    """Return for how many ids a model has an embedding; ``None`` where that is not known."""
    find: Any = getattr(module, "get_input_embeddings", None)
    if find is None:  # a module of one's own: its largest embedding is that of tokens
        sizes = [m.num_embeddings for m in module.modules() if isinstance(m, nn.Embedding)]
        return max(sizes, default=None)
    try:
        rows = getattr(find(), "num_embeddings", None)
    except (NotImplementedError, AttributeError, TypeError):
        return None
    return rows if isinstance(rows, int) else None


def with_embeddings(
    encoded: EncodedText | TextError, rows: int | None, name: str
) -> EncodedText | TextError:
    """Return an encoded text, or the error that a token of it has no embedding.

    A tokenizer may have more entries than its model: those that were added to it later.

    Args:
        encoded: the text, or an error, which stays as it is.
        rows: for how many ids the model has an embedding, if that is known.
        name: the model's name.
    """
    if rows is None or isinstance(encoded, TextError):
        return encoded
    ids = encoded.tokens.token_ids
    place = next((i for i, token_id in enumerate(ids) if not 0 <= token_id < rows), None)
    if place is None:
        return encoded
    return TextError(
        f"Expected tokens that {name} has an embedding for, with ids in 0–{whole(rows - 1)}, got "
        f"{encoded.tokens.tokens[place]!r} with id {whole(ids[place])}: the tokenizer has more "
        "entries than the model. Give a text without it, or call "
        "module.resize_token_embeddings(len(tokenizer)) and train it."
    )


def check_text(text: str) -> None:
    """Check that ``text`` is a valid text.

    Raises:
        TextError: it is empty, not a string, or not valid Unicode.
    """
    if not isinstance(text, str):
        raise TextError(f"Expected a text (str), got {type(text).__name__}. Give one sentence.")
    if not text.strip():
        raise TextError("Expected a text with words in it, got an empty one. Give a sentence.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"Expected valid Unicode, but character {error.start} is half of a surrogate pair. "
            "Read the text with the encoding it was written in."
        ) from error


def _cut_notices(tokens: TokenSequence) -> list[str]:
    notices = []
    for number, text in enumerate(tokens.texts):
        spans = [
            span
            for span, sequence in zip(tokens.offsets, tokens.sequence_ids, strict=True)
            if sequence == number
        ]
        first = min((start for start, _ in spans), default=0)
        last = max((end for _, end in spans), default=0)
        for side, cut in (("first", text[:first].strip()), ("last", text[last:].strip())):
            # A character without a token was not truncated (some tokenizers drop control
            # characters): truncation fills the model's length.
            if any(character.isalnum() for character in cut):
                notices.append(
                    f"The text is longer than the model reads. Its {side} "
                    f"{counted(len(cut), 'character')} {verb(len(cut), 'was', 'were')} truncated "
                    f"and {verb(len(cut), 'counts', 'count')} in no figure: “{_abridged(cut)}”"
                )
    return notices


def _abridged(text: str) -> str:
    """Shorten a long text to its beginning and its end."""
    if len(text) <= 2 * _SHOWN_OF_CUT:
        return text
    return f"{text[:_SHOWN_OF_CUT]} … {text[-_SHOWN_OF_CUT:]}"


def _unknown_notices(tokenizer: Any, tokens: TokenSequence) -> list[str]:
    characters = sum(len("".join(text.split())) for text in tokens.texts)
    unknown = sum(
        end - start
        for (start, end), flag in zip(tokens.offsets, tokens.unknown_mask, strict=True)
        if flag
    )
    if not unknown:
        return []
    extent = (
        "Most of this text is unknown to the model"
        if 2 * unknown > characters
        else ("Part of this text is unknown to the model")
    )
    return [
        f"{extent}: it reads {unknown} of the {characters} characters as "
        f"{tokenizer.unk_token} ({_unknown_words(tokens)}), and so cannot tell them apart. What "
        "the views show of them says nothing about their meaning. Choose a model whose vocabulary "
        "has them."
    ]


def _unknown_words(tokens: TokenSequence) -> str:
    """Return the first unknown pieces of a text, each once."""
    flags = zip(tokens.offsets, tokens.sequence_ids, tokens.unknown_mask, strict=True)
    pieces = [tokens.texts[which or 0][slice(*span)] for span, which, flag in flags if flag]
    shown = dict.fromkeys(f"“{shortened(piece, 20)}”" for piece in pieces if piece.strip())
    return listed(shown, most=3)


def encode_batch(
    tokenizer: Any, texts: Sequence[str], *, limit: int | None = None, truncation: bool = False
) -> list[EncodedText | TextError]:
    """Encode each text as ``encode`` does, or return its error in its place.

    Args:
        tokenizer: the tokenizer.
        texts: the texts.
        limit: the maximum number of tokens that the model reads.
        truncation: truncate texts at the limit, and say so in their notices.
    """
    encoded: list[EncodedText | TextError | None] = [None] * len(texts)
    fit = []
    for number, text in enumerate(texts):
        try:
            check_text(text)
            fit.append(number)
        except TextError as error:
            encoded[number] = error
    for number, encoding in zip(fit, _encodings(tokenizer, [texts[i] for i in fit]), strict=True):
        try:
            if truncation and limit is not None and len(encoding["input_ids"]) > limit:
                encoded[number] = encode(tokenizer, texts[number], limit=limit, truncation=True)
                continue
            encoded[number] = encoded_as(
                tokenizer, encoding, [InputText(texts[number])], limit=limit
            )
        except TextError as error:
            encoded[number] = error
    return [each for each in encoded if each is not None]


def padded(tokenizer: Any, encoded: Sequence[EncodedText]) -> dict[str, torch.Tensor]:
    """Pad the inputs of several texts on the right, each to ``(batch, length)``.

    Generative models are padded on the right too, although they are usually padded on the left:
    nothing is generated here, and a text's tokens keep their positions.

    Args:
        tokenizer: the model's tokenizer.
        encoded: the texts.

    Returns:
        The inputs that the tokenizer names for the model, and always an attention mask.
    """
    length = max(len(each.tokens) for each in encoded)
    fill = {"input_ids": tokenizer.pad_token_id or 0}
    inputs = {
        name: torch.full((len(encoded), length), fill.get(name, 0), dtype=torch.long)
        for name in encoded[0].inputs
    }
    mask = torch.zeros((len(encoded), length), dtype=torch.long)
    for row, each in enumerate(encoded):
        for name, values in each.inputs.items():
            inputs[name][row, : values.shape[1]] = values[0]
        mask[row, : len(each.tokens)] = 1
    return {**inputs, "attention_mask": mask}

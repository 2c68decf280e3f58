"""The inputs that a model can read: a text, a list of words, or a chat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from introspect.errors import ModelError, TextError
from introspect.mentions import Span

__all__ = ["Readable", "Reading", "as_reading"]

Readable = str | Sequence[str] | Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Reading:
    """A text, and what is known about it besides its characters.

    Args:
        text: the characters.
        words: the spans of its words, if they were given; ``None`` to find them in the text.
        is_templated: whether it already has all its special tokens, so the tokenizer adds none.
    """

    text: str
    words: tuple[Span, ...] | None = None
    is_templated: bool = False


def as_reading(
    tokenizer: Any, given: Readable, *, name: str, add_generation_prompt: bool = False
) -> Reading:
    """Convert a text, a list of words or a list of messages to one text.

    Words are joined by spaces, as in the text that the model was trained on; each remains one word
    of the record. Messages go through the tokenizer's chat template.

    Args:
        tokenizer: a fast tokenizer.
        given: a text; words, ``["The", "cat"]``; or messages,
            ``[{"role": "user", "content": "Hello."}]``.
        name: the model's name, for errors.
        add_generation_prompt: end the chat with the prompt for the model's answer.

    Raises:
        TextError: the input is neither a text nor words nor messages.
        ModelError: the input is messages, but the tokenizer has no chat template.
    """
    if isinstance(given, str):
        return Reading(given)
    items: list[Any] = list(given) if isinstance(given, Sequence) else []
    if items and all(isinstance(item, str) and item.strip() for item in items):
        return _joined(items)
    if items and all(isinstance(item, Mapping) and "role" in item for item in items):
        return Reading(_templated(tokenizer, items, name, add_generation_prompt), is_templated=True)
    raise TextError(
        "Expected a text (str), a list of words, or a list of messages with role and content, got "
        f"{type(given).__name__}{' of other things, or with nothing in it' if items else ''}. "
        "Give for example 'The cat sat.', ['The', 'cat'] or [{'role': 'user', 'content': 'Hi'}]."
    )


def _joined(words: Sequence[str]) -> Reading:
    spans = []
    start = 0
    for word in words:
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return Reading(" ".join(words), words=tuple(spans))


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

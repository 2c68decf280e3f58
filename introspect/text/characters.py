"""Character facts: where words are, and how to show invisible characters."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["SPACED_LETTER", "is_unspaced", "segment_words", "shortened", "visible", "visible_text"]

# Scripts written without spaces between words: Thai, Lao, Myanmar, Khmer; Kana; Han and its
# extensions. Without a segmenter their smallest unit is the character.
_UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_UNSPACED = "".join(f"{chr(low)}-{chr(high)}" for low, high in _UNSPACED_RANGES)
_APOSTROPHES = "'’"
# Combining marks belong to the character before them: Python's \w leaves them out.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
)
#: A pattern: one letter or digit of a script that is written with spaces between words.
SPACED_LETTER = rf"[^\W{_UNSPACED}]"
_LETTER = rf"(?:{SPACED_LETTER}[{_MARKS}]*)"
_WORD = re.compile(
    rf"{_LETTER}+(?:[{_APOSTROPHES}]{_LETTER}+)*"
    rf"|[{_UNSPACED}][{_MARKS}]*"
    rf"|[^\w\s](?:[{_MARKS}]|\u200d[^\w\s])*"
)
_CONTROL_PICTURES = 0x2400


def segment_words(text: str) -> list[tuple[int, int]]:
    """Return the spans of the words of ``text``, by one rule for every model.

    A word is a run of letters, digits and inner apostrophes; each punctuation mark, and each
    character of a script written without spaces, is a separate word.

    Example:
        >>> [("didn't cross."[s:e]) for s, e in segment_words("didn't cross.")]
        ["didn't", 'cross', '.']
    """
    return [match.span() for match in _WORD.finditer(text)]


def is_unspaced(character: str) -> bool:
    """Return whether the script of ``character`` is written without spaces between words."""
    code = ord(character)
    return any(low <= code <= high for low, high in _UNSPACED_RANGES)


def visible(token: str) -> str:
    r"""Return a token with every invisible character, or one that moves others, made visible.

    Works as ``visible_text`` does, and each space of a token of nothing but spaces becomes ``␣``.

    Example:
        >>> visible("a\x00b"), visible("  "), visible("\u202eabc")
        ('a␀b', '␣␣', '⟨U+202E⟩abc')
    """
    if token and not token.strip(" "):
        return "␣" * len(token)
    return visible_text(token)


def visible_text(text: str) -> str:
    r"""Return ``text`` with its control and format characters made visible.

    Control characters become their pictures (NUL ``␀``), line ends ``↵``, and format characters
    such as U+202E or U+2028 their code point in brackets. Joiners between two visible characters
    stay: emoji and several scripts need them.

    Example:
        >>> visible_text("one\ntwo")
        'one↵two'
    """
    return "".join(_visible_character(c, i, text) for i, c in enumerate(text))


def _visible_character(character: str, index: int, token: str) -> str:
    if character in "\n\r":
        return "↵"
    if character == "\t":
        return "⇥"
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == 0x7F:
        return "␡"
    is_inner_joiner = character in "\u200c\u200d" and 0 < index < len(token) - 1
    if not is_inner_joiner and unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return f"⟨U+{code:04X}⟩"
    return character


def shortened(text: str, limit: int = 80) -> str:
    """Return ``text``, or its beginning with an ellipsis if it is longer than ``limit``."""
    return text if len(text) <= limit else text[: limit - 1] + "…"

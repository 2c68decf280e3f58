"""Character facts: where words are, and how to show invisible characters."""

from __future__ import annotations

import unicodedata

import regex

# Scripts written without spaces between words. Without a segmenter their smallest unit is the
# letter with its marks.
_SCRIPTS = (
    r"\p{scx=Thai}\p{scx=Lao}\p{scx=Myanmar}\p{scx=Khmer}"
    r"\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Han}"
)
_UNSPACED = rf"(?:(?=[\p{{L}}\p{{N}}])[{_SCRIPTS}])"
#: A pattern for ``regex``: one letter or digit of a script with spaces between words.
SPACED_LETTER = rf"(?:(?!{_UNSPACED})[\p{{L}}\p{{N}}_])"
# The same as a set, which is three times as fast in long texts.
_SPACED = rf"[\p{{L}}\p{{N}}_]--[{_SCRIPTS}]"
# Marks belong to the character before them.
_LETTERS = rf"[{_SPACED}][[{_SPACED}]\p{{M}}]*+"
# What is no letter, and no white space as Python counts it.
_SIGN = r"[^\p{L}\p{N}_\s\x1c-\x1f]"
_WORD = regex.compile(
    rf"{_LETTERS}(?:['’]{_LETTERS})*+"
    rf"|{_UNSPACED}\p{{M}}*+"
    rf"|{_SIGN}(?:\p{{M}}|\u200d{_SIGN})*+",
    regex.V1,
)
_UNSPACED_LETTER = regex.compile(_UNSPACED)
_CONTROL_PICTURES = 0x2400


def segment_words(text: str) -> list[tuple[int, int]]:
    """Return the spans of the words of ``text``, by one rule for every model.

    A word is a run of letters, digits and inner apostrophes; each punctuation mark, and each
    letter of a script written without spaces, is a separate word. Combining marks belong to the
    character before them.

    Example:
        >>> [("didn't cross."[s:e]) for s, e in segment_words("didn't cross.")]
        ["didn't", 'cross', '.']
    """
    return [match.span() for match in _WORD.finditer(text)]


def is_unspaced(character: str) -> bool:
    """Return whether the script of ``character`` is written without spaces between words."""
    return _UNSPACED_LETTER.match(character) is not None


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

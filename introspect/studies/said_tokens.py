"""What a token says: its part of the text, and whether that is punctuation."""

from __future__ import annotations

import unicodedata

from introspect.records import TokenSequence


def said(tokens: TokenSequence, index: int) -> str:
    """Return the token's span of the text, without the markers that a vocabulary adds."""
    (start, end), number = tokens.offsets[index], tokens.sequence_ids[index]
    if number is None or start >= end or number >= len(tokens.texts):
        return tokens.tokens[index]
    return tokens.texts[number][start:end]


def is_punctuation(text: str) -> bool:
    """Return whether a text consists only of characters of Unicode's category P.

    Example:
        >>> is_punctuation("?!"), is_punctuation(" "), is_punctuation("a.")
        (True, False, False)
    """
    stripped = text.strip()
    return bool(stripped) and all(unicodedata.category(each)[0] == "P" for each in stripped)

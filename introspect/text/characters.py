"""Character facts: where characters and words are, and how to show invisible characters."""

from __future__ import annotations

import unicodedata

import regex

# Scripts written without spaces between words. Without a segmenter their smallest unit is the
# letter with its marks.
_SCRIPTS = "".join(
    rf"\p{{scx={script}}}"
    for script in (
        *("Thai", "Lao", "Myanmar", "Khmer", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet"),
        *("Javanese", "Balinese", "Hiragana", "Katakana", "Han", "Bopomofo", "Yi", "Tangut"),
        "Nushu",
    )
)
_UNSPACED = rf"(?:(?=[\p{{L}}\p{{N}}])[{_SCRIPTS}])"
# One letter or digit of a script with spaces between words.
_SPACED = rf"[\p{{L}}\p{{N}}_]--[{_SCRIPTS}]"
_NON_JOINER = "\u200c"
_JOINERS = f"{_NON_JOINER}\u200d"
# What belongs to the letter before it: marks, some of them letters, joiners, the Hebrew geresh.
_EXTENDING = rf"\p{{M}}\p{{GCB=Extend}}\p{{GCB=SpacingMark}}{_JOINERS}\u05f3"
# Arabic signs that stand before the number they cover.
_COVERS = r"\p{Prepended_Concatenation_Mark}"
_LETTERS = rf"[{_SPACED}][[{_SPACED}]{_EXTENDING}]*+"
# Format characters are not seen. All but the zero-width space may stand inside a word. Those that
# embed or override a direction are signs, because they can make a text look like another one.
_UNSEEN = rf"\p{{Cf}}--[{_COVERS}\u202a-\u202e]"
_FORMAT = rf"[[{_UNSEEN}]--[\u200b{_JOINERS}\U000e0020-\U000e007f]]"
# Signs inside a word: Armenian tone marks, Hebrew abbreviations, the Catalan l·l.
_INNER = (
    r"(?:[\u055a-\u055c\u055e\u055f]"
    rf"|(?<=\p{{Hebrew}}[{_EXTENDING}]*)[\u05f4\"](?=\p{{Hebrew}})"
    r"|(?<=[lL])·(?=[lL]))"
)
# What is no letter, and no white space as Python counts it.
_SIGN = rf"[^\p{{L}}\p{{N}}_\s\x1c-\x1f[{_UNSEEN}]]"
_WORD = regex.compile(
    rf"{_LETTERS}(?:(?!\s)(?:['’]|{_INNER}|{_FORMAT}++){_LETTERS})*+"
    rf"|{_COVERS}++{_LETTERS}"
    rf"|(?={_UNSPACED}|{_SIGN}|[{_JOINERS}]{{1,30}}+[[{_EXTENDING}]--[{_JOINERS}]])\X\p{{M}}*+",
    regex.V1,
)
_UNSPACED_LETTER = regex.compile(_UNSPACED, regex.V1)
# Between two parts of one word. An apostrophe is no obstacle: *Mary* is a mention in *Mary's*.
_INSIDE_WORD = regex.compile(
    rf"(?<=[{_SPACED}][{_EXTENDING}]*(?:{_FORMAT}|\u200c)*)"
    rf"(?=(?:{_FORMAT}|\u200c)*[{_SPACED}])"
    rf"|(?<=[{_SPACED}][{_EXTENDING}]*)(?={_INNER}[{_SPACED}]|\u05f3)"
    rf"|(?<=[{_SPACED}][{_EXTENDING}]*{_INNER})(?=[{_SPACED}])",
    regex.V1,
)
_CLUSTER = regex.compile(r"\X")
# No script and no emoji has more characters in what a reader sees as one.
_LONGEST_CLUSTER = 1_000
# Nothing that follows belongs to such a character.
_ENDED = regex.compile(r"(?<=[\s\p{GCB=Control}])")
# Between two such characters a grapheme cluster always ends.
_ALONE = regex.compile(rf"(?<=\p{{GCB=Other}})(?=\p{{GCB=Other}})|(?={_NON_JOINER})")
# Format characters that change how visible ones look, or are visible themselves.
_NEEDED = regex.compile(
    rf"(?<=.)[{_JOINERS}](?=.)|(?<=\p{{InSC=Virama}})[{_JOINERS}]"
    r"|(?<=\U0001f3f4[\U000e0020-\U000e007e]*)[\U000e0020-\U000e007f]"
    rf"|(?<=\p{{Mongolian}})\u180e|{_COVERS}",
    regex.V1 | regex.DOTALL,
)
_CONTROL_PICTURES = 0x2400


def segment_words(text: str) -> list[tuple[int, int]]:
    """Return the spans of the words of ``text``, by one rule for every model.

    A word is a run of letters, digits and inner apostrophes; each punctuation mark, and each
    letter of a script written without spaces, is a separate word. Marks and joiners belong to the
    letter before them, and an emoji with its skin tone, or a flag, is one sign. Format characters,
    which cannot be seen, are no words.

    Example:
        >>> [("didn't cross."[s:e]) for s, e in segment_words("didn't cross.")]
        ["didn't", 'cross', '.']
    """
    return [match.span() for match in _WORD.finditer(text)]


def divides_word(text: str, offset: int) -> bool:
    """Return whether ``offset`` falls inside a word, so that no mention may begin or end there.

    It may beside an apostrophe.

    Example:
        >>> [divides_word("उसे", 2), divides_word("Mary's", 4), divides_word("Mary's", 3)]
        [True, False, True]
    """
    return divides_character(text, offset) or _INSIDE_WORD.match(text, offset) is not None


def divides_character(text: str, offset: int) -> bool:
    r"""Return whether ``offset`` falls inside what a reader sees as one character.

    That is a grapheme cluster: a letter with all its marks, an emoji with its skin tone or several
    joined by zero-width joiners, a flag; also a pair of surrogates. A zero-width non-joiner is no
    part of it, nor is white space.

    Example:
        >>> [divides_character("cafe\u0301s", offset) for offset in (3, 4, 5)]
        [False, True, False]
    """
    if not 0 < offset < len(text):
        return False
    before, after = text[offset - 1], text[offset]
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return True
    if _ENDED.match(text, offset):
        return False
    if unicodedata.category(after).startswith("M"):
        return True
    if _ALONE.match(text, offset):
        return False
    # White space begins a cluster, so what is before it decides nothing.
    start = offset - 1
    while start and not text[start].isspace() and offset - start < _LONGEST_CLUSTER:
        start -= 1
    return all(match.end() != offset for match in _CLUSTER.finditer(text, start, offset + 1))


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
    such as U+202E or U+2028 their code point in brackets. What a script or an emoji needs stays:
    joiners between two visible characters, a joiner after a virama, tags of a flag, the vowel
    separator of Mongolian.

    Example:
        >>> visible_text("one\ntwo")
        'one↵two'
    """
    needed = {i for match in _NEEDED.finditer(text) for i in range(*match.span())}
    return "".join(c if i in needed else _visible_character(c) for i, c in enumerate(text))


def _visible_character(character: str) -> str:
    if character in "\n\r":
        return "↵"
    if character == "\t":
        return "⇥"
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == 0x7F:
        return "␡"
    if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return f"⟨U+{code:04X}⟩"
    return character


def shortened(text: str, limit: int = 80) -> str:
    """Return ``text``, or its beginning with an ellipsis if it is longer than ``limit``.

    No character is cut in two.
    """
    if len(text) <= limit:
        return text
    end = limit - 1
    while divides_character(text, end):
        end -= 1
    return text[:end] + "…"

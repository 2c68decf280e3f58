"""Documents with clusters of mentions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from introspect.data.published.options import ClusterOptions
from introspect.data.published.pronouns import UNSPACED, are_pronouns
from introspect.io import RowError
from introspect.text import Span, joined_words

_FINAL = {".", "!", "?", "…", "。", "！", "？", "؟", "۔", "।"}
_CLOSING = {'"', "'", "''", "”", "’", "»", "」", "』", ")", "-RRB-", "）"}

# Before a full stop that is a word of its own, as ours are.
_ABBREVIATIONS = {"Mr", "Mrs", "Ms", "Dr", "Prof", "St", "Jr", "Sr", "Gen", "Sen", "Rep", "vs"}


@dataclass(frozen=True)
class Mention:
    """A mention: its characters, and the entity whose cluster it is in."""

    span: Span
    entity: str


@dataclass(frozen=True)
class Document:
    """A document with clusters; all spans are half-open character offsets into its text.

    Args:
        name: its name, which its cases share as their group.
        text: all of it.
        words: the characters of each word.
        sentences: the words of each sentence, half-open.
        pronouns: for each word, whether it is a pronoun.
        mentions: all mentions that have characters in one piece.
        unread: kind and description of each mention that has none.
    """

    name: str
    text: str
    words: Sequence[Span]
    sentences: Sequence[Span]
    pronouns: Sequence[bool]
    mentions: Sequence[Mention]
    unread: Sequence[tuple[str, str]] = field(default=())


def document_of_words(
    name: str,
    sentences: Sequence[Sequence[str]],
    mentions: Iterable[tuple[int, int, str]],
    options: ClusterOptions,
    tags: Sequence[bool] | None = None,
    spaces: Sequence[bool] | None = None,
) -> Document:
    """Return a document made of words.

    Args:
        name: its name.
        sentences: the words of each sentence.
        mentions: first word, word after the last, and entity of each; counted over all sentences.
        options: the language, and the words that are pronouns.
        tags: for each word, whether its part of speech is a pronoun's; by default the list is used.
        spaces: for each word, whether a space follows; by default as the language is written.

    Raises:
        RowError: a mention is not one of the words.
    """
    words = [word for sentence in sentences for word in sentence]
    if spaces is None:
        by_default = options.language not in UNSPACED
        # A word that is white space stands for the space around it.
        blank = [word.isspace() for word in words] + [False]
        spaces = [by_default and not (here or then) for here, then in pairwise(blank)]
    text, places = joined_words(words, spaces)
    spans, start = [], 0
    for sentence in sentences:
        # Some collections mark a paragraph by a sentence of one space.
        if any(word.strip() for word in sentence):
            spans.append((start, start + len(sentence)))
        start += len(sentence)
    by_words = tags is None or options.pronouns is not None
    return Document(
        name=name,
        text=text,
        words=places,
        sentences=spans,
        pronouns=are_pronouns(words, options.language, options.pronouns)
        if by_words
        else tags or [],
        mentions=[
            Mention((places[first][0], places[end - 1][1]), entity)
            for first, end, entity in (_checked(mention, len(words)) for mention in mentions)
        ],
    )


def _checked(mention: tuple[int, int, str], num_words: int) -> tuple[int, int, str]:
    first, end, _ = mention
    if not 0 <= first < end <= num_words:
        raise RowError(
            f"Expected mentions among the {num_words} words of the document, got the words "
            f"{first} to {end - 1}.",
            kind="span",
        )
    return mention


def sentences_by_marks(words: Sequence[str], breaks: Collection[int] = ()) -> list[Span]:
    """Return sentences as spans of words, each ended by a final mark.

    Args:
        words: the words.
        breaks: numbers of words that begin a paragraph.

    Example:
        >>> sentences_by_marks("Mr . A came . It rained !".split())
        [(0, 5), (5, 8)]
    """
    ends, is_over = [], False
    for place, word in enumerate(words):
        if place and (place in breaks or (is_over and word not in _CLOSING | _FINAL)):
            ends.append(place)
            is_over = False
        before = words[place - 1] if place else ""
        is_final = word in _FINAL and not (word == "." and before in _ABBREVIATIONS)
        is_over = is_over or is_final
    return list(zip([0, *ends], [*ends, len(words)], strict=True)) if words else []

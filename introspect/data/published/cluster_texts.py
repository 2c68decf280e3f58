"""Documents in JSON whose clusters count characters: those of fastcoref and spaCy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from introspect.data.published.cluster_forms import (
    FORMS,
    Form,
    mention_numbers,
    numbered_clusters,
    tag_of,
)
from introspect.data.published.documents import Document, Mention, sentences_by_marks
from introspect.data.published.options import ClusterOptions
from introspect.data.published.pronouns import are_pronouns, is_pronoun_tag, is_tag
from introspect.io import RowError
from introspect.text import Span, divides_word, segment_words

_SPANS = "coref_clusters"
_HEADS = "coref_head_clusters"


def document_in_text(
    name: str, fields: Mapping[str, Any], form: Form, options: ClusterOptions
) -> Document:
    """Return the document that a text and spans of its characters make.

    Raises:
        RowError: there is no text, or the spans are not made of its words.
    """
    text = fields["text"]
    if not text.strip():
        raise RowError("Expected a text with words in it, got an empty one.", kind="text")
    words, tags = _tokens(fields, text) if form.name == "spaCy" else (segment_words(text), None)
    entities = _groups(fields["spans"]) if form.name == "spaCy" else _cluster_spans(fields, form)
    divided = dict.fromkeys(_divided(text, entities))
    by_words = tags is None or options.pronouns is not None
    shown = [text[start:end] for start, end in words]
    gaps = pairwise(words)
    breaks = {i for i, (a, b) in enumerate(gaps, 1) if "\n\n" in text[a[1] : b[0]]}
    return Document(
        name=name,
        text=text,
        words=words,
        sentences=_marked_sentences(fields, words) or sentences_by_marks(shown, breaks),
        pronouns=are_pronouns(shown, options.language, options.pronouns)
        if by_words
        else tags or [],
        mentions=[Mention(span, entity) for entity, span in entities if span not in divided],
        unread=[
            ("divides_word", f"A mention, {text[slice(*span)]!r}, is not made of whole words.")
            for span in divided
        ],
    )


def _divided(text: str, entities: Sequence[tuple[str, Span]]) -> list[Span]:
    """Return the spans that are not made of whole words, which are few.

    Raises:
        RowError: they are most, or a span is outside the text.
    """
    spans = [span for _, span in entities]
    if outside := [span for span in spans if not 0 <= span[0] < span[1] <= len(text)]:
        raise RowError(
            f"Expected mentions as 0 <= start < end <= {len(text)} characters, got "
            f"{list(outside[0])}.",
            kind="span",
        )
    divided = [span for span in spans if _is_divided(text, span)]
    if 2 * len(divided) > len(spans):
        raise RowError(
            f"Expected mentions as half-open spans of characters, but {text[slice(*divided[0])]!r} "
            f"at {list(divided[0])} and others end inside a word. Do they count words, or include "
            "the last character? Correct the file.",
            kind="offsets",
        )
    return divided


def _cluster_spans(fields: Mapping[str, Any], form: Form) -> list[tuple[str, Span]]:
    clusters = numbered_clusters(fields["clusters"], form, [])
    return [(str(i), span) for i, cluster in enumerate(clusters) for span in cluster]


def _groups(spans: Mapping[str, Any]) -> list[tuple[str, Span]]:
    """Return the mentions of spaCy's groups of spans that are clusters."""
    names = [name for name in spans if name.startswith(_SPANS)]
    names = names or [name for name in spans if name.startswith(_HEADS)]
    found = []
    for name in names:
        for span in spans[name] if isinstance(spans[name], list) else [None]:
            ends = [span.get("start"), span.get("end")] if isinstance(span, dict) else span
            found.append((name, mention_numbers(ends, 2, FORMS[-1])))
    return [(name, (first, last)) for name, (first, last) in found]


def _tokens(fields: Mapping[str, Any], text: str) -> tuple[list[Span], list[bool] | None]:
    """Return the words of a spaCy document, and which are pronouns if parts of speech say so."""
    tokens = fields.get("tokens")
    if not tokens or not isinstance(tokens, list):
        return segment_words(text), None
    words: list[Span] = []
    tags: list[tuple[str, str]] = []
    for token in tokens:
        ends = [token.get("start"), token.get("end")] if isinstance(token, dict) else token
        start, end = mention_numbers(ends, 2, FORMS[-1])
        if not (words[-1][1] if words else 0) <= start < end <= len(text):
            raise RowError(
                f"Expected the tokens in order among {len(text)} characters, got {[start, end]}.",
                kind="span",
            )
        if text[start:end].strip():
            words.append((start, end))
            tags.append(tag_of(token))
    if not any(is_tag(tag) for tag, _ in tags):
        return words, None
    return words, [is_pronoun_tag(tag, features) for tag, features in tags]


def _marked_sentences(fields: Mapping[str, Any], words: Sequence[Span]) -> list[Span]:
    """Return spaCy's sentences as spans of words, if they hold all words; else none."""
    given = fields.get("sents")
    if not isinstance(given, list):
        return []
    sentences, first = [], 0
    for sentence in given:
        end = sentence.get("end") if isinstance(sentence, dict) else None
        if type(end) is not int:
            return []
        last = first
        while last < len(words) and words[last][1] <= end:
            last += 1
        if last > first:
            sentences.append((first, last))
        first = last
    return sentences if first == len(words) else []


def _is_divided(text: str, span: Span) -> bool:
    """Return whether a span begins or ends inside a word or with white space."""
    phrase = text[slice(*span)]
    return phrase != phrase.strip() or any(divides_word(text, offset) for offset in span)

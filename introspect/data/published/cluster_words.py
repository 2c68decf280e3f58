"""Documents in JSON whose clusters count words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from introspect.data.published.cluster_forms import (
    Form,
    mention_numbers,
    numbered_clusters,
    tag_of,
)
from introspect.data.published.documents import Document, document_of_words, sentences_by_marks
from introspect.data.published.options import ClusterOptions
from introspect.data.published.pronouns import are_pronouns, is_pronoun_tag, is_tag
from introspect.io import RowError
from introspect.text import Span

# With the word after them, these are a mention too: "her dog".
_POSSESSIVE = {"my", "your", "his", "her", "its", "our", "their"}


def document_in_words(
    name: str,
    fields: Mapping[str, Any],
    form: Form,
    options: ClusterOptions,
    offsets: str | None,
) -> Document:
    """Return the document that words and spans of them make.

    Raises:
        RowError: the words are none, or the spans leave open what they count.
    """
    sentences, tags = _sentences(fields[form.words], form)
    words = [word for sentence in sentences for word in sentence]
    _check_words(words)
    clusters = numbered_clusters(
        fields[form.clusters], form, [len(sentence) for sentence in sentences]
    )
    is_pronoun = tags if tags else are_pronouns(words, options.language, options.pronouns)
    stands_alone = [
        flag and word.lower() not in _POSSESSIVE
        for word, flag in zip(words, is_pronoun, strict=True)
    ]
    counted = _counted(clusters, stands_alone, form, offsets)
    if form.words != "sentences":
        sentences = [words[first:end] for first, end in sentences_by_marks(words)]
    mentions = [
        (first, last + (counted == "inclusive"), str(number))
        for number, cluster in enumerate(clusters)
        for first, last in cluster
    ]
    if form.words == "document":
        mentions += _top_spans(fields.get("top_spans"), clusters, is_pronoun, form)
    spaces = fields.get("spaces")
    is_exact = isinstance(spaces, list) and all(isinstance(space, bool) for space in spaces)
    return document_of_words(name, sentences, mentions, options, tags, spaces if is_exact else None)


def _top_spans(
    value: Any, clusters: Sequence[Sequence[Span]], is_pronoun: Sequence[bool], form: Form
) -> list[tuple[int, int, str]]:
    """Return the mentions that AllenNLP found and put into no cluster, each of its own entity.

    They may be distractors. A pronoun alone is none, so that one in no cluster is said to be so.
    """
    if not isinstance(value, list):
        return []
    known = {span for cluster in clusters for span in cluster}
    spans = [mention_numbers(each, 2, form) for each in value]
    return [
        (first, last + 1, f"span {number}")
        for number, (first, last) in enumerate(spans)
        if (first, last) not in known and not (first == last and any(is_pronoun[first : last + 1]))
    ]


def _sentences(value: Any, form: Form) -> tuple[list[list[str]], list[bool] | None]:
    """Return the words of each sentence, and which are pronouns if parts of speech say so."""
    if form.words != "sentences":
        return [list(value)], None
    sentences: list[list[str]] = []
    tags: list[tuple[str, str]] = []
    for sentence in value:
        tokens = sentence.get("tokens") if isinstance(sentence, dict) else sentence
        if not isinstance(tokens, list):
            raise RowError("Expected each sentence as a list of words.", kind="type")
        words = [token.get("text") if isinstance(token, dict) else token for token in tokens]
        if not all(isinstance(word, str) for word in words):
            raise RowError("Expected each word as a string.", kind="type")
        sentences.append(list(map(str, words)))
        tags += [tag_of(token) for token in tokens]
    if not any(is_tag(tag) for tag, _ in tags):
        return sentences, None
    return sentences, [is_pronoun_tag(tag, features) for tag, features in tags]


def _check_words(words: Sequence[str]) -> None:
    if not words:
        raise RowError("The document has no words.", kind="empty")
    if "[CLS]" in words and any(word.startswith("##") for word in words):
        raise RowError(
            "Expected words, got the pieces of a tokenizer ([CLS], ##…). Convert the file that "
            "they were made from.",
            kind="pieces",
        )


def _counted(
    clusters: Sequence[Sequence[Span]],
    stands_alone: Sequence[bool],
    form: Form,
    offsets: str | None,
) -> str:
    """Return whether the second number of a mention is its last word's or the one after it.

    Raises:
        RowError: neither the form nor the clusters say so, or they contradict each other.
    """
    mentions = [mention for cluster in clusters for mention in cluster]
    number = len(stands_alone)
    if any(not 0 <= first <= last <= number for first, last in mentions):
        wrong = next(m for m in mentions if not 0 <= m[0] <= m[1] <= number)
        raise RowError(
            f"Expected mentions among the {number} words of the document, got {list(wrong)}.",
            kind="span",
        )
    one_word = any(first == last for first, last in mentions)
    behind = any(last == number for _, last in mentions)
    # "it was" is no mention: such a pair of numbers is the word "it".
    pairs = any(last == first + 1 and stands_alone[first] for first, last in mentions)
    shown = "inclusive" if one_word else "exclusive" if behind or pairs else None
    known = offsets or form.offsets
    is_doubtful = bool(mentions) and shown is None and known is None
    if (one_word and behind) or is_doubtful or (known and shown and known != shown):
        said = f"the form of {form.name} says {known}" if known else "the keys do not say"
        seen = f"the clusters look {shown}" if shown else "nor do the clusters"
        if one_word and behind:
            seen = "the clusters have both one-word spans as [8, 8] and one that ends behind all"
        raise RowError(
            f"Expected to know whether a mention's second number is its last word (inclusive) or "
            f"the one after it (exclusive), but {said}, and {seen}. Say it with "
            "offsets=inclusive|exclusive (--offsets) or correct the file.",
            kind="offsets",
        )
    return known or shown or "inclusive"

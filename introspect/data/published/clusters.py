"""Documents with clusters as JSON, in the forms of e2e-coref, PreCo, AllenNLP, spaCy and others.

| form | keys | spans |
|---|---|---|
| e2e-coref, BookCoref | ``sentences`` of words, ``clusters`` | words, last one included |
| LitBank | ``sentences``, ``coref_chains`` | sentence and words, last one included |
| PreCo | ``sentences``, ``mention_clusters`` | sentence and words, last one not included |
| AllenNLP | ``document`` of words, ``clusters`` | words, last one included |
| fastcoref | ``text``, ``clusters`` | characters, last one not included |
| spaCy | ``text``, ``tokens``, ``spans`` | characters, last one not included |
| words alone | ``tokens`` or ``words``, ``clusters`` | words; the clusters show which |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

from introspect.data.jsonl import object_from_json
from introspect.data.outcomes import CaseSource, Outcome, SeenIds
from introspect.data.published.documents import (
    ClusterOptions,
    Document,
    Mention,
    document_of_words,
    read_documents,
    sentences_by_marks,
)
from introspect.data.published.json_rows import read_objects
from introspect.data.published.pronouns import are_pronouns, is_pronoun_tag, is_tag
from introspect.errors import SelectionError
from introspect.io import PathLike, Row, RowError
from introspect.text import Span, divides_word, segment_words, shortened

#: What the numbers of a mention count, where a file does not say.
OFFSETS = ("inclusive", "exclusive", "characters")

_NAMES = ("doc_key", "doc_id", "id", "doc_name", "name", "document_id")
_SPANS = "coref_clusters"
_HEADS = "coref_head_clusters"
# With the word after them, these are a mention too: "her dog".
_POSSESSIVE = {"my", "your", "his", "her", "its", "our", "their"}


@dataclass(frozen=True)
class Form:
    """A form of documents with clusters.

    Args:
        name: who writes it.
        words: the key of its words, or of its text.
        clusters: the key of its clusters.
        offsets: what their numbers count, one of ``OFFSETS``; ``None`` if the form leaves it open.
    """

    name: str
    words: str
    clusters: str
    offsets: str | None


_FORMS = (
    Form("LitBank", "sentences", "coref_chains", "inclusive"),
    Form("PreCo", "sentences", "mention_clusters", "exclusive"),
    Form("e2e-coref", "sentences", "clusters", "inclusive"),
    Form("AllenNLP", "document", "clusters", "inclusive"),
    Form("words", "tokens", "clusters", None),
    Form("words", "words", "clusters", None),
    Form("fastcoref", "text", "clusters", "characters"),
    Form("spaCy", "text", "spans", "characters"),
)


def read_clusters(
    path: PathLike,
    *,
    options: ClusterOptions | None = None,
    offsets: str | None = None,
    seen: SeenIds | None = None,
) -> Iterator[Outcome]:
    """Yield the cases of the pronouns of documents in JSON, one a line or an array of them.

    Each document's keys say who writes it (module ``clusters``). Words are put together with one
    space between them. Whether the last word of a mention is included is known of most forms, and
    otherwise shown by the clusters: a span of ``[8, 8]`` is one word where it is. A document that
    leaves it open, or whose clusters contradict its form, is rejected.

    Args:
        path: the file.
        options: how cases are made of the clusters.
        offsets: what the numbers count, one of ``OFFSETS``; by default what the form says.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
        SelectionError: the offsets are none of ``OFFSETS``.
    """
    if offsets is not None and offsets not in OFFSETS:
        raise SelectionError(f"Expected offsets from {', '.join(OFFSETS)}, got {offsets!r}.")
    source = CaseSource(path, seen)
    options = options or ClusterOptions()
    stem = source.path.stem

    def documents() -> Iterator[tuple[Row, Callable[[], Document]]]:
        for row in read_objects(path):
            yield row, partial(_document, row, f"{stem}-{row.line}", options, offsets)

    yield from read_documents(source, documents(), options)


def is_clusters(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a document with clusters."""
    return bool(_fitting(fields))


def _fitting(fields: Mapping[str, Any]) -> list[Form]:
    """Return the forms that a document's keys and their values fit."""
    return [
        form
        for form in _FORMS
        if _holds_words(fields.get(form.words), form)
        and isinstance(fields.get(form.clusters), dict if form.clusters == "spans" else list)
    ]


def _holds_words(value: Any, form: Form) -> bool:
    if form.words == "text":
        return isinstance(value, str)
    return isinstance(value, list) and all(
        isinstance(item, (list, dict) if form.words == "sentences" else str) for item in value
    )


def _form(fields: Mapping[str, Any], offsets: str | None) -> Form:
    forms = _fitting(fields)
    if offsets is not None and len(forms) > 1:
        # Of a text and its words, the offsets say which is counted.
        wants_text = offsets == "characters"
        forms = [form for form in forms if (form.words == "text") == wants_text]
    if len(forms) == 1:
        return forms[0]
    keys = shortened(", ".join(fields), 100) or "none"
    if not forms:
        raise RowError(
            "Expected words and clusters (sentences, document, tokens or text with clusters; "
            f"mention_clusters, coref_chains or spans), got the keys {keys}.",
            kind="form",
        )
    raise RowError(
        f"Expected one form of clusters, but the keys {keys} fit several: "
        f"{', '.join(f'{form.clusters} of {form.words}' for form in forms)}. Say what the numbers "
        f"count with offsets={'|'.join(OFFSETS)} (--offsets), or take out the keys of the others.",
        kind="form",
    )


def _document(row: Row, name: str, options: ClusterOptions, offsets: str | None) -> Document:
    fields = object_from_json(row.raw)
    form = _form(fields, offsets)
    given = next((fields[key] for key in _NAMES if isinstance(fields.get(key), str | int)), None)
    name = name if given is None or given == "" else str(given)
    part = fields.get("part_id")
    if isinstance(part, int | str) and str(part).strip("0"):
        name = f"{name}-part{part}"
    if form.words == "text":
        return _of_text(name, fields, form, options)
    return _of_words(name, fields, form, options, offsets)


# --- words ------------------------------------------------------------------------------------


def _of_words(
    name: str,
    fields: Mapping[str, Any],
    form: Form,
    options: ClusterOptions,
    offsets: str | None,
) -> Document:
    sentences, tags = _sentences(fields[form.words], form)
    words = [word for sentence in sentences for word in sentence]
    _check_words(words)
    clusters = _clusters(fields[form.clusters], form, [len(sentence) for sentence in sentences])
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
    return document_of_words(name, sentences, mentions, options, tags)


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
        tags += [_tag(token) for token in tokens]
    if not any(is_tag(tag) for tag, _ in tags):
        return sentences, None
    return sentences, [is_pronoun_tag(tag, features) for tag, features in tags]


def _tag(token: Any) -> tuple[str, str]:
    if not isinstance(token, dict):
        return "", ""
    tag = next((token[k] for k in ("upos", "pos", "xpos", "tag") if token.get(k)), "")
    features = next((token[k] for k in ("feats", "morph") if isinstance(token.get(k), str)), "")
    return (tag if isinstance(tag, str) else ""), features


def _check_words(words: Sequence[str]) -> None:
    if not words:
        raise RowError("The document has no words.", kind="empty")
    if "[CLS]" in words and any(word.startswith("##") for word in words):
        raise RowError(
            "Expected words, got the pieces of a tokenizer ([CLS], ##…). Convert the file that "
            "they were made from.",
            kind="pieces",
        )


def _clusters(value: Any, form: Form, lengths: Sequence[int]) -> list[list[Span]]:
    """Return the two numbers of each mention, counted over all sentences."""
    width = 3 if form.clusters in ("coref_chains", "mention_clusters") else 2
    starts = [0, *accumulate(lengths)]
    clusters = []
    for cluster in value:
        if not isinstance(cluster, list):
            raise RowError(f"Expected {form.clusters} as lists of mentions.", kind="type")
        clusters.append([_numbers(mention, width, form) for mention in cluster])
    if width == 2:
        return [[(first, last) for first, last in cluster] for cluster in clusters]
    for sentence, first, last in (mention for cluster in clusters for mention in cluster):
        if not 0 <= sentence < len(lengths) or not 0 <= first <= last <= lengths[sentence]:
            raise RowError(
                f"Expected a mention among the words of its sentence, got "
                f"{[sentence, first, last]}.",
                kind="span",
            )
    return [[(starts[s] + first, starts[s] + last) for s, first, last in c] for c in clusters]


def _numbers(mention: Any, width: int, form: Form) -> tuple[int, ...]:
    # Not isinstance: in Python, True is an int.
    is_sound = isinstance(mention, list) and len(mention) == width
    if not is_sound or not all(type(number) is int for number in mention):
        what = "[start, end]" if width == 2 else "[sentence, start, end]"
        raise RowError(
            f"Expected the mentions of {form.clusters} as {what}, whole numbers, got "
            f"{shortened(repr(mention), 60)}.",
            kind="type",
        )
    return tuple(mention)


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


# --- characters -------------------------------------------------------------------------------


def _of_text(name: str, fields: Mapping[str, Any], form: Form, options: ClusterOptions) -> Document:
    text = fields["text"]
    if not text.strip():
        raise RowError("Expected a text with words in it, got an empty one.", kind="text")
    words, tags = _tokens(fields, text) if form.name == "spaCy" else (segment_words(text), None)
    entities = _groups(fields["spans"]) if form.name == "spaCy" else _cluster_spans(fields, form)
    outside = next((s for _, s in entities if not 0 <= s[0] < s[1] <= len(text)), None)
    if outside:
        raise RowError(
            f"Expected mentions as 0 <= start < end <= {len(text)} characters, got "
            f"{list(outside)}.",
            kind="span",
        )
    divided = [span for _, span in entities if _is_divided(text, span)]
    if 2 * len(divided) > len(entities):
        raise RowError(
            f"Expected mentions as half-open spans of characters, but {text[slice(*divided[0])]!r} "
            f"at {list(divided[0])} and others end inside a word. Do they count words, or include "
            "the last character? Correct the file.",
            kind="offsets",
        )
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


def _cluster_spans(fields: Mapping[str, Any], form: Form) -> list[tuple[str, Span]]:
    clusters = _clusters(fields["clusters"], form, [])
    return [(str(i), span) for i, cluster in enumerate(clusters) for span in cluster]


def _groups(spans: Mapping[str, Any]) -> list[tuple[str, Span]]:
    """Return the mentions of spaCy's groups of spans that are clusters."""
    names = [name for name in spans if name.startswith(_SPANS)]
    names = names or [name for name in spans if name.startswith(_HEADS)]
    if spans and not names:
        raise RowError(
            f"Expected groups of spans named {_SPANS}_1 and so on, got "
            f"{shortened(', '.join(spans), 60)}. Rename those that are clusters.",
            kind="form",
        )
    found = []
    for name in names:
        for span in spans[name] if isinstance(spans[name], list) else [None]:
            ends = [span.get("start"), span.get("end")] if isinstance(span, dict) else span
            found.append((name, _numbers(ends, 2, _FORMS[-1])))
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
        start, end = _numbers(ends, 2, _FORMS[-1])
        if not (words[-1][1] if words else 0) <= start < end <= len(text):
            raise RowError(
                f"Expected the tokens in order among {len(text)} characters, got {[start, end]}.",
                kind="span",
            )
        if text[start:end].strip():
            words.append((start, end))
            tags.append(_tag(token))
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

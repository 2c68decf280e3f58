"""The forms of documents with clusters in JSON: e2e-coref, PreCo, AllenNLP, spaCy and others.

| form | keys | spans |
|---|---|---|
| e2e-coref, BookCoref | ``sentences`` of words, ``clusters`` | words, last one included |
| LitBank | ``sentences``, ``coref_chains`` | sentence and words, last one included |
| PreCo | ``sentences``, ``mention_clusters`` | sentence and words, last one not included |
| AllenNLP | ``document`` of words, ``clusters`` | words, last one included |
| fastcoref | ``text``, ``clusters`` | characters, last one not included |
| spaCy | ``text``, ``tokens``, ``spans`` | characters, last one not included |
| words alone | ``tokens``, ``words`` or a list in ``text``; ``clusters`` | the clusters show |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from introspect.io import RowError
from introspect.text import Span, shortened

#: What the numbers of a mention count, where a file does not say.
OFFSETS = ("inclusive", "exclusive", "characters")


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


FORMS = (
    Form("LitBank", "sentences", "coref_chains", "inclusive"),
    Form("PreCo", "sentences", "mention_clusters", "exclusive"),
    Form("e2e-coref", "sentences", "clusters", "inclusive"),
    Form("AllenNLP", "document", "clusters", "inclusive"),
    Form("words", "tokens", "clusters", None),
    Form("words", "words", "clusters", None),
    Form("words", "text", "clusters", None),
    Form("fastcoref", "text", "clusters", "characters"),
    Form("spaCy", "text", "spans", "characters"),
)


def is_clusters(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a document with clusters."""
    return bool(fitting_forms(fields))


def fitting_forms(fields: Mapping[str, Any]) -> list[Form]:
    """Return the forms that a document's keys and their values fit."""
    return [
        form
        for form in FORMS
        if _holds_words(fields.get(form.words), form)
        and _holds_clusters(fields.get(form.clusters), form)
    ]


def _holds_clusters(value: Any, form: Form) -> bool:
    if form.clusters != "spans":
        return isinstance(value, list)
    return isinstance(value, dict) and any(name.startswith("coref") for name in value)


def _holds_words(value: Any, form: Form) -> bool:
    if form.offsets == "characters":
        return isinstance(value, str)
    return isinstance(value, list) and all(
        isinstance(item, (list, dict) if form.words == "sentences" else str) for item in value
    )


def form_of_keys(fields: Mapping[str, Any], offsets: str | None) -> Form:
    """Return the form of a document.

    Raises:
        RowError: its keys fit none, or several.
    """
    forms = fitting_forms(fields)
    if offsets is not None and len(forms) > 1:
        # Of a text and its words, the offsets say which is counted.
        wants_text = offsets == "characters"
        forms = [form for form in forms if (form.offsets == "characters") == wants_text]
    if len(forms) == 1:
        return forms[0]
    keys = shortened(", ".join(fields), 100) or "none"
    if not forms:
        raise RowError(
            "Expected words and clusters (sentences, document, tokens or text with clusters; "
            f"mention_clusters, coref_chains or spans coref_clusters_1 …), got the keys {keys}.",
            kind="form",
        )
    raise RowError(
        f"Expected one form of clusters, but the keys {keys} fit several: "
        f"{', '.join(f'{form.clusters} of {form.words}' for form in forms)}. Say what the numbers "
        f"count with offsets={'|'.join(OFFSETS)} (--offsets), or delete the keys of the others.",
        kind="form",
    )


def numbered_clusters(value: Any, form: Form, lengths: Sequence[int]) -> list[list[Span]]:
    """Return the two numbers of each mention, counted over all sentences."""
    width = 3 if form.clusters in ("coref_chains", "mention_clusters") else 2
    starts = [0, *accumulate(lengths)]
    clusters = []
    for cluster in value:
        if not isinstance(cluster, list):
            raise RowError(f"Expected {form.clusters} as lists of mentions.", kind="type")
        clusters.append([mention_numbers(mention, width, form) for mention in cluster])
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


def mention_numbers(mention: Any, width: int, form: Form) -> tuple[int, ...]:
    """Return the numbers of a mention.

    Raises:
        RowError: they are not so many whole numbers.
    """
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


def tag_of(token: Any) -> tuple[str, str]:
    """Return the part of speech and the features of a token that is an object; else nothing."""
    if not isinstance(token, dict):
        return "", ""
    tag = next((token[k] for k in ("upos", "pos", "xpos", "tag") if token.get(k)), "")
    features = next((token[k] for k in ("feats", "morph") if isinstance(token.get(k), str)), "")
    return (tag if isinstance(tag, str) else ""), features

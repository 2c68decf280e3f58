"""The columns of a table or of objects: which of them hold the text, or the words of a case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from introspect.data.cells import KIND_WORDS, Kind, column_kind
from introspect.errors import InputError
from introspect.text import is_unspaced, listed, shortened

#: The names of a column of texts that is chosen among several.
USUAL_COLUMNS = ("text", "sentence")
#: What a column of a table of cases may hold.
ROLES = ("text", "pronoun", "antecedent", "distractor", "id", "group")
#: The columns that every table of cases has.
REQUIRED = ROLES[:4]

#: The column, or columns, of each role.
Columns = Mapping[str, tuple[str, ...]]

_USUAL = {
    "text": re.compile("text|sentence"),
    "pronoun": re.compile("pronoun"),
    "antecedent": re.compile("antecedents?"),
    "distractor": re.compile(r"distractors?([ _]?\d+)?"),
    "id": re.compile("id"),
    "group": re.compile("group"),
}
_TEXT_NAMES = (
    "text|sentence|review|comment|utterance|premise|hypothesis|question|answer|prompt|document|"
    "tweet|post|content|body|message|passage|paragraph|context|input|title|headline|abstract|"
    "description|summary|article|story|caption|transcript|response|feedback|note|quote|phrase|"
    "source|target|satz|texte?|phrase|oración|texto|文本|句子|内容|评论|テキスト|文"
)
_OF_TEXTS = re.compile(rf"((\w+[ _-])?({_TEXT_NAMES})s?([ _-]?(\d+|[a-z]{{1,4}}|text))?)")
_IDENTIFIERS = re.compile(r"(.*[ _-])?(id|ids|idx|index|key|uuid|guid|label|url|path|file|nr|no)")


@dataclass(frozen=True)
class Found:
    """The columns of a source, and what its first rows have in them.

    Args:
        source: what is read, for messages.
        names: all columns, in order.
        samples: the values of the first rows, by column.
        texts: the columns that hold texts by their type; by default those with a text among the
            samples.
        is_typed: whether values have a type, so that a number in a string is a text.
        held: what columns hold by their type, in words, where that is no text.
    """

    source: str
    names: Sequence[str]
    samples: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    texts: Sequence[str] | None = None
    is_typed: bool = False
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_texts(self) -> list[str]:
        """The columns that hold texts, not numbers, dates or lists that are written as texts."""
        if self.texts is not None:
            return [name for name in self.texts if not self.kind(name)]
        if not any(self.samples.values()):
            return list(self.names)
        return [
            name
            for name in self.names
            if any(isinstance(v, str) for v in self._values(name)) and not self.kind(name)
        ]

    @property
    def of_words(self) -> list[str]:
        """The columns that hold lists: of words, of tags, of sentences."""
        return [
            name
            for name in self.names
            if any(isinstance(v, list) for v in self._values(name)) or self.kind(name) == "list"
        ]

    @property
    def of_objects(self) -> dict[str, list[str]]:
        """The columns that hold objects, or lists of them, each with the keys of its first."""
        keys = {name: _keys_within(self._values(name)) for name in self.names}
        return {name: within for name, within in keys.items() if within}

    def kind(self, name: str) -> Kind | None:
        """Return what a column holds that is written as a text and is none."""
        kind = column_kind(self._values(name))
        return kind if kind == "list" or not self.is_typed else None

    @property
    def of_sentences(self) -> list[str]:
        """The columns of texts of which a sample has several words."""
        return [name for name in self.of_texts if any(map(_is_sentence, self._values(name)))]

    @property
    def listed(self) -> str:
        """The columns, for a message."""
        return shortened(", ".join(self.names), 200) or "none"

    def named(self, name: str) -> str | None:
        """Return the column of this name, or the only one that has it in other letters."""
        if name in self.names:
            return name
        same = [each for each in self.names if _plain(each) == _plain(name)]
        return same[0] if len(same) == 1 else None

    def _values(self, name: str) -> Sequence[Any]:
        return self.samples.get(name, ())


def _plain(name: str) -> str:
    return name.strip().casefold()


def _keys_within(values: Iterable[Any]) -> list[str]:
    """Return the keys of the first object in some values or in their lists."""
    for value in values:
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, dict):
            return list(map(str, first))
    return []


def _is_sentence(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    letters = [character for character in value if character.isalpha()]
    return (len(value.split()) > 1 and bool(letters)) or sum(map(is_unspaced, letters)) > 1


def choose_column(found: Found, column: str | None) -> str:
    """Return the column requested, or the only one that can be meant.

    That is: the one with a usual name; or else the only one that holds sentences, beside numbers,
    labels and identifiers; or else the only column of texts, unless it holds identifiers.

    Args:
        found: the columns.
        column: the one requested, if any.

    Raises:
        InputError: the requested column is missing or holds no texts; or none is requested and
            none or several could be meant.

    Example:
        >>> choose_column(Found("a.csv", ["label", "Text"], {"Text": ["It ran."]}), None)
        'Text'
    """
    texts = found.of_texts
    if column is not None:
        return _requested(found, column, texts)
    usual = [name for name in texts if _plain(name) in USUAL_COLUMNS]
    if len(usual) == 1:
        return usual[0]
    sentences = found.of_sentences
    if not usual and not found.of_words and not found.of_objects:
        if len(sentences) == 1:
            return sentences[0]
        alone = texts if len(texts) == 1 and not sentences else []
        if alone and (len(found.names) == 1 or not _IDENTIFIERS.fullmatch(_plain(alone[0]))):
            return alone[0]
    raise InputError(
        f"Expected one column of texts in {found.source!r}, or one named "
        f"{' or '.join(USUAL_COLUMNS)}; found: {found.listed}.{_no_texts(found)} "
        f"{_how_to_name(found, texts)}"
    )


def _how_to_name(found: Found, texts: Sequence[str]) -> str:
    """Return how to say which column is meant; of a table that may hold cases, which columns."""
    if not texts:
        return "Hand over a column of texts."
    if len(texts) < len(REQUIRED):
        return "Name one with column=… (--column)."
    roles = ",".join(f"{role}=NAME" for role in REQUIRED)
    return (
        "Name one with column=… (--column); or, if these are cases, say which columns have what "
        f"with columns=… (--columns {roles})."
    )


def _requested(found: Found, column: str, texts: Sequence[str]) -> str:
    name = found.named(column)
    if name is None:
        raise InputError(
            f"Expected the column {column!r} in {found.source!r}; found: {found.listed}. Name one "
            "of these."
        )
    is_known = found.texts is not None or name in found.of_words or found.kind(name)
    if is_known and name not in texts:
        raise InputError(
            f"Expected texts in the column {column!r} of {found.source!r}, which holds something "
            f"else; columns with texts: {shortened(', '.join(texts), 200) or 'none'}."
            f"{_no_texts(found, [name])}"
        )
    return name


def _no_texts(found: Found, names: Sequence[str] | None = None) -> str:
    """Return what columns hold that may be taken for texts, in sentences; by default, of all."""
    parts = [_of_objects(name, keys) for name, keys in found.of_objects.items()]
    of_words = [name for name in found.of_words if name not in found.of_objects]
    of_sentences = [n for n in of_words if any(map(_is_sentence, _within(found.samples[n])))]
    of_words = [name for name in of_words if name not in of_sentences]
    if of_sentences:
        holds = "holds" if len(of_sentences) == 1 else "hold"
        parts.append(
            f" {shortened(listed(of_sentences), 200)} {holds} lists of texts: write each text as "
            'an object of its own, {"text": …}, one a line.'
        )
    if of_words:
        holds = "holds" if len(of_words) == 1 else "hold"
        parts.append(
            f" {shortened(listed(of_words), 200)} {holds} lists, not texts: join the words, or "
            "convert coreference data with introspect cases."
        )
    looked_at = [n for n in found.names if _plain(n) in USUAL_COLUMNS] if names is None else names
    if names is None and not found.of_texts:
        looked_at = found.names
    kinds = {name: kind for name in looked_at if (kind := found.kind(name)) and kind != "list"}
    held = {name: found.held[name] for name in looked_at if name in found.held}
    held |= {name: f"{KIND_WORDS[kind]}, not texts" for name, kind in kinds.items()}
    parts += [f" {name} holds {what}." for name, what in held.items()]
    return "".join(parts[:_MOST_NAMED])


def _within(values: Iterable[Any]) -> list[Any]:
    """Return the items of the lists among some values."""
    return [item for value in values if isinstance(value, list) for item in value]


_MOST_NAMED = 3
_OF_CHAT = ({"role", "content"}, {"from", "value"})


def _of_objects(name: str, keys: Sequence[str]) -> str:
    """Return what a column of objects is, and what to hand over instead."""
    shown = shortened(listed(keys), 100)
    if any(chat <= set(keys) for chat in _OF_CHAT):
        text = "content" if "content" in keys else "value"
        return (
            f" {name} holds a chat, messages with {shown}: write the {text} of each message to be "
            'read as an object of its own, {"text": …}.'
        )
    if {"context", "qas"} <= set(keys):
        return (
            f" {name} holds questions as SQuAD has them: write each context to be read as an "
            'object of its own, {"text": …}.'
        )
    if keys and all(key.isdecimal() for key in keys):
        return (
            f" {name} holds a column by row numbers, as pandas writes a table: write it with "
            'to_json(…, orient="records", lines=True).'
        )
    return (
        f" {name} holds objects with {shown}, not texts: write the texts to be read as objects of "
        'their own, {"text": …}, one a line.'
    )


def case_columns(
    found: Found, given: Mapping[str, str | Sequence[str]], *, may_be_sentences: bool = True
) -> Columns | None:
    """Return the columns of a table of cases by role; ``None`` if it holds no cases.

    A table holds cases if it has a text, a pronoun, an antecedent and a distractor, under these
    names in any case, or under those given.

    Args:
        found: the columns.
        given: names by role: ``{"antecedent": "Correct"}``.
        may_be_sentences: whether it may be read as plain sentences instead.

    Raises:
        InputError: a role or a named column does not exist; or the table has some columns of a
            case and lacks others.

    Example:
        >>> case_columns(Found("a.csv", ["Sentence", "Pronoun", "Antecedent", "Distractor"]), {})
        {'text': ('Sentence',), 'pronoun': ('Pronoun',), ...}
    """
    columns = {role: _of_role(found, role, given) for role in ROLES}
    if not any(columns[role] for role in REQUIRED[1:]):
        return None
    if missing := [role for role in REQUIRED if not columns[role]]:
        raise missing_columns(found, missing, may_be_sentences=may_be_sentences)
    for role, names in columns.items():
        if role != "distractor" and role not in given and len(names) > 1:
            raise InputError(
                f"Expected one column for the {role} in {found.source!r}, found {listed(names)}. "
                f"Say which with columns=… (--columns {role}=NAME)."
            )
    return {role: names for role, names in columns.items() if names}


def missing_columns(
    found: Found, missing: Sequence[str] = REQUIRED, *, may_be_sentences: bool = True
) -> InputError:
    """Return the error of a table that lacks columns of a case."""
    otherwise = ", or read plain sentences with column=… (--column)" if may_be_sentences else ""
    return InputError(
        f"Expected the columns {', '.join(REQUIRED)} in {found.source!r}, but {listed(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} missing; found: {found.listed}. Say which they "
        f"are with columns=… (--columns {','.join(f'{role}=NAME' for role in missing)}){otherwise}."
    )


def _of_role(found: Found, role: str, given: Mapping[str, str | Sequence[str]]) -> tuple[str, ...]:
    if role not in given:
        return tuple(name for name in found.names if _USUAL[role].fullmatch(_plain(name)))
    wanted = given[role]
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    chosen = [found.named(name) for name in names]
    for name, column in zip(names, chosen, strict=True):
        if column is None:
            raise InputError(
                f"Expected the column {name!r} for the {role} in {found.source!r}; found: "
                f"{found.listed}. Name one of these."
            )
    return tuple(column for column in chosen if column is not None)


def check_roles(given: Mapping[str, str | Sequence[str]]) -> None:
    """Check that columns are given by roles that exist.

    Raises:
        InputError: one does not exist.
    """
    if unknown := [role for role in given if role not in ROLES]:
        raise InputError(f"Expected columns for {', '.join(ROLES)}, got one for {unknown[0]!r}.")


def is_usual(name: str) -> bool:
    """Return whether a heading has a usual name, which no sentence is."""
    return is_role(name) or bool(_IDENTIFIERS.fullmatch(_plain(name)))


def is_role(name: str) -> bool:
    """Return whether a heading is the usual name of what a table of cases or texts holds."""
    return any(pattern.fullmatch(_plain(name)) for pattern in _USUAL.values())


def is_heading_of_texts(name: str) -> bool:
    """Return whether this is what the only column of a table, one of texts, is often named.

    Example:
        >>> is_heading_of_texts("Review text"), is_heading_of_texts("Oh no")
        (True, False)
    """
    return bool(_OF_TEXTS.fullmatch(_plain(name)))


def sampled(names: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of some rows by column."""
    held = list(rows)
    return {name: [row[name] for row in held if name in row] for name in names}

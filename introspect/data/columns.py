"""The columns of a table or of objects: which of them hold the text, or the words of a case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    """

    source: str
    names: Sequence[str]
    samples: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    texts: Sequence[str] | None = None

    @property
    def of_texts(self) -> list[str]:
        """The columns that hold texts."""
        if self.texts is not None:
            return list(self.texts)
        if not any(self.samples.values()):
            return list(self.names)
        return [name for name in self.names if any(isinstance(v, str) for v in self._values(name))]

    @property
    def of_words(self) -> list[str]:
        """The columns that hold lists: of words, of tags, of sentences."""
        return [name for name in self.names if any(isinstance(v, list) for v in self._values(name))]

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
    if not usual and not found.of_words:
        if len(sentences) == 1:
            return sentences[0]
        alone = texts if len(texts) == 1 and not sentences else []
        if alone and (len(found.names) == 1 or not _IDENTIFIERS.fullmatch(_plain(alone[0]))):
            return alone[0]
    raise InputError(
        f"Expected one column of texts in {found.source!r}, or one named "
        f"{' or '.join(USUAL_COLUMNS)}; found: {found.listed}.{_of_words(found)} Name one with "
        "column=… (--column)."
    )


def _requested(found: Found, column: str, texts: Sequence[str]) -> str:
    name = found.named(column)
    if name is None:
        raise InputError(
            f"Expected the column {column!r} in {found.source!r}; found: {found.listed}. Name one "
            "of these."
        )
    is_known = found.texts is not None or name in found.of_words
    if is_known and name not in texts:
        raise InputError(
            f"Expected texts in the column {column!r} of {found.source!r}, which holds something "
            f"else; columns with texts: {shortened(', '.join(texts), 200) or 'none'}."
            f"{_of_words(found)}"
        )
    return name


def _of_words(found: Found) -> str:
    if not found.of_words:
        return ""
    one = len(found.of_words) == 1
    return (
        f" {shortened(listed(found.of_words), 200)} {'holds' if one else 'hold'} lists, not texts: "
        "join the words, or convert coreference data with introspect cases."
    )


def case_columns(found: Found, given: Mapping[str, str | Sequence[str]]) -> Columns | None:
    """Return the columns of a table of cases by role; ``None`` if it holds no cases.

    A table holds cases if it has a text, a pronoun, an antecedent and a distractor, under these
    names in any case, or under those given.

    Args:
        found: the columns.
        given: names by role: ``{"antecedent": "Correct"}``.

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
        raise missing_columns(found, missing)
    for role, names in columns.items():
        if role != "distractor" and role not in given and len(names) > 1:
            raise InputError(
                f"Expected one column for the {role} in {found.source!r}, found {listed(names)}. "
                f"Say which with columns=… (--columns {role}=NAME)."
            )
    return {role: names for role, names in columns.items() if names}


def missing_columns(found: Found, missing: Sequence[str] = REQUIRED) -> InputError:
    """Return the error of a table that lacks columns of a case."""
    return InputError(
        f"Expected the columns {', '.join(REQUIRED)} in {found.source!r}, but {listed(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} missing; found: {found.listed}. Say which they "
        f"are with columns=… (--columns {','.join(f'{role}=NAME' for role in missing)}), or read "
        "plain sentences with column=… (--column)."
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
    plain = _plain(name)
    return any(pattern.fullmatch(plain) for pattern in _USUAL.values()) or bool(
        _IDENTIFIERS.fullmatch(plain)
    )


def sampled(names: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of some rows by column."""
    held = list(rows)
    return {name: [row[name] for row in held if name in row] for name in names}

"""BUG: sentences of corpora with a profession and a pronoun that refers to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.io import PathLike, Row, RowError, read_table
from introspect.text import CorefCase, Span, joined_words, shortened

_TEXT, _PROFESSION, _PRONOUN = "sentence_text", "profession", "g"
_PLACES = ("profession_first_index", "g_first_index")
_COLUMNS = (_TEXT, _PROFESSION, _PRONOUN, *_PLACES)
_KEPT = {"predicted gender": "gender", "stereotype": "stereotype", "corpus": "corpus"}


def read_bug(path: PathLike, *, seen: SeenIds | None = None) -> Iterator[Outcome]:
    """Yield the rows of a file of BUG, a table with commas.

    Indices count the words of the column ``tokens`` where there is one, or else those between
    spaces. A row names one person only, whom the pronoun refers to: every case has one candidate
    and is outside forced choice. ``extra`` has ``gender``, ``stereotype`` and ``corpus``.

    Args:
        path: the file.
        seen: ids already used by other files.

    Raises:
        InputError: the file or a column is missing.
    """
    source = CaseSource(path, seen)
    rows = read_table(path)
    names = source.header(rows)
    source.need(names or _COLUMNS, _COLUMNS)

    def parse(row: Row) -> list[Outcome]:
        values = dict(zip(names or (), row.fields, strict=True))
        return [_case(values, f"{source.path.stem}-{row.line}")]

    yield from source.outcomes(rows, parse)


def is_bug(columns: Sequence[str]) -> bool:
    """Return whether the first row of a table is the heading of BUG."""
    return set(_COLUMNS) <= {column.strip() for column in columns}


def _case(values: dict[str, str], name: str) -> CorefCase:
    text, places = _words(values)
    profession, pronoun = (
        _span(text, places, values[column], values[place])
        for column, place in zip((_PROFESSION, _PRONOUN), _PLACES, strict=True)
    )
    return checked_case(
        text,
        pronoun,
        [(profession, True)],
        group=name,
        id=name,
        extra={new: values[old] for old, new in _KEPT.items() if values.get(old)},
    )


def _words(values: dict[str, str]) -> tuple[str, list[Span]]:
    """Return the text and the characters of each word that the indices count."""
    text = values[_TEXT]
    if not values.get("tokens"):
        words = text.split(" ")
        return text, _places(text, words) or []
    try:
        words = ast.literal_eval(values["tokens"])
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise RowError("Expected the tokens as a list of words.", kind="tokens") from error
    if not isinstance(words, list) or not all(isinstance(w, str) and w for w in words):
        raise RowError("Expected the tokens as a list of words.", kind="tokens")
    places = _places(text, words)
    # Some sentences are written another way than their words: then the words are the text.
    return (text, places) if places is not None else joined_words(words)


def _places(text: str, words: Sequence[str]) -> list[Span] | None:
    """Return where the words are, in order and with spaces only between them; else ``None``."""
    places, end = [], 0
    for word in words:
        while end < len(text) and text[end].isspace() and not text.startswith(word or "\0", end):
            end += 1
        if not text.startswith(word, end):
            return None
        places.append((end, end + len(word)))
        end += len(word)
    return places


def _span(text: str, places: Sequence[Span], word: str, index: str) -> Span:
    digits = index.strip().removesuffix(".0")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise RowError(f"Expected the number of a word, got {index[:40]!r}.", kind="type")
    number, wanted = int(digits), word.strip().lower()
    start, end = places[number] if number < len(places) else (0, 0)
    # A word between spaces may have a mark beside it.
    found = text[start:end].lower()
    offset = found.find(wanted) if wanted else -1
    around = found[:offset] + found[offset + len(wanted) :]
    if offset < 0 or any(character.isalnum() for character in around):
        raise RowError(
            f"Expected {shortened(word, 40)!r} as word {number}, got {text[start:end][:40]!r}.",
            kind="span",
        )
    return start + offset, start + offset + len(wanted)

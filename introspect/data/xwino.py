"""XWINO: Winograd schemas in several languages, with token positions of the mentions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from introspect.data.json_rows import check_nesting, too_deep
from introspect.data.outcomes import CaseSource, Outcome, Reject, SeenIds, checked_case
from introspect.data.similar import are_similar
from introspect.io import PathLike, Row, RowError, read_table
from introspect.text import CorefCase, Span

_COLUMNS = 7
_NO_REFERENCE = "?"
# The tokens that tokenizers of the Penn Treebank write for quotation marks.
_QUOTES = {"``": '"', "''": '"'}
# No schema has this many versions; this bounds how much of a file is held in memory.
_LONGEST_GROUP = 64


class Schemas:
    """The group of each English sentence read so far; pass the same object for several files."""

    def __init__(self) -> None:
        self._groups: dict[str, str] = {}

    def group_of(self, sentences: Sequence[str], name: str) -> str:
        """Return the group that one of the sentences already has, or ``name``; all get it."""
        known = [self._groups[s] for s in sentences if s in self._groups]
        group = known[0] if known else name
        for sentence in sentences:
            self._groups.setdefault(sentence, group)
        return group


def read_xwino(
    path: PathLike, *, schemas: Schemas | None = None, seen: SeenIds | None = None
) -> Iterator[Outcome]:
    """Yield the rows of a file of seven columns without a header.

    The text is the sentence; the tokens are aligned with it in order, which turns token positions
    into characters. No string is searched for.

    Consecutive rows of one language are minimal pairs, and one group, if they share at least half
    of their words, counted from both ends. Rows with an English reference sentence are in the
    group of that sentence, whatever the file. Without one ("?") a translation cannot be told from
    another schema: when you test on one language what was chosen on another, remember that
    schemas may be the same.

    ``extra`` has ``lang``, ``source`` and, where there is one, ``reference``.

    Args:
        path: the file.
        schemas: English sentences of other files, to keep translations together.
        seen: ids already used by other files.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    source = CaseSource(path, seen)
    rows = read_table(path, delimiter="\t", quoting=False, width=_COLUMNS)
    stem = source.path.stem

    def parse(row: Row) -> list[CorefCase]:
        return [_case(row.fields, f"{stem}-{row.line}")]

    yield from _grouped(source.outcomes(rows, parse), schemas or Schemas())


def _case(fields: Sequence[str], name: str) -> CorefCase:
    language, origin, reference, text, *lists = fields
    tokens, pronoun, candidates = (_json_list(given) for given in lists)
    if not all(isinstance(token, str) and token for token in tokens):
        raise RowError("Expected a list of tokens, each a string.", kind="type")
    places = _aligned(text, tokens)
    if len(candidates) < 2 or not all(isinstance(c, list) for c in candidates):
        raise RowError("Expected a list of at least two candidates.", kind="type")
    extra = {"lang": language, "source": origin}
    if reference != _NO_REFERENCE:
        extra["reference"] = reference
    return checked_case(
        text,
        _span(pronoun, tokens, places, length=3),
        [(_span(c, tokens, places, length=4), _correct(c)) for c in candidates],
        id=name,
        extra=extra,
    )


def _json_list(text: str) -> list[Any]:
    try:
        parsed = json.loads(text)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise RowError(
            f"Expected JSON in the last three columns, but: {error}.", kind="json"
        ) from error
    if not isinstance(parsed, list):
        raise RowError("Expected lists in the last three columns.", kind="type")
    check_nesting(parsed)
    return parsed


def _aligned(text: str, tokens: Sequence[str]) -> list[Span]:
    """Return the span of each token, in order, with only spaces in between."""
    places, end = [], 0
    for token in tokens:
        while end < len(text) and text[end].isspace():
            end += 1
        written = next(
            (form for form in (token, _QUOTES.get(token)) if form and text.startswith(form, end)),
            None,
        )
        if written is None:
            raise RowError(
                f"Expected the token {token[:40]!r} at character {end} of the sentence.",
                kind="tokens",
            )
        places.append((end, end + len(written)))
        end += len(written)
    if text[end:].strip():
        raise RowError(
            f"The tokens end at character {end}, before the sentence does.", kind="tokens"
        )
    return places


def _span(mention: list[Any], tokens: list[str], places: list[Span], *, length: int) -> Span:
    """Return the characters of ``[text, [start, end], tokens, ...]``."""
    try:
        _, (start, end), own = mention[:3]
        is_range = type(start) is type(end) is int and 0 <= start < end <= len(tokens)
        is_sound = is_range and len(mention) == length and tokens[start:end] == own
    except (TypeError, ValueError) as error:
        raise RowError(
            "Expected a mention as [text, [start, end], tokens].", kind="type"
        ) from error
    if not is_sound:
        raise RowError(f"Expected a mention's own tokens at its range {[start, end]}.", kind="span")
    return places[start][0], places[end - 1][1]


def _correct(candidate: list[Any]) -> bool:
    if not isinstance(candidate[3], bool):
        raise RowError("Expected true or false for whether a candidate is correct.", kind="type")
    return candidate[3]


# --- groups -----------------------------------------------------------------------------------


def _grouped(outcomes: Iterator[Outcome], schemas: Schemas) -> Iterator[Outcome]:
    """Give each consecutive minimal pair one group, holding only the current rows."""
    held: list[Outcome] = []
    last: CorefCase | None = None
    for outcome in outcomes:
        if isinstance(outcome, CorefCase):
            if last is not None and not _are_minimal_pair(last, outcome):
                yield from _named(held, schemas)
                held = []
            last = outcome
        held.append(outcome)
        if last is None or len(held) == _LONGEST_GROUP:
            yield from _named(held, schemas)
            held, last = [], None
    yield from _named(held, schemas)


def _named(held: Sequence[Outcome], schemas: Schemas) -> Iterator[Outcome]:
    cases = [outcome for outcome in held if isinstance(outcome, CorefCase)]
    if cases:
        english = [sentence for case in cases if (sentence := _english(case))]
        group = schemas.group_of(english, str(cases[0].id))
    for outcome in held:
        yield outcome if isinstance(outcome, Reject) else replace(outcome, group=group)


def _english(case: CorefCase) -> str | None:
    if case.extra["lang"] == "en":
        return case.text
    reference = case.extra.get("reference")
    return None if reference is None else str(reference)


def _are_minimal_pair(first: CorefCase, second: CorefCase) -> bool:
    if first.extra["lang"] != second.extra["lang"]:
        return False
    same_reference = first.extra.get("reference") == second.extra.get("reference") is not None
    return same_reference or are_similar(first.text, second.text)

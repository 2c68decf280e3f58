"""GAP: Wikipedia passages with an ambiguous pronoun and two names."""

from __future__ import annotations

from collections.abc import Iterator

from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.io import PathLike, Row, RowError, read_table
from introspect.text import CorefCase, Span

_COLUMNS = (
    *("ID", "Text", "Pronoun", "Pronoun-offset"),
    *("A", "A-offset", "A-coref", "B", "B-offset", "B-coref", "URL"),
)
_TRUTH = {"TRUE": True, "FALSE": False}
_GENDERS = dict.fromkeys(("he", "him", "his"), "male") | dict.fromkeys(
    ("she", "her", "hers"), "female"
)


def read_gap(
    path: PathLike, *, keep_neither: bool = False, seen: SeenIds | None = None
) -> Iterator[Outcome]:
    """Yield the rows of one of the ``gap-*.tsv`` files.

    Rows of one page are a group; ``extra`` has the page's ``url``, which is also the attribution
    that its license asks for, and the pronoun's ``gender``.

    Args:
        path: the file.
        keep_neither: whether rows whose pronoun refers to neither name are yielded as cases,
            outside forced choice, rather than rejected.
        seen: ids already used by other files.

    Raises:
        InputError: the file or a column is missing.
    """
    source = CaseSource(path, seen)
    rows = read_table(path, delimiter="\t", quoting=False)
    names = source.header(rows)
    source.need(names or _COLUMNS, _COLUMNS)

    def parse(row: Row) -> list[CorefCase]:
        return [_case(dict(zip(names or (), row.fields, strict=True)), keep_neither)]

    yield from source.outcomes(rows, parse)


def _case(values: dict[str, str], keep_neither: bool) -> CorefCase:
    corefs = [(_mention(values, name), _truth(values, f"{name}-coref")) for name in "AB"]
    if not keep_neither and not any(refers for _, refers in corefs):
        raise RowError("Neither name is the antecedent.", kind="neither")
    gender = _GENDERS.get(values["Pronoun"].lower())
    return checked_case(
        values["Text"],
        _mention(values, "Pronoun"),
        corefs,
        group=values["URL"] or None,
        id=values["ID"],
        extra={"url": values["URL"]} | ({"gender": gender} if gender else {}),
    )


def _mention(values: dict[str, str], name: str) -> Span:
    digits = values[f"{name}-offset"]
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
        raise RowError(
            f"Expected {name}-offset as a whole number, got {digits[:40]!r}.", kind="type"
        )
    start = int(digits)
    text = values["Text"][start : start + len(values[name])]
    if text != values[name] or not text:
        raise RowError(
            f"Expected {values[name]!r} at character {start}, got {text!r}.", kind="span"
        )
    return start, start + len(text)


def _truth(values: dict[str, str], name: str) -> bool:
    if values[name] not in _TRUTH:
        raise RowError(f"Expected {name} as TRUE or FALSE, got {values[name][:40]!r}.", kind="type")
    return _TRUTH[values[name]]

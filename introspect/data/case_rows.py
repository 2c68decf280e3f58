"""Read cases, whatever their format: as words or as spans, in a table, in objects or in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from introspect.calls import kind_of_thing
from introspect.data.foreign import kind_by_ending
from introspect.data.inputs import FORMATS, Input
from introspect.data.layout import CONTENT_WORDS, InputSet, input_set
from introspect.data.outcomes import CaseSource, Outcome, Reject, SeenIds
from introspect.errors import InputError
from introspect.io import PathLike, Row
from introspect.text import CorefCase, listed

if TYPE_CHECKING:
    import pandas as pd

    #: Cases: a list, one, a path, a DataFrame, or inputs with what was said about them.
    Cases: TypeAlias = CorefCase | Iterable[CorefCase] | PathLike | pd.DataFrame | InputSet
else:
    Cases = Any


def as_cases(cases: Cases) -> list[CorefCase]:
    """Return cases as a list, whatever they are given as.

    Args:
        cases: cases, a single one, the path of a file of them, a DataFrame with their columns, or
            an ``InputSet``.

    Raises:
        InputError: they are something else; or one row cannot be read, since none is left out.

    Example:
        >>> case = CorefCase.from_words("The cat hid: it saw me.", pronoun="it", antecedent="cat")
        >>> as_cases(case) == [case]
        True
    """
    if isinstance(cases, CorefCase):
        return [cases]
    if not is_file_of_cases(cases) and not isinstance(cases, str):
        if not isinstance(cases, Iterable) or isinstance(cases, Mapping | bytes):
            raise _no_cases(kind_of_thing(cases))
        cases = list(cases)
        if all(isinstance(case, CorefCase) for case in cases):
            return cases
    try:
        rows = [outcome for _, _, outcome in read_case_rows(input_set(cases, wanted="cases"))]
    except InputError as error:
        if isinstance(cases, list):
            raise _no_cases(kind_of_thing(cases)) from error
        raise
    return [_accepted(outcome) for outcome in rows]


def is_file_of_cases(given: Any) -> bool:
    """Return whether something that may be a text is a file or table of cases instead.

    Example:
        >>> is_file_of_cases("runs/cases.jsonl"), is_file_of_cases("The cat sat.")
        (True, False)
    """
    if isinstance(given, str):
        names = given.lower().split(".")
        ends = [names[-2] if names[-1] in ("gz", "zst") else names[-1]] if len(names) > 1 else []
        return bool(set(ends) & set(FORMATS)) and not any(mark.isspace() for mark in given)
    return isinstance(given, os.PathLike | InputSet) or hasattr(given, "to_dict")


def _accepted(outcome: Outcome) -> CorefCase:
    if isinstance(outcome, CorefCase):
        return outcome
    raise InputError(
        f"Expected a case in every row of {outcome.source}, got one that is none, in row "
        f"{outcome.line}: {outcome.reason} Mend it, or leave it out; ix.probe goes on without it."
    )


def _no_cases(given: str) -> InputError:
    return InputError(
        f"Expected cases, the path of a file of them, or a DataFrame, got {given}. Make a case "
        'with ix.CorefCase.from_words(text, pronoun="it", antecedent="animal", '
        'distractors=["street"]).'
    )


def read_case_rows(
    inputs: InputSet, *, seen: SeenIds | None = None
) -> Iterator[tuple[Input, Row | None, Outcome]]:
    """Yield the cases of all inputs, or rejects, each with its file and its row.

    Args:
        inputs: the inputs.
        seen: ids already used by other files; by default each file is checked alone.

    Raises:
        InputError: the inputs hold no cases, or a file cannot be read.
    """
    if inputs.content != "cases" and any(layout.columns for layout in inputs.layouts):
        raise InputError(
            f"Expected cases in {listed((repr(each.source) for each in inputs.files), most=3)}, "
            f"got {CONTENT_WORDS[inputs.content]}: {inputs.words[0]}. Give a table with the "
            "columns text, pronoun, antecedent and distractor (other names: columns=…, "
            "--columns), JSON lines, or what introspect cases writes."
        )
    layouts = {layout.file: layout for layout in inputs.layouts}
    for file in inputs.files:
        if not file.format:
            yield file, None, unknown_ending(file)
            continue
        for row, outcome in layouts[file].cases(CaseSource(file.source, seen)):
            yield file, row, outcome


def unknown_ending(file: Input) -> Reject:
    """Return the reject for a stray file of a folder."""
    what, how = kind_by_ending(file.source) or ("another", "Move it, or rename it.")
    reason = f"Expected a file that ends in {', '.join(FORMATS)}, got {what}. {how}"
    return Reject(file.source, 0, reason, "", "ending")


def read_words_csv(
    path: PathLike,
    *,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    seen: SeenIds | None = None,
) -> Iterator[Outcome]:
    """Yield the rows of a table with the columns text, pronoun, antecedent, and distractor.

    Headings are found in any case, or named by ``columns``. Words are found in the text as whole
    words; ``it#2`` is the second *it*. Several distractors or antecedents are separated by ``|``,
    or several distractors given in ``distractor_2``, ``distractor_3`` and so on; an empty cell
    means none. Columns ``id`` and ``group`` are used if present; a case without an id gets the
    file's name and the line. Other columns are kept in ``extra``.

    Columns are separated by commas, semicolons, tabs or pipes, whichever the first rows show.

    Args:
        path: the file.
        columns: names by role: ``{"antecedent": "Correct"}``.
        seen: ids already used by other files.

    Raises:
        InputError: the file or a column is missing, or the table may be read in several ways.
    """
    stem = Path(path).stem
    ending = Path(path).suffix.lower().removeprefix(".")
    format = None if ending in FORMATS or ending in ("gz", "zst", "tab") else "csv"
    inputs = InputSet([Path(path)], columns=columns or {}, format=format, wanted="cases")
    ids = SeenIds() if seen is None else seen
    for _, row, outcome in read_case_rows(inputs, seen=ids):
        if isinstance(outcome, CorefCase) and outcome.id is None and row is not None:
            yield replace(outcome, id=f"{stem}-{row.line}")
        else:
            yield outcome

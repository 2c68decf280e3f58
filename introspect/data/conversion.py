"""Convert the files of a collection to one file of cases, and say what was left out."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from introspect.data.catalog import COLLECTIONS, TAKES, read_cases
from introspect.data.foreign import check_is_text, kind_by_ending
from introspect.data.jsonl import case_to_json, reject_from_json, reject_to_json
from introspect.data.outcomes import LeftOut, Outcome, Reject, Tally
from introspect.data.published import ClusterOptions, form_of
from introspect.errors import InputError, IntrospectError, OutputError
from introspect.io import STDOUT, PathLike, claimed_file, read_lines, write_lines
from introspect.text import CorefCase, counted, whole


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Args:
        kind: the kind of collection.
        tally: the counts.
        rejects_file: the file of rejected rows; ``None`` if there are none, or no file.
        rule: how the cases were made, where that was a choice; else empty.
    """

    kind: str
    tally: Tally
    rejects_file: Path | None
    rule: str = ""

    @property
    def summary(self) -> str:
        """Return the counts, how cases were made, and the caveats about the collection."""
        tally = self.tally
        parts = [
            f"{counted(tally.cases, 'case')}, {whole(tally.outside_choice)} outside forced choice; "
            f"{_by_kind('row', 'rejected', tally.rejects)}"
            f"{'; ' + _by_kind('', 'left out', tally.left_out) if tally.left_out else ''}.",
            self.rule,
            COLLECTIONS[self.kind].caution,
        ]
        return " ".join(filter(None, parts))


def _by_kind(noun: str, what: str, counts: Counter[str]) -> str:
    reasons = ", ".join(f"{name}: {count}" for name, count in counts.most_common())
    number = counted(counts.total(), noun) if noun else str(counts.total())
    return f"{number} {what}{f' ({reasons})' if reasons else ''}"


def convert(
    kind: str,
    files: Sequence[PathLike] | PathLike,
    out: PathLike | None,
    *,
    options: ClusterOptions | None = None,
    offsets: str | None = None,
    pronoun: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
) -> Conversion:
    """Convert files of a collection to cases and write them, holding one row at a time.

    Rejected rows go to ``NAME.rejects.jsonl`` beside ``NAME.jsonl``, or to standard error without
    ``out``. Such a file of an earlier conversion is replaced, or removed if no row is rejected; no
    other file is touched.

    Args:
        kind: a key of ``COLLECTIONS``.
        files: the files, read in this order; or a single one.
        out: the file of cases; standard output (``-``) by default.
        options: how cases are made of clusters, as in ``read_cases``.
        offsets: what the numbers of clusters count.
        pronoun: the word for the blanks of WinoGrande.
        columns: the columns of a table by role: ``{"antecedent": "Correct"}``.

    Raises:
        SelectionError: the kind is unknown, or does not take an option.
        InputError: a file is missing, lacks columns or is written in the form of another kind.
        OutputError: a file cannot be written, is one of those read, or holds something else than
            rejected rows where they are to go.
    """
    files = [files] if isinstance(files, str | os.PathLike) else list(files)
    tally = Tally()
    cases = read_cases(
        kind, files, options=options, offsets=offsets, pronoun=pronoun, columns=columns
    )
    _check_form(kind, files)
    outcomes = (o for o in tally.watch(cases) if not isinstance(o, LeftOut))
    rule = f"The blanks are filled with {pronoun!r}." if pronoun else ""
    if kind in TAKES["options"]:
        rule = (options or ClusterOptions()).statement
    if out is None or str(out) == STDOUT:
        for outcome in outcomes:
            _show(outcome)
        return Conversion(kind, tally, None, rule)
    out = Path(out)
    rejects_file = rejects_beside(out)
    with (
        claimed_file(out, inputs=files) as target,
        _claimed_rejects(rejects_file, [*files, out]) as (rejects_target, is_ours),
    ):
        rejects: list[Reject] = []
        write_lines(target, _lines(outcomes, rejects))
        if rejects:
            write_lines(rejects_target, map(reject_to_json, rejects))
        elif is_ours:
            rejects_target.unlink(missing_ok=True)  # left from an earlier run
    return Conversion(kind, tally, rejects_file if rejects else None, rule)


def _check_form(kind: str, files: Sequence[PathLike]) -> None:
    """Raise if a file is written in the form of another kind."""
    for file in files:
        if Path(file).suffix.lower() not in (".xlsx", ".xlsm", ".parquet"):
            check_is_text(file, str(file))
        form = form_of(file)
        if form is None and (known := kind_by_ending(file)):
            what, how = known
            raise InputError(f"Expected a file of kind {kind!r}, got {what}, {str(file)!r}. {how}")
        if form not in (None, kind):
            pronoun = " --pronoun it" if form == "winogrande" else ""
            raise InputError(
                f"Expected a file of kind {kind!r}, but {str(file)!r} is written as {form}. "
                f"Convert it with: introspect cases {form} {file}{pronoun}"
            )


def rejects_beside(out: Path) -> Path:
    """Return the file of the rows that were rejected on the way to a file of cases.

    Example:
        >>> str(rejects_beside(Path("ok.jsonl")))
        'ok.rejects.jsonl'
    """
    return out.with_name(f"{out.stem}.rejects.jsonl")


@contextmanager
def _claimed_rejects(path: Path, inputs: Sequence[PathLike]) -> Iterator[tuple[Path, bool]]:
    """Claim the file of rejected rows; yield its place, and whether an earlier one is there.

    Raises:
        OutputError: it holds something else, or may not be written.
    """
    if path.exists() and not path.is_file():
        raise _holds_else(path)
    with claimed_file(path, inputs=inputs) as target:
        yield target, _holds_rejects(path)


def _holds_rejects(path: Path) -> bool:
    """Return whether a file holds rows rejected earlier, and nothing else.

    Raises:
        OutputError: it holds something else.
    """
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return False
    try:
        for row in read_lines(path):
            if row.fault:
                raise row.fault
            reject_from_json(row.raw)
    except (IntrospectError, TypeError, ValueError, RecursionError) as error:
        raise _holds_else(path) from error
    return True


def _holds_else(path: Path) -> OutputError:
    return OutputError(
        f"Expected to write rejected rows to {path.name!r}, but that file holds something else "
        "and is left as it is. Rename it, or choose another name with --out."
    )


def _lines(outcomes: Iterator[Outcome], rejects: list[Reject]) -> Iterator[str]:
    """Yield a line for each case; keep the rejects, which are cut short, aside."""
    for outcome in outcomes:
        if isinstance(outcome, CorefCase):
            yield case_to_json(outcome)
        else:
            rejects.append(outcome)


def _show(outcome: Outcome) -> None:
    if isinstance(outcome, CorefCase):
        print(case_to_json(outcome))
    else:
        print(reject_to_json(outcome), file=sys.stderr)

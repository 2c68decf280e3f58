"""From a collection's files to cases as JSON, one a line, and a file of what was left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from introspect.cases.catalogue import COLLECTIONS, read_cases
from introspect.cases.jsonl import case_to_json, reject_to_json
from introspect.cases.reading import Outcome, Reject, Tally
from introspect.errors import OutputError
from introspect.files import write_lines
from introspect.mentions import CorefCase

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Args:
        kind: of the collection.
        tally: the counts.
        rejects_file: where the rejected rows are; ``None`` where there are none, or no file.
    """

    kind: str
    tally: Tally
    rejects_file: Path | None

    @property
    def summary(self) -> str:
        """The counts, and what to keep in mind about the collection, in words."""
        tally = self.tally
        reasons = ", ".join(f"{name}: {count}" for name, count in tally.rejects.most_common())
        parts = [
            f"{_counted(tally.cases, 'case')}, {tally.outside_choice} outside forced choice; "
            f"{_counted(tally.rejected, 'row')} rejected{f' ({reasons})' if reasons else ''}.",
            COLLECTIONS[self.kind].caution,
        ]
        return " ".join(filter(None, parts))


def convert(kind: str, files: Sequence[Path], out: Path | None) -> Conversion:
    """Read files of a collection and write their cases; one row at a time is held.

    Rejected rows go to ``rejects.jsonl`` beside ``out``, or to standard error without ``out``.

    Args:
        kind: a key of ``COLLECTIONS``.
        files: the files, read in this order.
        out: the file of cases; standard output without one.

    Raises:
        SelectionError: there is no such kind.
        InputError: a file is missing or lacks columns.
        OutputError: a file cannot be written.
    """
    tally = Tally()
    outcomes = tally.watch(read_cases(kind, files))
    if out is None:
        for outcome in outcomes:
            _show(outcome)
        return Conversion(kind, tally, None)
    rejects_file = out.with_name("rejects.jsonl")
    if out == rejects_file:
        raise OutputError(
            f"Expected another name than {out.name!r} for the cases: the rejected rows go there."
        )
    rejects: list[Reject] = []
    write_lines(out, _lines(outcomes, rejects))
    if not rejects:
        rejects_file.unlink(missing_ok=True)  # of an earlier run: it would belong to these cases
        return Conversion(kind, tally, None)
    return Conversion(kind, tally, write_lines(rejects_file, map(reject_to_json, rejects)))


def _lines(outcomes: Iterator[Outcome], rejects: list[Reject]) -> Iterator[str]:
    """The lines of the cases; rejects, which are cut short, are kept aside."""
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


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

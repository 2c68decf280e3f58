"""Convert a collection's files to cases as JSON lines, and write the rejected rows to a file."""

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
        kind: the kind of collection.
        tally: the counts.
        rejects_file: the file of rejected rows; ``None`` if there are none, or no file.
    """

    kind: str
    tally: Tally
    rejects_file: Path | None

    @property
    def summary(self) -> str:
        """Return the counts and the caveats about the collection, in words."""
        tally = self.tally
        reasons = ", ".join(f"{name}: {count}" for name, count in tally.rejects.most_common())
        parts = [
            f"{_counted(tally.cases, 'case')}, {tally.outside_choice} outside forced choice; "
            f"{_counted(tally.rejected, 'row')} rejected{f' ({reasons})' if reasons else ''}.",
            COLLECTIONS[self.kind].caution,
        ]
        return " ".join(filter(None, parts))


def convert(kind: str, files: Sequence[Path], out: Path | None) -> Conversion:
    """Convert files of a collection to cases and write them, holding one row at a time.

    Rejected rows go to ``rejects.jsonl`` beside ``out``, or to standard error without ``out``.

    Args:
        kind: a key of ``COLLECTIONS``.
        files: the files, read in this order.
        out: the file of cases; standard output by default.

    Raises:
        SelectionError: the kind is unknown.
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
        rejects_file.unlink(missing_ok=True)  # left from an earlier run
        return Conversion(kind, tally, None)
    return Conversion(kind, tally, write_lines(rejects_file, map(reject_to_json, rejects)))


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


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

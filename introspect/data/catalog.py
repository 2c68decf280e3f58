"""The collections that can be read, and ``read_cases``, which reads any of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from introspect.data.case_rows import read_words_csv
from introspect.data.gap import read_gap
from introspect.data.jsonl import case_to_json, read_jsonl, reject_to_json
from introspect.data.outcomes import Outcome, Reject, SeenIds, Tally
from introspect.data.winobias import read_winobias
from introspect.data.winogender import read_winogender
from introspect.data.xwino import Schemas, read_xwino
from introspect.errors import InputError, OutputError, SelectionError
from introspect.io import PathLike, write_lines
from introspect.text import CorefCase


@dataclass(frozen=True)
class Collection:
    """A collection: what it is, its license, and caveats about its numbers."""

    description: str
    license: str
    caution: str


#: What ``read_cases`` reads, by kind.
COLLECTIONS: Mapping[str, Collection] = MappingProxyType(
    {
        "winobias": Collection(
            "WinoBias (Zhao et al., NAACL 2018): two occupations and a pronoun, in pairs, with "
            "and against the stereotype",
            "MIT",
            "Type 2 can be solved by syntax, and choosing the nearest candidate alone is right "
            "every time: report it only beside that baseline.",
        ),
        "winogender": Collection(
            "Winogender (Rudinger et al., NAACL 2018): an occupation, a participant and a "
            "pronoun of three genders, from 120 templates",
            "MIT",
            "Its authors: the schemas may show that a bias is present; they cannot show that it "
            "is absent.",
        ),
        "gap": Collection(
            "GAP (Webster et al., TACL 2018): passages of Wikipedia with a pronoun and two names, "
            "half of each gender",
            "Apache-2.0; the passages CC BY-SA, attributed by their url",
            "In about a fifth of the rows the right name follows the pronoun, where a causal "
            "model's pronoun cannot see it. The two-way accuracy is not the F1 of the paper.",
        ),
        "xwino": Collection(
            "XWINO (Tikhonov and Ryabinin, Findings of ACL 2021): Winograd schemas in several "
            "languages",
            "Apache-2.0; upstream en CC BY 4.0, fr CC BY-SA 4.0, pt MIT",
            "The same schema occurs in several languages; without the English reference sentence "
            "its translations cannot be told, so do not choose on one language and test on "
            "another.",
        ),
        "csv": Collection(
            "a table with the columns text, pronoun, antecedent, distractor", "your own", ""
        ),
        "jsonl": Collection("cases as JSON, one object a line", "your own", ""),
    }
)

_READERS: Mapping[str, Callable[..., Iterator[Outcome]]] = MappingProxyType(
    {
        "winobias": read_winobias,
        "winogender": read_winogender,
        "gap": read_gap,
        "xwino": read_xwino,
        "csv": read_words_csv,
        "jsonl": read_jsonl,
    }
)


def read_cases(kind: str, paths: PathLike | Iterable[PathLike]) -> Iterator[Outcome]:
    """Yield the cases of one or several files of a collection, and a ``Reject`` for each bad row.

    A case that repeats the id of an earlier one, in any of the files, is rejected.

    Args:
        kind: a key of ``COLLECTIONS``.
        paths: one or several files, read in this order.

    Raises:
        SelectionError: the kind is unknown.
        InputError: no file is given; or, while reading, a file is missing or lacks columns.
    """
    if kind not in _READERS:
        raise SelectionError(f"Expected a kind of cases from {', '.join(_READERS)}, got {kind!r}.")
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise InputError(f"Expected at least one file of kind {kind!r}, got none. Name one.")
    shared: dict[str, object] = {"seen": SeenIds()}
    if kind == "xwino":
        shared["schemas"] = Schemas()
    return chain.from_iterable(map(partial(_READERS[kind], **shared), files))


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

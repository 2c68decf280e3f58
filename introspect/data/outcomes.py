"""What all readers of collections share: cases, rejected rows, ids, and counts.

A reader yields, in the order of the file, a ``CorefCase`` for each usable
row and a ``Reject`` for each row that is not. It holds one row at a time, never the file.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from introspect.errors import InputError, MentionError, TextError
from introspect.io import PathLike, Row, RowError
from introspect.text import Candidate, CorefCase, Span, divides_character, shortened


@dataclass(frozen=True)
class Reject:
    """A row that yields no case.

    Args:
        source: the file, as the caller named it.
        line: its line, counted from 1; 0 means the file as a whole.
        reason: what is wrong, in a sentence.
        row: the row as it is in the file, cut after ``ROW_LENGTH`` characters with "…".
        kind: a short key that rejects are counted by, for example ``"span"``.
    """

    source: str
    line: int
    reason: str
    row: str
    kind: str = "other"


class LeftOut(Reject):
    """What a row was read for without becoming a case, by the rules of the reader: no fault."""


class BadLineError(RowError):
    """Raised for one bad line of a row of several: what is wrong, and with which."""

    def __init__(self, row: Row, reason: str, kind: str) -> None:
        super().__init__(reason, kind=kind)
        self.row = row


Outcome = CorefCase | Reject


def thing(value: object) -> str:
    """Return what a value is that is no text, in words of no programming language.

    Example:
        >>> thing(3), thing(["It", "ran"]), thing(None)
        ('the number 3', 'a list', 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    names: dict[type, str] = {list: "a list", dict: "an object", bytes: "bytes", str: "a text"}
    return names.get(type(value), f"a value of type {type(value).__name__}")


def no_rows(source: str) -> Reject:
    """Return the reject for a file without a row, which may have a heading."""
    reason = "The file has no row to read: it is empty, or has a heading alone. Check the file."
    return Reject(source, 0, reason, "", "empty")


class CaseSource:
    """A file being read, with the ids seen so far; it turns rows into outcomes.

    Args:
        path: the file.
        seen: the ids of other files, when several are read as one.
    """

    def __init__(self, path: PathLike, seen: SeenIds | None = None) -> None:
        self.path = Path(path)
        self.name = str(path)
        self._seen = SeenIds() if seen is None else seen

    def outcomes(
        self, rows: Iterable[Row], parse: Callable[[Row], Sequence[Outcome]]
    ) -> Iterator[Outcome]:
        """Yield the cases that ``parse`` makes of each row, or the reason why there are none."""
        for _, outcome in self.located(rows, parse):
            yield outcome

    def located(
        self, rows: Iterable[Row], parse: Callable[[Row], Sequence[Outcome]]
    ) -> Iterator[tuple[Row | None, Outcome]]:
        """Yield each outcome with its row; ``None`` means the file as a whole."""
        is_empty = True
        for row in rows:
            is_empty = False
            for outcome in self._outcome(row, parse):
                yield row, outcome
        if is_empty:
            yield None, no_rows(self.name)

    def header(self, rows: Iterator[Row]) -> tuple[str, ...] | None:
        """Return the column names from the first row; ``None`` for an empty file.

        Raises:
            InputError: the first line cannot be read, or names a column twice.
        """
        first = next(rows, None)
        if first is None:
            return None
        if first.fault:
            raise InputError(f"{self.name}, line {first.line}: {first.fault}")
        names = tuple(name.strip() for name in first.fields)
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise InputError(
                f"Expected each column of {self.name!r} once, but {twice[0]!r} is there "
                f"{names.count(twice[0])} times. Rename one."
            )
        return names

    def need(self, names: Sequence[str], required: Sequence[str]) -> None:
        """Raise unless a table has all the required columns.

        Raises:
            InputError: a column is missing; the message names it and the columns found.
        """
        if missing := [name for name in required if name not in names]:
            raise InputError(
                f"Expected the columns {', '.join(required)} in {self.name!r}, but "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; "
                f"found: {shortened(', '.join(names), 200)}. Add them to the first line."
            )

    def _outcome(self, row: Row, parse: Callable[[Row], Sequence[Outcome]]) -> Iterator[Outcome]:
        try:
            if row.fault:
                raise row.fault
            outcomes = parse(row)
        except (RowError, MentionError, TextError) as error:
            yield self._reject(row, error)
            return
        for case in outcomes:
            if isinstance(case, Reject):
                yield case
            elif case.id is not None and not self._seen.add(case.id):
                reason = f"Expected an id of its own, but an earlier case has {case.id!r}."
                yield self._reject(row, RowError(reason, kind="duplicate_id"))
            else:
                yield case

    def _reject(self, row: Row, error: InputError) -> Reject:
        kind = error.kind if isinstance(error, RowError) else "mention"
        row = error.row if isinstance(error, BadLineError) else row
        return Reject(self.name, row.line, str(error), row.shown, kind)


def checked_case(
    text: str,
    pronoun: Span,
    candidates: Sequence[tuple[Span, bool]],
    **others: object,
) -> CorefCase:
    """Return a case after checking its spans: whole characters, kept apart where they must be.

    Args:
        text: the sentence or passage.
        pronoun: its span.
        candidates: the span of each, and whether it is an antecedent.
        others: ``group``, ``id`` and ``extra`` of the case.

    Raises:
        RowError: a span is outside the text, reversed, blank, begins or ends inside a character,
            a candidate overlaps the pronoun, or two candidates are the same span.
    """
    if not text.strip():
        raise RowError("Expected a text with words in it, got an empty one.", kind="text")
    _check_span(text, pronoun, "pronoun")
    for span, _ in candidates:
        _check_span(text, span, "candidate")
        if span[0] < pronoun[1] and pronoun[0] < span[1]:
            raise RowError(
                f"The candidate {_quoted(text, span)} overlaps the pronoun at {pronoun}.",
                kind="overlap",
            )
    spans = Counter(span for span, _ in candidates)
    if twice := [span for span, times in spans.items() if times > 1]:
        raise RowError(
            f"Two candidates are the same span, {_quoted(text, twice[0])}.", kind="same_span"
        )
    made = tuple(Candidate(span, antecedent=antecedent) for span, antecedent in candidates)
    return CorefCase(text, pronoun, made, **others)  # type: ignore[arg-type]


def _check_span(text: str, span: Span, role: str) -> None:
    start, end = span
    if not 0 <= start < end <= len(text):
        raise RowError(
            f"Expected the span of the {role} as 0 <= start < end <= {len(text)}, "
            f"got ({start}, {end}).",
            kind="span",
        )
    if not text[start:end].strip():
        raise RowError(f"The span of the {role}, ({start}, {end}), holds only spaces.", kind="span")
    for offset in span:
        if divides_character(text, offset):
            raise RowError(
                f"The span of the {role}, ({start}, {end}), divides a character at {offset}: "
                f"U+{ord(text[offset - 1]):04X} and U+{ord(text[offset]):04X} belong together.",
                kind="character",
            )


def _quoted(text: str, span: Span) -> str:
    return f"{shortened(text[slice(*span)], 40)!r} at {span}"


# --- ids and counts ---------------------------------------------------------------------------


class SeenIds:
    """A set of ids that takes 16 to 32 bytes for each, whatever its length.

    Kept are 64 bits of each id's hash, in a table with open addressing: among a million ids, two
    different ones are taken for the same with a probability of 3e-8.

    Example:
        >>> seen = SeenIds()
        >>> seen.add("w1"), seen.add("w2"), seen.add("w1")
        (True, True, False)
    """

    def __init__(self) -> None:
        self._table = array("Q", [0]) * 64
        self._used = 0

    def add(self, id: str) -> bool:
        """Add an id; return False if it is already there."""
        digest = blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if not self._put(int.from_bytes(digest) or 1):
            return False
        self._used += 1
        if 2 * self._used > len(self._table):
            self._grow()
        return True

    def _put(self, key: int) -> bool:
        table, place = self._table, key % len(self._table)
        while table[place]:
            if table[place] == key:
                return False
            place = (place + 1) % len(table)
        table[place] = key
        return True

    def _grow(self) -> None:
        old, self._table = self._table, array("Q", [0]) * (2 * len(self._table))
        for key in old:
            if key:
                self._put(key)


@dataclass
class Tally:
    """How many cases there are, how many outside forced choice, what was left out, and rejects.

    Example:
        >>> tally = Tally.of([Reject("a.tsv", 3, "The line holds a NUL.", "x", "nul")])
        >>> tally.cases, tally.rejected, tally.rejects["nul"]
        (0, 1, 1)
    """

    cases: int = 0
    outside_choice: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Tally:
        """Return the counts of all outcomes, which are read to the end."""
        tally = cls()
        for outcome in outcomes:
            tally.add(outcome)
        return tally

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if isinstance(outcome, LeftOut):
            self.left_out[outcome.kind] += 1
        elif isinstance(outcome, Reject):
            self.rejects[outcome.kind] += 1
        else:
            self.cases += 1
            self.outside_choice += not outcome.is_forced_choice

    def watch(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield the same outcomes, counting each as it passes."""
        for outcome in outcomes:
            self.add(outcome)
            yield outcome

    @property
    def rejected(self) -> int:
        """Number of rows that yielded no case."""
        return self.rejects.total()

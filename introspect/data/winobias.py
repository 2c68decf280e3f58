"""WinoBias: sentences with two occupations, of which the antecedent is in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.errors import InputError
from introspect.io import PathLike, Row, RowError, read_lines
from introspect.text import CorefCase, Span

_LISTS = ("female_occupations.txt", "male_occupations.txt")
_GENDERS = {"he": "male", "him": "male", "his": "male", "she": "female", "her": "female"}
_LINE = re.compile(r"(?P<number>[0-9]{1,9}) +(?P<sentence>\S.*)", re.DOTALL)
_BRACKETED = re.compile(r"\[([^\[\]]+)\]")
_DETERMINER = re.compile(r"(?:the|an?)\s+", re.IGNORECASE)
_FILE_NAME = re.compile(
    r"(?P<stereotype>pro|anti)_stereotyped_type(?P<type>[12])(?:\.txt)?(?:\.(?P<split>\w+))?"
)


def read_winobias(
    path: PathLike, *, occupations: Iterable[str] | None = None, seen: SeenIds | None = None
) -> Iterator[Outcome]:
    """Yield the usable lines of one of the ``{pro,anti}_stereotyped_type{1,2}.txt`` files.

    The text is the line without its number and brackets. It stays tokenized as in the file:
    clitics are separate words ("assistant 's").

    The occupation in brackets is the antecedent; the only other one that the line names is the
    distractor, at its first occurrence, with its article if the antecedent has one, so that both
    mentions have the same form. Two consecutive lines are a pair and one group, which pro and
    anti versions share. ``extra`` has ``stereotype`` ("pro" or "anti"), ``type`` (1 or 2) and
    ``split``, all from the file's name, and the pronoun's ``gender``.

    Lines without exactly one pronoun and one occupation in brackets are rejected, as are those
    that name no other occupation, or several.

    Args:
        path: the file.
        occupations: all occupations; by default those in the two lists beside the file.
        seen: ids already used by other files.

    Raises:
        InputError: the file or the lists of occupations are missing.
    """
    source = CaseSource(path, seen)
    reader = _LineReader(source.path, _listed(source.path) if occupations is None else occupations)
    yield from source.outcomes(read_lines(path), reader.parse)


def _listed(path: Path) -> list[str]:
    files = [path.with_name(name) for name in _LISTS]
    if missing := [file.name for file in files if not file.is_file()]:
        raise InputError(
            f"Expected the lists of occupations beside {path.name!r}, but {' and '.join(missing)} "
            "are not there. Put them there, or give the names as `occupations`."
        )
    return [row.raw.strip() for file in files for row in read_lines(file)]


class _LineReader:
    """A parser for the lines of one file."""

    def __init__(self, path: Path, occupations: Iterable[str]) -> None:
        # Longest name first: a construction worker is not a worker.
        names = sorted(occupations, key=len, reverse=True)
        self._occupation = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b", re.IGNORECASE)
        named = _FILE_NAME.fullmatch(path.name)
        self._extra: dict[str, str | int] = {}
        self._group = self._id = path.name
        if named:
            self._extra = {"stereotype": named["stereotype"], "type": int(named["type"])}
            self._extra |= {"split": named["split"]} if named["split"] else {}
            self._group = "-".join(filter(None, (f"type{named['type']}", named["split"])))
            self._id = f"{named['stereotype']}-{self._group}"

    def parse(self, row: Row) -> list[CorefCase]:
        """Return the case of a line."""
        match = _LINE.fullmatch(row.raw.rstrip())
        if not match:
            raise RowError("Expected a number, a space and a sentence.", kind="number")
        number = int(match["number"])
        text, spans = _without_brackets(match["sentence"])
        pronoun, antecedent = _roles(text, spans)
        distractor = self._distractor(text, antecedent)
        gender = _GENDERS[text[slice(*pronoun)].lower()]
        case = checked_case(
            text,
            pronoun,
            sorted([(antecedent, True), (distractor, False)]),
            group=f"{self._group}-{(number + 1) // 2}",
            id=f"{self._id}-{number}",
            extra={**self._extra, "gender": gender},
        )
        return [case]

    def _distractor(self, text: str, antecedent: Span) -> Span:
        start, end = antecedent
        hidden = text[:start] + " " * (end - start) + text[end:]
        own = {match[0].lower() for match in self._occupation.finditer(text, start, end)}
        matches = [m for m in self._occupation.finditer(hidden) if m[0].lower() not in own]
        names = sorted({match[0].lower() for match in matches})
        if len(names) != 1:
            others = "none" if not names else ", ".join(names)
            raise RowError(
                f"Expected one other occupation in the line, got {others}.", kind="occupations"
            )
        first, last = matches[0].span()
        if _DETERMINER.match(text, start, end):
            article = re.search(r"\b(?:the|an?)\s+$", text[:first], re.IGNORECASE)
            first = article.start() if article else first
        return first, last


def _without_brackets(sentence: str) -> tuple[str, list[Span]]:
    """Return the sentence without brackets, and the spans that were bracketed."""
    text, spans, place = "", [], 0
    for match in _BRACKETED.finditer(sentence):
        text += sentence[place : match.start()]
        spans.append((len(text), len(text) + len(match[1])))
        text += match[1]
        place = match.end()
    text += sentence[place:]
    if "[" in text or "]" in text:
        raise RowError("Expected brackets in pairs and not inside each other.", kind="brackets")
    return text, spans


def _roles(text: str, spans: list[Span]) -> tuple[Span, Span]:
    pronouns = [span for span in spans if text[slice(*span)].lower() in _GENDERS]
    others = [span for span in spans if span not in pronouns]
    if len(pronouns) != 1 or len(others) != 1:
        raise RowError(
            "Expected one pronoun and one occupation in brackets, got "
            f"{len(pronouns)} and {len(others)}.",
            kind="brackets",
        )
    return pronouns[0], others[0]

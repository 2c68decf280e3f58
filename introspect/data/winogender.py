"""Winogender: an occupation, another participant, and a pronoun, in 120 templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from introspect.data.outcomes import CaseSource, Outcome, SeenIds, checked_case
from introspect.errors import InputError, SelectionError
from introspect.io import PathLike, RowError, read_table
from introspect.text import CorefCase, Span

GENDERS = ("male", "female", "neutral")

_PRONOUNS = {
    "$NOM_PRONOUN": ("he", "she", "they"),
    "$POSS_PRONOUN": ("his", "her", "their"),
    "$ACC_PRONOUN": ("him", "her", "them"),
}
_TEMPLATE_COLUMNS = ("occupation(0)", "other-participant(1)", "answer", "sentence")
_SENTENCE_COLUMNS = ("sentid", "sentence")
_STATISTICS_COLUMNS = ("occupation", "bls_pct_female")


@dataclass(frozen=True)
class _Template:
    occupation: str
    participant: str
    answer: int
    sentence: str
    percent_female: float | None


def read_winogender(
    path: PathLike,
    *,
    genders: Iterable[str] = GENDERS,
    someone: bool = True,
    seen: SeenIds | None = None,
) -> Iterator[Outcome]:
    """Yield the sentences of ``templates.tsv``, or those of ``all_sentences.tsv``.

    A template yields up to six cases: each pronoun gender, with the participant named and as
    "someone". Spans follow from the template; for ``all_sentences.tsv`` the templates must be
    beside it, and a sentence that differs from its template is rejected. One version of each
    template, 120 cases: ``genders=["neutral"], someone=False``.

    The two templates of an occupation and its participant are a group. ``extra`` has
    ``occupation``, ``participant``, ``answer`` ("occupation" or "participant"), ``gender`` (of the
    pronoun), ``someone`` and, if ``occupations-stats.tsv`` is beside the file,
    ``percent_female`` (in the occupation, US Bureau of Labor Statistics).

    Args:
        path: the file.
        genders: any of "male", "female", "neutral".
        someone: whether to include the versions with "someone".
        seen: ids already used by other files.

    Raises:
        InputError: the file, the templates, or a column is missing.
        SelectionError: a gender is unknown.
    """
    chosen = _chosen(genders)
    source = CaseSource(path, seen)
    rows = read_table(path, delimiter="\t", quoting=False)
    names = source.header(rows)
    if names and names[0] == _SENTENCE_COLUMNS[0]:
        source.need(names, _SENTENCE_COLUMNS)
        parse = _sentence_parser(source.path, chosen, someone)
    else:
        source.need(names or _TEMPLATE_COLUMNS, _TEMPLATE_COLUMNS)
        parse = _template_parser(source.path, chosen, someone)
    yield from source.outcomes(
        rows, lambda row: parse(dict(zip(names or (), row.fields, strict=True)))
    )


def _chosen(genders: Iterable[str]) -> tuple[str, ...]:
    chosen = (genders,) if isinstance(genders, str) else tuple(genders)
    if not chosen or not set(chosen) <= set(GENDERS):
        raise SelectionError(
            f"Expected `genders` from {', '.join(GENDERS)}, got {', '.join(chosen) or 'none'}."
        )
    return tuple(gender for gender in GENDERS if gender in chosen)


_Parse = Callable[[dict[str, str]], list[CorefCase]]


def _template_parser(path: Path, genders: Sequence[str], someone: bool) -> _Parse:
    shares = _percent_female(path)

    def parse(values: dict[str, str]) -> list[CorefCase]:
        template = _template(values, shares)
        anonymous = (False, True) if someone else (False,)
        return [_case(template, gender, hides) for hides in anonymous for gender in genders]

    return parse


def _sentence_parser(path: Path, genders: Sequence[str], someone: bool) -> _Parse:
    cases = _cases_beside(path)

    def parse(values: dict[str, str]) -> list[CorefCase]:
        case = cases.get(values["sentid"].removesuffix(".txt"))
        if case is None:
            raise RowError(f"No template gives {values['sentid'][:80]!r}.", kind="template")
        if case.text != values["sentence"].strip():
            raise RowError(f"The template gives another sentence: {case.text!r}.", kind="template")
        is_wanted = case.extra["gender"] in genders and (someone or not case.extra["someone"])
        return [case] if is_wanted else []

    return parse


def _cases_beside(path: Path) -> dict[str, CorefCase]:
    """Return every case of the templates beside the sentences, by id."""
    templates = path.with_name("templates.tsv")
    if not templates.is_file():
        raise InputError(
            f"Expected templates.tsv beside {path.name!r}, because spans follow from the "
            "templates, but it is not there. Put it there."
        )
    outcomes = read_winogender(templates)
    return {case.id: case for case in outcomes if isinstance(case, CorefCase) and case.id}


def _percent_female(path: Path) -> dict[str, float]:
    """Return the share of women in each occupation, if that file exists."""
    statistics = path.with_name("occupations-stats.tsv")
    if not statistics.is_file():
        return {}
    source = CaseSource(statistics)
    rows = read_table(statistics, delimiter="\t", quoting=False)
    names = source.header(rows) or ()
    source.need(names, _STATISTICS_COLUMNS)
    records = [dict(zip(names, row.fields, strict=True)) for row in rows if not row.fault]
    try:
        return {values["occupation"]: float(values["bls_pct_female"]) for values in records}
    except ValueError as error:
        raise InputError(
            f"Expected numbers in the column bls_pct_female of {str(statistics)!r}, but: {error}."
        ) from error


def _template(values: dict[str, str], shares: dict[str, float]) -> _Template:
    occupation, participant, answer, sentence = (values[name] for name in _TEMPLATE_COLUMNS)
    if answer not in ("0", "1"):
        raise RowError(f"Expected 0 or 1 as the answer, got {answer[:40]!r}.", kind="type")
    marks = ("$OCCUPATION", "$PARTICIPANT", *_PRONOUNS)
    counts = [sentence.count(mark) for mark in marks]
    if counts[:2] != [1, 1] or sum(counts[2:]) != 1 or sentence.count("$") != 3:
        raise RowError(
            "Expected $OCCUPATION, $PARTICIPANT and one pronoun, each once.", kind="template"
        )
    share = shares.get(occupation)
    return _Template(occupation, participant, int(answer), sentence, share)


def _case(template: _Template, gender: str, hides: bool) -> CorefCase:
    text, spans = _filled(template, gender, hides)
    occupation, participant = spans["$OCCUPATION"], spans["$PARTICIPANT"]
    pronoun = next(span for mark, span in spans.items() if mark in _PRONOUNS)
    who = "someone" if hides else template.participant
    extra: dict[str, object] = {
        "occupation": template.occupation,
        "participant": template.participant,
        "answer": ("occupation", "participant")[template.answer],
        "gender": gender,
        "someone": hides,
    }
    if template.percent_female is not None:
        extra["percent_female"] = template.percent_female
    return checked_case(
        text,
        pronoun,
        sorted([(occupation, template.answer == 0), (participant, template.answer == 1)]),
        group=f"{template.occupation}-{template.participant}",
        id=f"{template.occupation}.{who}.{template.answer}.{gender}",
        extra=extra,
    )


def _filled(template: _Template, gender: str, hides: bool) -> tuple[str, dict[str, Span]]:
    """Return the sentence and the spans of the three words that the template leaves open."""
    words = template.sentence.split(" ")
    if hides:
        words = _without_article(words)
    person = "someone" if hides else template.participant
    filling = {"$OCCUPATION": template.occupation, "$PARTICIPANT": person}
    filling |= {mark: forms[GENDERS.index(gender)] for mark, forms in _PRONOUNS.items()}
    text, spans = "", {}
    for index, word in enumerate(words):
        text += " " if index else ""
        mark = next((mark for mark in filling if mark in word), None)
        if mark is None:
            text += "were" if word == "was" and text.endswith("they ") else word
            continue
        before, after = word.split(mark)
        filled = filling[mark]
        filled = filled if text + before else filled[0].upper() + filled[1:]
        start = len(text) + len(before)
        spans[mark] = (start, start + len(filled))
        text += before + filled + after
    return text, spans


def _without_article(words: list[str]) -> list[str]:
    """Return the words without the article, which does not precede "someone"."""
    place = next(index for index, word in enumerate(words) if "$PARTICIPANT" in word)
    if place and words[place - 1].lower() in ("the", "a", "an"):
        return words[: place - 1] + words[place:]
    return words

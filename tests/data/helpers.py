"""What the tests of the readers share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from introspect.data import Outcome, Reject
from introspect.functional import coreference as baselines
from introspect.text import CorefCase

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def collection(*parts: str) -> Path:
    """A file of the public collections; the test is skipped where they are not there."""
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the collections are missing: no {'/'.join(('shared', 'data', *parts))}")
    return path


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def split(outcomes: Iterable[Outcome]) -> tuple[list[CorefCase], list[Reject]]:
    cases: list[CorefCase] = []
    rejects: list[Reject] = []
    for outcome in outcomes:
        if isinstance(outcome, Reject):
            rejects.append(outcome)
        else:
            cases.append(outcome)
    return cases, rejects


def baseline(cases: list[CorefCase]) -> tuple[float, float]:
    """Percent right of the nearest preceding and of the first-mentioned candidate."""
    nearest = first = 0.0
    for case in cases:
        spans = [candidate.span for candidate in case.candidates]
        right = [candidate.antecedent for candidate in case.candidates]
        nearest += baselines.nearest_preceding(case.pronoun, spans, right)
        first += baselines.first_mentioned(spans, right)
    return round(100 * nearest / len(cases), 1), round(100 * first / len(cases), 1)


def marked(case: CorefCase) -> str:
    """The text with <pronoun>, [+antecedent] and [-distractor] in it."""
    signs = [(*case.pronoun, "<", ">")]
    signs += [(*c.span, "[+" if c.antecedent else "[-", "]") for c in case.candidates]
    text = case.text
    for start, end, left, right in sorted(signs, reverse=True):
        text = text[:start] + left + text[start:end] + right + text[end:]
    return text


def groups_by_size(cases: Iterable[CorefCase]) -> dict[int, int]:
    """How many groups there are of each size."""
    return dict(Counter(Counter(case.group for case in cases).values()))

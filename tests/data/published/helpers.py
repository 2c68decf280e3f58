"""What the tests of the published forms share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from introspect.data import LeftOut, Outcome, Reject
from introspect.text import CorefCase

FORMATS = Path(__file__).resolve().parents[4] / "shared" / "cases" / "formats"


def sample(name: str) -> Path:
    """A small file of a form; the test is skipped where it is not there."""
    if not (path := FORMATS / name).exists():
        pytest.skip(f"the sample is missing: no shared/cases/formats/{name}")
    return path


def sorted_out(
    outcomes: Iterable[Outcome],
) -> tuple[list[CorefCase], dict[str, int], list[Reject]]:
    """Cases, what was left out by kind, and rejects."""
    cases: list[CorefCase] = []
    left_out: Counter[str] = Counter()
    rejects: list[Reject] = []
    for outcome in outcomes:
        if isinstance(outcome, LeftOut):
            left_out[outcome.kind] += 1
        elif isinstance(outcome, Reject):
            rejects.append(outcome)
        else:
            cases.append(outcome)
    return cases, dict(left_out), rejects

"""The cases of a set as a list to search, each with what a head gives its candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from introspect.page import Section
from introspect.records import AttentionRecord
from introspect.studies.coreference import CaseList, direction_name
from introspect.text import CorefCase, counted, visible_text, whole
from introspect.views.palette import SEQUENTIAL


def cases_section(
    cases: CaseList,
    record: AttentionRecord | None = None,
    *,
    shown_whole: Mapping[int, int] | None = None,
) -> Section:
    """Build the section of a page that lists the cases.

    Args:
        cases: the cases.
        record: whose choice of a head the list follows.
        shown_whole: the cases that the page shows with all their weights, by their index, and
            where each stands in the page's list of such cases.
    """
    largest = float(np.fmax.reduce(cases.weights, axis=None, initial=0.0))
    # Norms are no shares: codes reach from 0 to 1.
    scale = max(1.0, largest)
    return Section(
        "cases",
        "All cases",
        _lead(cases),
        {
            "heads": [[head.layer, head.head, way] for head, way in cases.heads],
            "directions": {way: direction_name(way) for _, way in cases.heads},
            "isAll": len(cases.cases) == cases.num_cases,
            "scale": scale,
            "colors": SEQUENTIAL,
            "shownWhole": {str(case): place for case, place in (shown_whole or {}).items()},
        },
        record=record,
        arrays={"weights": cases.weights / scale, "credits": cases.credits},
        packed={
            "names": [visible_text(name) for name in cases.names],
            "cases": [_shown(case) for case in cases.cases],
        },
    )


def _lead(cases: CaseList) -> str:
    num_listed, num_heads = len(cases.cases), len(cases.heads)
    listed = (
        f"All {counted(num_listed, 'case')}"
        if num_listed == cases.num_cases
        else f"The first {whole(num_listed)} of {counted(cases.num_cases, 'case')}; the others are "
        "in cases.parquet"
    )
    best = (
        f"the {counted(num_heads, 'head and direction', 'heads and directions')} right most often"
    )
    which = "every head" if cases.is_every_head else best
    return (
        f"{listed}: search, sort, and choose one to read it with what a head gives each candidate. "
        f"The page has these weights, by which candidates are compared, for {which}."
    )


def _shown(case: CorefCase) -> list[Any]:
    """Return the text of a case, and its mentions as they stand in it for a script.

    Returns:
        The text, first and end of the pronoun, and of each candidate first, end, and whether it is
        an antecedent.
    """
    spans = [case.pronoun, *(candidate.span for candidate in case.candidates)]
    bounds = sorted({0, len(case.text), *(place for span in spans for place in span)})
    pieces = [visible_text(case.text[start:end]) for start, end in pairwise(bounds)]
    moved = dict(zip(bounds, _starts(pieces), strict=True))
    mentions = [
        place
        for candidate in case.candidates
        for place in (*map(moved.__getitem__, candidate.span), int(candidate.antecedent))
    ]
    return ["".join(pieces), *map(moved.__getitem__, case.pronoun), *mentions]


def _starts(pieces: Sequence[str]) -> list[int]:
    """Return where each piece begins in what a script reads, and where the last one ends."""
    starts = [0]
    for piece in pieces:
        # A script counts units of 16 bits.
        starts.append(starts[-1] + len(piece.encode("utf-16-le", "surrogatepass")) // 2)
    return starts

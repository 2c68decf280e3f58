"""The cases of a set one by one, with what the best heads give the candidates of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from introspect.data import case_from_json
from introspect.records import Head
from introspect.studies.coreference.columns import EVERY_DIRECTION, CaseColumns, ScoredCase
from introspect.studies.coreference.tables import Scores
from introspect.text import CorefCase

#: A page that lists more cases, or longer texts, would be slow to open.
MOST_CASES = 20_000
_MOST_CHARACTERS = 10_000_000
#: Weights of candidates in all; the more cases there are, the fewer heads have theirs.
_MOST_WEIGHTS = 200_000

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class CaseList:
    """Cases, and what some heads give the candidates of each.

    Args:
        names: the ids.
        cases: the cases, or the first of them where all are too many for a page.
        num_cases: how many there are in all.
        heads: the heads with numbers and the direction of each, those that are right most often
            first.
        is_every_head: whether all heads are among them, in every direction that was scored.
        weights: ``(num_heads, all_candidates)``, the candidates of all cases one after another;
            NaN where a direction cannot be observed.
        credits: ``(num_heads, cases)``; NaN where there is no choice, or it cannot be observed.
    """

    names: tuple[str, ...]
    cases: tuple[CorefCase, ...]
    num_cases: int
    heads: tuple[tuple[Head, str], ...]
    is_every_head: bool
    weights: Floats
    credits: Floats

    @classmethod
    def of(cls, columns: CaseColumns, scored: Sequence[ScoredCase], scores: Scores) -> CaseList:
        """Return the cases of a set, as many as a page can list.

        Args:
            columns: the cases with the attention to their candidates.
            scored: the same cases as numbers.
            scores: the tables, which say which heads are best.
        """
        count = _num_listed(columns)
        num_candidates = int(columns.starts[count])
        most = max(1, _MOST_WEIGHTS // num_candidates)
        every = _best_first(columns, scores)
        heads = every[:most]
        places = [
            (EVERY_DIRECTION.index(direction), columns.layers.index(head.layer), head.head)
            for head, direction in heads
        ]
        case_of = np.repeat(np.arange(count), columns.num_candidates[:count])
        weights = [columns.weights[:num_candidates, *place] for place in places]
        seen = [columns.observable[:count][case_of, *place[:2]] for place in places]
        return cls(
            names=columns.names[:count],
            cases=tuple(map(case_from_json, columns.lines[:count])),
            num_cases=len(columns),
            heads=tuple(heads),
            is_every_head=len(heads) == len(every),
            weights=np.where(seen, weights, np.nan),
            credits=np.array([[case.credit[place] for case in scored[:count]] for place in places]),
        )


def _num_listed(columns: CaseColumns) -> int:
    """Return how many of the cases a page lists, one at least."""
    lengths = np.cumsum([len(line) for line in columns.lines[:MOST_CASES]])
    return max(1, sum(1 for _ in takewhile(lambda length: length <= _MOST_CHARACTERS, lengths)))


def _best_first(columns: CaseColumns, scores: Scores) -> list[tuple[Head, str]]:
    """Return every head in every direction: the chosen one, then by how often each is right."""
    chosen = [] if scores.choice is None else [(scores.choice.head, scores.choice.direction)]
    order = scores.heads.sort_values("accuracy", ascending=False, kind="stable")
    known = [
        (Head(int(row.layer), int(row.head)), str(row.direction))
        for row in order.dropna(subset=["accuracy"]).itertuples()
    ]
    every = [
        (Head(layer, head), direction)
        for direction in EVERY_DIRECTION[: columns.weights.shape[1]]
        for layer in columns.layers
        for head in range(columns.weights.shape[-1])
    ]
    return list(dict.fromkeys([*chosen, *known, *every]))

"""Which heads attend to the antecedent, by more than any rule of position or length explains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from introspect.functional import (
    FLOOR,
    chance,
    closest_to_offsets,
    first_mentioned,
    nearest_preceding,
)
from introspect.statistics import FEWEST_GROUPS, effect_test, fold_of_groups
from introspect.studies.causal.metrics import Floats
from introspect.studies.causal.verdicts import LEVEL
from introspect.studies.coreference import Scores, candidate_distances
from introspect.text import CorefCase, segment_words

#: From the pronoun to the candidates, as the tables of scores name it.
DIRECTION = "pronoun_to_candidate"
#: How many times the weight of the best distractor the antecedent gets on the median case.
SMALLEST_RATIO = 1.5
#: What a head must beat, each on these very cases.
RIVALS = ("chance", "nearest", "first", "fewest words", "fixed offset")
_FOLDS = 5


def attending(
    scores: Scores, cases: Sequence[CorefCase], groups: Sequence[str], *, seed: int = 0
) -> pd.DataFrame:
    """Judge for each head whether its pronoun attends to the antecedent.

    A head attends to the antecedent if its choice is right more often than chance, the nearest
    preceding candidate, the first one, the one with the fewest words, and the one at the best
    fixed distance (chosen on other cases): all of these in one family with all heads, so that
    chance names a head in at most 5% of studies; and if the antecedent gets at least 1.5 times the
    weight of the best distractor on the median case.

    Args:
        scores: the scores of the cases.
        cases: the cases.
        groups: the group of each case.
        seed: the random seed of folds and of the test.

    Returns:
        A table with the columns layer, head, accuracy, weight, margin, p_adjusted (the largest over
        what the head must beat), rival (what it beats least), ratio, and attends.
    """
    table = scores.heads[scores.heads["direction"] == DIRECTION].reset_index(drop=True)
    rows = scores.cases[scores.cases["direction"] == DIRECTION]
    shape = len(cases), len(table)
    assert len(rows) == shape[0] * shape[1]  # one for each case and head
    credits = rows["credit"].to_numpy(dtype=float).reshape(shape)
    antecedent, distractor = (
        rows[name].to_numpy(dtype=float).reshape(shape)
        for name in ("antecedent_weight", "distractor_weight")
    )
    p, rival = _against(credits, rival_credits(cases, groups, seed=seed), groups, seed)
    ratio = _median_ratio(antecedent, distractor, ~np.isnan(credits))
    found = table[["layer", "head", "accuracy", "margin"]].copy()
    found["weight"] = antecedent.mean(0)
    found["p_adjusted"] = p
    found["rival"] = rival
    found["ratio"] = ratio
    found["attends"] = (p < LEVEL) & (ratio >= SMALLEST_RATIO)
    return found


def rival_credits(
    cases: Sequence[CorefCase], groups: Sequence[str], *, seed: int = 0
) -> dict[str, Floats]:
    """Return the credit of each of ``RIVALS``, by name, ``(num_cases,)``.

    With too few groups to choose a distance on others, there is none of that.
    """
    found = {name: np.empty(len(cases)) for name in RIVALS[:4]}
    for number, case in enumerate(cases):
        spans = [candidate.span for candidate in case.candidates]
        marks = [candidate.antecedent for candidate in case.candidates]
        lengths = [len(segment_words(case.phrase(span))) for span in spans]
        shortest = [mark for mark, long in zip(marks, lengths, strict=True) if long == min(lengths)]
        found["chance"][number] = chance(marks)
        found["nearest"][number] = nearest_preceding(case.pronoun, spans, marks)
        found["first"][number] = first_mentioned(spans, marks)
        found["fewest words"][number] = sum(shortest) / len(shortest)
    names = sorted(set(groups))
    if len(names) >= FEWEST_GROUPS:
        found["fixed offset"] = _by_offset(cases, groups, names, seed)
    return found


def _by_offset(
    cases: Sequence[CorefCase], groups: Sequence[str], names: Sequence[str], seed: int
) -> Floats:
    """Return the credit of the best distance to the pronoun, chosen for each fold on the others."""
    numbers = {name: number for number, name in enumerate(names)}
    index = np.array([numbers[group] for group in groups])
    distances = [candidate_distances(case) for case in cases]
    marks = [[candidate.antecedent for candidate in case.candidates] for case in cases]
    offsets = sorted({distance for each in distances for distance in each})
    credits = closest_to_offsets(distances, marks, offsets)
    fold = fold_of_groups(index, _FOLDS, seed=seed)[index]
    found = np.empty(len(cases))
    for number in range(_FOLDS):
        best = credits[fold != number].mean(0).argmax()
        found[fold == number] = credits[fold == number, best]
    return found


def _against(
    credits: Floats, rivals: dict[str, Floats], groups: Sequence[str], seed: int
) -> tuple[Floats, list[str]]:
    """Return each head's largest p-value over what it must beat, and what that is."""
    num_heads = credits.shape[1]
    # Where a head cannot observe the candidates, it is no better than its rival.
    against = np.stack([credits - rival[:, None] for rival in rivals.values()], axis=1)
    against = np.nan_to_num(against)
    test = effect_test(against.reshape(len(credits), -1), groups, seed=seed)
    p = np.where(against.mean(0) > 0, test.p_adjusted.reshape(-1, num_heads), 1.0)
    if np.isnan(test.p_adjusted).all():
        return np.full(num_heads, np.nan), [""] * num_heads
    # Of what it beats equally surely, the one that it beats by least.
    worst = np.lexsort((against.mean(0), -p), axis=0)[0]
    names = list(rivals)
    return p.max(0), [names[number] for number in worst]


def _median_ratio(antecedent: Floats, distractor: Floats, seen: np.ndarray) -> Floats:
    """Return by head how many times the distractor's weight the antecedent gets, on the median."""
    # A weight below the floor is none; where neither gets any there is no preference.
    ratios = np.maximum(antecedent, FLOOR) / np.maximum(distractor, FLOOR)
    ratios = np.where(seen, ratios, np.nan)
    found = np.full(antecedent.shape[1], np.nan)
    known = seen.any(0)
    found[known] = np.nanmedian(ratios[:, known], axis=0)
    return found

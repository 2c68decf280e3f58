"""Features of the linear probe: the attention of every head to every candidate of a case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from introspect.errors import InputError
from introspect.functional.coreference import Mention
from introspect.mentions import CorefCase
from introspect.records import AttentionRecord
from introspect.scoring import score_case
from introspect.weighting import Weights

__all__ = ["CandidateFeatures", "CaseTable", "candidate_features"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class CandidateFeatures:
    """The attention of every head to every candidate of a case.

    Args:
        name: the case's id.
        group: the case's group; cases of one group are never split.
        weights: ``(num_candidates, num_directions, num_layers, num_heads)``; 0 for all candidates
            where the mask makes a direction unobservable, which is no evidence about any of them.
        antecedents: which candidates the pronoun refers to.
        layers: the model's own layer numbers; by default counted from 0.
    """

    name: str
    group: str
    weights: Floats
    antecedents: tuple[bool, ...]
    layers: tuple[int, ...] = ()

    @property
    def is_forced_choice(self) -> bool:
        """Whether there is a right and a wrong answer."""
        return any(self.antecedents) and not all(self.antecedents)


def candidate_features(
    case: CorefCase,
    record: AttentionRecord,
    mention: Mention = "mean",
    weights: Weights = "raw",
) -> CandidateFeatures:
    """Return the features of a case: the weights of every head in both directions.

    Args:
        case: the pronoun and its candidates.
        record: attention of the case's text.
        mention: how the word pairs of two mentions are combined into one number.
        weights: ``raw``, ``renormalised`` or ``norm``.

    Raises:
        MentionError: a mention cannot be found among the tokens.
    """
    directions = score_case(record, case, mention=mention, weights=weights)
    given = [(d.weights * d.observable[:, None]).numpy() for d in directions]
    name = case.id if case.id is not None else case.text
    return CandidateFeatures(
        name=name,
        group=case.group if case.group is not None else name,
        weights=np.stack(given, axis=1),
        antecedents=tuple(candidate.antecedent for candidate in case.candidates),
        layers=directions[0].layers,
    )


@dataclass(frozen=True, eq=False)
class CaseTable:
    """Cases as arrays, padded to the same number of candidates.

    Only differences within a case affect a choice, so the mean over its candidates is subtracted.

    Args:
        values: ``(num_cases, num_candidates, num_features)``, centered; 0 for padding candidates.
        real: ``(num_cases, num_candidates)``, whether there is a candidate.
        groups: ``(num_cases,)``, group numbers.
    """

    values: Floats
    real: npt.NDArray[np.bool_]
    groups: Integers

    @classmethod
    def of(cls, cases: Sequence[CandidateFeatures]) -> CaseTable:
        """Build the table from the cases of one model, in their order."""
        _check_alike(cases)
        most = max(len(case.antecedents) for case in cases)
        values = np.zeros((len(cases), most, cases[0].weights[0].size))
        real = np.zeros(values.shape[:2], dtype=bool)
        for number, case in enumerate(cases):
            flat = case.weights.reshape(len(case.weights), -1)
            values[number, : len(flat)] = flat - flat.mean(0)
            real[number, : len(flat)] = True
        numbers: dict[str, int] = {}
        groups = [numbers.setdefault(case.group, len(numbers)) for case in cases]
        return cls(values, real, np.array(groups, dtype=np.intp))

    def take(self, chosen: npt.NDArray[np.bool_]) -> CaseTable:
        """Select some of the cases, and renumber their groups."""
        _, groups = np.unique(self.groups[chosen], return_inverse=True)
        return CaseTable(self.values[chosen], self.real[chosen], groups)

    def deviations(self) -> Floats:
        """Compute the standard deviation of each feature within cases."""
        found: Floats = np.sqrt((self.values**2).sum((0, 1)) / self.real.sum())
        return found

    def scores(self, weights: Floats) -> Floats:
        """Compute the log-odds of each candidate, ``(num_cases, num_candidates, num_problems)``."""
        found: Floats = self.values @ weights
        return found


def _check_alike(cases: Sequence[CandidateFeatures]) -> None:
    if not cases:
        raise InputError("Expected at least one case with a right and a wrong candidate, got none.")
    first = cases[0]
    for case in cases:
        if (case.weights.shape[1:], case.layers) != (first.weights.shape[1:], first.layers):
            raise InputError(
                f"Expected features of one model, got directions, layers and heads of "
                f"{first.weights.shape[1:]} for {first.name!r} and {case.weights.shape[1:]} for "
                f"{case.name!r}."
            )
        if len(case.weights) != len(case.antecedents):
            raise InputError(
                f"Expected weights of {len(case.antecedents)} candidates for {case.name!r}, got "
                f"{len(case.weights)}."
            )

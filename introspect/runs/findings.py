"""Findings of a set of scored cases, for its report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from introspect.data import case_from_json
from introspect.models import Model
from introspect.records import AttentionRecord, Weights, parts_for, resegmented
from introspect.runs.batches import Segment
from introspect.runs.tables import Gathered
from introspect.statistics import FEWEST_GROUPS
from introspect.studies.coreference import (
    EVERY_DIRECTION,
    Bias,
    CandidateFeatures,
    CaseColumns,
    Occupation,
    OccupationBias,
    Options,
    PairShifts,
    PairVersion,
    ProbeResult,
    ScoredCase,
    Scores,
    against_table,
    bias_table,
    held_out_interval,
    linear_probe,
    occupation_bias,
    pair_shifts,
    scores_of,
)
from introspect.text import CorefCase, counted, percent, whole

#: The most cases that the linear probe is trained on.
LINEAR_PROBE_CASES = 2_000

_CONTRASTS = (("stereotype", ("pro", "anti")), ("gender", ("male", "female")))
_HARDEST = 8
_SHOWN_PAIRS = 6


@dataclass(frozen=True)
class CaseSet:
    """Scored cases and the findings that they give.

    Args:
        columns: the cases.
        scored: the same cases in the form that the tables are made from.
        options: the numbers of resamples and permutations, and the random seed.
    """

    columns: CaseColumns
    scored: Sequence[ScoredCase]
    options: Options

    @classmethod
    def of(cls, gathered: Gathered, options: Options) -> CaseSet | None:
        """Return the cases of a probe, or ``None`` if none was scored."""
        if gathered.cases is None:
            return None
        return cls(gathered.cases.columns, gathered.scored, options)

    @cached_property
    def num_groups(self) -> int:
        """The number of groups of cases."""
        return len(set(self.columns.shared_groups))

    def case(self, index: int) -> CorefCase:
        """Return one of the cases as it was given."""
        return case_from_json(self.columns.lines[index])

    def linear(self, *, control: bool = True) -> tuple[ProbeResult | None, str | None]:
        """Return the linear probe on all heads and a note; both are ``None`` for few groups."""
        indices = [i for i, case in enumerate(self.scored) if case.is_forced_choice]
        if len({self.scored[i].group for i in indices}) < FEWEST_GROUPS:
            return None, None
        note = None
        if len(indices) > LINEAR_PROBE_CASES:
            chosen = self._drawn(indices)
            note = (
                f"the linear probe was trained and scored on {whole(len(chosen))} of the "
                f"{counted(len(indices), 'case')}, whole groups drawn by the seed"
            )
            indices = chosen
        features = [CandidateFeatures.of(self.columns, i) for i in indices]
        return linear_probe(features, seed=self.options.seed, control=control), note

    def _drawn(self, indices: Sequence[int]) -> list[int]:
        """Draw whole groups at random, up to the limit of cases."""
        members: dict[str, list[int]] = {}
        for index in indices:
            members.setdefault(self.scored[index].group, []).append(index)
        groups = list(members)
        kept: list[int] = []
        for number in np.random.default_rng(self.options.seed).permutation(len(groups)):
            own = members[groups[number]]
            if len(kept) + len(own) > LINEAR_PROBE_CASES:
                break
            kept += own
        return sorted(kept)

    @cached_property
    def kinds(self) -> tuple[tuple[str | None, ...], tuple[str, str]] | None:
        """The kind of each case and the two to compare, if the collection labels them."""
        for key, contrast in _CONTRASTS:
            if f'"{key}"' not in self.columns.lines[0]:
                continue
            raw_labels = [json.loads(line).get(key) for line in self.columns.lines]
            labels = tuple(None if label is None else str(label) for label in raw_labels)
            # A contrast compares versions of the same text: passages of two genders that only
            # share a page also differ in everything else.
            if 2 * self._groups_with(labels, contrast) > self.num_groups:
                return labels, contrast
        return None

    def bias(self) -> Bias | None:
        """Return the difference between two kinds of cases, if the collection labels them."""
        if self.kinds is None:
            return None
        labels, contrast = self.kinds
        return bias_table(self.scored, labels, contrast, self.options)

    def occupations(self) -> OccupationBias | None:
        """Return how occupations are chosen by their share of women, if the collection has both."""
        known = self._occupations
        return occupation_bias(self.scored, known, self.options) if known else None

    @cached_property
    def _occupations(self) -> list[Occupation | None]:
        """The occupation that each case is about; empty if the collection names none."""
        if '"percent_female"' not in self.columns.lines[0]:
            return []
        known = [Occupation.of(json.loads(line)) for line in self.columns.lines]
        return known if any(one is not None and one.gender != "neutral" for one in known) else []

    @property
    def labels(self) -> pd.DataFrame:
        """Return what bias is measured by, one row for each case; no column if the set has none."""
        found = pd.DataFrame(index=range(len(self.scored)))
        if self.kinds is not None:
            found["kind"] = self.kinds[0]
        if known := self._occupations:
            found["occupation"] = [one and one.name for one in known]
            found["share_of_women"] = [one and one.share_of_women for one in known]
            found["gender"] = [one and one.gender for one in known]
            found["is_occupation"] = [one and one.is_answer for one in known]
        return found

    def _groups_with(self, labels: Sequence[str | None], contrast: Sequence[str]) -> int:
        """Count the groups that hold a case of each kind."""
        held: dict[str, set[str | None]] = {}
        for group, label in zip(self.columns.groups, labels, strict=True):
            held.setdefault(group, set()).add(label)
        return sum(set(contrast) <= labels_held for labels_held in held.values())

    @cached_property
    def pairs(self) -> PairShifts | None:
        """The shifts within minimal pairs, or ``None`` if there are no pairs."""
        versions = [PairVersion.of(self.columns, i) for i in range(len(self.columns))]
        shifts = pair_shifts(versions, options=self.options)
        return shifts if shifts.pairs else None

    def shown_pairs(
        self, pairs: PairShifts | None, capture: Capture
    ) -> tuple[tuple[tuple[CorefCase, AttentionRecord], ...], ...]:
        """Capture some pairs to show side by side, the version with the earlier answer first."""
        if pairs is None:
            return ()
        shown = []
        for group in pairs.pairs[:_SHOWN_PAIRS]:
            members = [i for i, name in enumerate(self.columns.groups) if name == group]
            shown.append(sorted(map(self.case, members), key=lambda c: c.antecedents[0].span))
        records = iter(capture.many([case.text for cases in shown for case in cases]))
        return tuple(tuple((case, next(records)) for case in cases) for cases in shown)

    def hardest(
        self, scores: Scores, capture: Capture
    ) -> tuple[tuple[CorefCase, AttentionRecord, float], ...]:
        """Capture once more the cases that the chosen head gets most wrong, to show them."""
        if scores.choice is None:
            return ()
        place = self._place(scores)
        gaps = [
            (float(case.antecedent_weight[place] - case.distractor_weight[place]), index)
            for index, case in enumerate(self.scored)
            if case.is_forced_choice and case.credit[place] < 1
        ]
        worst = [(self.case(index), gap) for gap, index in sorted(gaps)[:_HARDEST]]
        records = capture.many([case.text for case, _ in worst])
        return tuple(
            (case, record, gap) for (case, gap), record in zip(worst, records, strict=True)
        )

    def _place(self, scores: Scores) -> tuple[int, int, int]:
        """Return the direction, layer, and head of the choice as indices."""
        assert scores.choice is not None, "nothing was chosen"
        head = scores.choice.head
        return (
            EVERY_DIRECTION.index(scores.choice.direction),
            self.columns.layers.index(head.layer),
            head.head,
        )


@dataclass(frozen=True)
class Capture:
    """A function that captures texts once more, divided into the words that were scored.

    A probe keeps rows of mentions at most, and a view needs the whole pattern of its text.
    """

    model: Model
    weights: Weights = "raw"
    segment: Segment | None = None

    def __call__(self, text: str, *, certify: bool = False) -> AttentionRecord:
        """Return the record of a text."""
        return self._divided(self.model.capture(text, include=self._include, certify=certify))

    def many(self, texts: Sequence[str]) -> list[AttentionRecord]:
        """Return the records of several texts, which run in batches."""
        return [self._divided(r) for r in self.model.capture_many(texts, include=self._include)]

    @property
    def _include(self) -> tuple[str, ...]:
        return ("attentions", *parts_for(self.weights))

    def _divided(self, record: AttentionRecord) -> AttentionRecord:
        return resegmented(record, self.segment) if self.segment else record


def with_null(scores: Scores, null: Sequence[CaseSet], options: Options) -> Scores:
    """Add the held-out choice of a head with random weights as a baseline: the mean over seeds.

    Args:
        scores: the scores of the model itself.
        null: the same cases with random weights, for each seed.
        options: the numbers of draws, and the random seed.
    """
    if scores.choice is None or not null:
        return scores
    few = replace(options, permutations=1, selections=1)
    each = [scores_of(cases.scored, pd.DataFrame(), few) for cases in null]
    accuracies = tuple(one.choice.accuracy for one in each if one.choice is not None)
    if len(accuracies) < len(each):
        return scores
    by_case = [
        scores.held_out[["id"]].merge(one.held_out[["id", "credit"]], how="left", on="id")["credit"]
        for one in each
    ]
    credits = np.mean([one.fillna(0.5).to_numpy(dtype=float) for one in by_case], axis=0)
    ends = held_out_interval(credits.tolist(), scores.held_out["group"].tolist())
    row = ("random_weights", len(credits), float(np.mean(accuracies)), *ends)
    baselines = pd.DataFrame([row], columns=list(scores.baselines.columns))
    against = against_table(scores.held_out, {"random_weights": credits.tolist()}, options)
    return replace(
        scores,
        baselines=pd.concat([scores.baselines, baselines], ignore_index=True),
        against=pd.concat([scores.against, against], ignore_index=True),
        random_weights=accuracies,
        notes=(*scores.notes, *_drawn(accuracies)),
    )


def _drawn(accuracies: Sequence[float]) -> list[str]:
    """Say between which figures the draws of random weights are."""
    if len(accuracies) < 2:
        return []
    ends = f"{percent(min(accuracies))} to {percent(max(accuracies))}"
    return [
        f"random weights were drawn {len(accuracies)} times, with held-out accuracies of {ends}"
    ]

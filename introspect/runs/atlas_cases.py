"""The cases that an atlas stands beside: scored as a probe scores them, in the atlas's folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from introspect.data import (
    Inputs,
    InputSet,
    Reject,
    check_unchanged,
    fingerprint,
    input_set,
    reject_to_json,
    state_of_inputs,
)
from introspect.errors import InputError
from introspect.io import OF_CASES, SHARDS, write_lines
from introspect.models import BatchLimits
from introspect.reporting import AtlasCases
from introspect.runs.atlas_writes import without_unembedding
from introspect.runs.batches import Long
from introspect.runs.corpus_run import CorpusRun
from introspect.runs.findings import CaseSet
from introspect.runs.jobs import Work
from introspect.runs.rows import ProbeRow, check_readable, name_of, no_result, read_rows
from introspect.runs.run import DEFAULT
from introspect.runs.tables import gather
from introspect.runs.worker import Worker, WorkerOptions, chosen_analyzers
from introspect.studies.analyzer import Floats
from introspect.studies.atlas import AtlasSums, Rule, reference_rule, reference_table
from introspect.studies.coreference import CaseColumns, Scores, scores_of
from introspect.text import CorefCase

#: The file of the cases without a result.
REJECTS = "cases_rejects.jsonl"


@dataclass(frozen=True, eq=False)
class GivenCases:
    """Cases that were given to an atlas.

    Args:
        inputs: the cases.
        options: how they are scored: as a probe does by default.
        state: their files as they were when the run began.
    """

    inputs: InputSet
    options: WorkerOptions
    state: Any

    @classmethod
    def of(
        cls,
        cases: Inputs | InputSet,
        *,
        layers: tuple[int, ...] | None,
        long: Long,
        limits: BatchLimits,
    ) -> GivenCases:
        """Return cases to score.

        Raises:
            InputError: they cannot be read.
            SelectionError: they are no cases.
        """
        reading = input_set(cases)
        options = WorkerOptions(
            analyzers=chosen_analyzers("coreference", reading),
            layers=layers,
            long=long,
            limits=limits,
        )
        check_readable(reading)
        return cls(reading, options, state_of_inputs(reading.files))

    @cached_property
    def plan(self) -> dict[str, Any]:
        """Return what the results depend on, besides what the corpus does."""
        return {
            "cases": fingerprint(self.inputs.files),
            "cases_read": [layout.facts for layout in self.inputs.layouts],
        }

    def rule(self) -> Rule:
        """Return the rule that is measured on the corpus, from the words of the cases."""
        rows = (row.item for row in read_rows(self.inputs) if isinstance(row, ProbeRow))
        return reference_rule(item for item in rows if isinstance(item, CorefCase))

    def scored(self, run: CorpusRun) -> ScoredCases:
        """Run the cases through the model.

        Raises:
            InputError: they have changed meanwhile.
        """
        worker = Worker(without_unembedding(run.model), self.options, lanes=run.lanes)
        work = run.work(worker, "scoring the cases", f"{SHARDS}/{OF_CASES}", self.inputs)
        # What was read has to be what the plan says, to the last byte.
        if state_of_inputs(self.inputs.files) != self.state:
            check_unchanged(self.inputs.files, self.plan["cases"])
        return ScoredCases(self.inputs, work)


@dataclass(frozen=True, eq=False)
class ScoredCases:
    """Cases that the model has read.

    Args:
        inputs: the cases.
        work: their finished shards.
    """

    inputs: InputSet
    work: Work

    def found(self, sums: AtlasSums, place: Path) -> AtlasCases:
        """Return their scores beside what the heads do on the corpus; list those without any.

        Args:
            sums: what was collected on the corpus.
            place: where results are written.

        Raises:
            InputError: no case has a result, or none offers a choice.
        """
        gathered = gather(self.work.store, self.work.entries)
        rejects = gathered.rejects()
        write_lines(place / REJECTS, map(reject_to_json, rejects))
        found = CaseSet.of(gathered, DEFAULT)
        if found is None or not found.scored:
            raise no_result(self.inputs, gathered.counts.rejected, _first(rejects))
        name = name_of(self.inputs)
        if not any(case.is_forced_choice for case in found.scored):
            raise InputError(
                f"Expected cases with an antecedent and another candidate in {name!r}, got none. "
                "Mark candidates of both kinds."
            )
        pairs = () if found.pairs is None else found.pairs.pairs
        scores = scores_of(found.scored, pd.DataFrame(), DEFAULT, pairs=pairs)
        return AtlasCases(
            name=name,
            read=tuple(self.inputs.words),
            scores=scores,
            table=coreference_table(found.columns, scores, reference_table(sums)),
            num_rejected=gathered.counts.rejected,
        )


def _first(rejects: Sequence[Reject]) -> Reject | None:
    return next(iter(rejects), None)


def coreference_table(
    columns: CaseColumns, scores: Scores, on_corpus: pd.DataFrame
) -> pd.DataFrame:
    """Return one row for each head: its figures on the cases, and on the corpus.

    ``accuracy``, its interval, ``p_adjusted`` and ``n`` are the probe's, from pronoun to candidate,
    and with ``reverse_`` before them from candidate to pronoun. ``antecedent_share`` and
    ``distractor_share`` are the shares of the pronoun's attention, summed over the words of the
    mention, in the mean over the cases of forced choice. ``chosen`` is the share of the divisions
    in which the head was chosen without the cases that it is scored on.

    Args:
        columns: the scored cases.
        scores: their tables.
        on_corpus: the table of ``reference_table``.
    """
    names = ("n", "accuracy", "ci_low", "ci_high", "p_adjusted")
    heads = scores.heads
    found = on_corpus
    for direction, before in (("pronoun_to_candidate", ""), ("candidate_to_pronoun", "reverse_")):
        own = heads[heads["direction"] == direction][["layer", "head", *names]]
        own = own.rename(columns={name: f"{before}{name}" for name in names})
        found = (
            own.merge(found, how="right", on=["layer", "head"])
            if not before
            else found.merge(own, how="left", on=["layer", "head"])
        )
    shares = _shares(columns)
    found["antecedent_share"], found["distractor_share"] = shares
    chosen = {} if scores.choice is None else scores.choice.frequencies
    share = dict.fromkeys(zip(found["layer"], found["head"], strict=True), 0.0)
    for head, _, frequency in chosen:
        share[head.layer, head.head] = share.get((head.layer, head.head), 0.0) + frequency
    found["chosen"] = list(share.values())
    return found


def _shares(columns: CaseColumns) -> tuple[Floats, Floats]:
    """Return the mean share of the likeliest antecedent and distractor, of all heads in order."""
    of_mentions = columns.weights[:, 0] * columns.lengths[:, None, None]
    best = []
    for case in range(len(columns)):
        own = columns.of(case)
        is_antecedent = columns.antecedents[own]
        if is_antecedent.all() or not is_antecedent.any():
            continue
        is_seen = columns.observable[case, 0][:, None]
        pair = [of_mentions[own][flags].max(0) for flags in (is_antecedent, ~is_antecedent)]
        best.append([np.where(is_seen, share, np.nan).ravel() for share in pair])
    with np.errstate(invalid="ignore"):
        every: Floats = np.array(best)
        seen = (~np.isnan(every)).sum(0)
        antecedent, distractor = np.nansum(every, 0) / np.where(seen, seen, np.nan)
    return antecedent, distractor

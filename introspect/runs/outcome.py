"""The output of a probe: a table for each analyzer, a summary for programs, and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from introspect.io import (
    ATTENTION,
    as_json,
    replacing,
    write_atomically,
    write_lines,
)
from introspect.records import AttentionRecord
from introspect.reporting import (
    Report,
    SetFindings,
    patterns_report,
    provenance_rows,
    rejected_notices,
    sentence_report,
    set_report,
    syntax_report,
)
from introspect.runs.corpus_run import CorpusRun, FinishedRun
from introspect.runs.findings import Capture, CaseSet, with_null
from introspect.runs.jobs import Work
from introspect.runs.saved_attention import INDEX
from introspect.runs.tables import Gathered, gather
from introspect.runs.worker import Worker, segmenter
from introspect.studies.atlas import Atlas
from introspect.studies.coreference import (
    CaseList,
    Choice,
    Options,
    ProbeResult,
    Scores,
    scores_of,
)
from introspect.text import counted


@dataclass(frozen=True)
class Outcome:
    """All findings of a probe.

    Args:
        run: what the finished run knows.
        null: the combined results with random weights, one for each seed, if requested.
        options: the numbers of resamples and permutations, and the random seed.
        atlas: an atlas of the model, to say what else the heads that are named do.
    """

    run: FinishedRun
    null: Sequence[Gathered]
    options: Options
    atlas: Atlas | None = None

    @property
    def gathered(self) -> Gathered:
        """The combined results of all shards."""
        return self.run.gathered

    @cached_property
    def record(self) -> AttentionRecord:
        """The record of the sample, with its certificate."""
        return self._capture(self.run.sample, certify=True)

    @cached_property
    def _capture(self) -> Capture:
        options = self.run.worker.options
        return Capture(self.run.worker.model, options.weights, segmenter(options.segment))

    @cached_property
    def cases(self) -> CaseSet | None:
        """The cases, or ``None`` if none was scored."""
        return CaseSet.of(self.gathered, self.options)

    @cached_property
    def scores(self) -> Scores | None:
        """The tables of cases, the largest of which is read from its file."""
        if self.cases is None:
            return None
        pairs = self.cases.pairs
        scores = scores_of(
            self.cases.scored,
            self.run.folder / "cases.parquet",
            self.options,
            pairs=() if pairs is None else pairs.pairs,
        )
        return with_null(scores, self._random, self.options)

    @cached_property
    def _random(self) -> list[CaseSet]:
        """The cases scored with random weights, for each seed."""
        found = [CaseSet.of(gathered, self.options) for gathered in self.null]
        return [cases for cases in found if cases is not None]

    @property
    def labels(self) -> pd.DataFrame:
        """Return what the set says of each case of forced choice: its kind, its occupation."""
        if self.cases is None:
            return pd.DataFrame()
        offered = [case.is_forced_choice for case in self.cases.scored]
        return self.cases.labels[offered].reset_index(drop=True)

    @cached_property
    def findings(self) -> SetFindings | None:
        """The findings for the report of the cases."""
        if self.cases is None or self.scores is None:
            return None
        linear, note = self.cases.linear()
        scores = self.scores
        if note is not None:
            scores = replace(scores, notes=(*scores.notes, note))
        pairs = self.cases.pairs
        random = [one for cases in self._random if (one := cases.linear(control=False)[0])]
        return SetFindings(
            name=self.run.name,
            read=self.run.read,
            scores=scores,
            num_cases=len(self.cases.scored),
            num_groups=self.cases.num_groups,
            linear=linear,
            linear_random=tuple(one.accuracy for one in random),
            bias=self.cases.bias(),
            occupations=self.cases.occupations(),
            pairs=pairs,
            shown_pairs=self.cases.shown_pairs(pairs, self._capture),
            rejects=self.gathered.rejects(),
            num_rejected=self.gathered.counts.rejected,
            record=self.record,
            weights=self.run.worker.options.weights,
            hardest=self.cases.hardest(scores, self._capture),
            listed=CaseList.of(self.cases.columns, self.cases.scored, scores),
            command=self.run.command,
            atlas=self.atlas,
        )

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The table of each analyzer of texts."""
        return {name: analyzer.compute() for name, analyzer in self.gathered.analyzers.items()}

    @cached_property
    def pages(self) -> dict[str, Report]:
        """The reports by file name: of the cases, and of the analyzers of texts."""
        pages = {}
        if self.findings is not None:
            pages["report.html"] = set_report(self.findings)
        for name, (file, make) in self._text_pages.items():
            if name in self.tables:
                pages[file if pages else "report.html"] = make()
        return pages

    @cached_property
    def relations(self) -> pd.DataFrame | None:
        """The table of relations, where trees were read."""
        if "syntax" not in self.tables:
            return None
        return self.gathered.analyzers["syntax"].relations(self.tables["syntax"])

    @property
    def _text_pages(self) -> dict[str, tuple[str, Callable[[], Report]]]:
        """The file name of each analyzer's page beside another, and the function that builds it."""
        common: dict[str, Any] = {
            "read": self.run.read,
            "example": self.record,
            "notices": rejected_notices(self.gathered.counts.rejected),
            "command": self.run.command,
            "atlas": self.atlas,
        }
        certificate = self.record.certificate
        return {
            "roles": (
                "heads.html",
                lambda: sentence_report(
                    self.run.name,
                    self.tables["roles"],
                    certificate,
                    similarity=self.gathered.analyzers.get("similarity"),
                    **common,
                ),
            ),
            "syntax": (
                "syntax.html",
                lambda: syntax_report(
                    self.run.name,
                    self.relations,
                    certificate,
                    num_texts=self.gathered.counts.rows,
                    **common,
                ),
            ),
            "patterns": (
                "patterns.html",
                lambda: patterns_report(
                    self.run.name, self.tables["patterns"], certificate, **common
                ),
            ),
        }

    @property
    def finding(self) -> str:
        """The headline, as plain text."""
        for page in self.pages.values():
            return page.finding
        files = ", ".join(f"{name}.csv" for name in self.tables)
        texts = counted(self.gathered.counts.rows, "text")
        return f"{texts} of {self.run.name}; the tables are in {files}."


def write_outcome(outcome: Outcome, place: Path) -> None:
    """Write all tables and pages, and the summary last.

    Args:
        outcome: the findings.
        place: where results are until all of them are written.
    """
    if outcome.findings is not None:
        write_table(place, "heads", outcome.findings.scores.heads)
        write_evidence(place, outcome.findings.scores, outcome.labels)
        if outcome.findings.pairs is not None:
            _write_csv(place / "minimal_pairs.csv", outcome.findings.pairs.table)
    for name, table in outcome.tables.items():
        write_table(place, name, table)
        if name == "similarity":
            _write_csv(place / "clusters.csv", outcome.gathered.analyzers[name].map())
    if outcome.relations is not None:
        _write_csv(place / "relations.csv", outcome.relations)
    if outcome.gathered.saved:
        write_lines(outcome.run.folder / ATTENTION / INDEX, outcome.gathered.saved)
    for name, page in outcome.pages.items():
        write_atomically(place / name, page.html)
    write_atomically(place / "summary.json", as_json(_summary(outcome)))


def write_evidence(place: Path, scores: Scores, labels: pd.DataFrame | None = None) -> None:
    """Write what the figures of a set rest on: the baselines, and the credits of each case.

    Args:
        place: the folder.
        scores: the tables.
        labels: what the set says of each case, where it compares kinds or occupations.
    """
    _write_csv(place / "baselines.csv", scores.baselines)
    held_out = scores.held_out
    if labels is not None and len(labels) == len(held_out) > 0:
        held_out = pd.concat([held_out, labels], axis=1)
    _write_csv(place / "held_out.csv", held_out)


def write_table(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table as Parquet and as CSV."""
    with replacing(folder / f"{name}.parquet") as place:
        table.to_parquet(place, index=False)
    _write_csv(folder / f"{name}.csv", table)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_atomically(path, table.to_csv(index=False))


def _summary(outcome: Outcome) -> dict[str, Any]:
    gathered = outcome.gathered
    return {
        "finding": outcome.finding,
        **({} if outcome.findings is None else _of_cases(outcome.findings)),
        "claims": [claim.to_json() for page in outcome.pages.values() for claim in page.claims],
        "analyzers": list(outcome.run.worker.options.analyzers),
        "texts": gathered.counts.rows,
        "tokens": gathered.counts.tokens,
        "texts_from_cache": gathered.counts.kept,
        "rejected": gathered.counts.rejected,
        "timings": outcome.run.timings,
        "capture": {
            "routes": gathered.counts.routes,
            "largest_head_output_error": gathered.counts.largest_error,
            "batches_divided_for_want_of_memory": gathered.counts.backoffs,
        },
        "provenance": dict(provenance_rows(outcome.record.certificate, outcome.run.command)),
    }


def _of_cases(findings: SetFindings) -> dict[str, Any]:
    scores = findings.scores
    return {
        **_of_choice(scores.choice),
        "baselines": scores.baselines.to_dict("records"),
        "against": scores.against.to_dict("records"),
        "random_weights": list(scores.random_weights),
        "linear_probe": _of_linear(findings.linear, findings.linear_random),
        "n": len(scores.held_out) or None,
        "num_groups": findings.num_groups,
        "outside_forced_choice": len(scores.outside_forced_choice),
        "minimal_pairs": [] if findings.pairs is None else list(findings.pairs.pairs),
        "notes": list(scores.notes),
    }


def _of_choice(choice: Choice | None) -> dict[str, Any]:
    if choice is None:
        return {"selected": [], "held_out": None, "in_sample": None}
    held_out = ("accuracy", "ci_low", "ci_high", "p_value", "n")
    return {
        "selected": [
            {**head._asdict(), "direction": direction, "share": share}
            for head, direction, share in choice.frequencies
        ],
        "held_out": {name: getattr(choice, name) for name in held_out},
        "in_sample": {
            **choice.in_sample_head._asdict(),
            "direction": choice.in_sample_direction,
            "accuracy": choice.in_sample_accuracy,
        },
    }


def _of_linear(
    linear: ProbeResult | None, random_weights: Sequence[float]
) -> dict[str, Any] | None:
    if linear is None:
        return None
    return {
        "accuracy": linear.accuracy,
        "ci_low": linear.ci_low,
        "ci_high": linear.ci_high,
        "in_sample_accuracy": linear.in_sample_accuracy,
        "shuffled_labels": linear.control_accuracy,
        "control_task": linear.control_task,
        "code_length": linear.code_length,
        "uniform_code": linear.uniform_code,
        "random_weights": list(random_weights),
    }


def finish(
    run: CorpusRun,
    worker: Worker,
    work: Work,
    null: Sequence[Work],
    options: Options,
    atlas: Atlas | None,
) -> Outcome:
    """Write the tables and the report from the finished shards.

    Raises:
        InputError: the input has changed, or no row has a result; the rejected ones are written.
        OutputError: a result cannot be written or put in place.
    """

    def write(finished: FinishedRun) -> Outcome:
        random = [gather(one.store, one.entries) for one in null]
        outcome = Outcome(finished, random, options, atlas)
        write_outcome(outcome, finished.place)
        return outcome

    return run.finish(worker, work, "gathering results", write)

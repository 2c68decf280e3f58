"""The result of a probe: its figures and its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from introspect.analyzers.coreference import Scores
from introspect.cases import Reject, reject_from_json

__all__ = ["ProbeRun"]


@dataclass(frozen=True)
class ProbeRun:
    """The results of a probe and their folder.

    Args:
        folder: the folder with the tables and the report.
        scores: the tables of cases; ``None`` if none was scored.
        analyzers: the analyzers of texts, with all their results.
        finding: the headline, as plain text.
        report: the report page; ``None`` if there are only tables.
        num_rejected: rows without a result; ``rejects.jsonl`` lists them with their reasons.
    """

    folder: Path
    scores: Scores | None
    analyzers: dict[str, Any]
    finding: str
    report: Path | None
    num_rejected: int

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {str(self.folder)!r}: {self.finding or 'tables only'}>"

    def lines(self) -> list[tuple[str, str]]:
        """Return the key figures as names and values."""
        summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        timings = summary["timings"]
        found = [
            ("Texts", f"{summary['texts']:,}, {summary['tokens']:,} tokens"),
            ("Rejected", f"{self.num_rejected:,}"),
            (
                "Model",
                f"{timings['model']:.0f} s, {timings['rows_per_second']:,.0f} texts a second",
            ),
        ]
        if self.scores is None or self.scores.choice is None:
            return found
        choice = self.scores.choice
        found += [
            ("Held out", _percent(choice.accuracy, choice.ci_low, choice.ci_high)),
            ("Most often chosen", f"{choice.head}, {choice.direction}"),
            ("Best in-sample", f"{choice.in_sample_head}, {_percent(choice.in_sample_accuracy)}"),
        ]
        baselines = self.scores.baselines.itertuples()
        return found + [
            (row.baseline, _percent(row.accuracy, row.ci_low, row.ci_high)) for row in baselines
        ]

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """All rows without a result, read from the folder."""
        with (self.folder / "rejects.jsonl").open(encoding="utf-8") as lines:
            return tuple(map(reject_from_json, lines))


def _percent(value: float, low: float | None = None, high: float | None = None) -> str:
    ends = "" if low is None or high is None else f" (95 %: {100 * low:.1f}–{100 * high:.1f})"
    return f"{100 * value:.1f} %{ends}"

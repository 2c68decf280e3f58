"""What cases say of the heads of an atlas, and how much of their attention has to do with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.reporting.set_words import finding_of_choice
from introspect.statistics import SIGNIFICANT, Claim
from introspect.studies.coreference import Scores, baseline_name
from introspect.text import counted, p_value, percent, percent_ends, percent_interval

#: What is counted on a corpus without parts of speech, in words.
COUNTED = (
    "Where the corpus has parts of speech, a possible antecedent is a noun or a name before a word "
    "tagged as a pronoun. Elsewhere a pronoun is one of the cases, or of the list of their "
    "language; a possible antecedent is a word before it that ends a candidate of the cases, or "
    "has a capital letter and does not begin a sentence. Nothing says that it is the antecedent."
)
# Heads of a choice that are named on the index.
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class AtlasCases:
    """Cases that were scored beside an atlas.

    Args:
        name: the name of their file.
        read: what was read, in sentences.
        scores: their tables, as a probe makes them.
        table: one row for each head, see ``coreference_table``.
        num_rejected: the number of cases without a result.
    """

    name: str
    read: tuple[str, ...]
    scores: Scores
    table: pd.DataFrame
    num_rejected: int

    @cached_property
    def _rows(self) -> dict[tuple[int, int], Any]:
        return {(row.layer, row.head): row for row in self.table.itertuples()}

    def row(self, head: Head) -> Any:
        """Return the row of a head."""
        return self._rows[head.layer, head.head]

    @property
    def chosen(self) -> list[Head]:
        """The heads that the held-out choice names, most often first."""
        table = self.table[self.table["chosen"] > 0]
        table = table.sort_values("chosen", ascending=False, kind="stable")
        return [Head(int(row.layer), int(row.head)) for row in table.itertuples()]

    @cached_property
    def choice(self) -> tuple[Claim, ...]:
        """Return what the probe of the cases claims, the headline first."""
        return finding_of_choice(self.scores).claims

    def index_sentences(self, sentences: dict[Head, str]) -> list[str]:
        """Say what the cases show, and what else the heads do that they name.

        Args:
            sentences: the sentence of each head on the corpus.
        """
        named = [
            f"The cases name *{head}*. {self.on_corpus(head)[0].sentence.replace('*', '')} "
            f"{sentences[head].replace('*', '')}"
            for head in self.chosen[:_MOST_NAMED]
        ]
        return [f"The cases of {self.name}: {self.choice[0].sentence}", *named]

    def claims(self, head: Head) -> tuple[Claim, ...]:
        """Return what is claimed of a head beside its rule."""
        return (*self._on_cases(head), *self.on_corpus(head))

    def _on_cases(self, head: Head) -> tuple[Claim, ...]:
        row = self.row(head)
        way, before = "from pronoun to candidate", ""
        if not row.n > 0:
            way, before = "from candidate to pronoun", "reverse_"
        n = getattr(row, f"{before}n")
        if not n > 0:
            return ()
        accuracy, low, high, p = (
            float(getattr(row, f"{before}{name}"))
            for name in ("accuracy", "ci_low", "ci_high", "p_adjusted")
        )
        tested = len(self.scores.heads)
        notes = [way, f"one of {tested} heads and directions"]
        if not math.isnan(p):
            notes.append(f"family-wise {p_value(p)}")
        beside = self._baseline()
        sentence = (
            f"On {counted(int(n), 'case')} of {self.name} *{head}* prefers the antecedent in "
            f"{percent_interval(accuracy, low, high)}, {', '.join(notes)}{beside}."
        )
        claim = Claim(
            kind="prefers" if p < SIGNIFICANT else "no-prefers",
            subject=str(head),
            sentence=sentence,
            estimate=accuracy,
            low=low,
            high=high,
            test="" if math.isnan(p) else f"max-statistic over {tested} heads and directions",
            p=p,
            n=int(n),
            groups=self.scores.num_groups,
            rule="in-sample: among the cases that a choice would be made on",
        )
        best = self._best
        against = () if best is None else (claim.beside("baseline", best[1]),)
        return (claim, *against, *self._of_shares(head, row), *self._of_choice(head, row))

    @cached_property
    def baselines(self) -> dict[str, float]:
        """The accuracy of each baseline on the cases."""
        table = self.scores.baselines
        return dict(
            zip(table["baseline"].astype(str), table["accuracy"].astype(float), strict=True)
        )

    def _baseline(self) -> str:
        if self._best is None:
            return ""
        name, accuracy = self._best
        return f"; the best baseline, {baseline_name(name)}: {percent(accuracy)}"

    @cached_property
    def _best(self) -> tuple[str, float] | None:
        """The baseline with the highest accuracy, and that."""
        known = {name: value for name, value in self.baselines.items() if not math.isnan(value)}
        return max(known.items(), key=lambda pair: pair[1], default=None)

    @property
    def held_out(self) -> list[float]:
        """The accuracy of the held-out choice and the ends of its interval; empty without one."""
        choice = self.scores.choice
        return [] if choice is None else [choice.accuracy, choice.ci_low, choice.ci_high]

    def _of_shares(self, head: Head, row: Any) -> tuple[Claim, ...]:
        if math.isnan(row.antecedent_share):
            return ()
        claim = Claim(
            kind="gives",
            subject=str(head),
            sentence=(
                f"In *{head}* the pronoun gives the antecedent {percent(row.antecedent_share)} of "
                "its attention in the mean over these cases, the strongest other candidate "
                f"{percent(row.distractor_share)}."
            ),
            estimate=float(row.antecedent_share),
            n=int(row.n),
            groups=self.scores.num_groups,
        )
        return claim, claim.beside("distractor", float(row.distractor_share))

    def _of_choice(self, head: Head, row: Any) -> tuple[Claim, ...]:
        choice = self.scores.choice
        if choice is None or not row.chosen > 0:
            return ()
        share = "every division" if row.chosen >= 1 else f"{percent(row.chosen, 0)} of divisions"
        held = percent_interval(choice.accuracy, choice.ci_low, choice.ci_high)
        return (
            Claim(
                kind="chosen",
                subject=str(head),
                sentence=(
                    f"*{head}* is chosen in {share} into folds; on the cases held out, what is "
                    f"chosen prefers the antecedent in {held}."
                ),
                estimate=float(row.chosen),
                n=choice.n,
                groups=self.scores.num_groups,
                rule="the best head and direction of four folds, scored on the fifth",
            ),
        )

    def on_corpus(self, head: Head) -> tuple[Claim, ...]:
        """Return what the rows of pronouns have to do with possible antecedents, on the corpus."""
        row = self.row(head)
        n = int(row.n_pronoun_rows)
        if not n or math.isnan(row.part):
            return (
                Claim(
                    kind="no-refers",
                    subject=str(head),
                    sentence=(
                        f"Nothing can be said of pronouns in *{head}*: no row of the checking half "
                        "starts at one with a possible antecedent before it."
                    ),
                    n=0,
                ),
            )
        is_more = row.coverage_ci_low > row.coverage_even
        sentence = (
            f"{percent(row.part)} of the attention of *{head}* outside special tokens goes from a "
            f"pronoun to a possible antecedent{percent_ends(row.part_ci_low, row.part_ci_high)}; "
            f"even attention: {percent(row.part_even)}, all heads: "
            f"{percent(row.part_mean_of_heads)}. In the {percent(row.pronoun_rows)} of its rows "
            "that start at such a pronoun it is "
            f"{percent(row.coverage)}{percent_ends(row.coverage_ci_low, row.coverage_ci_high)}; "
            f"even attention: {percent(row.coverage_even)}, all heads: "
            f"{percent(row.coverage_mean_of_heads)}."
        )
        claim = Claim(
            kind="refers" if is_more else "no-refers",
            subject=str(head),
            sentence=sentence,
            estimate=float(row.part),
            low=float(row.part_ci_low),
            high=float(row.part_ci_high),
            n=n,
            groups=int(row.num_groups),
            rule="an interval above even attention, in the half of the texts that checks",
        )
        return (
            claim,
            claim.beside("even attention", float(row.part_even)),
            claim.beside("all heads", float(row.part_mean_of_heads), subject="all heads"),
            claim.beside("rows of pronouns", float(row.pronoun_rows)),
            claim.beside(
                "of these rows",
                float(row.coverage),
                low=float(row.coverage_ci_low),
                high=float(row.coverage_ci_high),
            ),
            claim.beside("even attention in these rows", float(row.coverage_even)),
            claim.beside(
                "all heads in these rows", float(row.coverage_mean_of_heads), subject="all heads"
            ),
        )

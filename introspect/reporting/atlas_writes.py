"""What the heads of an atlas write, in sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.statistics import Claim
from introspect.text import counted, decimal, percent, percent_ends, signed

WRITE_COLUMNS = ("layer", "head", "rank", "token", "logit", "n")
COPY_COLUMNS = (
    "layer", "head", "copying", "copying_ci_low", "copying_ci_high", "to_key", "to_others",
    "n_tokens", "n_rows", "n_texts",
)  # fmt: skip

#: A head copies if what it would write favors a token's own entry over this share of the others …
COPIES = 0.75
#: … and writes against it from here down; in both cases with an interval that leaves out chance.
SUPPRESSES = 0.25
_CHANCE = 0.5
#: How it was measured.
MEASURED = (
    "What a head writes is its output at a token through the model’s own final norm and "
    "unembedding, less the mean over the vocabulary: its direct part of the logits, not what later "
    "layers make of it. A head is said to copy if what its values write at a weight of 1 puts the "
    f"token’s own entry above at least {percent(COPIES, 0)} of the other entries of the text, "
    "with an interval above chance."
)


def _no(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(columns=list(columns))


@dataclass(frozen=True, eq=False)
class AtlasWrites:
    """What the heads of a model write.

    Args:
        entries: the entries that a head adds most to, in the mean over its strongest rows, one of
            each text of the sample, the largest first: ``logit`` is what it adds to the entry's
            logit by itself, less the mean over the vocabulary.
        copies: one row for each head. ``copying`` is the share of the other entries of the text
            that get less than a token's own entry from what its value would write at a weight of 1:
            0.5 by chance, 1 for a head that copies. ``to_key`` and ``to_others`` are the logits
            that the strongest rows add to the entry that they attend to, and to the others of the
            text.
        why_not: why there is nothing, if so.
    """

    entries: pd.DataFrame = field(default_factory=lambda: _no(WRITE_COLUMNS))
    copies: pd.DataFrame = field(default_factory=lambda: _no(COPY_COLUMNS))
    why_not: str = ""

    @cached_property
    def _rows(self) -> dict[tuple[int, int], Any]:
        return {(row.layer, row.head): row for row in self.copies.itertuples()}

    @property
    def method(self) -> list[str]:
        """Return how it was measured, or why it was not; nothing of models that do not write."""
        if self.why_not:
            return [f"What heads write is not shown. {self.why_not}"]
        return [] if self.copies.empty else [MEASURED]

    def listed(self, head: Head) -> list[list[Any]]:
        """Return the entries of a head with their logits."""
        table = self.entries
        own = table[(table["layer"] == head.layer) & (table["head"] == head.head)]
        return [[row.token, round(float(row.logit), 3)] for row in own.itertuples()]

    def claims(self, head: Head) -> tuple[Claim, ...]:
        """Return what is claimed of what a head writes."""
        row = self._rows.get((head.layer, head.head))
        if row is None or math.isnan(row.copying):
            return ()
        is_copy = row.copying >= COPIES and row.copying_ci_low > _CHANCE
        is_against = row.copying <= SUPPRESSES and row.copying_ci_high < _CHANCE
        says = "does not copy what it reads"
        if is_copy or is_against:
            says = "copies what it reads" if is_copy else "writes against what it reads"
        ends = percent_ends(row.copying_ci_low, row.copying_ci_high)
        sentence = (
            f"*{head}* {says}: what its values would write puts a token’s own entry above "
            f"{percent(row.copying, 0)} of the other entries of the text{ends}; chance: 50%."
        )
        if row.n_rows:
            sentence += (
                f" On {counted(int(row.n_rows), 'strong row')} it adds {signed(row.to_key)} to the "
                f"logit of the entry that it attends to, {signed(row.to_others)} to the others of "
                "the text."
            )
        claim = Claim(
            kind="copies" if is_copy else "writes against" if is_against else "no-copies",
            subject=str(head),
            sentence=sentence,
            estimate=float(row.copying),
            low=float(row.copying_ci_low),
            high=float(row.copying_ci_high),
            n=int(row.n_tokens),
            groups=int(row.n_texts),
            rule=f"at least {decimal(COPIES)}, or at most {decimal(SUPPRESSES)}",
        )
        if not row.n_rows:
            return (claim,)
        return (
            claim,
            claim.beside("logit of the key", float(row.to_key), n=int(row.n_rows)),
            claim.beside("logit of others", float(row.to_others), n=int(row.n_rows)),
        )

"""What the heads of an atlas write, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from introspect.records import Head
from introspect.statistics import SIGNIFICANT, Claim
from introspect.text import counted, decimal, percent, percent_ends, signed

WRITE_COLUMNS = ("layer", "head", "rank", "token", "logit", "n")
COPY_COLUMNS = (
    "layer", "head", "copying", "copying_ci_low", "copying_ci_high", "p_adjusted", "to_key",
    "to_others", "n_tokens", "n_rows", "n_texts", "by_weights", "by_weights_ci_low",
    "by_weights_ci_high", "by_weights_p_adjusted", "first", "n_entries",
)  # fmt: skip

#: A head copies if a token's own entry is favored over this share of the others …
COPIES = 0.75
#: … and writes against it from here down; in both cases surely on the other side of chance.
SUPPRESSES = 0.25
_CHANCE = 0.5
_TEST = "max-t over all heads, two-sided, all measures of copying together"
#: How what heads write was measured.
MEASURED = (
    "What a head writes is its output at a token through the model’s own final norm and "
    "unembedding, less the mean over the vocabulary: its direct part of the logits, not what later "
    "layers make of it. Whether it copies is asked of what its values would write at a weight of "
    "1 in these texts."
)
_RULE = (
    "A head is said to copy if a token’s own entry gets more than at least "
    f"{percent(COPIES, 0)} of the other entries, and to write against what it reads if it gets "
    f"more than at most {percent(SUPPRESSES, 0)}; the p-value against chance, family-wise over all "
    "heads and over the measures in texts and by weights, is below 0.05. It does not copy where "
    "the whole 95% interval lies between these. Entries that get as much count half."
)
_BY_WEIGHTS = {
    "unembedding": (
        "By weights, each vocabulary entry of the sample goes from its embedding through the "
        "head’s W_V and W_O, and the norms’ gains, to the unembedding (OV circuit, Elhage et al. "
        "2021). Biases, positions and what earlier layers make of a token are not part of it."
    ),
    "embedding": (
        "By weights, each vocabulary entry of the sample goes from its embedding through the "
        "head’s W_V and W_O, and the product with each embedding is taken: the model’s logits are "
        "not read from its states by a linear layer alone. Biases, positions and what other layers "
        "make of a token are not part of it."
    ),
}


def _no(columns: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(columns=list(columns))


class _Share(NamedTuple):
    """The share of other entries that get less than a token's own, and how sure it is."""

    mean: float
    low: float
    high: float
    p: float

    @classmethod
    def of(cls, row: Any, name: str, p: str) -> _Share | None:
        """Return the share in columns of a row; ``None`` where it is not known."""
        names = (name, f"{name}_ci_low", f"{name}_ci_high", p)
        share = cls(*(float(getattr(row, each)) for each in names))
        return None if math.isnan(share.mean) else share

    @property
    def verdict(self) -> str:
        """``copies``, ``against`` or ``no``; with ``unsure`` for too few to tell."""
        if math.isnan(self.p):
            return "unsure"
        if SUPPRESSES < self.mean < COPIES:
            return "no" if self.low > SUPPRESSES and self.high < COPIES else "unsure"
        is_sure = self.p < SIGNIFICANT and not self.low <= _CHANCE <= self.high
        return "unsure" if not is_sure else "copies" if self.mean >= COPIES else "against"


@dataclass(frozen=True, eq=False)
class AtlasWrites:
    """What the heads of a model write.

    Args:
        entries: the entries that a head adds most to, in the mean over its strongest rows, one of
            each text of the sample, the largest first: ``logit`` is what it adds to the entry's
            logit by itself, less the mean over the vocabulary.
        copies: one row for each head. ``copying`` is the share of the other entries of the text
            that get less than a token's own entry from what its value would write at a weight of 1:
            0.5 by chance, 1 for a head that copies. ``by_weights`` is the same of its OV circuit,
            among entries of the sample, and ``first`` the share of entries that get most
            themselves. Both p-values are of one family. ``to_key`` and ``to_others`` are the logits
            that the strongest rows add to the entry that they attend to, and to the others of the
            text.
        why_not: why there is nothing of what they write in texts, if so.
        read_by: by what the entries of an OV circuit are read: ``unembedding`` or ``embedding``.
        why_no_weights: why there is nothing of the weights of a layer, or of any.
    """

    entries: pd.DataFrame = field(default_factory=lambda: _no(WRITE_COLUMNS))
    copies: pd.DataFrame = field(default_factory=lambda: _no(COPY_COLUMNS))
    why_not: str = ""
    read_by: str = ""
    why_no_weights: str = ""

    @cached_property
    def _rows(self) -> dict[tuple[int, int], Any]:
        return {(row.layer, row.head): row for row in self.copies.itertuples()}

    @property
    def has_weights(self) -> bool:
        """Return whether any head's copying by weights is known."""
        return bool(self.copies["by_weights"].notna().any())

    @property
    def method(self) -> list[str]:
        """Return how it was measured, or why it was not; nothing of models that do not write."""
        found = [f"What heads write is not shown. {self.why_not}"] if self.why_not else []
        if not self.why_not and not self.copies.empty:
            found.append(MEASURED)
        if self.has_weights:
            found.append(_BY_WEIGHTS[self.read_by])
        if self.why_no_weights:
            where = " everywhere" if self.has_weights else ""
            found.append(f"Copying by weights is not shown{where}. {self.why_no_weights}")
        return [*found, _RULE] if not self.copies.empty else found

    def listed(self, head: Head) -> list[list[Any]]:
        """Return the entries of a head with their logits."""
        table = self.entries
        own = table[(table["layer"] == head.layer) & (table["head"] == head.head)]
        return [[row.token, round(float(row.logit), 3)] for row in own.itertuples()]

    def claims(self, head: Head) -> tuple[Claim, ...]:
        """Return what is claimed of what a head writes."""
        row = self._rows.get((head.layer, head.head))
        return () if row is None else (*_in_texts(head, row), *self._by_weights(head, row))

    def _by_weights(self, head: Head, row: Any) -> Iterator[Claim]:
        share = _Share.of(row, "by_weights", "by_weights_p_adjusted")
        if share is None:
            return
        says = {
            "copies": f"By its weights, *{head}* copies what it reads",
            "against": f"By its weights, *{head}* writes against what it reads",
            "no": f"By its weights, *{head}* does not copy what it reads",
            "unsure": f"Whether *{head}* copies by its weights is not sure on so few entries",
        }[share.verdict]
        others, of = _others(row.n_entries), percent(share.mean, 1)
        made = "what they make of an entry’s embedding"
        what = (
            f"{made} adds more to its own logit than to those of {of} of {others}"
            if self.read_by == "unembedding"
            else f"{made} has a larger product with that embedding than with {of} of {others}"
        )
        sentence = (
            f"{says}: {what}, equal ones counted half{percent_ends(share.low, share.high)}; "
            f"chance: 50%. Its own is the largest for {percent(row.first, 0)} of entries; chance: "
            f"{percent(1 / row.n_entries, 1)}."
        )
        claim = _claim(
            head, share, " by weights", sentence, n=int(row.n_entries), groups=int(row.n_entries)
        )
        yield claim
        yield claim.beside("first", float(row.first))


def _others(count: int) -> str:
    return f"the {counted(int(count) - 1, 'other entry', 'other entries')}"


def _in_texts(head: Head, row: Any) -> Iterator[Claim]:
    share = _Share.of(row, "copying", "p_adjusted")
    if share is None:
        return
    says = {
        "copies": f"*{head}* copies what it reads",
        "against": f"*{head}* writes against what it reads",
        "no": f"*{head}* does not copy what it reads",
        "unsure": f"Whether *{head}* copies is not sure on so few texts",
    }[share.verdict]
    sentence = (
        f"{says}: what its values would write puts a token’s own entry above "
        f"{percent(share.mean, 1)} of the other entries of the text, equal ones counted half"
        f"{percent_ends(share.low, share.high)}; chance: 50%."
    )
    if row.n_rows:
        sentence += (
            f" On {counted(int(row.n_rows), 'strong row')} it adds {signed(row.to_key)} to the "
            f"logit of the entry that it attends to, {signed(row.to_others)} to the others of "
            "the text."
        )
    claim = _claim(head, share, "", sentence, n=int(row.n_tokens), groups=int(row.n_texts))
    yield claim
    if row.n_rows:
        yield claim.beside("logit of the key", float(row.to_key), n=int(row.n_rows))
        yield claim.beside("logit of others", float(row.to_others), n=int(row.n_rows))


def _claim(head: Head, share: _Share, how: str, sentence: str, *, n: int, groups: int) -> Claim:
    kinds = {"copies": "copies", "against": "writes against", "no": "no-copies"}
    return Claim(
        kind=f"{kinds.get(share.verdict, 'unsure whether it copies')}{how}",
        subject=str(head),
        sentence=sentence,
        estimate=share.mean,
        low=share.low,
        high=share.high,
        test="" if math.isnan(share.p) else _TEST,
        p=share.p,
        n=n,
        groups=groups,
        rule=f"at least {decimal(COPIES)}, or at most {decimal(SUPPRESSES)}",
    )

"""The row of a ledger: one claim, the sentence that makes it, and the numbers behind it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of a page, of which every number in its sentence can be recomputed.

    Args:
        kind: what is claimed, such as ``points``, ``supports``, ``attends`` or ``beats``; with
            ``no-`` before it where no evidence for it was found.
        subject: of what it is claimed: a head such as ``L3H1``, a set of heads, or the model.
        sentence: the sentence as it is printed.
        estimate: the figure that the claim rests on.
        low: the lower end of its 95% interval; NaN where there is none.
        high: the upper end.
        test: the test, such as ``max-t over 72 heads, two-sided``; empty where none was made.
        p: its p-value, adjusted for the family; NaN without a test.
        n: the number of cases, or of texts.
        groups: the number of groups that they form.
        rule: the rule under which the sentence is printed, with its thresholds.

    Example:
        >>> claim = Claim(kind="points", subject="L3H1", sentence="L3H1 points.", estimate=0.68)
        >>> claim.to_json()["estimate"], claim.to_json()["p"]
        (0.68, None)
    """

    kind: str
    subject: str
    sentence: str
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    test: str = ""
    p: float = math.nan
    n: int = 1
    groups: int = 1
    rule: str = ""

    def beside(
        self,
        what: str,
        estimate: float,
        *,
        subject: str | None = None,
        low: float = math.nan,
        high: float = math.nan,
        p: float = math.nan,
        n: int | None = None,
    ) -> Claim:
        """Return a row for another figure of the same sentence.

        Example:
            >>> claim = Claim(kind="points", subject="L3H1", sentence="L3H1 points.", estimate=0.68)
            >>> claim.beside("others", 0.11).kind
            'points: others'
        """
        return replace(
            self,
            kind=f"{self.kind}: {what}",
            subject=self.subject if subject is None else subject,
            estimate=float(estimate),
            low=float(low),
            high=float(high),
            test="" if math.isnan(p) else self.test,
            p=float(p),
            n=self.n if n is None else n,
            rule="",
        )

    @property
    def plain(self) -> str:
        """The sentence without emphasis marks."""
        return self.sentence.replace("*", "")

    def to_json(self) -> dict[str, Any]:
        """Return the row as values of JSON; a number that there is not is ``None``."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }

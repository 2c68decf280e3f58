"""What a head does, in a sentence, and the claims that the sentence is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from introspect.records import Head
from introspect.statistics import FEWEST_GROUPS, SIGNIFICANT, Claim
from introspect.studies.atlas.analyzer import AtlasSums
from introspect.studies.atlas.row_figures import MEASURES
from introspect.studies.atlas.rule_tests import (
    BEYOND,
    COVERAGE,
    MOSTLY_SPECIAL,
    SURE,
    FoundRules,
)
from introspect.text import counted, listed, p_value, percent, percent_ends, verb

#: A head's attention to special tokens is told before its rule from this share on.
TOLD_SPECIAL = 0.25
# What covers enough only in the half that checks, and was not found.
_ONE_HALF = "One half of the texts shows a rule that the other does not"
_NO_REST = "No rule describes the rest"
# A rule about fewer rows than this part says which rows it is about.
_NEARLY_ALL = 0.9

RULE = (
    f"at least {percent(COVERAGE, 0)} of the weight that counts, and {percent(BEYOND, 0)} of what "
    "even attention leaves, in both halves of the texts; in the half that the rule was not found "
    f"in, a 95% interval from {percent(SURE, 0)} up and family-wise p < {SIGNIFICANT}"
)


@dataclass(frozen=True, eq=False)
class HeadSentences:
    """The sentences of all heads.

    Args:
        sums: what was collected.
        found: the rule of each head.
    """

    sums: AtlasSums
    found: FoundRules

    def claims(self, place: int, head: int) -> tuple[Claim, ...]:
        """Return the claims on a head, the first of which has the sentence.

        Args:
            place: the place of its layer.
            head: its number within the layer.
        """
        rule = int(self.found.best[place, head])
        name = str(Head(self.sums.layers[place], head))
        if rule < 0:
            return (self._unread(name, place, head),)
        special = self._special(place, head)
        is_named = bool(self.found.is_named[place, head])
        sentence = (self._named if is_named else self._unnamed)(name, place, head, rule, special)
        checking = self.found.checking
        at = place, head, rule
        claim = Claim(
            kind="describes" if is_named else "no-describes",
            subject=name,
            sentence=sentence,
            estimate=float(checking.coverage[at]),
            low=float(checking.low[at]),
            high=float(checking.high[at]),
            test=f"max-t over {self.found.best.size} heads, two-sided",
            p=float(self.found.p_adjusted[place, head]),
            n=int(checking.n[at]),
            groups=self.found.num_groups,
            rule=RULE,
        )
        return (
            claim,
            claim.beside("even attention", float(checking.even[at])),
            claim.beside(
                "all heads",
                self.found.mean_of_heads(rule),
                subject=f"all heads, {self.found.names[rule]}",
            ),
            *([claim.beside("special tokens", special)] if special >= TOLD_SPECIAL else []),
            *(self._unsteady_beside(claim, place, head) if _ONE_HALF in sentence else ()),
            *(self._rest_beside(claim, place, head) if f"{_NO_REST}:" in sentence else ()),
        )

    def _special(self, place: int, head: int) -> float:
        """Return the share of a head's attention on special tokens; NaN without any."""
        at = place, head, MEASURES.index("special")
        n = int(self.sums.sums.measured[at])
        return float(self.sums.sums.sums[at]) / n if n else math.nan

    def _unread(self, name: str, place: int, head: int) -> Claim:
        why = "no text gives its rows a choice"
        if self.found.checking.n[place, head].any():
            why = (
                f"none of {counted(self.sums.num_texts, 'text')} is in the half that finds rules; "
                "give more texts that differ"
            )
        return Claim(
            kind="no-describes",
            subject=name,
            sentence=f"Nothing can be said of *{name}*: {why}.",
            n=self.sums.num_texts,
            groups=0,
            rule=RULE,
        )

    def _named(self, name: str, place: int, head: int, rule: int, special: float) -> str:
        kind = list(self.sums.rules.values())[rule]
        checking = self.found.checking
        at = place, head, rule
        ends = percent_ends(float(checking.low[at]), float(checking.high[at]))
        beside = self._beside(rule, float(checking.even[at]))
        share = percent(float(checking.coverage[at]), 0)
        goes = f"goes {kind.words}{self._where(place, head, rule)}{ends}; {beside}."
        if special >= TOLD_SPECIAL and not kind.is_of_special:
            first = f"*{name}* sends {percent(special, 0)} of its attention to special tokens."
            return f"{first} Of the rest, {share} {goes}{self._alike(rule)}"
        rest = ""
        if kind.is_of_special and float(checking.coverage[at]) < MOSTLY_SPECIAL:
            rest = self._unsteady(place, head) or self._rest(place, head)
        alike = self._alike(rule)
        return f"{share} of the attention of *{name}* {goes}{alike}{rest}"

    def _unnamed(self, name: str, place: int, head: int, rule: int, special: float) -> str:
        kind = list(self.sums.rules.values())[rule]
        checking = self.found.checking
        at = place, head, rule
        first = ""
        if special >= TOLD_SPECIAL and not kind.is_of_special:
            first = f"*{name}* sends {percent(special, 0)} of its attention to special tokens. "
        if math.isnan(float(self.found.p_adjusted[place, head])):
            return (
                f"{first}No rule is given to *{name}*: "
                f"{counted(self.sums.num_texts, 'text')} {verb(self.sums.num_texts, 'is', 'are')} "
                f"too few to check one, which takes {FEWEST_GROUPS} that differ in each half."
            )
        of_rest = " of the rest" if first else ""
        share = percent(float(checking.coverage[at]), 0)
        beside = self._beside(rule, float(checking.even[at]))
        where = self._where(place, head, rule)
        if self.found.is_unsure[place, head]:
            ends = percent_ends(float(checking.low[at]), float(checking.high[at]))
            return (
                f"{first}No rule is sure for *{name}*: {kind.name} covers {share}{of_rest}{where}"
                f"{ends}; {beside}, but these texts are too few to be sure "
                f"({p_value(float(self.found.p_adjusted[place, head]))})."
            )
        if unsteady := self._unsteady(place, head):
            return f"{first}No rule is sure for *{name}*.{unsteady}"
        return (
            f"{first}No rule describes *{name}*: the best, {kind.name}, covers {share}"
            f"{of_rest}{where}; {beside}."
        )

    def _rest(self, place: int, head: int) -> str:
        """Say how little the best rule covers of what a head does outside special tokens."""
        rule = int(self.found.best_of_rest[place, head])
        at = place, head, rule
        if rule < 0 or not int(self.found.checking.n[at]):
            return f" {_NO_REST}."
        kind = list(self.sums.rules.values())[rule]
        return (
            f" {_NO_REST}: the best, {kind.name}, covers "
            f"{percent(float(self.found.checking.coverage[at]), 0)} of it"
            f"{self._where(place, head, rule)}."
        )

    def _alike(self, rule: int) -> str:
        """Say which other rules ask for the same keys in all of these texts."""
        others = self.sums.same_as(self.found.names[rule])
        names = listed([self.sums.rules[other].name for other in others])
        return f" On these texts that is the same as: {names}." if names else ""

    def _unsteady(self, place: int, head: int) -> str:
        """Say which rule covers enough in the half that checks alone, if one does."""
        rule = self.found.unsteady(place, head)
        if rule < 0:
            return ""
        halves = (self.found.finding, self.found.checking)
        shares = [percent(float(half.coverage[place, head, rule]), 0) for half in halves]
        kind = list(self.sums.rules.values())[rule]
        return (
            f" {_ONE_HALF}: {kind.name} covers "
            f"{shares[0]} in the half that finds and {shares[1]} in the half that checks."
        )

    def _unsteady_beside(self, claim: Claim, place: int, head: int) -> list[Claim]:
        rule = self.found.unsteady(place, head)
        return [
            claim.beside(
                f"{half}: {self.found.names[rule]}", float(figures.coverage[place, head, rule])
            )
            for half, figures in (
                ("finding", self.found.finding),
                ("checking", self.found.checking),
            )
        ]

    def _rest_beside(self, claim: Claim, place: int, head: int) -> list[Claim]:
        rule = int(self.found.best_of_rest[place, head])
        covered = float(self.found.checking.coverage[place, head, rule])
        return [claim.beside(f"rest: {self.found.names[rule]}", covered)]

    def _beside(self, rule: int, even: float) -> str:
        parts = [f"even attention: {percent(even, 0)}"]
        if self.found.best.size > 1:
            parts.append(f"all heads: {percent(self.found.mean_of_heads(rule), 0)}")
        return ", ".join(parts)

    def _where(self, place: int, head: int, rule: int) -> str:
        """Return which rows a rule is about, unless they are nearly all."""
        n = self.found.checking.n[place, head]
        part = float(n[rule]) / max(1, int(n.max()))
        return "" if part >= _NEARLY_ALL else f", in the {_small(part)} of rows that have one"


def _small(part: float) -> str:
    """Return a share without a decimal, or with one where it would be 0%."""
    return percent(part, 0 if part >= 0.01 else 1)

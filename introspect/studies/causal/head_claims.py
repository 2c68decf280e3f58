"""What is claimed of single heads of a causal study: rows, and the sentences made from them."""

from __future__ import annotations

import math
from typing import Any, Protocol

import pandas as pd

from introspect.records import Head
from introspect.statistics import MANY_GROUPS, Claim
from introspect.studies.causal.attending import SMALLEST_RATIO
from introspect.studies.causal.followed import Followed
from introspect.studies.causal.mediation import Mediation
from introspect.studies.causal.smallest import SmallestSet
from introspect.studies.causal.verdicts import LEVEL, SMALLEST, Ability
from introspect.text import (
    capitalized,
    counted,
    interval,
    percent,
    percent_ends,
    quantity,
    signed,
    whole,
)

_RULE_OF_EFFECTS = (
    f"adjusted p below {LEVEL}, effect at least {percent(SMALLEST, 0)} of the mean size of the "
    "margins, and the model above chance"
)
_RULE_OF_ATTENDING = (
    f"adjusted p below {LEVEL} against chance, nearest, first, fewest words and fixed offset, and "
    f"on the median case at least {SMALLEST_RATIO} times the weight of the best distractor"
)
_RULE_OF_PAIRS = (
    f"adjusted p of the difference below {LEVEL}, and at least {percent(SMALLEST, 0)} of the mean "
    "size of the margins; they stand in for each other if each supports the answer, by the same "
    "rule, where the other is ablated, and work together only if each supports it where the other "
    "is there"
)
_KINDS_OF_PAIRS = {
    "stand in for each other": "redundant",
    "do more than in sum": "overlap",
    "work together": "joint",
    "do less than in sum": "joint",
}
# No reader needs more: the distractor gets nothing.
_TIMES = 1_000
_DEPENDS = "depends on the method"
_RULE_OF_ABILITY = "the 95% interval is above the accuracy of a blind choice"


class Effects(Protocol):
    """Heads chosen by their attention on one half of the cases, ablated on the other."""

    @property
    def heads(self) -> tuple[Head, ...]:
        """The head that each half chose."""

    @property
    def effect(self) -> float:
        """The held-out effect."""

    @property
    def ci_low(self) -> float:
        """The lower end of its interval."""

    @property
    def ci_high(self) -> float:
        """The upper end."""

    @property
    def control(self) -> float:
        """The mean effect of the heads that it is compared with."""

    @property
    def difference(self) -> float:
        """Effect minus control."""

    @property
    def difference_low(self) -> float:
        """The lower end of its interval."""

    @property
    def difference_high(self) -> float:
        """The upper end."""

    @property
    def n(self) -> int:
        """The number of cases."""


class Found(Protocol):
    """What claims are made from: the parts of a causal study."""

    @property
    def heads(self) -> pd.DataFrame:
        """One row for each head."""

    @property
    def ability(self) -> Ability:
        """Return how often the unchanged model is right."""

    @property
    def correlation(self) -> float:
        """Of attention accuracy and effect, over heads."""

    @property
    def chosen(self) -> Effects | None:
        """The effect of the head chosen by its attention."""

    @property
    def followed(self) -> Followed:
        """The heads with the largest effects, asked in other ways."""

    @property
    def smallest(self) -> SmallestSet | None:
        """A few heads that carry the answer."""

    @property
    def mediation(self) -> Mediation | None:
        """Effects within minimal pairs, by outputs."""

    @property
    def mediation_by_weights(self) -> Mediation | None:
        """The same by attention weights."""


def answer_of(is_surrogate: bool) -> str:
    """Return what heads support or oppose, in words."""
    return "the surrogate answer" if is_surrogate else "the answer"


def ability_claims(ability: Ability) -> list[Claim]:
    """Say how often the unchanged model is right, beside a blind choice."""
    kind = "able" if ability.is_above_chance else "no-able"
    able = Claim(
        kind=kind,
        subject="the model",
        sentence=(
            f"{capitalized(right(ability))} in {percent(ability.accuracy)} of "
            f"{counted(ability.n, 'case')}{percent_ends(ability.low, ability.high)}; a blind "
            f"choice would be in {percent(ability.chance)}."
        ),
        estimate=ability.accuracy,
        low=ability.low,
        high=ability.high,
        n=ability.n,
        groups=ability.groups,
        rule=_RULE_OF_ABILITY,
    )
    return [able, able.beside("by chance", ability.chance)]


def right(ability: Ability) -> str:
    """Return ``the model is right``, or what can be said of a surrogate."""
    return "the antecedent is ahead" if ability.is_surrogate else "the model is right"


def effect_claims(study: Found) -> list[Claim]:
    """Return a claim for each head with an effect, the largest first; or that there is none."""
    table = study.heads
    found = [
        _effect_claim(study, row) for row in heads_with(table, "supports", "opposes").itertuples()
    ]
    for row in heads_with(table, _DEPENDS).itertuples():
        found += _depends_claims(study, row)
    if found or not (table["verdict"] == "no evidence").any():
        return found
    return _nothing_claims(study)


def heads_with(table: pd.DataFrame, *verdicts: str) -> pd.DataFrame:
    """Select the heads with one of some verdicts, the largest effect first."""
    found = table[table["verdict"].isin(verdicts)]
    return found.loc[found["effect"].abs().sort_values(ascending=False, kind="stable").index]


def _effect_claim(study: Found, row: Any) -> Claim:
    head, unit = Head(int(row.layer), int(row.head)), study.heads.attrs["unit"]
    answer = answer_of(study.ability.is_surrogate)
    if row.verdict == "supports":
        changes = f"falls by {ranged(row.effect, row.ci_low, row.ci_high, unit)}"
    else:
        changes = f"rises by {ranged(-row.effect, -row.ci_high, -row.ci_low, unit)}"
    return Claim(
        kind=row.verdict,
        subject=str(head),
        sentence=f"{head} {row.verdict} {answer}: without it the preference {changes}.",
        estimate=float(row.effect),
        low=float(row.ci_low),
        high=float(row.ci_high),
        p=float(row.p_adjusted),
        **_of_effects(study),
    )


def _depends_claims(study: Found, row: Any) -> list[Claim]:
    head = Head(int(row.layer), int(row.head))
    answer = answer_of(study.ability.is_surrogate)
    methods = study.followed.methods
    said = methods[(methods["layer"] == row.layer) & (methods["head"] == row.head)]
    unit = study.heads.attrs["unit"]
    parts = "; ".join(
        f"{each.method}: {each.verdict} ({quantity(each.effect)} {unit})"
        for each in said.itertuples()
    )
    depends = Claim(
        kind="depends",
        subject=str(head),
        sentence=f"What {head} does for {answer} depends on the method of ablation. {parts}.",
        estimate=float(row.effect),
        low=float(row.ci_low),
        high=float(row.ci_high),
        p=float(row.p_adjusted),
        **_of_effects(study),
    )
    return [
        depends,
        *(
            depends.beside(each.method, each.effect, low=each.ci_low, high=each.ci_high)
            for each in said.itertuples()
        ),
    ]


def _nothing_claims(study: Found) -> list[Claim]:
    table = study.heads
    # A sure effect below the smallest that counts is no evidence either, whatever its p.
    is_large = table["effect"].abs() >= float(table.attrs["smallest_effect"])
    detectable = detectable_effect(table)
    unit = table.attrs["unit"]
    heads = f"any of {len(table)} heads" if len(table) > 1 else "the head"
    size = (
        ""
        if math.isnan(detectable)
        else f": an effect of {quantity(detectable)} {unit} would have been found in 80% of such "
        "studies"
    )
    answer = answer_of(study.ability.is_surrogate)
    nothing = Claim(
        kind="no-effect",
        subject="all heads" if len(table) > 1 else str(_only(table)),
        sentence=f"No evidence that {heads} supports or opposes {answer}{size}.",
        estimate=detectable,
        p=float(table.loc[is_large, "p_adjusted"].min()),
        **_of_effects(study),
    )
    return [nothing, nothing.beside("heads", len(table))]


def detectable_effect(table: pd.DataFrame) -> float:
    """Return the effect that would have been found on the median head in 80% of such studies."""
    found = float(table["detectable"].median())
    return max(found, float(table.attrs["smallest_effect"])) if not math.isnan(found) else found


def _only(table: pd.DataFrame) -> Head:
    return Head(int(table["layer"].iloc[0]), int(table["head"].iloc[0]))


def _of_effects(study: Found) -> dict[str, Any]:
    heads = counted(len(study.heads), "head")
    few = " and by resamples" if study.ability.groups < MANY_GROUPS else ""
    return {
        "test": f"max-t over {heads}, two-sided, by flipped signs{few}",
        "n": study.ability.n,
        "groups": study.ability.groups,
        "rule": _RULE_OF_EFFECTS,
    }


def attending_claims(study: Found) -> list[Claim]:
    """Return a claim for each head that attends to the antecedent, the most accurate first."""
    table = study.heads
    found = table[table["attends"].astype(bool)]
    found = found.sort_values("attention_accuracy", ascending=False, kind="stable")
    return [claim for row in found.itertuples() for claim in _attending_claims(study, row)]


def _attending_claims(study: Found, row: Any) -> list[Claim]:
    head = Head(int(row.layer), int(row.head))
    times = (
        quantity(row.attention_ratio) if row.attention_ratio <= _TIMES else f"over {whole(_TIMES)}"
    )
    ratio = (
        f"the antecedent gets {times} times the weight of the best distractor on the median case"
    )
    attends = Claim(
        kind="attends",
        subject=str(head),
        sentence=(
            f"{head} attends to the antecedent: most in {percent(row.attention_accuracy)} of "
            f"{counted(study.ability.n, 'case')}, and {ratio}."
        ),
        estimate=float(row.attention_accuracy),
        test=f"max-t over {counted(len(study.heads), 'head')} and what each must beat",
        p=float(row.attention_p_adjusted),
        n=study.ability.n,
        groups=study.ability.groups,
        rule=_RULE_OF_ATTENDING,
    )
    return [attends, attends.beside("ratio", row.attention_ratio)]


def pair_claims(study: Found) -> list[Claim]:
    """Return a claim for each two heads whose effect together is not the sum of each alone."""
    pairs, unit = study.followed.pairs, study.heads.attrs["unit"]
    found = pairs[pairs["relation"] != "no evidence"]
    claims = []
    for row in found.itertuples():
        a, b = Head(row.layer, row.head), Head(row.other_layer, row.other_head)
        change = ranged(row.interaction, row.interaction_low, row.interaction_high, unit)
        claim = Claim(
            kind=_KINDS_OF_PAIRS[row.relation],
            subject=f"{a} and {b}",
            sentence=(
                f"{a} and {b} {row.relation}: without both the preference "
                f"{_both_and_alone(row.effect, row.alone, unit)} in the sum of each alone; the "
                f"difference is {change}."
            ),
            estimate=float(row.interaction),
            low=float(row.interaction_low),
            high=float(row.interaction_high),
            test=f"max-t over {counted(len(pairs), 'pair')}, two-sided",
            p=float(row.p_adjusted),
            n=study.ability.n,
            groups=study.ability.groups,
            rule=_RULE_OF_PAIRS,
        )
        claims += [claim, claim.beside("both", row.effect), claim.beside("alone", row.alone)]
    return claims


def _both_and_alone(both: float, alone: float, unit: str) -> str:
    """Return how the preference changes without two heads, and by how much by each alone.

    Example:
        >>> _both_and_alone(2.0, 3.0, "nats")
        'falls by 2.00 nats, by 3.00'
        >>> _both_and_alone(-1.0, 3.0, "nats")
        'rises by 1.00 nats, and falls by 3.00'
    """
    first, second = ("rises" if change < 0 else "falls" for change in (both, alone))
    again = "by" if first == second else f"and {second} by"
    return f"{first} by {quantity(abs(both))} {unit}, {again} {quantity(abs(alone))}"


def correlation_claims(study: Found) -> list[Claim]:
    """Say how attention accuracy and effect go together over heads, where that is defined."""
    if math.isnan(study.correlation):
        return []
    claim = Claim(
        kind="correlation",
        subject="attention accuracy and effect",
        sentence=(
            f"Over {counted(len(study.heads), 'head')}, attention accuracy and effect are "
            f"correlated by {signed(study.correlation)} (Spearman)."
        ),
        estimate=study.correlation,
        n=len(study.heads),
        groups=len(study.heads),
    )
    return [claim]


def ends(value: float, low: float, high: float) -> str:
    """Return an effect with its 95% interval, where there is one."""
    return f"{quantity(value)}{interval(quantity(low), quantity(high))}"


def ranged(value: float, low: float, high: float, unit: str) -> str:
    """Return an effect with its unit and its interval."""
    return f"{quantity(value)} {unit}{interval(quantity(low), quantity(high))}"

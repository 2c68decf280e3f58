"""The claims of a causal study: each a row from which its sentence is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.statistics import MANY_GROUPS, Claim
from introspect.studies.causal import (
    LEVEL,
    SMALLEST,
    SMALLEST_RATIO,
    Ability,
    CausalStudy,
)
from introspect.text import (
    capitalized,
    counted,
    interval,
    percent,
    percent_ends,
    quantity,
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
# No reader needs more: the distractor gets nothing.
_TIMES = 1_000
_RULE_OF_ABILITY = "the 95% interval is above the accuracy of a blind choice"


def answer_of(is_surrogate: bool) -> str:
    """Return what heads support or oppose, in words."""
    return "the surrogate answer" if is_surrogate else "the answer"


def ability_claim(ability: Ability) -> Claim:
    """Say how often the unchanged model is right, beside a blind choice."""
    kind = "able" if ability.is_above_chance else "no-able"
    return Claim(
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


def right(ability: Ability) -> str:
    """Return ``the model is right``, or what can be said of a surrogate."""
    return "the antecedent is ahead" if ability.is_surrogate else "the model is right"


def effect_claims(study: CausalStudy) -> list[Claim]:
    """Return a claim for each head with an effect, the largest first; or that there is none."""
    table = study.heads
    found = [
        _effect_claim(study, row) for row in heads_with(table, "supports", "opposes").itertuples()
    ]
    found += [_depends_claim(study, row) for row in heads_with(table, _DEPENDS).itertuples()]
    if found or not (table["verdict"] == "no evidence").any():
        return found
    return [_nothing_claim(study)]


_DEPENDS = "depends on the method"


def heads_with(table: pd.DataFrame, *verdicts: str) -> pd.DataFrame:
    """Select the heads with one of some verdicts, the largest effect first."""
    found = table[table["verdict"].isin(verdicts)]
    return found.loc[found["effect"].abs().sort_values(ascending=False, kind="stable").index]


def _effect_claim(study: CausalStudy, row: Any) -> Claim:
    head, unit = Head(int(row.layer), int(row.head)), study.heads.attrs["unit"]
    answer = answer_of(study.ability.is_surrogate)
    if row.verdict == "supports":
        changes = f"falls by {_ranged(row.effect, row.ci_low, row.ci_high, unit)}"
    else:
        changes = f"rises by {_ranged(-row.effect, -row.ci_high, -row.ci_low, unit)}"
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


def _depends_claim(study: CausalStudy, row: Any) -> Claim:
    head = Head(int(row.layer), int(row.head))
    answer = answer_of(study.ability.is_surrogate)
    methods = study.followed.methods
    said = methods[(methods["layer"] == row.layer) & (methods["head"] == row.head)]
    unit = study.heads.attrs["unit"]
    parts = "; ".join(
        f"{each.method}: {each.verdict} ({quantity(each.effect)} {unit})"
        for each in said.itertuples()
    )
    return Claim(
        kind="depends",
        subject=str(head),
        sentence=f"What {head} does for {answer} depends on the method of ablation. {parts}.",
        estimate=float(row.effect),
        low=float(row.ci_low),
        high=float(row.ci_high),
        p=float(row.p_adjusted),
        **_of_effects(study),
    )


def _nothing_claim(study: CausalStudy) -> Claim:
    table = study.heads
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
    return Claim(
        kind="no-effect",
        subject="all heads" if len(table) > 1 else str(_only(table)),
        sentence=f"No evidence that {heads} supports or opposes {answer}{size}.",
        estimate=detectable,
        p=float(table["p_adjusted"].min()),
        **_of_effects(study),
    )


def detectable_effect(table: pd.DataFrame) -> float:
    """Return the effect that would have been found on the median head in 80% of such studies."""
    found = float(table["detectable"].median())
    return max(found, float(table.attrs["smallest_effect"])) if not math.isnan(found) else found


def _only(table: pd.DataFrame) -> Head:
    return Head(int(table["layer"].iloc[0]), int(table["head"].iloc[0]))


def _of_effects(study: CausalStudy) -> dict[str, Any]:
    heads = counted(len(study.heads), "head")
    few = " and by resamples" if study.ability.groups < MANY_GROUPS else ""
    return {
        "test": f"max-t over {heads}, two-sided, by flipped signs{few}",
        "n": study.ability.n,
        "groups": study.ability.groups,
        "rule": _RULE_OF_EFFECTS,
    }


def attending_claims(study: CausalStudy) -> list[Claim]:
    """Return a claim for each head that attends to the antecedent, the most accurate first."""
    table = study.heads
    found = table[table["attends"].astype(bool)]
    found = found.sort_values("attention_accuracy", ascending=False, kind="stable")
    return [_attending_claim(study, row) for row in found.itertuples()]


def _attending_claim(study: CausalStudy, row: Any) -> Claim:
    head = Head(int(row.layer), int(row.head))
    times = (
        quantity(row.attention_ratio) if row.attention_ratio <= _TIMES else f"over {whole(_TIMES)}"
    )
    ratio = (
        f"the antecedent gets {times} times the weight of the best distractor on the median case"
    )
    return Claim(
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


def pair_claims(study: CausalStudy) -> list[Claim]:
    """Return a claim for each two heads that stand in for each other, or work together."""
    pairs, unit = study.followed.pairs, study.heads.attrs["unit"]
    found = pairs[pairs["relation"] != "no evidence"]
    claims = []
    for row in found.itertuples():
        a, b = Head(row.layer, row.head), Head(row.other_layer, row.other_head)
        change = _ranged(row.interaction, row.interaction_low, row.interaction_high, unit)
        claims.append(
            Claim(
                kind="redundant" if row.interaction > 0 else "joint",
                subject=f"{a} and {b}",
                sentence=(
                    f"{a} and {b} {row.relation}: without both the preference falls by "
                    f"{quantity(row.effect)} {unit}, by {quantity(row.alone)} in the sum of each "
                    f"alone; the difference is {change}."
                ),
                estimate=float(row.interaction),
                low=float(row.interaction_low),
                high=float(row.interaction_high),
                test=f"max-t over {counted(len(pairs), 'pair')}, two-sided",
                p=float(row.p_adjusted),
                n=study.ability.n,
                groups=study.ability.groups,
                rule=f"adjusted p below {LEVEL}, and at least {percent(SMALLEST, 0)} of the mean "
                "size of the margins",
            )
        )
    return claims


def set_claim(study: CausalStudy) -> list[Claim]:
    """Return the claim on the small set of heads, where one is searched."""
    found = study.smallest
    if found is None:
        return []
    kind = "faithful" if found.reached and found.low > 0 else "no-faithful"
    return [
        Claim(
            kind=kind,
            subject=", ".join(map(str, found.heads)) or "any set of heads",
            sentence=found.words,
            estimate=found.faithfulness,
            low=found.low,
            high=found.high,
            n=found.n,
            rule=f"a faithfulness of {found.wanted} on the half that the set was found on",
        )
    ]


def mediation_claims(study: CausalStudy) -> list[Claim]:
    """Return the claim on the head that most of a minimal pair's change passes through.

    By outputs and by attention weights; none where the model is not above chance, or the total's
    interval is not above 0.
    """
    claims = []
    for found in (study.mediation, study.mediation_by_weights):
        if found is None or not found.is_shown or not study.ability.is_above_chance:
            continue
        table, unit = found.heads, study.heads.attrs["unit"]
        shown = table[(table["p_adjusted"] < LEVEL) & (table["indirect_low"] > 0)]
        if shown.empty:
            continue
        row = shown.loc[shown["indirect"].idxmax()]
        head = Head(int(row["layer"]), int(row["head"]))
        change = _ranged(row["indirect"], row["indirect_low"], row["indirect_high"], unit)
        claims.append(
            Claim(
                kind=f"mediates by {MEDIATED[found.through]}",
                subject=str(head),
                sentence=(
                    f"By the {MEDIATED[found.through]} of {head} alone {change} of the change "
                    f"come about, {percent(row['share'])} of the total."
                ),
                estimate=float(row["indirect"]),
                low=float(row["indirect_low"]),
                high=float(row["indirect_high"]),
                test=f"max-t over {counted(len(table), 'head')}, two-sided",
                p=float(row["p_adjusted"]),
                n=2 * int(row["n"]),
                groups=int(row["n"]),
                rule=f"adjusted p below {LEVEL}, and the interval of the total above 0",
            )
        )
    return claims


#: What a head passes on, in words.
MEDIATED = {"head_outputs": "output", "attentions": "attention weights"}


def claims_of(study: CausalStudy) -> tuple[Claim, ...]:
    """Return all claims of a study, from which its sentences are made."""
    few = study.heads["p_adjusted"].isna().all()
    found: Iterable[Claim] = (
        ability_claim(study.ability),
        *([] if few else effect_claims(study)),
        *attending_claims(study),
        *pair_claims(study),
        *set_claim(study),
        *mediation_claims(study),
    )
    return tuple(replace(claim, sentence=claim.sentence.replace("*", "")) for claim in found)


def _ranged(value: float, low: float, high: float, unit: str) -> str:
    return f"{quantity(value)} {unit}{interval(quantity(low), quantity(high))}"

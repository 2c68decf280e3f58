"""Sentences on the result of a causal study that stay true for every outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.reporting.findings import Finding
from introspect.reporting.set_words import direction_name
from introspect.statistics import FEWEST_GROUPS, accuracy_intervals
from introspect.studies.causal import CausalEffects, CausalStudy, credit_of
from introspect.text import (
    capitalized,
    counted,
    interval,
    listed,
    percent,
    percent_ends,
    quantity,
    sentence,
    signed,
    verb,
)

_SIGNIFICANT = 0.05
_NAMED = 5

_SURROGATE = "Measured by a surrogate, not by the model’s own answer."
_CAVEATS = (
    "These cases are the evidence, and no others: another collection may give another answer.",
    "Ablating a head leaves the model in a state that it was not trained in. A large effect shows "
    "that the answer depends on the output of the head; it does not show what the head is for, "
    "nor that it works alone.",
    "A head without an effect may be one of several that do the same: each can be missed while "
    "the others are there. Only ablating them together shows it.",
)


@dataclass(frozen=True)
class OwnAnswer:
    """The share of cases in which the unchanged model prefers the antecedent.

    Args:
        accuracy: the share; a tie counts half.
        low, high: the ends of its interval, by groups of cases; NaN with too few.
        n: the number of cases.
        chance: the accuracy of a blind choice.
        is_surrogate: whether the model was asked something else instead.
    """

    accuracy: float
    low: float
    high: float
    n: int
    chance: float
    is_surrogate: bool

    @property
    def is_above_chance(self) -> bool:
        """Whether the whole interval is above the accuracy of a blind choice."""
        return self.low > self.chance

    @property
    def clause(self) -> str:
        """``the model is right``, or what can be said of a surrogate."""
        return "the antecedent is ahead" if self.is_surrogate else "the model is right"

    @property
    def sentence(self) -> str:
        """The share with its interval, beside chance."""
        return (
            f"{capitalized(self.clause)} in {percent(self.accuracy)} of {counted(self.n, 'case')}"
            f"{percent_ends(self.low, self.high)}; a blind choice would be in "
            f"{percent(self.chance)}."
        )


def own_answer(effects: CausalEffects, chance: float) -> OwnAnswer:
    """Return how often the unchanged model is right."""
    margins, groups = effects.margins, effects.answers.groups
    credit = credit_of(margins)
    low = high = math.nan
    if len(set(groups)) >= FEWEST_GROUPS:
        ends = accuracy_intervals(credit[:, None], groups)
        low, high = float(ends[0][0]), float(ends[1][0])
    surrogate = effects.answers.metric.is_surrogate
    return OwnAnswer(float(credit.mean()), low, high, len(credit), chance, surrogate)


def heads_that_matter(table: pd.DataFrame) -> pd.DataFrame:
    """Select the heads whose ablation lowers the margin, and more than that of other heads does."""
    is_found = (table["p_adjusted"] < _SIGNIFICANT) & (table["ci_low"] > 0)
    return table[is_found].sort_values("effect", ascending=False, kind="stable")


def heads_that_attend(table: pd.DataFrame) -> list[Head]:
    """Select the heads that attend to the antecedent above chance, adjusted over all heads."""
    found = table[table["attention_p_adjusted"] < _SIGNIFICANT]
    found = found.sort_values("attention_accuracy", ascending=False, kind="stable")
    return [_head(row) for row in found.itertuples()]


def head_verdicts(table: pd.DataFrame) -> dict[Head, str]:
    """Describe in a few words each head that matters or attends to the antecedent."""
    matter = {_head(row) for row in heads_that_matter(table).itertuples()}
    attending = set(heads_that_attend(table))
    words = {
        "attends and matters": matter & attending,
        "matters; no evidence that it attends here": matter - attending,
        "attends; no evidence that it matters": attending - matter,
    }
    return {head: verdict for verdict, heads in words.items() for head in sorted(heads)}


def finding_of_study(study: CausalStudy) -> Finding:
    """Return the headline of a study, what supports it, and what it does not show."""
    table = study.heads
    own = own_answer(study.effects, float(table.attrs["chance"]))
    sentences = [_headline(study, own)]
    if own.is_surrogate:
        sentences.insert(0, _SURROGATE)
    details = (own.sentence, _matter_words(table), _chosen_words(study), _correlation(study))
    caveats = list(_CAVEATS)
    if own.is_surrogate:
        caveats.insert(
            0,
            "The model has no language-modeling head. Effects are on "
            f"{table.attrs['metric_words']}. It may move for reasons that have nothing to do with "
            "who the pronoun is.",
        )
    return Finding(" ".join(sentences), tuple(filter(None, details)), tuple(caveats))


def _headline(study: CausalStudy, own: OwnAnswer) -> str:
    table = study.heads
    if table["p_adjusted"].isna().all():
        groups = len(set(study.effects.answers.groups))
        return (
            f"{counted(groups, 'group')} of cases {verb(groups, 'is', 'are')} too few for "
            f"intervals and tests: nothing is claimed of any head. {capitalized(own.clause)} in "
            f"{percent(own.accuracy)} of {counted(own.n, 'case')}."
        )
    matter = [_head(row) for row in heads_that_matter(table).itertuples()]
    attending = heads_that_attend(table)
    both = [head for head in matter if head in attending]
    others = [head for head in matter if head not in attending]
    if both:
        return " ".join(filter(None, [_both_words(table, both, attending), _also(others)]))
    if others and attending:
        no_evidence = f"without evidence that {_it(others)}{_verb(others, 'attend')} to it"
        return (
            f"{_named(attending)} {_verb(attending, 'attend')} to the antecedent, but no evidence "
            f"was found that {_it(attending)}{_verb(attending, 'matter')}; {_named(others)} "
            f"{_verb(others, 'matter')}, {no_evidence}."
        )
    if others:
        nevertheless = f"{_named(others)} {_verb(others, 'matter')} nevertheless."
        return f"{_none_attends(study, own)} {nevertheless}"
    heads = f"any of {len(table)} heads" if len(table) > 1 else "the head"
    nothing = (
        f"No evidence that {heads} matters: no effect is above 0, and above that of the other "
        "heads of the same layer, by more than chance allows."
    )
    if attending:
        return (
            f"{nothing} {_named(attending)} {_verb(attending, 'attend')} to the antecedent all the "
            "same."
        )
    return f"{nothing} {_none_attends(study, own)}"


def _both_words(table: pd.DataFrame, both: Sequence[Head], attending: Sequence[Head]) -> str:
    """Describe the heads that attend to the antecedent and matter, with the largest effect."""
    row = next(row for row in table.itertuples() if _head(row) == both[0])
    effect = f"{with_range(row.effect, row.ci_low, row.ci_high)} {table.attrs['unit']}"
    figures = f"an effect of {effect}, {_beside(row.control, [both[0]], table.attrs['unit'])}"
    if len(both) == 1 and len(attending) == 1:
        return f"The head that attends to the antecedent matters: {both[0]}, with {figures}."
    largest = f"the largest is {both[0]}’s, {figures}" if len(both) > 1 else f"with {figures}"
    rest = [head for head in attending if head not in both]
    unknown = f" No evidence was found that {_named(rest)} {_verb(rest, 'do')}." if rest else ""
    return (
        f"Of {counted(len(attending), 'head')} that {_verb(attending, 'attend')} to the "
        f"antecedent, {_named(both)} "
        f"{_verb(both, 'matter')}: {largest}.{unknown}"
    )


def _also(others: Sequence[Head]) -> str:
    if not others:
        return ""
    return (
        f"{_named(others)} {_verb(others, 'matter')} as well, although no evidence was found that "
        f"{_it(others)}{_verb(others, 'attend')} to it."
    )


def _none_attends(study: CausalStudy, own: OwnAnswer) -> str:
    """Say that no head attends from the pronoun, and whether the model answers all the same."""
    choice = study.scores.choice
    if choice is not None and choice.p_value < _SIGNIFICANT:
        return (
            "No single head stands out by what it attends to from the pronoun; heads chosen on "
            f"other cases are right in {percent(choice.accuracy)}, "
            f"{direction_name(choice.direction)}."
        )
    joined = "although" if own.is_above_chance else "and"
    return (
        f"No head’s attention resolves the pronoun, as far as these cases show, {joined} "
        f"{own.clause} in {percent(own.accuracy)} of them."
    )


def _matter_words(table: pd.DataFrame) -> str:
    """Describe the heads that matter, each with its figures."""
    found = heads_that_matter(table)
    if found.empty:
        return ""
    parts = [
        f"*{_head(row)}* {with_range(row.effect, row.ci_low, row.ci_high)} {table.attrs['unit']}, "
        f"{_beside(row.control, [_head(row)], table.attrs['unit'])}"
        for row in found.head(_NAMED).itertuples()
    ]
    more = len(found) - len(parts)
    rest = f"; and {more} more, in the table below" if more else ""
    surrogate = " on the surrogate" if table.attrs["is_surrogate"] else ""
    heads = f"{counted(len(found), 'head')} {verb(len(found), 'matters', 'matter')}"
    return (
        f"Of {len(table)}, {heads} (adjusted p below 0.05), by an effect{surrogate} of "
        f"{'; '.join(parts)}{rest}."
    )


def _chosen_words(study: CausalStudy) -> str:
    """Say whether the head chosen by its attention on other cases matters on these."""
    chosen = study.chosen
    if chosen is None:
        return ""
    names, unit = list(dict.fromkeys(chosen.heads)), study.heads.attrs["unit"]
    who = " and ".join(f"*{name}*" for name in names)
    against = with_range(chosen.difference, chosen.difference_low, chosen.difference_high)
    is_alone = math.isnan(chosen.control)
    difference = "" if is_alone else f", difference {against}"
    low = chosen.ci_low if is_alone else min(chosen.ci_low, chosen.difference_low)
    matters = _verb(names, "matter")
    verdict = f"{_it(names)}{matters}" if low > 0 else f"no evidence that {_it(names)}{matters}"
    if not heads_that_attend(study.heads):
        verdict += (
            "; but no head attends to it more often than chance allows, and one had to be chosen"
        )
    return (
        "Chosen by its attention on one half of the cases, and ablated on the other: "
        f"{who}, effect {with_range(chosen.effect, chosen.ci_low, chosen.ci_high)} "
        f"{unit}, {_beside(chosen.control, names, unit)}{difference}. Held out, {verdict}."
    )


def _correlation(study: CausalStudy) -> str:
    if math.isnan(study.correlation):
        return ""
    return (
        f"Over {counted(len(study.heads), 'head')}, attention accuracy and effect are correlated "
        f"by {signed(study.correlation)} (Spearman)."
    )


def smallest_words(study: CausalStudy) -> list[str]:
    """Describe the few heads that carry the most."""
    found = study.smallest
    if found is None:
        return []
    sentences = [found.words]
    if len(found.steps):
        last = found.steps.iloc[-1]
        them, they = ("it", "It was") if len(found.steps) == 1 else ("them", "They were")
        random = last["effect_of_random"]
        drawn = (
            "" if math.isnan(random) else f" As many heads, drawn in the same layers, carry "
            f"{quantity(random)} in the mean."
        )  # fmt: skip
        sentences.append(
            f"Without {them} the antecedent is ahead in {percent(float(last['accuracy_without']))} "
            "of the cases; with all other heads ablated, in "
            f"{percent(float(last['accuracy_with_only']))}.{drawn}"
        )
        sentences.append(
            f"{they} found on the cases that the figures are of: they are in-sample, and another "
            "set may do as well."
        )
    return sentences


def mediation_words(study: CausalStudy) -> list[str]:
    """Say how much of the change within a minimal pair passes through single heads."""
    found = study.mediation
    if found is None:
        return []
    table, unit = found.heads, study.heads.attrs["unit"]
    total, pairs = float(table["total"].iloc[0]), int(table["n"].iloc[0])
    best = table.sort_values("indirect", ascending=False, kind="stable").iloc[0]
    sentences = [
        "From one case of a minimal pair to the other the preference changes by "
        f"{quantity(total)} {unit}, in the mean over {counted(pairs, 'pair')}: the total effect. "
        "The indirect effect of a head is the part that comes about if the output of this head "
        "alone is that for the other case; the direct effect is what is left of the change if the "
        "output of this head alone is not."
    ]
    if total > 0 and best["indirect"] > 0:
        sentences.append(
            f"Most passes through {Head(int(best['layer']), int(best['head']))}: "
            f"{with_range(best['indirect'], best['indirect_low'], best['indirect_high'])} {unit}, "
            f"{percent(best['share'])} of the total; "
            f"{with_range(best['direct'], best['direct_low'], best['direct_high'])} {unit} is left "
            "without it. Effects of several heads do not add up."
        )
    else:
        sentences.append("Through no head does any of it pass by itself.")
    if count := len(found.left_out):
        are = verb(count, "is no minimal pair", "are no minimal pairs")
        sentences.append(f"{counted(count, 'group')} {are}, and left out.")
    return [*sentences, *map(sentence, found.notes)]


def with_range(value: float, low: float, high: float) -> str:
    """Return an effect with its 95% interval, where there is one.

    Example:
        >>> with_range(19.0, 17.5, 20.6)
        '19.0 (95% CI 17.5–20.6)'
    """
    return f"{quantity(value)}{interval(quantity(low), quantity(high))}"


def _beside(control: float, heads: Sequence[Head], unit: str) -> str:
    """Describe the control of a head, or of two, in a sentence."""
    layers = sorted({head.layer for head in heads})
    if math.isnan(control):
        return "the only head of the layer"
    of = f"{verb(len(layers), 'layer', 'layers')} {listed(layers)}"
    return f"the other heads of {of}: {quantity(control)} {unit}"


def _head(row: Any) -> Head:
    return Head(int(row.layer), int(row.head))


def _named(heads: Sequence[Head]) -> str:
    return listed(heads, most=_NAMED)


def _it(heads: Sequence[Head]) -> str:
    return verb(len(heads), "it ", "they ")


def _verb(heads: Sequence[Head], plural: str) -> str:
    singular = "does" if plural == "do" else f"{plural}s"
    return verb(len(heads), singular, plural)

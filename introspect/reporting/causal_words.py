"""Sentences on the result of a causal study that stay true for every outcome."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.reporting.findings import Finding
from introspect.reporting.set_words import direction_name, share
from introspect.statistics import FEWEST_GROUPS, grouped_bootstrap
from introspect.studies.causal import CausalEffects, CausalStudy, credit_of

__all__ = [
    "OwnAnswer",
    "finding_of_study",
    "head_verdicts",
    "heads_that_look",
    "heads_that_matter",
    "mediation_words",
    "number",
    "own_answer",
    "smallest_words",
    "with_range",
]

_SIGNIFICANT = 0.05
_NAMED = 5
_SMALL = 0.001
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_SURROGATE = "Measured by a surrogate, not by the model’s own answer."
_CAVEATS = (
    "These cases are the evidence, and no others: another collection may give another answer.",
    "A head that is taken out leaves the model in a state that it was not trained in. A large "
    "effect shows that the answer depends on what the head gives on; it does not show what the "
    "head is for, nor that it works alone.",
    "A head without an effect may be one of several that do the same: each can be missed while "
    "the others are there. Only taking them out together shows it.",
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
        ends = f" (95 %: {100 * self.low:.1f}–{100 * self.high:.1f})"
        return (
            f"{_capital(self.clause)} in {share(self.accuracy)} of {self.n} cases"
            f"{'' if math.isnan(self.low) else ends}; a blind choice would be in "
            f"{share(self.chance)}."
        )


def own_answer(effects: CausalEffects, chance: float) -> OwnAnswer:
    """Return how often the unchanged model is right."""
    margins, groups = effects.margins, effects.answers.groups
    credit = credit_of(margins)
    low = high = math.nan
    if len(set(groups)) >= FEWEST_GROUPS:
        ends = grouped_bootstrap(credit[:, None], groups)
        low, high = float(ends[0][0]), float(ends[1][0])
    surrogate = effects.answers.metric.is_surrogate
    return OwnAnswer(float(credit.mean()), low, high, len(credit), chance, surrogate)


def heads_that_matter(table: pd.DataFrame) -> pd.DataFrame:
    """Select the heads whose ablation lowers the margin, and more than that of other heads does."""
    is_found = (table["p_adjusted"] < _SIGNIFICANT) & (table["ci_low"] > 0)
    return table[is_found].sort_values("effect", ascending=False, kind="stable")


def heads_that_look(table: pd.DataFrame) -> list[Head]:
    """Select the heads that attend to the antecedent above chance, adjusted over all heads."""
    found = table[table["attention_p_adjusted"] < _SIGNIFICANT]
    found = found.sort_values("attention_accuracy", ascending=False, kind="stable")
    return [_head(row) for row in found.itertuples()]


def head_verdicts(table: pd.DataFrame) -> dict[Head, str]:
    """Describe in a few words each head that matters or attends to the antecedent."""
    matter = {_head(row) for row in heads_that_matter(table).itertuples()}
    looking = set(heads_that_look(table))
    words = {
        "looks and matters": matter & looking,
        "matters; no evidence that it looks here": matter - looking,
        "looks; no evidence that it matters": looking - matter,
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
            f"The model has no head that answers. Effects are on {table.attrs['metric_words']}. It "
            "may move for reasons that have nothing to do with who the pronoun is.",
        )
    return Finding(" ".join(sentences), tuple(filter(None, details)), tuple(caveats))


def _headline(study: CausalStudy, own: OwnAnswer) -> str:
    table = study.heads
    if table["p_adjusted"].isna().all():
        groups = len(set(study.effects.answers.groups))
        return (
            f"{groups} {'group' if groups == 1 else 'groups'} of cases are too few for intervals "
            f"and tests: nothing is claimed of any head. {_capital(own.clause)} in "
            f"{share(own.accuracy)} of {own.n} cases."
        )
    matter = [_head(row) for row in heads_that_matter(table).itertuples()]
    looking = heads_that_look(table)
    both = [head for head in matter if head in looking]
    others = [head for head in matter if head not in looking]
    if both:
        return " ".join(filter(None, [_both_words(table, both, looking), _also(others)]))
    if others and looking:
        no_sight = f"without evidence that {_it(others)}{_verb(others, 'look')} there"
        return (
            f"{_listed(looking)} {_verb(looking, 'attend')} to the antecedent, but no evidence was "
            f"found that {_it(looking)}{_verb(looking, 'matter')}; {_listed(others)} "
            f"{_verb(others, 'matter')}, {no_sight}."
        )
    if others:
        nevertheless = f"{_listed(others)} {_verb(others, 'matter')} nevertheless."
        return f"{_nobody_looks(study, own)} {nevertheless}"
    heads = f"any of {len(table)} heads" if len(table) > 1 else "the head"
    nothing = (
        f"No evidence that {heads} matters: no effect is above 0, and above that of the other "
        "heads of its layer, by more than chance allows."
    )
    if looking:
        return (
            f"{nothing} {_listed(looking)} {_verb(looking, 'attend')} to the antecedent all the "
            "same."
        )
    return f"{nothing} {_nobody_looks(study, own)}"


def _both_words(table: pd.DataFrame, both: Sequence[Head], looking: Collection[Head]) -> str:
    """Describe the heads that attend to the antecedent and matter, with the largest effect."""
    row = next(row for row in table.itertuples() if _head(row) == both[0])
    effect = f"{with_range(row.effect, row.ci_low, row.ci_high)} {table.attrs['unit']}"
    figures = f"an effect of {effect}, {_beside(row.control)}"
    if len(both) == 1 and len(looking) == 1:
        return f"The head that attends to the antecedent matters: {both[0]}, with {figures}."
    largest = f"the largest is {both[0]}’s, {figures}" if len(both) > 1 else f"with {figures}"
    rest = [head for head in looking if head not in both]
    unknown = f" No evidence was found that {_listed(rest)} {_verb(rest, 'do')}." if rest else ""
    return (
        f"Of {len(looking)} heads that attend to the antecedent, {_listed(both)} "
        f"{_verb(both, 'matter')}: {largest}.{unknown}"
    )


def _also(others: Sequence[Head]) -> str:
    if not others:
        return ""
    return (
        f"{_listed(others)} {_verb(others, 'matter')} as well, although no evidence was found that "
        f"{_it(others)}{_verb(others, 'look')} there."
    )


def _nobody_looks(study: CausalStudy, own: OwnAnswer) -> str:
    """Say that no head attends from the pronoun, and whether the model answers all the same."""
    choice = study.scores.choice
    if choice is not None and choice.p_value < _SIGNIFICANT:
        return (
            "No single head stands out by where it looks from the pronoun; heads chosen on other "
            f"cases are right in {share(choice.accuracy)}, {direction_name(choice.direction)}."
        )
    joined = "although" if own.is_above_chance else "and"
    return (
        f"No head’s attention resolves the pronoun, as far as these cases show, {joined} "
        f"{own.clause} in {share(own.accuracy)} of them."
    )


def _matter_words(table: pd.DataFrame) -> str:
    """Describe the heads that matter, each with its figures."""
    found = heads_that_matter(table)
    if found.empty:
        return ""
    parts = [
        f"*{_head(row)}* {with_range(row.effect, row.ci_low, row.ci_high)} {table.attrs['unit']}, "
        f"{_beside(row.control)}"
        for row in found.head(_NAMED).itertuples()
    ]
    more = len(found) - len(parts)
    rest = f"; and {more} more, in the table below" if more else ""
    surrogate = " on the surrogate" if table.attrs["is_surrogate"] else ""
    heads = "1 head matters" if len(found) == 1 else f"{len(found)} heads matter"
    return (
        f"Of {len(table)}, {heads} (adjusted p below 0.05), by an effect{surrogate} of "
        f"{'; '.join(parts)}{rest}."
    )


def _chosen_words(study: CausalStudy) -> str:
    """Say whether the head chosen by its attention on other cases matters on these."""
    chosen = study.chosen
    if chosen is None:
        return ""
    names = list(dict.fromkeys(chosen.heads))
    who = " and ".join(f"*{name}*" for name in names)
    against = with_range(chosen.difference, chosen.difference_low, chosen.difference_high)
    is_alone = math.isnan(chosen.control)
    difference = "" if is_alone else f", difference {against}"
    low = chosen.ci_low if is_alone else min(chosen.ci_low, chosen.difference_low)
    matters = _verb(names, "matter")
    verdict = f"{_it(names)}{matters}" if low > 0 else f"no evidence that {_it(names)}{matters}"
    if not heads_that_look(study.heads):
        verdict += (
            "; but no head looks there more often than chance allows, and one had to be chosen"
        )
    return (
        "Chosen by where it looks on one half of the cases, and taken out on the other: "
        f"{who}, effect {with_range(chosen.effect, chosen.ci_low, chosen.ci_high)} "
        f"{study.heads.attrs['unit']}, {_beside(chosen.control)}{difference}. Held out, {verdict}."
    )


def _correlation(study: CausalStudy) -> str:
    if math.isnan(study.correlation):
        return ""
    return (
        f"Over {len(study.heads)} heads, attention accuracy and effect are correlated by "
        f"{f'{study.correlation:+.2f}'.replace('-', '−')} (Spearman)."
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
            f"{number(random)} in the mean."
        )  # fmt: skip
        sentences.append(
            f"Without {them} the antecedent is ahead in {share(float(last['accuracy_without']))} "
            "of the cases; with all other heads ablated, in "
            f"{share(float(last['accuracy_with_only']))}.{drawn}"
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
        f"From a case to its twin the preference changes by {number(total)} {unit}, in the mean "
        f"over {pairs} {'pair' if pairs == 1 else 'pairs'}: the total effect. The indirect effect "
        "of a head is the part that comes about if this head alone gives on what it gives for the "
        "twin; the direct effect is what is left of the change if this head alone does not."
    ]
    if total > 0 and best["indirect"] > 0:
        sentences.append(
            f"Most passes through {Head(int(best['layer']), int(best['head']))}: "
            f"{with_range(best['indirect'], best['indirect_low'], best['indirect_high'])} {unit}, "
            f"{best['share']:.0%} of the total; "
            f"{with_range(best['direct'], best['direct_low'], best['direct_high'])} {unit} is left "
            "without it. Effects of several heads do not add up."
        )
    else:
        sentences.append("Through no head does any of it pass by itself.")
    if count := len(found.left_out):
        are = "group is" if count == 1 else "groups are"
        sentences.append(f"{count} {are} no minimal pair, and left out.")
    return [*sentences, *(f"{_capital(note)}." for note in found.notes)]


def with_range(value: float, low: float, high: float) -> str:
    """Format as ``19.0 (95 %: 17.5 to 20.6)``; without the interval where there is none."""
    ends = "" if math.isnan(low) else f" (95 %: {number(low)} to {number(high)})"
    return f"{number(value)}{ends}"


def number(value: float) -> str:
    """Format with three significant digits, or two and a power of ten; a dash where there is none.

    Example:
        >>> number(19.0026), number(-0.000123)
        ('19', '−1.2·10⁻⁴')
    """
    if math.isnan(value):
        return "–"
    if 0 < abs(value) < _SMALL:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}·10{str(int(exponent)).translate(_RAISED)}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")


def _beside(control: float) -> str:
    """Describe the control of a head in a sentence."""
    if math.isnan(control):
        return "alone in its layer"
    return f"other heads of its layer {number(control)}"


def _head(row: Any) -> Head:
    return Head(int(row.layer), int(row.head))


def _listed(heads: Sequence[Head]) -> str:
    named = [str(head) for head in heads[:_NAMED]]
    if more := len(heads) - len(named):
        named.append(f"{more} more")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def _verb(heads: Sequence[Head], verb: str) -> str:
    if len(heads) != 1:
        return verb
    return "does" if verb == "do" else f"{verb}s"


def _it(heads: Sequence[Head]) -> str:
    return "it " if len(heads) == 1 else "they "


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""What is claimed of the held-out choice of a head: rows, and the sentences made from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import pandas as pd

from introspect.records import Head
from introspect.statistics import DIVISIONS, SIGNIFICANT, Claim
from introspect.studies.coreference.choice import Choice
from introspect.text import (
    counted,
    decimal,
    interval,
    listed,
    p_value,
    percent,
    percent_ends,
    signed_percent,
    verb,
)

_BASELINES = {
    "random": "chance",
    "nearest_preceding": "the nearest candidate",
    "first_mentioned": "the first candidate",
    "most_attended": "the most attended candidate",
    # Not "the mean of all heads", which beside accuracies reads as the mean of theirs.
    "mean_of_heads": "attention averaged over all heads",
    "fewest_words": "the candidate with the fewest words",
    "most_pieces": "the candidate with the most word pieces",
    "word_association": "word association",
    "fixed_offset": "the best fixed distance",
    "random_weights": "the same model with random weights",
}
_CHANCE = f"the p-value is not below {SIGNIFICANT}"
_ABOVE = f"p below {SIGNIFICANT}, and the difference from every baseline has an interval above 0"
_HOLDS_0 = (
    f"p below {SIGNIFICANT}, and the difference from some baseline is not shown to be above 0"
)
#: What is found in 80% of simulated sets of the same size.
_POWER = "found with a p-value below 0.05 in 80% of simulated sets of this size"
_DIFFERENCE = "no-beats: difference"
_IN_SAMPLE = "chosen on the cases that it is scored on"


class Chosen(Protocol):
    """What claims are made from: the tables of scores."""

    @property
    def heads(self) -> pd.DataFrame:
        """One row for each head."""

    @property
    def baselines(self) -> pd.DataFrame:
        """The accuracy of answers that need no head."""

    @property
    def against(self) -> pd.DataFrame:
        """The differences from them."""

    @property
    def by_length(self) -> pd.DataFrame:
        """The accuracy by the length of the antecedent."""

    @property
    def choice(self) -> Choice | None:
        """The held-out choice."""

    @property
    def num_groups(self) -> int:
        """The number of groups of cases."""


def baseline_name(name: str) -> str:
    """Return a baseline's name for use in a sentence."""
    return _BASELINES.get(name, name.replace("_", " "))


def direction_name(direction: str) -> str:
    """Return a direction in words, such as ``pronoun to candidate``."""
    return direction.replace("_", " ")


def in_sample(scores: Chosen, head: Head, direction: str, column: str = "accuracy") -> float:
    """Return a figure of one head on all cases, including those that it was chosen on."""
    heads = scores.heads
    is_it = (heads["layer"] == head.layer) & (heads["head"] == head.head)
    return float(heads[is_it & (heads["direction"] == direction)][column].iloc[0])


def choice_claims(scores: Chosen, also: Sequence[Claim] = ()) -> tuple[Claim, ...]:
    """Return the claims on the held-out choice: the headline first.

    Args:
        scores: the tables.
        also: what other tests of the same cases show, each with a clause such as ``L0H0 attends to
            the antecedent``: beside it a choice that is at chance is not called *no evidence*.
    """
    if scores.heads.empty:
        return (_none_offered(),)
    if scores.choice is None:
        return (_too_few(scores), *_baselines(scores))
    headline = _headline(scores, scores.choice, [*also, *_above_chance(scores)])
    return (
        *headline,
        *_could_be_found(scores, scores.choice),
        *_in_sample(scores, scores.choice),
        *_raw_beside(scores, scores.choice),
        *_baselines(scores),
        *_against(scores, {row.subject for row in headline if row.kind == _DIFFERENCE}),
        *_by_length(scores, scores.choice),
        *_stability(scores, scores.choice),
    )


def in_sample_claims(scores: Chosen) -> tuple[Claim, ...]:
    """Return the claims on a handful of cases: the best head, in-sample, beside the baselines."""
    table = scores.heads.dropna(subset=["accuracy"])
    if table.empty:
        return (_not_scored(scores),)
    best = table.sort_values("accuracy", ascending=False, kind="stable").iloc[0]
    head, direction = Head(int(best["layer"]), int(best["head"])), str(best["direction"])
    most = Claim(
        kind="in-sample",
        subject=f"{head}, {direction_name(direction)}",
        sentence=(
            f"Over {counted(int(best['n']), 'case')} {head} ({direction_name(direction)}) chooses "
            f"the antecedent most often, in {percent(best['accuracy'])}: an in-sample figure, not "
            "a held-out one."
        ),
        estimate=float(best["accuracy"]),
        n=int(best["n"]),
        groups=scores.num_groups,
        rule=f"{_IN_SAMPLE}, of {len(table)} heads and directions",
    )
    return most, *_baselines(scores, "On the same cases, without any head")


def _not_scored(scores: Chosen) -> Claim:
    offered = (scores.heads["n"] + scores.heads["n_not_observable"]).sum()
    return Claim(
        kind="no-scores",
        subject="any head",
        sentence=(
            "No head could be scored: what the mentions attend to cannot be observed, or is not "
            "finite."
            if offered
            else "None of these cases offers a right and a wrong answer, so no head was scored."
        ),
    )


def _too_few(scores: Chosen) -> Claim:
    count = scores.num_groups
    return Claim(
        kind="too-few",
        subject="any head",
        sentence=(
            f"{counted(count, 'group')} of cases {verb(count, 'is', 'are')} too few for a held-out "
            "figure: nothing is claimed of any head."
        ),
        estimate=count,
        n=int(scores.baselines["n"].max()),
        groups=count,
    )


def _none_offered() -> Claim:
    return Claim(
        kind="no-scores",
        subject="any head",
        sentence="None of these cases offers a right and a wrong answer: no head was scored.",
    )


def _above_chance(scores: Chosen) -> list[Claim]:
    """Say how many heads do better than chance in the test of all heads at once."""
    if "p_adjusted" not in scores.heads:
        return []
    count = int((scores.heads["p_adjusted"] < SIGNIFICANT).sum())
    if not count:
        return []
    number = counted(count, "head and direction", "heads and directions")
    words = f"{number} {verb(count, 'does', 'do')} better than chance (adjusted p below 0.05)"
    return [also_found("heads above chance", "all heads and directions", words, count)]


def also_found(what: str, subject: str, words: str, count: int) -> Claim:
    """Return what another test of the same cases shows, as a clause to stand in the headline."""
    return Claim(kind=f"no-chooses: {what}", subject=subject, sentence=words, estimate=float(count))


def _of_choice(scores: Chosen, choice: Choice) -> dict[str, Any]:
    return {
        "subject": f"{choice.head}, {direction_name(choice.direction)}",
        "estimate": choice.accuracy,
        "low": choice.ci_low,
        "high": choice.ci_high,
        "test": "the choice repeated on permuted labels",
        "p": choice.p_value,
        "n": choice.n,
        "groups": scores.num_groups,
    }


def _headline(scores: Chosen, choice: Choice, also: Sequence[Claim]) -> list[Claim]:
    """Return what the held-out choice shows, with the figures that it is compared with."""
    given = _of_choice(scores, choice)
    if not choice.p_value < SIGNIFICANT:
        return _at_chance(choice, also, given)
    beaten = scores.against["ci_low"] > 0
    chosen = (
        f"heads chosen on other cases – most often {choice.head}, "
        f"{direction_name(choice.direction)} –"
    )
    if not beaten.all():
        return _not_shown(scores, choice, chosen, beaten, given)
    best = _by_accuracy(scores)[0]
    sentence = (
        f"Held out, {chosen} are right in {_held_out(choice)}, more than every baseline; the best, "
        f"{baseline_name(best.baseline)} ({percent(best.accuracy)})."
    )
    claim = Claim(kind="beats", sentence=sentence, rule=_ABOVE, **given)
    return [claim, claim.beside("baseline", best.accuracy, subject=best.baseline)]


def _at_chance(choice: Choice, also: Sequence[Claim], given: dict[str, Any]) -> list[Claim]:
    chance = f"which these cases do not tell from chance ({p_value(choice.p_value)})"
    sentence = (
        "No evidence that a head resolves these cases: heads chosen on other cases are right in "
        f"{_held_out(choice)}, {chance}."
    )
    if not also:
        return [Claim(kind="no-resolves", sentence=sentence, rule=_CHANCE, **given)]
    sentence = (
        f"Heads chosen on other cases are right in {_held_out(choice)}, {chance}; yet "
        f"{listed([found.sentence for found in also])}."
    )
    claim = Claim(kind="no-chooses", sentence=sentence, rule=_CHANCE, **given)
    numbers: dict[str, Any] = {"sentence": sentence, "n": claim.n, "groups": claim.groups}
    return [claim, *(replace(found, **numbers) for found in also)]


def _held_out(choice: Choice) -> str:
    ends = percent_ends(choice.ci_low, choice.ci_high)
    return f"{percent(choice.accuracy)} of {counted(choice.n, 'case')}{ends}"


def _by_accuracy(scores: Chosen, names: Iterable[str] | None = None) -> list[Any]:
    """Return the differences from the baselines with their accuracy, the best baseline first."""
    rows = scores.against.merge(scores.baselines[["baseline", "accuracy"]], on="baseline")
    if names is not None:
        rows = rows[rows["baseline"].isin(list(names))]
    return list(rows.sort_values("accuracy", ascending=False, kind="stable").itertuples())


def _not_shown(
    scores: Chosen, choice: Choice, chosen: str, beaten: pd.Series, given: dict[str, Any]
) -> list[Claim]:
    """Say which baseline, the best of those, the held-out choice is not shown to beat."""
    best, *others = _by_accuracy(scores, scores.against.loc[~beaten, "baseline"])
    difference = signed_percent(best.difference) + interval(
        signed_percent(best.ci_low), signed_percent(best.ci_high)
    )
    rest = f", nor {listed([baseline_name(o.baseline) for o in others], 'or')}" if others else ""
    claim = Claim(
        kind="no-beats",
        sentence=(
            f"Not shown to beat {baseline_name(best.baseline)}{rest}: {chosen} are right in "
            f"{_held_out(choice)} against {percent(best.accuracy)}, a difference of {difference}."
        ),
        rule=_HOLDS_0,
        **given,
    )
    return [
        claim,
        claim.beside("baseline", best.accuracy, subject=best.baseline),
        claim.beside(
            "difference", best.difference, subject=best.baseline, low=best.ci_low,
            high=best.ci_high,
        ),
    ]  # fmt: skip


def _could_be_found(scores: Chosen, choice: Choice) -> list[Claim]:
    """Say what would have been found, where nothing was."""
    if choice.p_value < SIGNIFICANT or math.isnan(choice.p_value):
        return []
    is_known = not math.isnan(choice.detectable)
    sentence = (
        f"A head that is right in {percent(choice.detectable)} would have been found in 80% of "
        "sets of this size; a weaker one could well be missed."
        if is_known
        else "So few cases find no head in 80% of such sets, even one that is always right."
    )
    return [
        Claim(
            kind="detectable" if is_known else "no-detectable",
            subject="one head",
            sentence=sentence,
            estimate=choice.detectable,
            n=choice.n,
            groups=scores.num_groups,
            rule=_POWER,
        )
    ]


def _in_sample(scores: Chosen, choice: Choice) -> list[Claim]:
    others = choice.num_best - 1
    tied = f", one of {choice.num_best} tied," if others else ""
    claim = Claim(
        kind="in-sample",
        subject=f"{choice.in_sample_head}, {direction_name(choice.in_sample_direction)}",
        sentence=(
            f"In-sample, the best of all heads and directions is {choice.in_sample_head} "
            f"({direction_name(choice.in_sample_direction)}){tied} with "
            f"{percent(choice.in_sample_accuracy)}: too high, since it was chosen on the cases "
            "that it is scored on."
        ),
        estimate=choice.in_sample_accuracy,
        n=choice.n,
        groups=scores.num_groups,
        rule=_IN_SAMPLE,
    )
    return [claim, claim.beside("tied", choice.num_best)] if others else [claim]


def _raw_beside(scores: Chosen, choice: Choice) -> list[Claim]:
    """Say what accuracy the chosen head has by raw weights, where norms were scored."""
    heads = scores.heads
    if "raw_accuracy" not in heads:
        return []
    by_raw = heads.loc[heads["raw_accuracy"].idxmax()]
    best, way = Head(int(by_raw["layer"]), int(by_raw["head"])), str(by_raw["direction"])
    own = in_sample(scores, choice.head, choice.direction)
    raw = in_sample(scores, choice.head, choice.direction, "raw_accuracy")
    subject = f"{choice.head}, {direction_name(choice.direction)}"
    claim = Claim(
        kind="by-norms",
        subject=subject,
        sentence=(
            "Norm-weighted attention was scored, each weight times the length of what it brings. "
            f"{choice.head} ({direction_name(choice.direction)}) is right in-sample in "
            f"{percent(own)} by norms and in {percent(raw)} by raw weights; the best of all by raw "
            f"weights is {best} ({direction_name(way)}) with {percent(by_raw['raw_accuracy'])}."
        ),
        estimate=own,
        n=choice.n,
        groups=scores.num_groups,
        rule=_IN_SAMPLE,
    )
    most = claim.beside(
        "best by raw", by_raw["raw_accuracy"], subject=f"{best}, {direction_name(way)}"
    )
    return [claim, claim.beside("raw", raw), most]


def _baselines(scores: Chosen, on: str = "On the same cases") -> list[Claim]:
    rows = list(scores.baselines.itertuples(index=False))
    named = [f"{baseline_name(row.baseline)} {percent(row.accuracy)}" for row in rows]
    return _of_rows(scores, rows, "baseline", f"{on}: {', '.join(named)}.")


def _of_rows(scores: Chosen, rows: Sequence[Any], kind: str, sentence: str) -> list[Claim]:
    """Return the claims of a sentence that gives the accuracy in each row of a table.

    Args:
        scores: the tables.
        rows: rows of which the first column says what each is of.
        kind: the kind of the claims.
        sentence: the sentence.
    """
    return [
        Claim(
            kind=kind,
            subject=row[0],
            sentence=sentence,
            estimate=float(row.accuracy),
            low=float(row.ci_low),
            high=float(row.ci_high),
            n=int(row.n),
            groups=scores.num_groups,
        )
        for row in rows
    ]


def _against(scores: Chosen, said: set[str]) -> Iterator[Claim]:
    """Yield the difference from the best baseline, unless the headline has it."""
    rows = _by_accuracy(scores)
    if not rows or rows[0].baseline in said:
        return
    best = rows[0]
    side = "above" if best.difference >= 0 else "below"
    yield Claim(
        kind="against",
        subject=best.baseline,
        sentence=(
            f"Case by case, the held-out choice is {decimal(100 * abs(best.difference), 1)} points "
            f"{side} {baseline_name(best.baseline)}"
            f"{interval(signed_percent(best.ci_low), signed_percent(best.ci_high))}."
        ),
        estimate=float(best.difference),
        low=float(best.ci_low),
        high=float(best.ci_high),
        n=int(best.n),
        groups=scores.num_groups,
    )


def _by_length(scores: Chosen, choice: Choice) -> list[Claim]:
    """Say whether the held-out choice depends on which candidate has fewer words."""
    rows = list(scores.by_length.itertuples(index=False))
    if len(rows) < 2:
        return []
    parts = [
        f"{percent(row.accuracy)} of {counted(row.n, 'case')} where it is {row.antecedent}"
        + (" as the distractor" if row.antecedent == "as long" else "")
        for row in rows
    ]
    where = "By the length of the antecedent in words, the held-out choice is right in"
    return _of_rows(scores, rows, "by-length", f"{where} {listed(parts)}.")


def _stability(scores: Chosen, choice: Choice) -> list[Claim]:
    """Say how often each head was chosen, and how often chance does as well."""
    given = _of_choice(scores, choice)
    of_all = given | {"low": math.nan, "high": math.nan, "p": math.nan, "test": ""}
    is_one = choice.frequency == 1
    sentence = (
        f"All folds of all {DIVISIONS} divisions chose {choice.head}, "
        f"{direction_name(choice.direction)}."
        if is_one
        else f"The folds of {DIVISIONS} divisions chose {len(choice.frequencies)} different heads "
        "and directions: the held-out figure is that of the procedure, not of one head."
    )
    numbers = {"estimate": 1.0} if is_one else {"estimate": float(len(choice.frequencies))}
    rule = f"{DIVISIONS} divisions of the groups into folds"
    chosen = Claim(
        kind="always-chosen" if is_one else "chosen", sentence=sentence, rule=rule,
        **(of_all | numbers),
    )  # fmt: skip
    by_chance = Claim(
        kind="by-permutation",
        sentence=(
            "On permuted labels the procedure does as well or better with "
            f"{p_value(choice.p_value)}."
        ),
        **given,
    )
    return [chosen, by_chance]

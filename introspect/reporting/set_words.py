"""Sentences on the figures of a set that stay true for every outcome."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.reporting.prose import ATTENTION_IS_NOT_CAUSATION, Finding
from introspect.statistics import DIVISIONS, SIGNIFICANT, Claim
from introspect.studies.coreference import (
    Bias,
    Choice,
    OccupationBias,
    PairShifts,
    ProbeResult,
    Scores,
)
from introspect.text import (
    counted,
    decimal,
    interval,
    listed,
    p_value,
    percent,
    percent_ends,
    percent_interval,
    sentence,
    signed,
    signed_percent,
    verb,
)

_BASELINES = {
    "random": "chance",
    "nearest_preceding": "the nearest candidate",
    "first_mentioned": "the first candidate",
    "most_attended": "the most attended candidate",
    "mean_of_heads": "the mean of all heads",
    "fewest_words": "the candidate with the fewest words",
    "most_pieces": "the candidate with the most word pieces",
    "fixed_offset": "the best fixed distance",
    "random_weights": "the same model with random weights",
}


def baseline_name(name: str) -> str:
    """Return a baseline's name for use in a sentence."""
    return _BASELINES.get(name, name.replace("_", " "))


def direction_name(direction: str) -> str:
    """Return a direction in words, such as ``pronoun to candidate``."""
    return direction.replace("_", " ")


def finding_of_choice(scores: Scores, num_groups: int) -> Finding:
    """Return the held-out headline of a set, which names the best baseline beside every figure."""
    caveats = (
        "These cases are the evidence, and no others: another collection may give another answer.",
        ATTENTION_IS_NOT_CAUSATION,
    )
    if scores.heads.empty:
        headline = "None of these cases offers a right and a wrong answer: no head was scored."
        return Finding(headline, (), caveats)
    if scores.choice is None:
        headline = (
            f"{counted(num_groups, 'group')} of cases {verb(num_groups, 'is', 'are')} too few for "
            "a held-out figure: nothing is claimed of any head."
        )
        return Finding(headline, (_baselines(scores),), caveats)
    choice = scores.choice
    claim = _claim(scores, choice, num_groups)
    details = (
        _could_be_found(choice),
        _in_sample(choice),
        _raw_beside(scores),
        _baselines(scores),
        _against(scores),
        _by_length(scores),
    )
    return Finding(claim.sentence, tuple(filter(None, details)), caveats, (claim,))


def _claim(scores: Scores, choice: Choice, num_groups: int) -> Claim:
    """Return what is claimed of the held-out choice."""
    of_choice: dict[str, Any] = {
        "subject": f"{choice.head}, {direction_name(choice.direction)}",
        "estimate": choice.accuracy,
        "low": choice.ci_low,
        "high": choice.ci_high,
        "test": "the choice repeated on permuted labels",
        "p": choice.p_value,
        "n": choice.n,
        "groups": num_groups,
    }
    if not choice.p_value < SIGNIFICANT:
        sentence = (
            "No evidence that a head resolves these cases: heads chosen on other cases are right "
            f"in {_held_out(choice)}, which these cases do not tell from chance "
            f"({p_value(choice.p_value)})."
        )
        rule = f"the p-value is not below {SIGNIFICANT}"
        return Claim(kind="no-resolves", sentence=sentence, rule=rule, **of_choice)
    is_beaten = scores.against["ci_low"] > 0
    chosen = (
        f"heads chosen on other cases – most often {choice.head}, "
        f"{direction_name(choice.direction)} –"
    )
    if is_beaten.all():
        best = _with_figures(scores, scores.against["baseline"])[0]
        sentence = (
            f"Held out, {chosen} are right in {_held_out(choice)}, more than every baseline; the "
            f"best, {best}."
        )
        rule = "p below 0.05, and the difference from every baseline has an interval above 0"
        return Claim(kind="beats", sentence=sentence, rule=rule, **of_choice)
    sentence = _not_shown(scores, choice, chosen, is_beaten)
    rule = "p below 0.05, and the difference from some baseline has an interval that holds 0"
    return Claim(kind="no-beats", sentence=sentence, rule=rule, **of_choice)


def _held_out(choice: Choice) -> str:
    ends = percent_ends(choice.ci_low, choice.ci_high)
    return f"{percent(choice.accuracy)} of {counted(choice.n, 'case')}{ends}"


def _not_shown(scores: Scores, choice: Choice, chosen: str, is_beaten: pd.Series) -> str:
    """Say which baseline, the best of those, the held-out choice is not shown to beat."""
    unbeaten = scores.against[~is_beaten].merge(
        scores.baselines[["baseline", "accuracy"]], on="baseline"
    )
    worst, *others = unbeaten.sort_values("accuracy", ascending=False, kind="stable").itertuples()
    difference = signed_percent(worst.difference) + interval(
        signed_percent(worst.ci_low), signed_percent(worst.ci_high)
    )
    rest = f", nor {listed([baseline_name(o.baseline) for o in others], 'or')}" if others else ""
    return (
        f"Not shown to beat {baseline_name(worst.baseline)}{rest}: {chosen} are right in "
        f"{_held_out(choice)} against {percent(worst.accuracy)}, a difference of {difference}."
    )


def _could_be_found(choice: Choice) -> str:
    """Say what would have been found, where nothing was."""
    if choice.p_value < SIGNIFICANT or math.isnan(choice.p_value):
        return ""
    if math.isnan(choice.detectable):
        return "So few cases find no head in 80% of such sets, even one that is always right."
    return (
        f"A head that is right in {percent(choice.detectable)} would have been found in 80% of "
        "sets of this size; a weaker one could well be missed."
    )


def _by_length(scores: Scores) -> str:
    """Say whether the held-out choice depends on which candidate has fewer words."""
    table = scores.by_length
    if len(table) < 2:
        return ""
    parts = [
        f"{percent(row.accuracy)} of {counted(row.n, 'case')} where it is {row.antecedent}"
        + (" as the distractor" if row.antecedent == "as long" else "")
        for row in table.itertuples()
    ]
    where = "By the length of the antecedent in words, the held-out choice is right in"
    return f"{where} {listed(parts)}."


def _with_figures(scores: Scores, names: pd.Series) -> list[str]:
    """List baselines with their accuracy, best first."""
    rows = scores.baselines[scores.baselines["baseline"].isin(names)]
    rows = rows.sort_values("accuracy", ascending=False, kind="stable")
    return [f"{baseline_name(r.baseline)} ({percent(r.accuracy)})" for r in rows.itertuples()]


def _in_sample(choice: Choice) -> str:
    others = choice.num_best - 1
    tied = f", one of {choice.num_best} tied," if others else ""
    return (
        f"In-sample, the best of all heads and directions is {choice.in_sample_head} "
        f"({direction_name(choice.in_sample_direction)}){tied} with "
        f"{percent(choice.in_sample_accuracy)}: too high, since it was chosen on the cases that it "
        "is scored on."
    )


def _raw_beside(scores: Scores) -> str:
    """Say what accuracy the chosen head has by raw weights, where norms were scored."""
    choice, heads = scores.choice, scores.heads
    if choice is None or "raw_accuracy" not in heads:
        return ""
    by_raw = heads.loc[heads["raw_accuracy"].idxmax()]
    return (
        "Norm-weighted attention was scored, each weight times the length of what it brings. "
        f"{choice.head} ({direction_name(choice.direction)}) is right in-sample in "
        f"{percent(in_sample(scores, choice.head, choice.direction))} by norms and in "
        f"{percent(in_sample(scores, choice.head, choice.direction, 'raw_accuracy'))} by raw "
        f"weights; the best of all by raw weights is {Head(by_raw['layer'], by_raw['head'])} "
        f"({direction_name(by_raw['direction'])}) with {percent(by_raw['raw_accuracy'])}."
    )


def in_sample(scores: Scores, head: Head, direction: str, column: str = "accuracy") -> float:
    """Return a figure of one head on all cases, including those that it was chosen on."""
    heads = scores.heads
    is_it = (heads["layer"] == head.layer) & (heads["head"] == head.head)
    return float(heads[is_it & (heads["direction"] == direction)][column].iloc[0])


def _baselines(scores: Scores) -> str:
    named = [
        f"{baseline_name(row.baseline)} {percent(row.accuracy)}"
        for row in scores.baselines.itertuples()
    ]
    return f"On the same cases: {', '.join(named)}."


def _against(scores: Scores) -> str:
    rows = scores.against.merge(scores.baselines[["baseline", "accuracy"]], on="baseline")
    if rows.empty:
        return ""
    best = rows.sort_values("accuracy", ascending=False, kind="stable").iloc[0]
    side = "above" if best["difference"] >= 0 else "below"
    return (
        f"Case by case, the held-out choice is {decimal(100 * abs(best['difference']), 1)} points "
        f"{side} {baseline_name(best['baseline'])}"
        f"{interval(signed_percent(best['ci_low']), signed_percent(best['ci_high']))}."
    )


def stability_words(choice: Choice) -> list[str]:
    """Say how often each head was chosen."""
    if choice.frequency == 1:
        first = (
            f"All folds of all {DIVISIONS} divisions chose {choice.head}, "
            f"{direction_name(choice.direction)}."
        )
    else:
        first = (
            f"The folds of {DIVISIONS} divisions chose {len(choice.frequencies)} different heads "
            "and directions: the held-out figure is that of the procedure, not of one head."
        )
    return [
        first,
        f"On permuted labels the procedure does as well or better with {p_value(choice.p_value)}.",
    ]


def linear_words(
    probe: ProbeResult,
    scores: Scores,
    random_weights: ProbeResult | None = None,
) -> list[str]:
    """Compare the linear probe with the best single head, position and its controls."""
    sentences = [linear_claim(probe).sentence]
    beside = []
    choice, baselines = scores.choice, scores.baselines
    if choice is not None:
        beside.append(f"the best single head, held out as well, {percent(choice.accuracy)}")
    nearest = baselines[baselines["baseline"] == "nearest_preceding"]
    if len(nearest):
        beside.append(f"the nearest candidate {percent(nearest['accuracy'].iloc[0])}")
    if random_weights is not None:
        beside.append(f"the same probe on random weights {percent(random_weights.accuracy)}")
    if beside:
        sentences.append(f"Beside it: {listed(beside)}.")
    sentences.append(
        f"On permuted labels, a check, it reaches {percent(probe.control_accuracy)}."
        + (
            f" In a control task, in which the candidates’ words alone decide (Hewitt & Liang "
            f"2019), it reaches {percent(probe.control_task)}."
            if not math.isnan(probe.control_task)
            else ""
        )
        + f" An online code of the answers takes {decimal(probe.code_length)} bits a case, where "
        f"one that knows nothing takes {decimal(probe.uniform_code)} (Voita & Titov 2020)."
    )
    if random_weights is None:
        sentences.append(
            "The same probe on random weights was not run: ask for it with --null-model."
        )
    return sentences


def linear_claim(probe: ProbeResult) -> Claim:
    """Return the claim on the accuracy of the linear probe."""
    accuracy = percent_interval(probe.accuracy, probe.ci_low, probe.ci_high)
    return Claim(
        kind="linear-probe",
        subject="all heads together",
        sentence=(
            "A weighted sum of all heads in both directions, trained on four folds and scored on "
            f"the fifth, is right in {accuracy}."
        ),
        estimate=probe.accuracy,
        low=probe.ci_low,
        high=probe.ci_high,
        n=probe.n,
        groups=probe.num_groups,
        rule="held out by groups, five folds",
    )


def pair_words(pairs: PairShifts) -> list[str]:
    """Describe the shifts within minimal pairs, and whether any stands out."""
    sentences = [
        f"In {counted(len(pairs.pairs), 'pair')} one or two words turn the answer from one "
        "candidate to the other. The shift of a head is how far its share turns with them, from −2 "
        "to 2; a head that does not notice the change has 0.",
    ]
    if claims := pair_claims(pairs):
        sentences += [claim.sentence for claim in claims]
    else:
        sentences.append("The pairs are too few for a test.")
    return [*sentences, *map(sentence, pairs.notes)]


def pair_claims(pairs: PairShifts) -> tuple[Claim, ...]:
    """Return the claim on shifts within minimal pairs; none where there was no test."""
    table = pairs.table.dropna(subset=["p_adjusted"])
    if table.empty:
        return ()
    found = table[table["p_adjusted"] < SIGNIFICANT]
    nearest = table.loc[table["p_adjusted"].idxmin()]
    most = found.loc[found["shift"].idxmax()] if len(found) else nearest
    head = str(Head(int(most["layer"]), int(most["head"])))
    count = counted(len(found), "head and direction", "heads and directions")
    both = f"it has both versions right in {percent(most['both_right'])} of pairs"
    by = f"by {decimal(most['shift'])}"
    which = (
        f"{head} shifts with the answer (adjusted p below 0.05), {by}"
        if len(found) == 1
        else f"{count} shift with the answer (adjusted p below 0.05), {head} most, {by}"
    )
    said = f"{which}; {both}, where coin flips have 25%."
    if found.empty:
        said = (
            f"No head is shown to shift with the answer: {head} comes nearest, by "
            f"{decimal(most['shift'])} (adjusted {p_value(most['p_adjusted'])})."
        )
    return (
        Claim(
            kind="shifts" if len(found) else "no-shifts",
            subject=head,
            sentence=said,
            estimate=float(most["shift"]),
            low=float(most["ci_low"]),
            high=float(most["ci_high"]),
            test=f"max-statistic over {len(table)} heads and directions, one-sided, pairs swapped",
            p=float(most["p_adjusted"]),
            n=2 * int(most["n_pairs"]),
            groups=int(most["n_pairs"]),
            rule="adjusted p below 0.05",
        ),
    )


def occupation_words(found: OccupationBias) -> list[str]:
    """Describe whether occupations are chosen by their share of women."""
    return [
        "The correlation r, over occupations, of the share of women with how much more often the "
        "occupation is chosen for *she* than for *he* (Rudinger et al. 2018): above 0 for a head "
        "that chooses by stereotype. *Gotcha* cases are those whose stereotype leads to the wrong "
        "candidate.",
        *(claim.sentence for claim in occupation_claims(found)),
        f"*{found.gotcha.caution}*",
    ]


def occupation_claims(found: OccupationBias) -> tuple[Claim, ...]:
    """Return the claim on the choice of occupations; none where there was no test."""
    table = found.table.dropna(subset=["p_adjusted"])
    if table.empty:
        return ()
    above = table[table["p_adjusted"] < SIGNIFICANT]
    most = (above if len(above) else table).pipe(
        lambda rows: rows.loc[rows["correlation"].abs().idxmax()]
    )
    head = str(Head(int(most["layer"]), int(most["head"])))
    r = signed(most["correlation"]) + interval(signed(most["ci_low"]), signed(most["ci_high"]))
    over = counted(found.num_occupations, "occupation")
    count = counted(len(above), "head and direction", "heads and directions")
    which = (
        f"the choice of {head} follows the share of women, or its opposite (adjusted p below 0.05)"
        if len(above) == 1
        else f"the choices of {count} follow the share of women, or its opposite (adjusted p below "
        f"0.05), {head} most"
    )
    said = (
        f"Over {over} {which}: r = {r}."
        if len(above)
        else f"Over {over} no head is shown to choose by the share of women: {head} comes nearest, "
        f"with r = {r}, adjusted {p_value(most['p_adjusted'])}."
    )
    return (
        Claim(
            kind="stereotype" if len(above) else "no-stereotype",
            subject=head,
            sentence=said,
            estimate=float(most["correlation"]),
            low=float(most["ci_low"]),
            high=float(most["ci_high"]),
            test=f"max-statistic over {len(table)} heads and directions, two-sided",
            p=float(most["p_adjusted"]),
            n=int(most["n_occupations"]),
            groups=found.num_occupations,
            rule="adjusted p below 0.05",
        ),
    )


def bias_words(bias: Bias) -> list[str]:
    """Describe the difference between two kinds of cases, with the authors' caution."""
    return [
        *(claim.sentence for claim in bias_claims(bias)),
        f"*{bias.caution}*",
        *map(sentence, bias.notes),
    ]


def bias_claims(bias: Bias) -> tuple[Claim, ...]:
    """Return the claim on the difference between two kinds; none where there was no test."""
    first, second = bias.contrast
    table = bias.table.dropna(subset=["p_adjusted"])
    if table.empty:
        return ()
    found = table[table["p_adjusted"] < SIGNIFICANT]
    nearest = table.loc[table["p_adjusted"].idxmin()]
    heads = counted(len(found), "head and direction", "heads and directions")
    differ = verb(len(found), "differs", "differ")
    count = "no head is shown to differ" if found.empty else f"{heads} {differ}"
    groups = (
        f"{counted(bias.num_groups, 'group')} that {verb(bias.num_groups, 'holds', 'hold')} both"
    )
    return (
        Claim(
            kind="no-differs" if found.empty else "differs",
            subject=str(Head(int(nearest["layer"]), int(nearest["head"]))),
            sentence=(
                f"The accuracy on *{first}* minus that on *{second}* cases, over {groups}: {count} "
                "(adjusted p below 0.05)."
            ),
            estimate=float(nearest["difference"]),
            low=float(nearest["ci_low"]),
            high=float(nearest["ci_high"]),
            test=f"max-statistic over {len(table)} heads and directions, two-sided",
            p=float(nearest["p_adjusted"]),
            n=int(nearest[f"n_{first}"] + nearest[f"n_{second}"]),
            groups=bias.num_groups,
            rule="adjusted p below 0.05",
        ),
    )

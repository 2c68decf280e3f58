"""What is claimed of the linear probe on all heads, beside its controls."""

from __future__ import annotations

import math
from collections.abc import Sequence

from introspect.statistics import Claim
from introspect.studies.coreference.linear_probe import ProbeResult
from introspect.studies.coreference.tables import Scores
from introspect.text import decimal, listed, percent, percent_interval


def linear_claims(
    probe: ProbeResult, scores: Scores, random_weights: Sequence[float] = ()
) -> tuple[Claim, ...]:
    """Return the claims on the linear probe: its accuracy, what stands beside it, its controls.

    Args:
        probe: the result.
        scores: of the same cases, for the best single head and the nearest candidate.
        random_weights: its accuracy on random weights, for each draw of them.
    """
    ways = "both" if scores.heads["direction"].nunique() == 2 else "all"
    accuracy = percent_interval(probe.accuracy, probe.ci_low, probe.ci_high)
    claim = Claim(
        kind="linear-probe",
        subject="all heads together",
        sentence=(
            f"A weighted sum of all heads in {ways} directions, trained on four folds and scored "
            f"on the fifth, is right in {accuracy}."
        ),
        estimate=probe.accuracy,
        low=probe.ci_low,
        high=probe.ci_high,
        n=probe.n,
        groups=probe.num_groups,
        rule="held out by groups, five folds",
    )
    return (claim, *_beside(claim, scores, random_weights), *_controls(claim, probe))


def _beside(claim: Claim, scores: Scores, random_weights: Sequence[float]) -> list[Claim]:
    figures: dict[str, tuple[str, float]] = {}
    if scores.choice is not None:
        single = "the best single head, held out as well,"
        figures["single head"] = single, scores.choice.accuracy
    nearest = scores.baselines[scores.baselines["baseline"] == "nearest_preceding"]
    if len(nearest):
        figures["nearest"] = "the nearest candidate", float(nearest["accuracy"].iloc[0])
    if random_weights:
        words = "the same probe on random weights"
        figures["random weights"] = words, sum(random_weights) / len(random_weights)
    parts = [f"{words} {percent(value)}" for words, value in figures.values()]
    return _rows(claim, f"Beside it: {listed(parts)}.", {k: v for k, (_, v) in figures.items()})


def _controls(claim: Claim, probe: ProbeResult) -> list[Claim]:
    figures = {"permuted labels": probe.control_accuracy}
    task = ""
    if not math.isnan(probe.control_task):
        figures["control task"] = probe.control_task
        task = (
            " In a control task, in which the candidates’ words alone decide (Hewitt & Liang "
            f"2019), it reaches {percent(probe.control_task)}."
        )
    figures |= {"code": probe.code_length, "uniform code": probe.uniform_code}
    sentence = (
        f"On permuted labels, a check, it reaches {percent(probe.control_accuracy)}.{task}"
        f" An online code of the answers takes {decimal(probe.code_length)} bits a case, where "
        f"one that knows nothing takes {decimal(probe.uniform_code)} (Voita & Titov 2020)."
    )
    return _rows(claim, sentence, figures)


def _rows(claim: Claim, sentence: str, figures: dict[str, float]) -> list[Claim]:
    return [
        Claim(
            kind=f"linear-probe: {what}",
            subject=claim.subject,
            sentence=sentence,
            estimate=value,
            n=claim.n,
            groups=claim.groups,
        )
        for what, value in figures.items()
    ]

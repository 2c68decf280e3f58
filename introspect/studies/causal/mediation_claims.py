"""What is claimed of minimal pairs: the total effect, and the head that most passes through."""

from __future__ import annotations

from dataclasses import replace

from introspect.records import Head
from introspect.statistics import Claim
from introspect.studies.causal.head_claims import Found, ends, ranged
from introspect.studies.causal.mediation import Mediation
from introspect.studies.causal.verdicts import LEVEL, SMALLEST
from introspect.text import counted, percent

#: What a head passes on, in words.
MEDIATED = {"head_outputs": "output", "attentions": "attention weights"}

_RULE = (
    f"adjusted p below {LEVEL}, at least {percent(SMALLEST, 0)} of the total, and the interval of "
    "the total above 0"
)


def mediation_claims(study: Found) -> list[Claim]:
    """Return the claims on what changes within minimal pairs, and through which head.

    By outputs and by attention weights; no head where the model is not above chance, or the total's
    interval is not above 0.
    """
    if study.mediation is None:
        return []
    total = _total_claim(study, study.mediation)
    found = [
        claim
        for mediation in (study.mediation, study.mediation_by_weights)
        if mediation is not None
        for claim in _mediating(study, mediation)
    ]
    return [total, *(found or _nothing_mediates(study.mediation, total))]


def _total_claim(study: Found, found: Mediation) -> Claim:
    row, unit = found.heads.iloc[0], study.heads.attrs["unit"]
    return Claim(
        kind="total",
        subject="the model",
        sentence=(
            "From one case of a minimal pair to the other the preference changes by "
            f"{ends(row['total'], row['total_low'], row['total_high'])} {unit}, in the mean over "
            f"{counted(int(row['n']), 'pair')}: the total effect."
        ),
        estimate=float(row["total"]),
        low=float(row["total_low"]),
        high=float(row["total_high"]),
        n=2 * int(row["n"]),
        groups=int(row["n"]),
    )


def _mediating(study: Found, found: Mediation) -> list[Claim]:
    """Return the claims on the head that most passes through, where there is one."""
    table, shown, unit = found.heads, found.shown, study.heads.attrs["unit"]
    if shown.empty or not study.ability.is_above_chance:
        return []
    row = shown.loc[shown["indirect"].idxmax()]
    head = Head(int(row["layer"]), int(row["head"]))
    change = ranged(row["indirect"], row["indirect_low"], row["indirect_high"], unit)
    claim = Claim(
        kind=f"mediates by {MEDIATED[found.through]}",
        subject=str(head),
        sentence=(
            f"By the {MEDIATED[found.through]} of {head} alone {change} of the change come about, "
            f"{percent(row['share'])} of the total."
        ),
        estimate=float(row["indirect"]),
        low=float(row["indirect_low"]),
        high=float(row["indirect_high"]),
        test=f"max-t over {counted(len(table), 'head')}, two-sided",
        p=float(row["p_adjusted"]),
        n=2 * int(row["n"]),
        groups=int(row["n"]),
        rule=_RULE,
    )
    return [claim, claim.beside("share", row["share"])]


def _nothing_mediates(found: Mediation, total: Claim) -> list[Claim]:
    heads = counted(len(found.heads), "head")
    why = "" if found.is_shown else ": the total is not shown to be above 0"
    nothing = replace(
        total,
        kind="no-mediates",
        subject="all heads",
        sentence=f"No evidence that any of it passes through one of {heads}{why}.",
        rule=_RULE,
    )
    return [nothing, nothing.beside("heads", len(found.heads))]

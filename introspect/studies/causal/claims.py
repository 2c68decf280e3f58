"""All claims of a causal study, in the order of its page."""

from __future__ import annotations

from introspect.statistics import Claim
from introspect.studies.causal.head_claims import (
    Found,
    ability_claims,
    attending_claims,
    correlation_claims,
    effect_claims,
    pair_claims,
)
from introspect.studies.causal.headline import headline_claims
from introspect.studies.causal.mediation_claims import mediation_claims
from introspect.studies.causal.set_claims import chosen_claims, set_claims


def claims_of(study: Found) -> tuple[Claim, ...]:
    """Return all claims of a study, from which its sentences are made."""
    found = single_claims(study)
    said = {(claim.kind, claim.sentence) for claim in found}
    headline = [c for c in headline_claims(study, found) if (c.kind, c.sentence) not in said]
    return (*found, *headline)


def single_claims(study: Found) -> tuple[Claim, ...]:
    """Return the claims on the model, on single heads, and on pairs and sets of them."""
    is_few = study.heads["p_adjusted"].isna().all()
    return (
        *ability_claims(study.ability),
        *([] if is_few else effect_claims(study)),
        *attending_claims(study),
        *pair_claims(study),
        *set_claims(study),
        *mediation_claims(study),
        *chosen_claims(study),
        *correlation_claims(study),
    )

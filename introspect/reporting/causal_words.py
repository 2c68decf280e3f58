"""Sentences on the result of a causal study that stay true for every outcome."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.reporting.prose import Finding
from introspect.statistics import Claim
from introspect.studies.causal import (
    CausalStudy,
    claims_of,
    headline_claims,
    mediation_claims,
    set_claims,
    single_claims,
)
from introspect.studies.coreference import also_found
from introspect.text import (
    counted,
    interval,
    listed,
    quantity,
    sentence,
    verb,
)
from introspect.views import FOUND, verdict_words

_NAMED = 5
_HEAD = re.compile(r"L\d+H\d+")

_SURROGATE = "Measured by a surrogate, not by the model’s own answer."
_CAVEATS = (
    "These cases are the evidence, and no others: another collection may give another answer.",
    "Ablating a head leaves the model in a state that it was not trained in. A large effect shows "
    "that the answer depends on the output of the head; it does not show what the head is for, "
    "nor that it works alone.",
    "A head without an effect may be one of several that do the same: each can be missed while "
    "the others are there. Only ablating them together shows it.",
)


def heads_that_attend(table: pd.DataFrame) -> list[Head]:
    """Select the heads that attend to the antecedent, the most accurate first."""
    found = table[table["attends"].astype(bool)]
    found = found.sort_values("attention_accuracy", ascending=False, kind="stable")
    return [_head(row) for row in found.itertuples()]


def attending_beside(study: CausalStudy) -> list[Claim]:
    """Say which heads attend to the antecedent, to stand beside the held-out choice."""
    heads = heads_that_attend(study.heads)
    if not heads:
        return []
    attend = verb(len(heads), "attends", "attend")
    words = f"{listed(heads, most=_NAMED)} {attend} to the antecedent, by a test of all heads"
    return [also_found("attends", ", ".join(map(str, heads)), words, len(heads))]


def head_verdicts(table: pd.DataFrame) -> dict[Head, str]:
    """Describe in a few words each head that has an effect or attends to the antecedent."""
    return {
        _head(row): verdict_words(row.verdict, attends=bool(row.attends))
        for row in table.itertuples()
        if row.verdict in FOUND or row.attends
    }


def finding_of_study(study: CausalStudy) -> Finding:
    """Return the headline of a study, what supports it, and what it does not show."""
    claims = single_claims(study)
    sentences = list(dict.fromkeys(c.sentence for c in headline_claims(study, claims)))
    if study.ability.is_surrogate:
        sentences.insert(0, _SURROGATE)
    details = (claims[0].sentence, *_listed_claims(claims))
    caveats = list(_CAVEATS)
    if study.ability.is_surrogate:
        caveats.insert(
            0,
            "The model has no language-modeling head. Effects are on "
            f"{study.heads.attrs['metric_words']}. It may move for reasons that have nothing to do "
            "with who the pronoun is.",
        )
    return Finding(" ".join(sentences), details, tuple(caveats), claims_of(study))


_LISTED = (
    "supports", "opposes", "depends", "no-effect", "attends", "redundant", "overlap", "joint",
    "chosen: above 0", "chosen: below 0", "chosen: no effect", "correlation",
)  # fmt: skip


def _listed_claims(claims: Sequence[Claim]) -> list[str]:
    """Return the sentences of the first claims of each kind, with the head in emphasis."""
    sentences = []
    for kind in _LISTED:
        found = [claim for claim in claims if claim.kind == kind]
        for claim in found[:_NAMED]:
            sentences.append(_emphasized(claim))
        if len(found) > _NAMED:
            sentences.append(f"{counted(len(found) - _NAMED, 'more head')} in the table below.")
    return sentences


def _emphasized(claim: Claim) -> str:
    """Return the sentence of a claim with the first mention of its heads in emphasis."""
    sentence = claim.sentence
    for name in _HEAD.findall(claim.subject):
        sentence = sentence.replace(name, f"*{name}*", 1)
    return sentence


def smallest_words(study: CausalStudy) -> list[str]:
    """Describe the few heads that carry the answer."""
    found = set_claims(study)
    sentences = list(dict.fromkeys(claim.sentence for claim in found))
    if any(claim.kind == "faithfulness" for claim in found):
        sentences.append(
            "The set was found on one half of the groups of cases, and all figures but those of "
            "the table are of the other half. Another set may do as well."
        )
    return sentences


_MEDIATION = (
    "The indirect effect of a head is the part that comes about if the output of this head alone "
    "is that for the other case, or its attention weights alone; the direct effect is what is left "
    "of the change if they alone are not."
)


def mediation_words(study: CausalStudy) -> list[str]:
    """Say how much of the change within a minimal pair passes through single heads."""
    found = study.mediation
    if found is None:
        return []
    total, *heads = dict.fromkeys(claim.sentence for claim in mediation_claims(study))
    sentences = [f"{total} {_MEDIATION}", *heads, "Effects of several heads do not add up."]
    if count := len(found.left_out):
        are = verb(count, "is no minimal pair", "are no minimal pairs")
        sentences.append(f"{counted(count, 'group')} {are}, and left out.")
    return [*sentences, *map(sentence, found.notes)]


def followed_words(study: CausalStudy) -> list[str]:
    """Say how the heads with the largest effects were followed up."""
    heads = study.followed.heads
    if not heads:
        return []
    return [
        f"{listed(heads)} {verb(len(heads), 'is', 'are')} also ablated by the other methods: the "
        "mean output over all tokens of the cases, and outputs on texts of other cases, drawn "
        "twice. The adjusted p is over these heads alone. The direct effect is that with the "
        "outputs of all heads of later layers held as they were."
    ]


def with_range(value: float, low: float, high: float) -> str:
    """Return an effect with its 95% interval, where there is one.

    Example:
        >>> with_range(19.0, 17.5, 20.6)
        '19.0 (95% CI 17.5–20.6)'
    """
    return f"{quantity(value)}{interval(quantity(low), quantity(high))}"


def _head(row: Any) -> Head:
    return Head(int(row.layer), int(row.head))

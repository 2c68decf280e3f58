"""Sentences on the figures of a set, of which every one with a figure is made from claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from introspect.reporting.prose import ATTENTION_IS_NOT_CAUSATION, Finding
from introspect.statistics import Claim
from introspect.studies.coreference import Bias, OccupationBias, PairShifts, Scores, choice_claims
from introspect.text import counted, sentence

_CAVEATS = (
    "These cases are the evidence, and no others: another collection may give another answer.",
    ATTENTION_IS_NOT_CAUSATION,
)
# These stand in the chapter on how stable the choice is.
_STABILITY = ("chosen", "always-chosen", "by-permutation")


def sentences_of(claims: Iterable[Claim]) -> list[str]:
    """Return the sentences of claims, each once."""
    return list(dict.fromkeys(claim.sentence for claim in claims))


def finding_of_choice(scores: Scores, also: Sequence[Claim] = ()) -> Finding:
    """Return the held-out headline of a set, which names the best baseline beside every figure.

    Args:
        scores: the tables.
        also: what other tests of the same cases show.
    """
    claims = choice_claims(scores, also)
    headline, *details = sentences_of(c for c in claims if c.kind not in _STABILITY)
    return Finding(headline, tuple(details), _CAVEATS, claims)


def stability_words(claims: Iterable[Claim]) -> list[str]:
    """Say how often each head was chosen."""
    return sentences_of(claim for claim in claims if claim.kind in _STABILITY)


def linear_words(claims: Sequence[Claim]) -> list[str]:
    """Compare the linear probe with the best single head, position and its controls."""
    sentences = sentences_of(claims)
    if not any(claim.kind == "linear-probe: random weights" for claim in claims):
        sentences.append(
            "The same probe on random weights was not run: ask for it with --null-model."
        )
    return sentences


def pair_words(pairs: PairShifts) -> list[str]:
    """Describe the shifts within minimal pairs, and whether any stands out."""
    return [
        f"In {counted(len(pairs.pairs), 'pair')} one or two words turn the answer from one "
        "candidate to the other. The shift of a head is how far its share turns with them, from −2 "
        "to 2; a head that does not notice the change has 0.",
        *(sentences_of(pairs.claims) or ["The pairs are too few for a test."]),
        *map(sentence, pairs.notes),
    ]


def occupation_words(found: OccupationBias) -> list[str]:
    """Describe whether occupations are chosen by their share of women."""
    return [
        "The correlation r, over occupations, of the share of women with how much more often the "
        "occupation is chosen for *she* than for *he* (Rudinger et al. 2018): above 0 for a head "
        "that chooses by stereotype. *Gotcha* cases are those whose stereotype leads to the wrong "
        "candidate.",
        *sentences_of(found.claims),
        f"*{found.gotcha.caution}*",
    ]


def bias_words(bias: Bias) -> list[str]:
    """Describe the difference between two kinds of cases, with the authors' caution."""
    return [*sentences_of(bias.claims), f"*{bias.caution}*", *map(sentence, bias.notes)]

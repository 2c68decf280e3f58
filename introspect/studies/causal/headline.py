"""The headline of a causal study: a few claims, each on all heads with one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from introspect.statistics import Claim
from introspect.studies.causal.head_claims import Found, answer_of
from introspect.text import counted, listed, verb

_NAMED = 5


def headline_claims(study: Found, claims: Sequence[Claim]) -> tuple[Claim, ...]:
    """Return the claims of the headline, one for each sentence, in order.

    Args:
        study: the study.
        claims: the claims on single heads; the first is on the ability of the model.
    """
    able = claims[0]
    if study.heads["p_adjusted"].isna().all():
        return _too_few(able), able
    by_kind = _by_kind(claims)
    attending = by_kind["attends"]
    if able.kind == "no-able":
        return (_no_verdict(able), able, *_attend(attending))
    answer = answer_of(study.ability.is_surrogate)
    supporting, opposing = by_kind["supports"], by_kind["opposes"]
    return (
        *_with_effect(supporting, f"support {answer}"),
        *([] if supporting else _no_support(study, able, by_kind["no-effect"])),
        *(_beside(supporting, attending) if supporting else _attend(attending)),
        *_with_effect(opposing, f"oppose {answer}"),
        *_depends(by_kind["depends"]),
    )


def _by_kind(claims: Iterable[Claim]) -> dict[str, list[Claim]]:
    kinds = ("supports", "opposes", "depends", "no-effect", "attends")
    found: dict[str, list[Claim]] = {kind: [] for kind in kinds}
    for claim in claims:
        if claim.kind in found:
            found[claim.kind].append(claim)
    return found


def _too_few(able: Claim) -> Claim:
    groups = able.groups
    return _about_all(
        able,
        "too-few",
        f"{counted(groups, 'group')} of cases {verb(groups, 'is', 'are')} too few for intervals "
        "and tests: nothing is claimed of any head.",
    )


def _no_verdict(able: Claim) -> Claim:
    return _about_all(
        able,
        "no-verdict",
        "The model is not shown to be above chance, so there is no verdict on any head.",
    )


def _about_all(able: Claim, kind: str, sentence: str) -> Claim:
    return Claim(kind=kind, subject="all heads", sentence=sentence, n=able.n, groups=able.groups)


def _of_several(claims: Sequence[Claim], sentence: str) -> list[Claim]:
    """Return a claim on all heads of some claims, with the numbers of the first."""
    names = ", ".join(claim.subject for claim in claims)
    return [replace(claims[0], subject=names, sentence=sentence)]


def _with_effect(claims: Sequence[Claim], verb_phrase: str) -> list[Claim]:
    """Name the heads with one verdict, and give the figures of the largest effect."""
    if len(claims) < 2:
        return list(claims)
    _, largest = claims[0].sentence.split(" the preference ")
    sentence = (
        f"{listed([claim.subject for claim in claims], most=_NAMED)} {verb_phrase}: without "
        f"{claims[0].subject} the preference {largest}"
    )
    return _of_several(claims, sentence)


def _no_support(study: Found, able: Claim, nothing: Sequence[Claim]) -> list[Claim]:
    """Say that no head was found to support the answer."""
    if nothing:
        return [nothing[0]]
    count = len(study.heads)
    heads = f"any of {count} heads" if count > 1 else "the head"
    sentence = f"No evidence that {heads} supports {answer_of(study.ability.is_surrogate)}."
    claim = _about_all(able, "no-supports", sentence)
    return [claim, claim.beside("heads", count)]


def _beside(supporting: Sequence[Claim], attending: Sequence[Claim]) -> Iterator[Claim]:
    """Say which of the heads that support the answer attend to the antecedent, and which not."""
    names = [claim.subject for claim in supporting]
    both = [claim for claim in attending if claim.subject in names]
    rest = [claim for claim in attending if claim.subject not in names]
    if not attending:
        it = verb(len(names), "it", "one of them")
        sentence = f"No evidence that {it} attends to the antecedent."
        nothing = _about_all(supporting[0], "no-attends", sentence)
        yield replace(nothing, subject=", ".join(names))
        return
    without = f"without evidence that {verb(len(rest), 'it supports', 'they support')} the answer"
    if not both:
        yield from _of_several(rest, f"{_attends(rest)} to the antecedent, {without}.")
        return
    words = "It attends" if len(names) == 1 else _attends(both)
    also = f"; so {verb(len(rest), 'does', 'do')} {_named(rest)}, {without}" if rest else ""
    yield from _of_several([*both, *rest], f"{words} to the antecedent{also}.")


def _attend(attending: Sequence[Claim]) -> list[Claim]:
    if not attending:
        return []
    return _of_several(attending, f"{_attends(attending)} to the antecedent.")


def _attends(claims: Sequence[Claim]) -> str:
    return f"{_named(claims)} {verb(len(claims), 'attends', 'attend')}"


def _named(claims: Sequence[Claim]) -> str:
    return listed([claim.subject for claim in claims], most=_NAMED)


def _depends(claims: Sequence[Claim]) -> list[Claim]:
    if not claims:
        return []
    sentence = (
        f"What {_named(claims)} {verb(len(claims), 'does', 'do')} for it depends on the method of "
        "ablation."
    )
    return _of_several(claims, sentence)

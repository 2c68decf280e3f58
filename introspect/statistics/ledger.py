"""Claims that exclude each other: what no page may say at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from introspect.statistics.claim import Claim

_HEAD = re.compile(r"L\d+H\d+")
_LEVEL = 0.05
# Numbers that are the same but for rounding.
_SAME = 1e-9

#: What a kind of claim excludes of every head, and of the model.
EXCLUDED: dict[str, tuple[str, ...]] = {
    "no-resolves": ("beats", "no-beats", "no-chooses", "shifts", "attends"),
    "no-chooses": ("beats", "no-beats"),
    "no-beats": ("beats",),
    "no-effect": ("supports", "opposes", "depends"),
    "no-supports": ("supports", "no-effect"),
    "no-able": ("able", "supports", "opposes", "depends", "no-effect", "faithful", "mediates"),
    "no-verdict": ("able", "supports", "opposes", "depends", "no-effect"),
    "too-few": (
        "beats", "no-beats", "no-resolves", "no-chooses", "shifts", "attends", "supports",
        "opposes", "depends", "no-effect",
    ),
    "no-faithful": ("faithful",),
    "no-mediates": ("mediates",),
    "no-role": ("role",),
    "no-follows": ("follows", "followed"),
    "no-points": ("points",),
    "no-positional": ("positional",),
    "no-rare_word": ("rare_word",),
    "no-shifts": ("shifts",),
    "no-stereotype": ("stereotype",),
    "no-differs": ("differs",),
    "no-groups": ("groups",),
    "no-described": ("described", "describes"),
    "no-detectable": ("detectable",),
    "stereotype": ("detectable: stereotype", "no-detectable: stereotype"),
    "no-detectable: stereotype": ("detectable: stereotype",),
    "shifts": ("detectable: shifts", "no-detectable: shifts"),
    "no-detectable: shifts": ("detectable: shifts",),
    "followed": ("detectable: follows", "no-detectable: follows"),
    "no-detectable: follows": ("detectable: follows",),
}  # fmt: skip
_VERDICTS = ("copies", "writes against", "no-copies", "unsure whether it copies")
# Of either way to measure it; the two may differ.
_COPYING = {
    f"{one}{by}": tuple(f"{other}{by}" for other in _VERDICTS[place + 1 :])
    for by in ("", " by weights")
    for place, one in enumerate(_VERDICTS[:-1])
}
#: What a kind of claim excludes of the same head.
EXCLUDED_OF_A_HEAD: dict[str, tuple[str, ...]] = {
    "supports": ("opposes", "depends"),
    "opposes": ("depends",),
    "no-attends": ("attends",),
    "no-describes": ("describes",),
    "no-refers": ("refers",),
    "no-prefers": ("prefers",),
    **_COPYING,
    "everywhere": ("points",),
    "points-instead": ("points",),
}
#: What a kind of claim excludes of the same two heads.
EXCLUDED_OF_A_PAIR: dict[str, tuple[str, ...]] = {
    "redundant": ("joint", "overlap"),
    "overlap": ("joint",),
}
# The kinds whose p-value decides them, and on which side of the level it has to be.
_SHOWN = (
    "beats", "no-beats", "shifts", "stereotype", "differs", "supports", "opposes", "depends",
    "attends", "redundant", "overlap", "joint", "mediates", "follows",
)  # fmt: skip
_NOT_SHOWN = (
    "no-resolves", "no-chooses", "no-shifts", "no-stereotype", "no-differs", "no-effect",
    "no-follows",
)  # fmt: skip
# The kinds that say on which side of 0 a figure is.
_ABOVE = ("supports", "shifts", "redundant", "overlap", "mediates")
_BELOW = ("opposes", "joint")


class Exclusion(NamedTuple):
    """Two claims of which one is false, or one that contradicts its own numbers.

    Args:
        one: a claim.
        other: another; the same where its numbers contradict it.
        why: what they say at once.
    """

    one: Claim
    other: Claim
    why: str


def exclusions(claims: Iterable[Claim]) -> list[Exclusion]:
    """Return the claims that exclude each other, and those that contradict their own numbers.

    Two claims exclude each other if one says that there is no evidence for what the other shows, if
    they give the same head opposite verdicts, or if they give the same figure two values. A claim
    contradicts its numbers if its interval does not hold its estimate, if its p-value is on the
    other side of 0.05, or if its figure is on the other side of 0.

    Args:
        claims: of one page.

    Example:
        >>> yes = Claim(kind="supports", subject="L1H0", sentence="L1H0 supports it.", estimate=1.0)
        >>> no = Claim(kind="no-effect", subject="all heads", sentence="No evidence of any.")
        >>> [found.why for found in exclusions([yes, no])]
        ['no-effect, and supports']
    """
    every = list(dict.fromkeys(claims))
    own = [Exclusion(claim, claim, why) for claim in every for why in _against_itself(claim)]
    pairs = [
        Exclusion(one, other, why)
        for one, other in combinations(every, 2)
        if (why := _between(one, other))
    ]
    return [*own, *pairs, *_counts(every)]


def _base(claim: Claim) -> str:
    """Return the kind without what only says how: ``mediates`` of ``mediates by output``."""
    return claim.kind.split(" ")[0] if ": " not in claim.kind else claim.kind


def _heads(claim: Claim) -> set[str]:
    return set(_HEAD.findall(claim.subject))


def _between(one: Claim, other: Claim) -> str:
    first, second = _base(one), _base(other)
    for a, b in ((first, second), (second, first)):
        if b in EXCLUDED.get(a, ()):
            return f"{a}, and {b}"
        if b in EXCLUDED_OF_A_HEAD.get(a, ()) and _heads(one) & _heads(other):
            return f"{a}, and {b} of the same head"
        if b in EXCLUDED_OF_A_PAIR.get(a, ()) and _heads(one) == _heads(other):
            return f"{a}, and {b} of the same heads"
    if (one.kind, one.subject) == (other.kind, other.subject) and not _is_same(one, other):
        return f"two figures for {one.kind} of {one.subject}"
    return ""


def _is_same(one: Claim, other: Claim) -> bool:
    numbers = ("estimate", "low", "high", "p", "n")
    pairs = [(float(getattr(one, name)), float(getattr(other, name))) for name in numbers]
    return all(
        math.isclose(a, b, rel_tol=_SAME, abs_tol=_SAME)
        for a, b in pairs
        if math.isfinite(a) and math.isfinite(b)
    )


def _against_itself(claim: Claim) -> Iterator[str]:
    kind = _base(claim)
    tolerance = _SAME * max(1.0, abs(claim.estimate)) if math.isfinite(claim.estimate) else 0.0
    if claim.low > claim.estimate + tolerance or claim.high < claim.estimate - tolerance:
        yield "the interval does not hold the estimate"
    if claim.low > claim.high:
        yield "the interval ends before it begins"
    if not math.isnan(claim.p) and not 0 < claim.p <= 1:
        yield "no p-value"
    if kind in _SHOWN and claim.p >= _LEVEL:
        yield f"{kind} with a p-value that is not below {_LEVEL}"
    if kind in _NOT_SHOWN and claim.p < _LEVEL:
        yield f"{kind} with a p-value below {_LEVEL}"
    if (kind in _ABOVE and claim.estimate <= 0) or (kind in _BELOW and claim.estimate >= 0):
        yield f"{kind} with a figure on the other side of 0"
    if claim.kind == "chosen: above 0" and not claim.low > 0:
        yield "above 0 with an interval that holds it"
    if claim.kind == "chosen: below 0" and not claim.high < 0:
        yield "below 0 with an interval that holds it"
    if claim.kind == "no-beats: difference" and claim.low > 0:
        yield "not shown to beat with an interval above 0"


def _counts(claims: Sequence[Claim]) -> Iterator[Exclusion]:
    """Yield a number of heads that prefer the antecedent, if more of them point to it."""
    pointing = [c for c in claims if c.kind == "points"]
    for claim in claims:
        is_share = claim.kind == "prefers" and "per word" not in claim.sentence
        if is_share and claim.estimate < len(pointing):
            yield Exclusion(pointing[0], claim, "more heads point than prefer")

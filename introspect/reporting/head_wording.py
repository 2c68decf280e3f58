"""Sentences on the tables of known roles that stay true for every outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from introspect.analyzers.patterns import POSITIONAL, RARE_WORD
from introspect.heads import HeadStudy
from introspect.heads.detecting import SCORES
from introspect.records import Head
from introspect.reporting.set_wording import share
from introspect.reporting.wording import Finding

__all__ = [
    "LOOKS_AT",
    "finding_of_heads",
    "heads_listed",
    "pattern_words",
    "place_words",
    "with_interval",
]

#: What a head with a high score attends to.
LOOKS_AT = {
    "previous_token": "the token just before",
    "duplicate_token": "the same token earlier on",
    "induction": "what followed the same token earlier on",
}
_MOST_NAMED = 12
_CAVEATS = (
    "A role is where a head looks on random tokens. What it does on sentences, and whether an "
    "answer rests on it, is not shown: take it out on cases and see, with introspect causal.",
    "Only these three roles were looked for on random tokens. A head without one may have another.",
)


def finding_of_heads(study: HeadStudy) -> Finding:
    """Say which heads have a role, the strongest of each score, and what that does not show."""
    return Finding(_headline(study), tuple(_details(study)), _CAVEATS)


def heads_listed(heads: Sequence[Head]) -> str:
    """List heads as ``L0H0, L1H1 and L1H2``; of many, the first dozen and how many more."""
    names = [str(head) for head in heads[:_MOST_NAMED]]
    if more := len(heads) - len(names):
        names.append(f"{more} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def with_interval(value: float, low: float, high: float) -> str:
    """Format a share in percent, with its 95 % interval where there is one."""
    if math.isnan(value) or math.isnan(low):
        return share(value)
    return f"{share(value)} ({100 * low:.1f}–{100 * high:.1f})"


def place_words(offset: int) -> str:
    """Describe a key's position relative to the query.

    Example:
        >>> place_words(-1), place_words(2)
        ('the token before', '2 tokens after')
    """
    side = "before" if offset < 0 else "after"
    return f"the token {side}" if abs(offset) == 1 else f"{abs(offset)} tokens {side}"


def _headline(study: HeadStudy) -> str:
    parts = []
    for role in SCORES.values():
        if heads := study.called(role):
            are = f"is {_article(role)} {role} head" if len(heads) == 1 else f"are {role} heads"
            parts.append(f"*{heads_listed(heads)}* {are}")
    if not parts:
        return (
            f"*No head* of {len(study.roles)} has a known role: none is sure to give more than "
            f"{study.threshold:.0%} of its attention to {_any_of(list(LOOKS_AT.values()))}."
        )
    # A list of heads already has an “and” of its own.
    return f"{'; '.join(parts)}."


def _article(role: str) -> str:
    return "an" if role[0] in "aeiou" else "a"


def _any_of(phrases: list[str]) -> str:
    return f"{', '.join(phrases[:-1])}, or {phrases[-1]}"


def _details(study: HeadStudy) -> list[str]:
    first = study.roles.iloc[0]
    details = [
        f"The model read {int(first['n_sequences'])} sequences of {int(first['length'])} tokens: "
        "random ones, some of which come twice in a row. A head is called by its largest score if "
        f"all of the score’s 95 % interval is above {study.threshold:.0%}, a threshold of this "
        "package."
    ]
    for score, where in LOOKS_AT.items():
        head = study.strongest(score)
        if head is None:
            details.append(f"No head can look at {where}: the model’s mask hides it.")
            continue
        row = study.roles[(study.roles["layer"] == head.layer) & (study.roles["head"] == head.head)]
        value, low, high, even = (
            float(row[name].iloc[0])
            for name in (score, f"{score}_ci_low", f"{score}_ci_high", f"{score}_baseline")
        )
        details.append(
            f"*{head}* gives most to {where}: {share(value)} of its attention (95 %: "
            f"{100 * low:.1f}–{100 * high:.1f}). Even attention would give {share(even)}."
        )
    if study.patterns is not None:
        details += pattern_words(study.patterns)
    return details


def pattern_words(patterns: pd.DataFrame) -> list[str]:
    """Describe positional and rare-word heads on texts, or the head that comes nearest."""
    texts = int(patterns["n_texts"].iloc[0])
    where = f"In the {texts} texts" if texts > 1 else "In the only text"
    return [
        f"{where} {_or_nearest(patterns, 'is_positional', 'position_share', _POSITIONAL)}",
        f"{where} {_or_nearest(patterns, 'is_rare_word', 'rare_share', _RARE)}",
    ]


_POSITIONAL = ("look at one place", "at one place from the query", POSITIONAL)
_RARE = ("look at rare words", "on the rarest token of the text", RARE_WORD)


def _or_nearest(
    patterns: pd.DataFrame, flag: str, column: str, words: tuple[str, str, float]
) -> str:
    do, where, threshold = words
    known = patterns[patterns[column].notna()]
    rule = f"at least {threshold:.0%} of the largest weights must stand {where}"
    if known.empty:
        return f"no head can be said to {do}: no token had a choice to be counted."
    ordered = known.sort_values(column, ascending=False, kind="stable")
    named = [Head(int(r.layer), int(r.head)) for r in ordered[ordered[flag]].itertuples()]
    if named:
        does = do.replace("look", "looks") if len(named) == 1 else do
        return f"*{heads_listed(named)}* {does}: {rule}."
    best = ordered.iloc[0]
    head = Head(int(best["layer"]), int(best["head"]))
    return f"no head is found to {do}: {rule}, and {head} comes nearest, with {best[column]:.0%}."

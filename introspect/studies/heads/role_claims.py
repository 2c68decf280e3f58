"""What is claimed of heads by themselves: known roles, and what they attend to in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pandas as pd

from introspect.records import Head
from introspect.statistics import Claim
from introspect.studies.heads.attention_targets import role_names
from introspect.studies.heads.grouping import STABLE, STRUCTURED, best_number
from introspect.studies.heads.known_roles import ATTENDS_TO, SCORES
from introspect.text import counted, decimal, listed, percent, percent_interval

_MOST_NAMED = 12
_NAMED_FIRST = ("previous", "next", "self", "special", "first", "same_token", "punctuation")
_MOST = "the head with most of it in these sentences; some head always has most"


class Roles(Protocol):
    """What claims are made from: a study of heads on random tokens."""

    @property
    def roles(self) -> pd.DataFrame:
        """One row for each head."""

    @property
    def threshold(self) -> float:
        """The score above which a head has a role."""


def heads_listed(heads: list[Head]) -> str:
    """List heads as ``L0H0, L1H1 and L1H2``; of many, the first dozen and how many more."""
    return listed(heads, most=_MOST_NAMED)


def known_role_claims(study: Roles) -> tuple[Claim, ...]:
    """Return the claims on known roles: which heads have one, and the strongest of each score."""
    return (*_headline(study), *_read(study), *_strongest_scores(study))


def _headline(study: Roles) -> list[Claim]:
    roles, parts, named = study.roles, [], []
    for score, role in SCORES.items():
        of_role = roles[roles["role"] == role]
        heads = [Head(int(row.layer), int(row.head)) for row in of_role.itertuples()]
        if heads:
            article = "an" if role[0] in "aeiou" else "a"
            are = f"is {article} {role} head" if len(heads) == 1 else f"are {role} heads"
            parts.append(f"*{heads_listed(heads)}* {are}")
            named += [(head, score, role) for head in heads]
    if not named:
        return _none(study)
    # A list of heads already has an “and” of its own.
    sentence = f"{'; '.join(parts)}."
    return [_of_score(study, head, score, f"role {role}", sentence) for head, score, role in named]


def _none(study: Roles) -> list[Claim]:
    most = study.roles[list(SCORES)].max(axis=None)
    claim = Claim(
        kind="no-role",
        subject="all heads",
        sentence=(
            f"*No head* of {len(study.roles)} has a known role: none is sure to give more than "
            f"{percent(study.threshold, 0)} of its attention to "
            f"{listed(ATTENDS_TO.values(), 'or')}."
        ),
        estimate=float(most),
        rule=_rule(study),
        **_read_numbers(study),
    )
    heads = claim.beside("heads", len(study.roles))
    return [claim, heads, claim.beside("threshold", study.threshold)]


def _rule(study: Roles) -> str:
    return f"the largest score of the head, with a 95% interval above {percent(study.threshold, 0)}"


def _read_numbers(study: Roles) -> dict[str, Any]:
    count = int(study.roles.iloc[0]["n_sequences"])
    return {"n": count, "groups": count}


def _of_score(study: Roles, head: Head, score: str, kind: str, sentence: str) -> Claim:
    roles = study.roles
    row = roles[(roles["layer"] == head.layer) & (roles["head"] == head.head)].iloc[0]
    return Claim(
        kind=kind,
        subject=str(head),
        sentence=sentence,
        estimate=float(row[score]),
        low=float(row[f"{score}_ci_low"]),
        high=float(row[f"{score}_ci_high"]),
        rule=_rule(study),
        **_read_numbers(study),
    )


def _read(study: Roles) -> list[Claim]:
    first = study.roles.iloc[0]
    claim = Claim(
        kind="read",
        subject="the model",
        sentence=(
            f"The model read {counted(int(first['n_sequences']), 'sequence')} of "
            f"{counted(int(first['length']), 'token')}: random ones, some of which come twice in "
            "a row. A head is called by its largest score if all of the score’s 95% interval is "
            f"above {percent(study.threshold, 0)}, a threshold of this package."
        ),
        estimate=float(first["length"]),
        **_read_numbers(study),
    )
    return [claim, claim.beside("threshold", study.threshold)]


def _strongest_scores(study: Roles) -> Iterator[Claim]:
    for score, where in ATTENDS_TO.items():
        known = study.roles[study.roles[score].notna()]
        if known.empty:
            yield Claim(
                kind="unobservable",
                subject=where,
                sentence=f"No head can attend to {where}: the model’s mask hides it.",
            )
            continue
        row = known.loc[known[score].idxmax()]
        head = Head(int(row["layer"]), int(row["head"]))
        value, low, high = (float(row[f"{score}{end}"]) for end in ("", "_ci_low", "_ci_high"))
        even = float(row[f"{score}_baseline"])
        sentence = (
            f"*{head}* gives most to {where}: {percent_interval(value, low, high)} of its "
            f"attention. Even attention would give {percent(even)}."
        )
        claim = _of_score(study, head, score, f"most {score}", sentence)
        yield claim
        yield claim.beside("even", even)


def role_claims(roles: pd.DataFrame) -> tuple[Claim, ...]:
    """Return the claims on what heads attend to in sentences: the head with most of each role.

    Args:
        roles: of ``RolesAnalyzer.compute``.
    """
    texts, tokens = (int(roles[name].iloc[0]) for name in ("n_texts", "n_tokens"))
    headline = Claim(
        kind="read",
        subject="the model",
        sentence=(
            f"What *{counted(len(roles), 'head')}* attend to, over {counted(tokens, 'token')} of "
            f"{counted(texts, 'text')}."
        ),
        estimate=float(tokens),
        n=texts,
        groups=texts,
    )
    claims = [headline, headline.beside("heads", len(roles))]
    for role, words in roles_of(roles).items():
        if role in _NAMED_FIRST and roles[role].notna().any():
            claims += _with_most(roles, role, words, texts)
    return tuple(claims)


def roles_of(roles: pd.DataFrame) -> dict[str, str]:
    """Return a table's roles with their descriptions: each has a column and a column of counts."""
    reach = max(int(c.rsplit("_", 1)[1]) for c in ["after_1", *roles] if c.startswith("after_"))
    return {name: words for name, words in role_names(reach).items() if name in roles}


def _with_most(roles: pd.DataFrame, role: str, words: str, texts: int) -> list[Claim]:
    row = roles.loc[roles[role].idxmax()]
    head = Head(int(row["layer"]), int(row["head"]))
    value, even, count = float(row[role]), float(row[f"even_{role}"]), int(row[f"n_{role}"])
    claim = Claim(
        kind=f"most {role}",
        subject=str(head),
        sentence=(
            f"*{head}* gives most to {words.removeprefix('attention to ')}: {percent(value)} of "
            f"its attention, over {counted(count, 'token')}; even attention would give "
            f"{percent(even)}."
        ),
        estimate=value,
        n=count,
        groups=texts,
        rule=_MOST,
    )
    return [claim, claim.beside("even", even)]


def group_claims(tried: pd.DataFrame) -> tuple[Claim, ...]:
    """Return the claim on groups of heads that do the same: how many, or that there are none.

    Args:
        tried: of ``SimilarityAnalyzer.numbers``.
    """
    known = tried.dropna(subset=["stability"])
    rule = f"adjusted Rand index of at least {STABLE} and silhouette of at least {STRUCTURED}"
    if known.empty:
        words = "No groups can be told: the texts are too few to be halved, or the heads are."
        return (Claim(kind="no-groups", subject="all heads", sentence=words, rule=rule),)
    number = best_number(tried)
    row = known.loc[known["stability"].idxmax()]
    if number > 1:
        row = known[known["n"] == number].iloc[0]
    figures = (
        f"an adjusted Rand index of {decimal(row['stability'])} and a silhouette of "
        f"{decimal(row['silhouette'])}"
    )
    sentence = (
        f"{number} groups are found alike in halves of the texts and stand apart: {figures}."
        if number > 1
        else f"No groups: no number of groups from {tried['n'].min()} to {tried['n'].max()} is "
        f"found alike in halves of the texts and stands apart; {int(row['n'])} groups come "
        f"nearest: {figures}."
    )
    claim = Claim(
        kind="groups" if number > 1 else "no-groups",
        subject="all heads",
        sentence=sentence,
        estimate=float(row["n"]),
        rule=rule,
    )
    rows = [claim, claim.beside("stability", row["stability"])]
    rows.append(claim.beside("silhouette", row["silhouette"]))
    if number > 1:
        return tuple(rows)
    least, most = tried["n"].min(), tried["n"].max()
    return (*rows, claim.beside("fewest tried", least), claim.beside("most tried", most))

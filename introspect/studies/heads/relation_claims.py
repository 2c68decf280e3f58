"""What is claimed of heads that follow relations of a treebank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from introspect.records import Head
from introspect.statistics import FEWEST_GROUPS, SIGNIFICANT, Claim
from introspect.text import counted, listed, percent, percent_interval

_MOST_NAMED = 6
_TEST = (
    "max-statistic over heads, directions and relations, signs of sentences; against even "
    "attention and against the best fixed offset, the larger p"
)
_RULE = f"the head chosen most often is named if its adjusted p is below {SIGNIFICANT}"


def relation_claims(relations: pd.DataFrame, num_texts: int) -> tuple[Claim, ...]:
    """Return the claims on relations: how many a head follows, and each of them.

    Args:
        relations: of ``SyntaxAnalyzer.relations``.
        num_texts: the number of sentences.
    """
    tested = relations[relations["accuracy"].notna()]
    over = f"over {counted(num_texts, 'sentence')}"
    if tested.empty:
        return (_untested(over, num_texts),)
    followed = ordered_relations(tested[tested["is_followed"].astype(bool)])
    if not followed:
        silent = _silence(tested, over)
        return silent, silent.beside("sentences", num_texts), _detectable(tested)
    # A relation is counted once, whichever head is chosen for it.
    headline = Claim(
        kind="followed",
        subject="relations",
        sentence=(
            "A head beats even attention and the best fixed offset for "
            f"*{len(followed)} of {counted(len(tested), 'relation')}*, {over}."
        ),
        estimate=float(len(followed)),
        n=num_texts,
        groups=num_texts,
        rule=_RULE,
    )
    tested_row = headline.beside("tested", len(tested))
    return (headline, tested_row, *(claim for row in followed for claim in _claims(row)))


def ordered_relations(relations: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the relations as rows: those that a head follows first, then by the pairs."""
    rows = relations.sort_values(
        ["is_followed", "n"], ascending=False, kind="stable", na_position="last"
    )
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _untested(over: str, num_texts: int) -> Claim:
    return Claim(
        kind="no-test",
        subject="relations",
        sentence=(
            f"*No relation* could be tested {over}: each needs {FEWEST_GROUPS} sentences in which "
            "a pair can be observed."
        ),
        n=num_texts,
        groups=num_texts,
        rule=f"at least {FEWEST_GROUPS} sentences",
    )


def _claims(row: Mapping[str, Any]) -> list[Claim]:
    head = str(Head(int(row["layer"]), int(row["head"])))
    accuracy = percent_interval(row["accuracy"], row["ci_low"], row["ci_high"])
    claim = Claim(
        kind="follows",
        subject=f"{head}, {row['relation']}",
        sentence=(
            f"*{row['relation']}*: {head} ({row['direction'].replace('_', ' ')}) is chosen most "
            f"often; held out {accuracy} of {counted(row['n'], 'pair')} are right, by the best "
            f"fixed offset {percent(row['offset_accuracy'])}, by even attention "
            f"{percent(row['even_accuracy'])}."
        ),
        **_numbers(row),
    )
    return [
        claim,
        claim.beside("offset", row["offset_accuracy"]),
        claim.beside("even", row["even_accuracy"]),
    ]


def _numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "estimate": float(row["accuracy"]),
        "low": float(row["ci_low"]),
        "high": float(row["ci_high"]),
        "test": _TEST,
        "p": float(row["p_adjusted"]),
        "n": int(row["n"]),
        "groups": int(row["n_sentences"]),
        "rule": _RULE,
    }


def _silence(tested: pd.DataFrame, over: str) -> Claim:
    """Say that no head was shown to follow a relation; the row is of the one that comes nearest."""
    nearest = tested.loc[tested["p_adjusted"].fillna(1.0).idxmin()]
    names = listed((str(name) for name in tested["relation"]), "or", most=_MOST_NAMED)
    row = {str(name): value for name, value in nearest.items()}
    return Claim(
        kind="no-follows",
        subject="relations",
        sentence=(
            f"*No head* is shown to follow {names}, {over}: none beats both even attention and the "
            "best fixed offset."
        ),
        **_numbers(row),
    )


def _detectable(tested: pd.DataFrame) -> Claim:
    """Say what would have been found of the relation with the most pairs, where nothing was."""
    row = tested.loc[tested["n"].astype(float).idxmax()]
    over = f"{counted(int(row['n']), 'pair')} of *{row['relation']}*"
    size = float(row["detectable"])
    is_known = not math.isnan(size)
    sentence = (
        f"Over {over} a head that is right in {percent(size)} would have been found in 80% of such "
        "sets; a weaker one, or one of a rarer relation, could well be missed."
        if is_known
        else f"{over[:1].upper()}{over[1:]} are too few to find a head, even one that is always "
        "right, in 80% of such sets."
    )
    return Claim(
        kind="detectable: follows" if is_known else "no-detectable: follows",
        subject=f"one head, {row['relation']}",
        sentence=sentence,
        estimate=size,
        n=int(row["n"]),
        groups=int(row["n_sentences"]),
        rule=f"an adjusted p below {SIGNIFICANT} in 80% of such sets",
    )

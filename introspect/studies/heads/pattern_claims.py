"""What is claimed of the shapes of heads' patterns: positional heads, and heads of rare words."""

from __future__ import annotations

import pandas as pd

from introspect.records import Head
from introspect.statistics import Claim
from introspect.studies.heads.role_claims import heads_listed
from introspect.studies.heads.shapes import POSITIONAL, RARE_WORD
from introspect.text import counted, percent, whole

_POSITIONAL = ("attend to one place", "at one place from the query", POSITIONAL)
_RARE = ("attend to rare words", "on the rarest token of the text", RARE_WORD)


def pattern_claims(patterns: pd.DataFrame) -> tuple[Claim, ...]:
    """Return the claims on positional and rare-word heads, or on the head that comes nearest.

    Args:
        patterns: of ``PatternsAnalyzer.compute`` or ``head_patterns``.
    """
    texts, tokens = (int(patterns[name].iloc[0]) for name in ("n_texts", "n_tokens"))
    headline = Claim(
        kind="read",
        subject="the model",
        sentence=(
            f"The shapes of *{counted(len(patterns), 'head')}*, over {counted(tokens, 'token')} of "
            f"{counted(texts, 'text')}."
        ),
        estimate=float(tokens),
        n=texts,
        groups=texts,
    )
    return (
        headline,
        headline.beside("heads", len(patterns)),
        *_or_nearest(patterns, "positional", "position_share", _POSITIONAL),
        *_or_nearest(patterns, "rare_word", "rare_share", _RARE),
    )


def _or_nearest(
    patterns: pd.DataFrame, kind: str, column: str, words: tuple[str, str, float]
) -> list[Claim]:
    do, where, threshold = words
    known = patterns[patterns[column].notna()]
    texts = int(patterns["n_texts"].iloc[0])
    among = f"In the {whole(texts)} texts" if texts > 1 else "In the only text"
    rule = f"at least {percent(threshold, 0)} of the largest weights must stand {where}"
    if known.empty:
        said = f"no head can be said to {do}: no token had a choice to be counted."
        return [Claim(kind=f"no-{kind}", subject="all heads", sentence=f"{among} {said}", n=texts)]
    rows = known.sort_values(column, ascending=False, kind="stable")
    named = rows[rows[f"is_{kind}"].astype(bool)]
    heads = [Head(int(row.layer), int(row.head)) for row in named.itertuples()]
    count = "n_position" if kind == "positional" else "n_tokens"
    if heads:
        does = do.replace("attend", "attends") if len(heads) == 1 else do
        sentence = f"{among} *{heads_listed(heads)}* {does}: {rule}."
        return [
            Claim(
                kind=kind,
                subject=str(head),
                sentence=sentence,
                estimate=float(row[column]),
                n=int(row[count]),
                groups=texts,
                rule=rule,
            )
            for head, row in zip(heads, named.to_dict("records"), strict=True)
        ]
    best = rows.iloc[0]
    head = str(Head(int(best["layer"]), int(best["head"])))
    chance = float(best[column.replace("share", "chance")])
    share = f"{percent(best[column])} (a blind choice {percent(chance)})"
    claim = Claim(
        kind=f"no-{kind}",
        subject=head,
        sentence=f"{among} no head is found to {do}: {rule}, and {head} comes nearest, "
        f"with {share}.",
        estimate=float(best[column]),
        n=int(best[count]),
        groups=texts,
        rule=rule,
    )
    return [claim, claim.beside("by chance", chance), claim.beside("texts", texts)]

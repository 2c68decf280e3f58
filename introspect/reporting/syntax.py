"""The report on a treebank: which heads follow which relation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from introspect.records import Certificate, Head
from introspect.reporting.prose import ATTENTION_IS_NOT_CAUSATION, Finding, data_table, paragraphs
from introspect.reporting.skeleton import Report, Skeleton
from introspect.statistics import FEWEST_GROUPS, Claim
from introspect.text import NO_NUMBER, counted, listed, p_cell, percent, percent_interval, verb

_MOST_NAMED = 6
_TEST = (
    "max-statistic over heads, directions and relations, signs of sentences; against even "
    "attention and against the best fixed offset, the larger p"
)
_RULE = "the head chosen most often is named if its adjusted p is at most 0.05"

_ASKED = {
    "dependent_to_head": "row of the dependent: which word it attends to most",
    "head_to_dependent": "row of the syntactic head: which word it attends to most",
    "head_to_dependent_column": "column of the dependent: which word attends to it most",
}
_RULES = (
    "Attention from a word is the mean over its pieces, to a word the sum over its pieces; special "
    "tokens and the word itself do not compete. A pair of words counts as right if the other word "
    "is the only one with most, and by its part where several are tied.",
    "Three questions are asked of a head: "
    + "; ".join(f"{name.replace('_', ' ')}, the {words}" for name, words in _ASKED.items())
    + " (the way of Clark et al. 2019).",
    "Accuracies are held out: the head and the direction that are best on four fifths of the "
    "sentences are scored on the other fifth, in the mean over 30 divisions; the fixed offset, a "
    "distance in words, is chosen likewise, for the same direction. Intervals are by sentence.",
    "Even attention is what a head would get that attends equally to all that the mask allows.",
    "p-values flip the signs of whole sentences and compare with the best of all heads, directions "
    "and relations; a head has to beat even attention, and the offset that is best on the very "
    "same pairs. With more than 256 sentences, those whose hashes begin alike stay together.",
)
_CAVEATS = (
    "The relations are those of the treebank; that a head follows one does not show that the model "
    "parses, nor that an answer rests on it.",
    ATTENTION_IS_NOT_CAUSATION,
)


def syntax_report(
    name: str,
    relations: pd.DataFrame,
    certificate: Certificate,
    *,
    num_texts: int,
    notices: Sequence[str] = (),
    read: Sequence[str] = (),
    command: str | None = None,
) -> Report:
    """Build the page on which heads follow which relation of a treebank.

    Args:
        name: the name of the treebank.
        relations: of ``SyntaxAnalyzer.relations``.
        certificate: of one capture.
        num_texts: the number of sentences.
        notices: what a reader must know first.
        read: what was read from which file, in sentences.
        command: the command line.
    """
    skeleton = Skeleton(
        title=f"Heads that follow relations in {name}",
        finding=finding_of_relations(relations, num_texts),
        certificate=certificate,
        texts=num_texts,
        notices=notices,
        read=read,
        command=command,
    )
    document = skeleton.begin()
    with document.chapter("Every relation"):
        document.add_prose(data_table(_COLUMNS, list(map(_row, _ordered(relations)))))
        if skipped := int(relations["accuracy"].isna().sum()):
            words = (
                f"{counted(skipped, 'relation')} {verb(skipped, 'has', 'have')} no figures: fewer "
                f"than {FEWEST_GROUPS} sentences hold a pair that can be observed."
            )
            document.add_prose(paragraphs([words]))
    return skeleton.finish(document, method=_RULES, captured="the first capture")


def finding_of_relations(relations: pd.DataFrame, num_texts: int) -> Finding:
    """Return the headline, a sentence for each relation that a head follows, and the caveats."""
    tested = relations[relations["accuracy"].notna()]
    claims = [_claim(row) for row in _ordered(tested[tested["is_followed"].astype(bool)])]
    over = f"over {counted(num_texts, 'sentence')}"
    if tested.empty:
        headline = (
            f"*No relation* could be tested {over}: each needs {FEWEST_GROUPS} sentences in which "
            "a pair can be observed."
        )
        return Finding(headline, (), _CAVEATS)
    of = counted(len(tested), "relation")
    if not claims:
        silent = _silence(tested, over)
        return Finding(silent.sentence, (), _CAVEATS, (silent,))
    # A relation is counted once, whichever head is chosen for it.
    followed = f"{len(claims)} of {of}"
    headline = f"A head beats even attention and the best fixed offset for *{followed}*, {over}."
    return Finding(headline, tuple(claim.sentence for claim in claims), _CAVEATS, tuple(claims))


def _claim(row: dict[str, Any]) -> Claim:
    head = str(Head(int(row["layer"]), int(row["head"])))
    accuracy = percent_interval(row["accuracy"], row["ci_low"], row["ci_high"])
    return Claim(
        kind="follows",
        subject=head,
        sentence=(
            f"*{row['relation']}*: {head} ({row['direction'].replace('_', ' ')}) is chosen most "
            f"often; held out {accuracy} of {counted(row['n'], 'pair')} are right, by the best "
            f"fixed offset {percent(row['offset_accuracy'])}, by even attention "
            f"{percent(row['even_accuracy'])}."
        ),
        estimate=float(row["accuracy"]),
        low=float(row["ci_low"]),
        high=float(row["ci_high"]),
        test=_TEST,
        p=float(row["p_adjusted"]),
        n=int(row["n"]),
        groups=int(row["n_sentences"]),
        rule=_RULE,
    )


def _silence(tested: pd.DataFrame, over: str) -> Claim:
    """Say that no head was shown to follow a relation, and which one comes nearest."""
    nearest = tested.loc[tested["p_adjusted"].fillna(1.0).idxmin()]
    names = listed((str(name) for name in tested["relation"]), "or", most=_MOST_NAMED)
    return Claim(
        kind="no-follows",
        subject="the model",
        sentence=(
            f"*No head* is shown to follow {names}, {over}: none beats both even attention and the "
            "best fixed offset."
        ),
        estimate=float(nearest["accuracy"]),
        low=float(nearest["ci_low"]),
        high=float(nearest["ci_high"]),
        test=_TEST,
        p=float(nearest["p_adjusted"]),
        n=int(nearest["n"]),
        groups=int(nearest["n_sentences"]),
        rule=_RULE,
    )


_COLUMNS = (
    "relation",
    "pairs",
    "sentences",
    "head chosen most often",
    "direction",
    "chosen in",
    "right, held out",
    "best fixed offset",
    "even attention",
    "adjusted p",
)


def _ordered(relations: pd.DataFrame) -> list[dict[str, Any]]:
    ordered = relations.sort_values(
        ["is_followed", "n"], ascending=False, kind="stable", na_position="last"
    )
    return [{str(name): value for name, value in row.items()} for row in ordered.to_dict("records")]


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    if pd.isna(row["accuracy"]):
        return (row["relation"], row["n"], row["n_sentences"], *[NO_NUMBER] * 7)
    return (
        row["relation"],
        row["n"],
        row["n_sentences"],
        str(Head(int(row["layer"]), int(row["head"]))),
        row["direction"].replace("_", " "),
        percent(row["chosen_share"]),
        percent_interval(row["accuracy"], row["ci_low"], row["ci_high"]),
        percent(row["offset_accuracy"]),
        percent(row["even_accuracy"]),
        p_cell(row["p_adjusted"]),
    )

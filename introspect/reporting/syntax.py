"""The report on a treebank: which heads follow which relation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from introspect.page import Instrument
from introspect.records import AttentionRecord, Certificate, Head
from introspect.reporting.prose import ATTENTION_IS_NOT_CAUSATION, Finding, data_table, paragraphs
from introspect.reporting.skeleton import Report, Skeleton, example_words
from introspect.statistics import FEWEST_GROUPS
from introspect.studies.atlas import Atlas
from introspect.studies.heads import ordered_relations, relation_claims
from introspect.text import NO_NUMBER, counted, p_cell, percent, percent_interval, verb
from introspect.views import instrument

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
    example: AttentionRecord | None = None,
    notices: Sequence[str] = (),
    read: Sequence[str] = (),
    command: str | None = None,
    atlas: Atlas | None = None,
) -> Report:
    """Build the page on which heads follow which relation of a treebank.

    Args:
        name: the name of the treebank.
        relations: of ``SyntaxAnalyzer.relations``.
        certificate: of one capture.
        num_texts: the number of sentences.
        example: the attention over one of the sentences, to open the page with.
        notices: what a reader must know first.
        read: what was read from which file, in sentences.
        command: the command line.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.
    """
    skeleton = Skeleton(
        title=f"Heads that follow relations in {name}",
        finding=finding_of_relations(relations, num_texts),
        certificate=certificate,
        texts=num_texts,
        notices=notices,
        read=read,
        command=command,
        atlas=atlas,
    )
    document = skeleton.begin(
        instrument=None if example is None else _opening(example),
        example="" if example is None else example_words(num_texts),
    )
    with document.chapter("Every relation"):
        document.add_prose(data_table(_COLUMNS, list(map(_row, ordered_relations(relations)))))
        if skipped := int(relations["accuracy"].isna().sum()):
            words = (
                f"{counted(skipped, 'relation')} {verb(skipped, 'has', 'have')} no figures: fewer "
                f"than {FEWEST_GROUPS} sentences hold a pair that can be observed."
            )
            document.add_prose(paragraphs([words]))
    return skeleton.finish(document, method=_RULES, captured="the first capture")


def _opening(example: AttentionRecord) -> Instrument:
    """Return the example; its strip says that its colors are of one pair of words in it."""
    opened = instrument(example)
    if opened.pair is None:
        return opened
    return replace(opened, pair=replace(opened.pair, label=f"{opened.pair.label}, in the example"))


def finding_of_relations(relations: pd.DataFrame, num_texts: int) -> Finding:
    """Return the headline, a sentence for each relation that a head follows, and the caveats."""
    claims = relation_claims(relations, num_texts)
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    return Finding(headline, tuple(details), _CAVEATS, claims)


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

"""The report on heads with known roles: roles on random tokens, and pattern shapes on texts."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from introspect.calls import checked_call
from introspect.page import Document, Measure
from introspect.records import Head
from introspect.reporting.prose import Finding, data_table, paragraphs
from introspect.reporting.shapes import (
    PATTERN_RULES,
    classes_table,
    pattern_words,
    places_table,
)
from introspect.reporting.skeleton import Report, Skeleton
from introspect.studies.atlas import Atlas
from introspect.studies.heads import ATTENDS_TO, SCORES, HeadStudy
from introspect.text import (
    NO_NUMBER,
    counted,
    decimal,
    interval,
    percent,
    percent_interval,
    sentence,
    signed,
    whole,
)
from introspect.views import (
    Choice,
    heatmap_view,
    instrument,
    known_roles_section,
    share_measures,
)

_CAVEATS = (
    "A role is what a head attends to on random tokens. What it does on sentences, and whether an "
    "answer rests on it, is not shown: ablate it on cases and see, with introspect causal.",
    "Only these three roles were tested on random tokens. A head without one may have another.",
)


def finding_of_heads(study: HeadStudy) -> Finding:
    """Say which heads have a role, the strongest of each score, and what that does not show."""
    claims = study.claims
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    return Finding(headline, tuple(details), _CAVEATS, claims)


_MANY = 12
_PLAIN = (
    "How to read this: the model reads tokens that were drawn by chance, so that nothing can be "
    "known of them but that a block of them comes twice. A head that attends from a token to "
    "what followed the same token the first time, an induction head, can copy what comes next; it "
    "needs another head, in an earlier layer, that attends to the token before. These roles were "
    "found in many language models, and are named where a head has them."
)
_RULES = (
    "Each sequence is a random prefix, a block, the same block again, and further random tokens; "
    "but for the block no token comes twice, and where the block stands and how long it is "
    "changes from sequence to sequence, so that a head that only counts places does not pass.",
    "The previous-token score is the mean attention of each random token to the one before it. "
    "The duplicate-token score is that from the second time of a token to its first, and the "
    "induction score that from the second time to the token after the first (prefix matching; "
    "Olsson et al. 2022). Means are over the tokens of a sequence, and then over sequences; "
    "intervals are studentized bootstraps of whole sequences, 95%. Pairs that the mask hides do "
    "not count.",
    "Even attention is what a head would give that attends equally to all that the mask allows.",
)


@checked_call
def head_report(
    study: HeadStudy,
    *,
    name: str | None = None,
    notices: Sequence[str] = (),
    read: Sequence[str] = (),
    command: str | None = None,
    atlas: Atlas | None = None,
) -> Report:
    """Build a report on which heads have a known role.

    Args:
        study: what ``ix.head_study`` found.
        name: the name of the set of texts, if there were any.
        notices: what a reader must know first.
        read: what was read from which file, in sentences.
        command: the command line that made the report, for the provenance.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.

    Example:
        >>> import introspect as ix
        >>> study = ix.head_study(ix.load("shortcut"), num_sequences=4)
        >>> print(ix.head_report(study).finding[:38])
        No head of 8 has a known role: none is
    """
    certificate = study.record.certificate
    skeleton = Skeleton(
        title=f"Heads with known roles in {certificate.model}",
        finding=finding_of_heads(study),
        certificate=certificate,
        texts=study.num_texts,
        notices=notices,
        read=read,
        command=command,
        atlas=atlas,
    )
    opened = instrument(study.record, Choice(measures=_measures(study)))
    document = skeleton.begin(instrument=opened, plain=_PLAIN)
    if (section := known_roles_section(study)) is not None:
        document.add_section(section, folds=True)
    with document.chapter("Heads in figures"):
        document.add_prose(_roles_table(study))
    _add_example(document, study)
    if study.patterns is not None:
        texts = f"{name or 'the texts'} ({whole(study.num_texts)})"
        with document.chapter(f"Shapes on {texts}"):
            document.add_prose(
                paragraphs(pattern_words(study.patterns))
                + places_table(study.patterns)
                + classes_table(study.patterns)
            )
    _add_importance(document, study)
    rules = _RULES if study.patterns is None else (*_RULES, *PATTERN_RULES)
    return skeleton.finish(document, method=rules, captured="the first sequence")


def _measures(study: HeadStudy) -> list[Measure]:
    """Return the scores of all heads, first that of the rarest role that a head has."""
    rarest_first = list(reversed(SCORES))
    order = sorted(rarest_first, key=lambda score: not study.called(SCORES[score]))
    labels = {score: f"score of {SCORES[score]}" for score in order}
    even = {score: float(study.roles[f"{score}_baseline"].iloc[0]) for score in SCORES}
    return share_measures(study.roles, labels, even)


def _roles_table(study: HeadStudy) -> Markup:
    """Build the table of heads with a role, then those with the highest scores, up to a dozen."""
    roles = study.roles.assign(best=study.roles[list(SCORES)].max(axis=1))
    roles = roles.assign(is_called=roles["role"] != "none")
    ordered = roles.sort_values(["is_called", "best"], ascending=False, kind="stable")
    many = max(_MANY, int(roles["is_called"].sum()))
    rows = [
        (
            str(Head(int(row["layer"]), int(row["head"]))),
            row["role"] if row["is_called"] else NO_NUMBER,
            *(percent_interval(row[s], row[f"{s}_ci_low"], row[f"{s}_ci_high"]) for s in SCORES),
        )
        for row in ordered.head(many).to_dict("records")
    ]
    first = study.roles.iloc[0]
    even = [percent(float(first[f"{score}_baseline"])) for score in SCORES]
    columns = ("head", "role", *SCORES.values())
    rest = len(ordered) - len(rows)
    more = [f"{counted(rest, 'head')} with less on the map above."] if rest else []
    return data_table(columns, [*rows, ("even attention", NO_NUMBER, *even)]) + paragraphs(more)


def _add_example(document: Document, study: HeadStudy) -> None:
    """Add the attention of the best head of the rarest role on the first sequence."""
    for score in reversed(list(SCORES)):
        named = study.called(SCORES[score])
        if not named:
            continue
        head = max(named, key=lambda head: _score(study, head, score))
        words = (
            f"The first of the random sequences, as {head} reads it, the head with the largest "
            f"{SCORES[score]} score. Each row is a token, each column one that it may attend to; "
            f"the dark stripe below the diagonal is attention to {ATTENDS_TO[score]}."
        )
        with document.chapter(f"What {head} attends to"):
            document.add_prose(paragraphs([words]))
            for section in heatmap_view(study.record, layer=head.layer, head=head.head).sections():
                document.add_section(section)
        return


def _score(study: HeadStudy, head: Head, score: str) -> float:
    rows = study.roles
    return float(rows[(rows["layer"] == head.layer) & (rows["head"] == head.head)][score].iloc[0])


def _add_importance(document: Document, study: HeadStudy) -> None:
    if study.importance is None and not study.notes:
        return
    with document.chapter("How fast a loss changes with each head"):
        words = [sentence(note) for note in study.notes]
        if study.importance is not None:
            words.insert(
                0,
                f"The loss is the {study.importance.attrs['loss']}, in nats a token. The number is "
                "how fast it changes as the head is turned down, in the mean over texts (Michel et "
                "al. 2019): a slope at the model as it is, no effect. Heads that do the same hide "
                "each other. For effects, ablate heads.",
            )
        document.add_prose(paragraphs(words) + _importance_table(study.importance))


def _importance_table(importance: pd.DataFrame | None) -> Markup:
    if importance is None:
        return Markup()
    ordered = importance.sort_values("importance", ascending=False, kind="stable")
    rows = [
        (
            str(Head(int(row["layer"]), int(row["head"]))),
            decimal(row["importance"], 4)
            + interval(decimal(row["ci_low"], 4), decimal(row["ci_high"], 4)),
            decimal(row["normalized"]),
            signed(row["slope"], 4),
        )
        for row in ordered.head(_MANY).to_dict("records")
    ]
    columns = ("head", "importance", "within its layer", "slope with its sign")
    return data_table(columns, rows)

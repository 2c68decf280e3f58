"""The report on one text: what layers would predict, and which heads contribute to it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from markupsafe import Markup

from introspect.calls import checked_call
from introspect.deprecated import of_a_study
from introspect.reporting.prose import Finding, Row, data_table
from introspect.reporting.skeleton import Report, Skeleton, difference_words
from introspect.studies.atlas import Atlas
from introspect.studies.lens import LensStudy, TokenReading, lens_claims, lens_study
from introspect.text import percent, visible, visible_text
from introspect.views import instrument, lens_view, logit_view

_CAVEATS = (
    "A state that reads as a word need not be used as that word by later layers, and one that "
    "does not may be: the lens reads every layer as if it were the last.",
    "One text is an example, not evidence. To see whether a head matters, ablate it: "
    "introspect causal, introspect ablate.",
)


def finding_of_lens(readings: TokenReading, parts: pd.DataFrame | None, why: str | None) -> Finding:
    """Say what the model predicts at a token, from which layer on, and which parts say it.

    Args:
        readings: at the token.
        parts: of ``direct_logit_attribution`` at the token; ``None`` where it is unavailable.
        why: the reason for that.
    """
    claims = lens_claims(readings, parts)
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    if parts is None and why is not None:
        details.append(f"Which parts say it cannot be told of this model. {why}")
    return Finding(headline, tuple(details), _CAVEATS, claims)


_PLAIN = (
    "How to read this: a layer of the model adds something to the state of each token, and after "
    "the last one the language-modeling head (LM head) turns the state into a probability for "
    "every token of the vocabulary. The logit lens replaces the state of the last layer by that "
    "of an earlier one, as if the model stopped there. Direct logit attribution goes the other "
    "way: it divides the number that the model gives one token among everything that was added up."
)
_LENS_RULES = (
    "Each layer’s state replaces the last one’s, and the model’s own code goes on "
    "from there (nostalgebraist 2020). That the logits follow from that state and from nothing "
    "else is proved by putting it into a run on other tokens.",
)
_PARTS_RULES = (
    "The state that is read is a sum: the embeddings, each head’s output through its part of the "
    "output projection, the biases, each feed-forward. Each part is read by itself, with the scale "
    "of the last norm as it was in this run (Elhage et al. 2021). It counts what a part says at "
    "once, not what later layers make of it.",
)


@of_a_study(lens_study)
@checked_call
def lens_report(
    study: LensStudy, *, command: str | None = None, atlas: Atlas | None = None
) -> Report:
    """Build a report on what a model would predict after each layer, and which parts contribute.

    Args:
        study: of ``ix.lens_study``.
        command: the command line that made the report, for the provenance.
        atlas: an atlas of the model, to say what else the heads that are named do, with links.

    Example:
        >>> import introspect as ix
        >>> model = ix.load("induction", lm_head=True)
        >>> print(ix.lens_report(ix.lens_study(model, "a b c d a b")).finding[:33])
        At “b” (token 6) the model predic
    """
    lens = lens_view(study.readings, position=study.at.position)
    certificate = study.record.certificate
    skeleton = Skeleton(
        title=f"What {certificate.model} would predict after each layer",
        finding=finding_of_lens(study.at, study.parts, study.why),
        certificate=certificate,
        texts=1,
        notices=(*lens.notices, *study.record.notices),
        command=command,
        atlas=atlas,
    )
    document = skeleton.begin(instrument=instrument(study.record), plain=_PLAIN)
    for section in lens.sections():
        document.add_section(section, folds=True)
    with document.chapter(f"Layer by layer at “{visible_text(study.at.at)}”"):
        document.add_prose(_layers_table(study.at))
    if study.parts is not None:
        for section in logit_view(study.parts).sections():
            document.add_section(section, folds=True)
    rules = _LENS_RULES if study.parts is None else (*_LENS_RULES, *_PARTS_RULES)
    made = skeleton.finish(document, method=rules, checks=_checks(study))
    return replace(made, notices=lens.notices)


def _layers_table(readings: TokenReading) -> Markup:
    """Build the table of the first readings after each layer, the last layer first."""
    rows = [
        (name, *(f"{visible(word)}  {percent(chance)}" for word, chance in cell))
        for name, cell in reversed(list(readings.layers.items()))
    ]
    count = len(rows[0]) - 1
    columns = ("after", "top reading", *(f"{number}." for number in range(2, count + 1)))
    return data_table(columns, rows)


def _checks(study: LensStudy) -> list[Row]:
    """Return how far the readings and the parts are from the model's own logits."""
    last = difference_words(study.readings.attrs["error"])
    rows = [("Largest difference between the last reading and the model’s own logits", last)]
    if study.parts is not None:
        whole = difference_words(study.parts.attrs["error"])
        rows.append(("Difference between the sum of all parts and the model’s own logit", whole))
    return rows

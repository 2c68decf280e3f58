"""The report on one text: what the model would say after each layer, and which heads say it."""

from __future__ import annotations

import html

import pandas as pd

from introspect.errors import CaptureError
from introspect.models import Model
from introspect.page import Document
from introspect.records import AttentionRecord
from introspect.reporting.lens_wording import Reading, finding_of_lens, read_at
from introspect.reporting.prose import notices_prose, paragraphs, set_prose
from introspect.reporting.provenance import (
    certificate_rows,
    difference_words,
    provenance_rows,
    table,
    version_of_introspect,
)
from introspect.reporting.report import Report
from introspect.reporting.set_report import data_table
from introspect.residual import direct_logit_attribution, logit_lens
from introspect.text import visible, visible_text
from introspect.views.lens import lens_view
from introspect.views.logits import logit_view

__all__ = ["lens_report"]

_MANY = 12
_PLAIN = (
    "How to read this: a layer of the model adds something to the state of each token, and after "
    "the last one a head turns the state into a probability for every token of the vocabulary. "
    "The logit lens puts the state of an earlier layer in the place of the last one’s, as if the "
    "model stopped there. Direct logit attribution goes the other way: it divides the number that "
    "the model gives one token among everything that was added up."
)
_LENS_RULES = (
    "Each layer’s state is put in the place of the last one’s, and the model’s own code goes on "
    "from there (nostalgebraist 2020). That the logits follow from that state and from nothing "
    "else is proved by putting it into a run on other tokens.",
)
_PARTS_RULES = (
    "The state that is read is a sum: the embeddings, each head’s output through its part of the "
    "output projection, the biases, each feed-forward. Each part is read by itself, with the scale "
    "of the last norm as it was in this run (Elhage et al. 2021). It counts what a part says at "
    "once, not what later layers make of it.",
)


def lens_report(
    model: Model,
    text: str,
    *,
    token: str | int | None = None,
    against: str | int | None = None,
    position: int | None = None,
    top: int = 5,
    target: str | None = None,
    command: str | None = None,
) -> Report:
    """Build a report on what a model would say after each layer, and which parts say it.

    Args:
        model: with its language-model head (``ix.load(…, with_head=True)``).
        text: the text that the model reads.
        token: the token whose logit is divided; by default the model's most probable token there.
        against: another token, whose logit is subtracted.
        position: the token to read at; by default a mask, and where there is none the last token
            that is not special.
        top: the number of readings of each state.
        target: the text that an encoder-decoder writes; its tokens are read.
        command: the command line that made the report, for the provenance.

    Raises:
        ModelError: the model has no language-model head.
        CaptureError: its layers cannot be identified; or ``token`` or ``against`` is given for a
            model whose logits cannot be divided, such as BERT. Without them the report says so
            instead.
        SelectionError: a token, position or number does not exist.

    Example:
        >>> import introspect as ix
        >>> model = ix.load("induction", with_head=True)
        >>> print(ix.lens_report(model, "a b c d a b").finding[:32])
        At “b” (token 6) the model gives
    """
    readings = logit_lens(model, text, top=top, target=target)
    kind = "decoder" if model.is_encoder_decoder else None
    record = model.capture(text, target=target, kind=kind, certify=True)
    reading = read_at(readings, _place(model, record, position))
    is_own_choice = token is None and against is None
    chosen = reading.token_id(model) if token is None else token
    parts, why = None, None
    try:
        parts = direct_logit_attribution(
            model, text, token=chosen, against=against, position=reading.position, target=target
        )
    except CaptureError as error:
        if not is_own_choice:
            raise
        why = str(error)
    finding = finding_of_lens(reading, parts, why)
    notices = lens_view(readings).notices
    title = f"What {record.certificate.model} would say after each layer"
    document = Document(title, summary=_summary(title, finding.plain, record, command))
    document.add_prose(notices_prose((*notices, *record.notices)) + _specimen(record))
    document.add_prose(set_prose(finding))
    document.add_prose(f'<p class="background">{_PLAIN}</p>')
    document.add_contents()
    for section in lens_view(readings, position=reading.position).sections():
        document.add_section(section, folds=True)
    with document.chapter(f"Layer by layer at “{visible_text(reading.at)}”"):
        document.add_prose(_layers_table(reading))
    if parts is not None:
        for section in logit_view(parts).sections():
            document.add_section(section, folds=True)
    with document.chapter("How it was measured"):
        document.add_prose(paragraphs([*_LENS_RULES, *(_PARTS_RULES if parts is not None else ())]))
    _add_proof(document, record, readings, parts, command)
    return Report(document.to_html(), finding.plain, scores=None, notices=notices)


def _place(model: Model, record: AttentionRecord, position: int | None) -> int:
    """Return the position to read at: the one asked for, a mask, or the last one of the text."""
    if position is not None:
        return position
    mask, tokens = model.tokenizer.mask_token_id, record.queries
    if mask is not None and mask in tokens.token_ids:
        return tokens.token_ids.index(mask)
    ordinary = [place for place, flag in enumerate(tokens.special_tokens_mask) if not flag]
    return ordinary[-1] if ordinary else -1


def _specimen(record: AttentionRecord) -> str:
    text = " / ".join(record.queries.texts)
    return f'<p class="specimen" dir="auto">{html.escape(visible_text(text))}</p>'


def _layers_table(reading: Reading) -> str:
    """Build the table of the first readings after each layer, the last layer first."""
    rows = [
        (name, *(f"{visible(word)}  {chance:.1%}" for word, chance in cell))
        for name, cell in reversed(list(reading.layers.items()))
    ]
    count = len(rows[0]) - 1
    columns = ("after", "top reading", *(f"{number}." for number in range(2, count + 1)))
    return data_table(columns, rows)


def _add_proof(
    document: Document,
    record: AttentionRecord,
    readings: pd.DataFrame,
    parts: pd.DataFrame | None,
    command: str | None,
) -> None:
    rows = [
        (
            "Largest difference between the last reading and the model’s own logits",
            difference_words(readings.attrs["error"]),
        )
    ]
    if parts is not None:
        rows.append(
            (
                "Difference between the sum of all parts and the model’s own logit",
                difference_words(parts.attrs["error"]),
            )
        )
    with document.chapter("Proof and provenance"):
        document.add_prose(table(rows, "How far the numbers are from the model’s own"))
        document.add_prose(
            table(certificate_rows(record.certificate), "Certificate of the capture")
        )
        document.add_prose(table(provenance_rows(record, command), "To repeat this report"))


def _summary(
    title: str, finding: str, record: AttentionRecord, command: str | None
) -> dict[str, object]:
    certificate = record.certificate
    return {
        "kind": "report",
        "title": title,
        "finding": finding,
        "texts": 1,
        "cases": 0,
        "model": certificate.model,
        "revision": certificate.revision,
        "introspect": version_of_introspect(),
        "command": command,
    }

"""The report on one text: what the model would say after each layer, and which heads say it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

import pandas as pd

from introspect.errors import CaptureError, SelectionError
from introspect.models import Model
from introspect.page import Document
from introspect.records import AttentionRecord
from introspect.reporting.findings import Finding
from introspect.reporting.html import (
    certificate_rows,
    difference_words,
    notices_prose,
    paragraphs,
    provenance_rows,
    set_prose,
    table,
    version_of_introspect,
)
from introspect.reporting.report import Report
from introspect.reporting.set_report import data_table
from introspect.studies.lens import direct_logit_attribution, logit_lens
from introspect.text import visible, visible_text
from introspect.views import lens_view, logit_view

__all__ = ["TokenReading", "finding_of_lens", "lens_report", "read_at", "signed"]

_NAMED = 3
_CAVEATS = (
    "A state that reads as a word need not be used as that word by later layers, and one that "
    "does not may be: the lens reads every layer as if it were the last.",
    "One text is an example, not evidence. To see whether a head matters, take it out: "
    "introspect causal, introspect ablate.",
)


@dataclass(frozen=True)
class TokenReading:
    """The readings at one token.

    Args:
        position: its place, from 0.
        at: the token at that position.
        layers: for each layer, from the embeddings up, the top tokens with their probabilities.
    """

    position: int
    at: str
    layers: Mapping[str, tuple[tuple[str, float], ...]]

    @property
    def last(self) -> tuple[str, float]:
        """The model's own most probable token and its probability."""
        return list(self.layers.values())[-1][0]

    @property
    def since(self) -> str:
        """The layer from which the model's own top token is read first."""
        word, _ = self.last
        down = reversed(list(self.layers.items()))
        return list(takewhile(lambda layer: layer[1][0][0] == word, down))[-1][0]

    def token_id(self, model: Model) -> int:
        """Return the ID of the model's own top token."""
        found: int = model.tokenizer.convert_tokens_to_ids(self.last[0])
        return found


def read_at(readings: pd.DataFrame, position: int) -> TokenReading:
    """Return the readings of one token.

    Args:
        readings: of ``logit_lens``.
        position: the token's position; negative ones count from the end.

    Raises:
        SelectionError: there is no such token.
    """
    length = int(readings["position"].max()) + 1
    if not -length <= position < length:
        raise SelectionError(
            f"Expected `position` from {-length} to {length - 1}, for {length} tokens, got "
            f"{position}."
        )
    rows = readings[readings["position"] == position % length]
    layers = {}
    for layer, cell in rows.groupby("layer", sort=True):
        name = "embeddings" if int(str(layer)) < 0 else f"L{layer}"
        layers[name] = tuple(zip(cell["predicted"], cell["probability"].map(float), strict=True))
    return TokenReading(position % length, str(rows["token"].iloc[0]), layers)


def finding_of_lens(reading: TokenReading, parts: pd.DataFrame | None, why: str | None) -> Finding:
    """Say what the model says at a token, from which layer on, and which parts say it.

    Args:
        reading: of the token.
        parts: of ``direct_logit_attribution`` at the token; ``None`` where it is unavailable.
        why: the reason for that.
    """
    word, chance = reading.last
    headline = (
        f"At “{_quoted(reading.at)}” (token {reading.position}) the model gives *{_quoted(word)}* "
        f"most, with a probability of {chance:.1%}; {_since(reading)}."
    )
    details = [_before(reading)] if len(reading.layers) > 1 else []
    if parts is not None:
        details += _parts_words(parts)
    elif why is not None:
        details.append(f"Which parts say it cannot be told of this model. {why}")
    return Finding(headline, tuple(details), _CAVEATS)


def signed(value: float, places: int = 2) -> str:
    """Format a number with its sign, using a minus sign and not a hyphen.

    Example:
        >>> signed(-0.126), signed(0.5, 1)
        ('−0.13', '+0.5')
    """
    return f"{value:+.{places}f}".replace("-", "−")


def _quoted(token: str) -> str:
    # An asterisk in the token itself would end the emphasis early.
    return visible(token).replace("*", "∗")


def _since(reading: TokenReading) -> str:
    layers = list(reading.layers)
    if reading.since == layers[-1]:
        return f"it is the top reading only after the last layer, {layers[-1]}"
    if reading.since == layers[0]:
        return "it is the top reading at every layer, from the embeddings on"
    return f"from {reading.since} on it is the top reading"


def _before(reading: TokenReading) -> str:
    word, chance = next(iter(reading.layers.values()))[0]
    return (
        f"From the embeddings, before any layer, the head reads “{_quoted(word)}”, with "
        f"a probability of {chance:.1%}."
    )


def _parts_words(parts: pd.DataFrame) -> list[str]:
    given = parts.attrs
    against = "" if given["against"] is None else f" less that of “{_quoted(given['against'])}”"
    ordered = parts.sort_values("contribution", ascending=False, kind="stable")
    adding = ordered[ordered["contribution"] > 0].head(_NAMED)
    taking = ordered[ordered["contribution"] < 0].tail(_NAMED)[::-1]
    whole = signed(given["logit"]).removeprefix("+")
    of = f"“{_quoted(given['token'])}”{against}"
    sentences = [f"The logit of {of} is {whole}: a sum of {len(parts)} parts."]
    if len(adding):
        sentences.append(f"Most is added by {_listed(adding)}.")
    if len(taking):
        sentences.append(f"Most is taken off by {_listed(taking)}.")
    return [" ".join(sentences)]


def _listed(rows: pd.DataFrame) -> str:
    names = [f"{row.component} ({signed(row.contribution)})" for row in rows.itertuples()]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


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
        model: with its language-model head (``ix.load(…, lm_head=True)``).
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
        >>> model = ix.load("induction", lm_head=True)
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


def _layers_table(reading: TokenReading) -> str:
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

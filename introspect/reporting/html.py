"""The provenance of a report: what a reader needs to reproduce a figure."""

from __future__ import annotations

import html
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from introspect.records import AttentionRecord, Certificate
from introspect.reporting.findings import Finding, as_html
from introspect.text import CorefCase, Span, visible_text

__all__ = [
    "Row",
    "case_prose",
    "certificate_rows",
    "difference_words",
    "method_prose",
    "notices_prose",
    "paragraphs",
    "plain_words",
    "provenance_of",
    "provenance_rows",
    "set_prose",
    "table",
    "text_prose",
    "version_of",
    "version_of_introspect",
]

Row = tuple[str, str]

# Sums of half-precision weights deviate from 1 by up to about this much.
_ROUNDING = 0.02

_DISTRIBUTION = "introspect-transformers"


def provenance_rows(record: AttentionRecord, command: str | None) -> list[Row]:
    """Return model, revision, versions and command line as names and values."""
    return provenance_of(record.certificate, command)


def provenance_of(certificate: Certificate, command: str | None) -> list[Row]:
    """Return the same rows as ``provenance_rows`` from a certificate, where there is no record."""
    rows = [
        ("Model", certificate.model or "not named"),
        ("Revision", certificate.revision or "not known"),
        ("Tokenizer", certificate.tokenizer or "not named"),
        ("Numbers", f"{certificate.dtype} on {certificate.device}"),
        ("introspect", version_of_introspect()),
        ("transformers", certificate.transformers_version or "not known"),
        ("torch", certificate.torch_version or "not known"),
        ("plotly", version_of("plotly")),
        ("Python", platform.python_version()),
    ]
    if command:
        rows.append(("Command", command))
    return rows


def certificate_rows(certificate: Certificate) -> list[Row]:
    """Return how attention was captured, and how far it is from the model's own."""
    return [
        ("Route", certificate.route),
        (
            "What the model runs unwatched",
            certificate.attn_implementation or "unknown",
        ),
        (
            "Largest difference from the attention that the model itself returns",
            difference_words(certificate.max_difference_from_eager, certificate.note),
        ),
        (
            "Largest difference of the model’s output, watched and not",
            difference_words(certificate.max_output_difference),
        ),
        ("Largest distance of a row’s sum from 1", _row_sums(certificate.max_row_sum_error)),
        (
            "Largest difference between weights × values and a head’s output",
            difference_words(certificate.max_head_output_error, "the values were not seen"),
        ),
        *_attribution_rows(certificate),
    ]


def _attribution_rows(certificate: Certificate) -> list[Row]:
    """Return the checks on what else was captured, where they were made."""
    rows = []
    if certificate.max_decomposition_error is not None:
        rows.append(
            (
                "Largest difference between an attention block and the sum over its keys",
                difference_words(certificate.max_decomposition_error, ""),
            )
        )
    if certificate.gradient_of is not None:
        value = certificate.gradient_of_value
        rows.append(("Differentiated", f"{certificate.gradient_of}, which is {value:.4g}"))
    if certificate.max_completeness_error is not None:
        rows.append(
            (
                "Largest difference between integrated gradients and what a layer changes",
                difference_words(certificate.max_completeness_error, ""),
            )
        )
    return rows


def table(rows: Sequence[Row], caption: str) -> str:
    """Build an HTML table of names and values."""
    cells = "".join(
        f'<tr><th scope="row">{_cell(name)}</th><td>{_cell(value)}</td></tr>'
        for name, value in rows
    )
    return f'<table class="facts"><caption>{html.escape(caption)}</caption>{cells}</table>'


def _cell(text: str) -> str:
    return html.escape(visible_text(text))


def _row_sums(error: float | None) -> str:
    shown = difference_words(error)
    # Far more than rounding: attention sinks take a share of each row that no token receives.
    is_partial = error is not None and error > _ROUNDING
    return (
        f"{shown}: rows do not sum to 1, as in models with attention sinks" if is_partial else shown
    )


def difference_words(value: float | None, note: str = "") -> str:
    """Say how far two numbers are apart, or that this was not computed, and why.

    Example:
        >>> difference_words(0.0), difference_words(0.00012)
        ('0 (equal in every bit)', '1.2e-04')
    """
    if value is None:
        return f"not computed: {note}" if note else "not computed"
    return "0 (equal in every bit)" if value == 0 else f"{value:.1e}"


def version_of_introspect() -> str:
    """Return the installed version of this package."""
    return version_of(_DISTRIBUTION)


def version_of(distribution: str) -> str:
    """Return the installed version of a package."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


_METHOD = (
    "Words are found by character offsets. The weight from one word to another is the attention "
    "summed over the pieces of the target and averaged over those of the source; for mentions of "
    "several words it is the mean over the pairs of words.",
    "A head gets credit 1 if it gives the antecedent more than any other candidate, a share if "
    "they are tied, and 0 otherwise; if all candidates together get less than 0.000001, that "
    "counts as a tie.",
    "Heads are named by layer and head, both from 0: L3H1 is head 1 of layer 3. Weights shown are "
    "raw, special tokens included.",
)


def notices_prose(notices: Sequence[str]) -> str:
    """Return the notices to read before any figure, as prominent boxes; empty without any."""
    return "".join(
        f'<p class="notice" role="alert">{html.escape(visible_text(notice))}</p>'
        for notice in notices
    )


def case_prose(case: CorefCase, finding: Finding) -> str:
    """Return the sentence with its mentions marked, the finding, and its caveats."""
    return (
        f'<p class="specimen" dir="auto">{_marked(case)}</p>'
        f'<p class="finding">{as_html(finding.headline)}</p>'
        + paragraphs(finding.details)
        + _caveats(finding)
    )


def set_prose(finding: Finding) -> str:
    """Return the finding over a set of cases, with its baselines."""
    return (
        f'<p class="finding">{as_html(finding.headline)}</p>'
        + paragraphs(finding.details)
        + _caveats(finding)
    )


def text_prose(record: AttentionRecord) -> str:
    """Return the prose for a text for which nothing was scored."""
    layers, heads = record.attentions.shape[:2]
    text = " / ".join(record.queries.texts)
    return (
        f'<p class="specimen" dir="auto">{html.escape(visible_text(text))}</p>'
        f'<p class="finding">The attention of {layers} layers × {heads} heads.</p>'
        "<p>No pronoun was given, so no head was scored: the views show where each head looks, "
        "and claim nothing about why.</p>"
    )


def method_prose() -> str:
    """Return a short definition of the numbers."""
    return paragraphs(_METHOD)


def plain_words(record: AttentionRecord) -> str:
    """Explain attention to a reader without background."""
    layers, heads = record.attentions.shape[:2]
    return (
        '<p class="background">How to read this: the model works through a text in '
        f"{_counted(layers, 'layer')}. In each, {_counted(heads, 'head')} look from every word at "
        "the words of the text, and each head divides its attention among them: the weights of a "
        "word add up to 1. A weight of 0.68 from one word to another says that this head took "
        "68 % of what it passed on to the first word from the second.</p>"
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _marked(case: CorefCase) -> str:
    """Return the text with the pronoun and the candidates marked; overlapping marks nest."""
    roles: list[tuple[Span, str, str]] = [(case.pronoun, "pronoun", "pronoun")]
    for candidate in case.candidates:
        role = "antecedent" if candidate.antecedent else "distractor"
        roles.append((candidate.span, role, role))
    roles.sort(key=lambda item: (item[0][0], -item[0][1]))
    parts: list[str] = []
    position = 0
    for (start, end), css_class, title in roles:
        if start < position:
            continue  # inside a mark that is already open: one mark is enough to see it
        parts.append(html.escape(visible_text(case.text[position:start])))
        word = html.escape(visible_text(case.text[start:end]))
        parts.append(f'<mark class="{css_class}" title="{title}">{word}</mark>')
        position = end
    parts.append(html.escape(visible_text(case.text[position:])))
    return "".join(parts)


def paragraphs(sentences: Sequence[str]) -> str:
    """Build a paragraph for each sentence or two; ``*marked*`` words are emphasized."""
    return "".join(f"<p>{as_html(sentence)}</p>" for sentence in sentences)


def _caveats(finding: Finding) -> str:
    items = "".join(f"<li>{as_html(caveat)}</li>" for caveat in finding.caveats)
    title = '<h2 class="caveat-title">What this does not show</h2>'
    return f'<div class="caveat">{title}<ul>{items}</ul></div>'

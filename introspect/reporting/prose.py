"""The prose of a report as HTML: what was found, what it rests on, what it does not show."""

from __future__ import annotations

import html
from collections.abc import Sequence

from introspect.mentions import CorefCase, Span
from introspect.records import AttentionRecord
from introspect.reporting.wording import Finding, as_html
from introspect.text import visible_text

__all__ = [
    "case_prose",
    "method_prose",
    "notices_prose",
    "paragraphs",
    "plain_words",
    "set_prose",
    "text_prose",
]

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

"""The prose of a report as HTML, from templates that escape what they are given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from introspect.page import template
from introspect.records import AttentionRecord
from introspect.reporting.findings import Finding
from introspect.text import counted, percent

#: A name and its value.
Row = tuple[str, str]


def _macros() -> Any:
    return template("introspect.reporting", "prose.html").module


def finding_prose(finding: Finding, plain: str = "") -> Markup:
    """Build the headline, what it does not show in brief, and behind that all that is said of it.

    Args:
        finding: the finding.
        plain: what a reader without background must know.
    """
    brief = " ".join(first_sentence(caveat) for caveat in finding.caveats)
    return Markup(_macros().finding(finding, brief, plain))


def first_sentence(text: str) -> str:
    """Return the first sentence of a text.

    Example:
        >>> first_sentence("One sentence is an example, not evidence. Among 72 heads some …")
        'One sentence is an example, not evidence.'
    """
    first, point, _ = text.partition(". ")
    return f"{first}." if point else text


def paragraphs(sentences: Iterable[str]) -> Markup:
    """Build a paragraph for each sentence or two; ``*marked*`` words are emphasized."""
    return Markup(_macros().paragraphs(sentences))


def plain_words(record: AttentionRecord) -> str:
    """Explain attention to a reader without background."""
    layers, heads = record.attentions.shape[:2]
    attend = "attends" if heads == 1 else "attend"
    return (
        f"How to read this: the model works through a text in {counted(layers, 'layer')}. In each, "
        f"{counted(heads, 'head')} {attend} from every word to the words of the text, and each "
        "head divides its attention among them: the weights of a word add up to 1. A weight of "
        f"0.68 from one word to another says that this head took {percent(0.68, 0)} of what it "
        "passed on to the first word from the second."
    )


def definitions(terms: Iterable[tuple[str, str]]) -> Markup:
    """Build a list of terms, each with its meaning."""
    return Markup(_macros().definitions(terms))


def facts_table(rows: Sequence[Row], caption: str) -> Markup:
    """Build a table of names and values."""
    return Markup(_macros().facts(rows, caption))


def data_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    """Build a table of figures; every value is text. Empty without rows."""
    return Markup(_macros().data(columns, rows) if rows else "")


def index_list(entries: Iterable[tuple[str, object, Sequence[object]]]) -> Markup:
    """Build the list of a folder's pages: address, finding and facts of each."""
    return Markup(_macros().index(entries))


def lead(text: str) -> Markup:
    """Build a line of less weight than a paragraph."""
    return Markup(_macros().lead(text))

"""The prose of a report: findings in words, and all of it as HTML.

The sentences on numbers stay true for every outcome; they are plain text, with ``*asterisks*``
around quoted words. The templates of the HTML escape what they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from introspect.functional import readable_heads
from introspect.page import template
from introspect.records import AttentionRecord
from introspect.statistics import Claim
from introspect.studies.coreference import CoreferenceStudy, left_out
from introspect.text import counted, percent, verb

#: A name and its value.
Row = tuple[str, str]


#: Accompanies every claim about a head.
ATTENTION_IS_NOT_CAUSATION = (
    "Attention shows what a head attends to, not why the model decides. Whether these heads "
    "matter is a causal question: ablate them on cases that were not used to choose them, and "
    "compare with random heads of the same layer."
)


@dataclass(frozen=True)
class Finding:
    """A headline, what supports it, and what it does not show.

    Args:
        headline: the first sentence of the page.
        details: what supports it.
        caveats: what it does not show.
        claims: what is claimed in these sentences, with the numbers behind it.
    """

    headline: str
    details: tuple[str, ...]
    caveats: tuple[str, ...]
    claims: tuple[Claim, ...] = ()

    @property
    def plain(self) -> str:
        """The headline without emphasis marks, for a terminal."""
        return self.headline.replace("*", "")


def finding_of_text(record: AttentionRecord) -> Finding:
    """Return the finding on a text for which nothing was scored."""
    layers, heads = record.attentions.shape[:2]
    readable = int(readable_heads(record.attentions).sum())
    captured = Claim(
        kind="captured",
        subject="the model",
        sentence=(
            f"{counted(layers, 'layer')} × {counted(heads, 'head')} captured; no pronoun was "
            "given, so none was scored."
        ),
        estimate=float(layers),
    )
    unreadable = layers * heads - readable
    unread = left_out(unreadable, readable) if unreadable else ()
    details = dict.fromkeys(claim.sentence for claim in unread)
    views = "The views show what each head attends to, and claim nothing about why."
    of_heads = replace(captured, kind="captured: heads", estimate=float(heads))
    claims = (captured, of_heads, *unread)
    return Finding(captured.sentence, (*details, views), (), claims)


def finding_of_set(study: CoreferenceStudy) -> Finding:
    """Return the finding on several texts; the best head is stated to be chosen in-sample."""
    claims = study.claims
    if study.scores is None:
        count = len(study.texts)
        words = f"{counted(count, 'text')} captured."
        captured = Claim(kind="captured", subject="texts", sentence=words, estimate=count, n=count)
        return Finding(words, (), (), (captured,))
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    if claims[0].kind == "no-scores":
        return Finding(headline, (), (ATTENTION_IS_NOT_CAUSATION,), claims)
    known = study.scores.heads["accuracy"].notna().sum()
    return Finding(
        headline,
        tuple(details),
        (
            f"The head was chosen among {known} heads and directions on the very cases it is "
            "scored on, so chance alone lifts this figure. No held-out accuracy was measured "
            "here: this report does not show that the head resolves coreference.",
            ATTENTION_IS_NOT_CAUSATION,
        ),
        claims,
    )


def rejected_notices(number: int, noun: str = "row", file: str = "rejects.jsonl") -> list[str]:
    """Return what a reader must know of rows without a result, if there are any.

    Args:
        number: how many there are.
        noun: what one is called.
        file: where they are listed.

    Example:
        >>> rejected_notices(1)
        ['1 row gave no result; it is in rejects.jsonl with line and reason.']
        >>> rejected_notices(0)
        []
    """
    are = verb(number, "it is", "they are")
    notice = f"{counted(number, noun)} gave no result; {are} in {file} with line and reason."
    return [notice] if number else []


def _macros() -> Any:
    return template("introspect.reporting", "prose.html").module


def finding_prose(finding: Finding, plain: str = "") -> Markup:
    """Build the headline, and below it what ``support_prose`` builds."""
    return headline_prose(finding) + support_prose(finding, plain)


def headline_prose(finding: Finding) -> Markup:
    """Build the headline alone."""
    return Markup(_macros().headline(finding))


def support_prose(finding: Finding, plain: str = "") -> Markup:
    """Build what a finding does not show in brief, and behind that all that is said of it.

    Args:
        finding: the finding.
        plain: what a reader without background must know.
    """
    brief = " ".join(first_sentence(caveat) for caveat in finding.caveats)
    return Markup(_macros().support(finding, brief, plain))


def place_of_table(name: str) -> Markup:
    """Build the place of a table that the script of a view fills."""
    return Markup(_macros().place_of_table(name))


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


@dataclass(frozen=True)
class IndexEntry:
    """What a folder's list says of a page.

    Args:
        address: where it is.
        finding: its headline.
        facts: what else is known of it.
        strip: its strip of heads; empty where it has none.
    """

    address: str
    finding: str
    facts: tuple[str, ...]
    strip: Markup


def index_list(entries: Iterable[IndexEntry]) -> Markup:
    """Build the list of a folder's pages."""
    return Markup(_macros().index(entries))


def lead(text: str) -> Markup:
    """Build a line of less weight than a paragraph."""
    return Markup(_macros().lead(text))

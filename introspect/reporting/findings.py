"""Sentences on the numbers of a report that stay true for every outcome.

Plain text with ``*asterisks*`` around quoted words.
"""

from __future__ import annotations

from dataclasses import dataclass

from introspect.records import AttentionRecord, readable_heads
from introspect.statistics import Claim
from introspect.studies.coreference import CoreferenceStudy, left_out
from introspect.text import counted

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
    unread = left_out(layers * heads - readable, readable)
    details = dict.fromkeys(claim.sentence for claim in unread)
    views = "The views show what each head attends to, and claim nothing about why."
    claims = (captured, captured.beside("heads", heads), *unread)
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

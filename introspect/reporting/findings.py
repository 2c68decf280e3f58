"""Sentences on the numbers of a report that stay true for every outcome.

Plain text with ``*asterisks*`` around quoted words.
"""

from __future__ import annotations

from dataclasses import dataclass

from introspect.records import AttentionRecord, Head, readable_heads
from introspect.statistics import Claim
from introspect.studies.coreference import Scores
from introspect.text import counted, percent, verb, whole

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


def left_out(unread: int, read: int) -> tuple[str, ...]:
    """Say how many heads can be read, where some cannot."""
    if not unread:
        return ()
    return (
        f"{whole(read)} of {counted(read + unread, 'head')} can be read; the attention of the "
        f"{verb(unread, 'other', 'others')} is not finite, and counts nowhere.",
    )


def finding_of_text(record: AttentionRecord) -> Finding:
    """Return the finding on a text for which nothing was scored."""
    layers, heads = record.attentions.shape[:2]
    readable = int(readable_heads(record.attentions).sum())
    return Finding(
        f"{counted(layers, 'layer')} × {counted(heads, 'head')} captured; no pronoun was given, so "
        "none was scored.",
        (
            *left_out(layers * heads - readable, readable),
            "The views show what each head attends to, and claim nothing about why.",
        ),
        (),
    )


def finding_of_set(scores: Scores | None, num_texts: int) -> Finding:
    """Return the finding on a set of cases; the best head is stated to be chosen in-sample."""
    if scores is None:
        return Finding(f"{counted(num_texts, 'text')} captured.", (), ())
    table = scores.heads.dropna(subset=["accuracy"])
    if table.empty:
        offered = (scores.heads["n"] + scores.heads["n_not_observable"]).sum()
        return Finding(
            "No head could be scored: what the mentions attend to cannot be observed, or is not "
            "finite."
            if offered
            else "None of these cases offers a right and a wrong answer, so no head was scored.",
            (),
            (ATTENTION_IS_NOT_CAUSATION,),
        )
    best = table.sort_values("accuracy", ascending=False, kind="stable").iloc[0]
    head = Head(int(best["layer"]), int(best["head"]))
    direction = str(best["direction"]).replace("_", " ")
    baselines = ", ".join(
        f"{str(name).replace('_', ' ')} {percent(accuracy)}"
        for name, accuracy in zip(
            scores.baselines["baseline"], scores.baselines["accuracy"], strict=True
        )
    )
    return Finding(
        f"Over {counted(int(best['n']), 'case')} {head} ({direction}) chooses the antecedent "
        f"most often, in {percent(best['accuracy'])}: an in-sample figure, not a held-out one.",
        (f"On the same cases, without any head: {baselines}.",),
        (
            f"The head was chosen among {len(table)} heads and directions on the very cases it is "
            "scored on, so chance alone lifts this figure. No held-out accuracy was measured "
            "here: this report does not show that the head resolves coreference.",
            ATTENTION_IS_NOT_CAUSATION,
        ),
    )

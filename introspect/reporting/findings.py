"""Sentences on the numbers of a report that stay true for every outcome.

Plain text with ``*asterisks*`` around quoted words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from introspect.functional import first_mentioned, nearest_preceding
from introspect.records import AttentionRecord, Head, readable_heads
from introspect.statistics import Claim
from introspect.studies.coreference import DirectionScores, Scores
from introspect.text import CorefCase, counted, decimal, listed, percent, verb, visible_text, whole

#: A head points to a mention if it gives the mention more than this share of its attention.
POINTING = 0.5

_NAMED_HEADS = 5

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


def finding_of_case(case: CorefCase, scores: Sequence[DirectionScores]) -> Finding:
    """Return the finding on one sentence."""
    forward, backward = scores
    if not forward.is_observable:
        return _unobservable(case, backward)
    readable = forward.readable
    if not readable.any():
        return _unreadable(case, readable.numel())
    # A head of a layer that sees no candidate is no failure of reading.
    unread = int((~readable[forward.observable]).sum())
    num_heads = forward.antecedent_weight.numel() - unread
    caveats = (
        f"One sentence is an example, not evidence. Among {counted(num_heads, 'head')} some will "
        "seem right by chance, and no accuracy on held-out cases was measured here: this report "
        "does not show that a head resolves coreference in general.",
        ATTENTION_IS_NOT_CAUSATION,
    )
    if not case.antecedents:
        return Finding(
            f"No antecedent was given for {_quoted(case, case.pronoun)}: the figures show what "
            "heads attend to, and none is called right.",
            _left_out(unread, num_heads),
            caveats,
        )
    details = (*_left_out(unread, num_heads), *_details(case, forward))
    return Finding(_headline(case, forward), details, caveats)


def _left_out(unread: int, read: int) -> tuple[str, ...]:
    """Say how many heads can be read, where some cannot."""
    if not unread:
        return ()
    return (
        f"{whole(read)} of {counted(read + unread, 'head')} can be read; the attention of the "
        f"{verb(unread, 'other', 'others')} is not finite, and counts nowhere.",
    )


def _unreadable(case: CorefCase, num_heads: int) -> Finding:
    return Finding(
        f"None of the {counted(num_heads, 'head')} can be read: what "
        f"{_quoted(case, case.pronoun)} attends to is not finite.",
        ("Run the model in float32 or bfloat16: float16 overflows in some models.",),
        (),
    )


def finding_of_text(record: AttentionRecord) -> Finding:
    """Return the finding on a text for which nothing was scored."""
    layers, heads = record.attentions.shape[:2]
    readable = int(readable_heads(record.attentions).sum())
    return Finding(
        f"{counted(layers, 'layer')} × {counted(heads, 'head')} captured; no pronoun was given, so "
        "none was scored.",
        (
            *_left_out(layers * heads - readable, readable),
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


def _headline(case: CorefCase, scores: DirectionScores) -> str:
    pronoun = _quoted(case, case.pronoun)
    antecedent = _any_of([_quoted(case, c.span) for c in case.antecedents])
    strongest = scores.strongest()
    pointing = [(head, weight) for head, weight in strongest if weight > POINTING]
    if pointing:
        points = verb(len(pointing), "points", "point")
        return f"{_with_weights(pointing)} {points} from {pronoun} to {antecedent}."
    best, weight = strongest[0]
    return (
        f"No head points from {pronoun} to {antecedent}: the strongest, {best}, gives it "
        f"{decimal(weight)} of its attention."
    )


def _details(case: CorefCase, scores: DirectionScores) -> list[str]:
    pronoun = _quoted(case, case.pronoun)
    antecedent = _any_of([_quoted(case, c.span) for c in case.antecedents])
    details = [
        f"A head is said to point to a word if it gives it more than half of the attention of "
        f"{pronoun}; the number is that share."
    ]
    if not case.distractors:
        return [*details, "No distractor was given, so no choice between candidates was scored."]
    readable = scores.readable
    right = int((scores.credit[readable] == 1).sum())
    total = int(readable.sum())
    distractor = _any_of([_quoted(case, c.span) for c in case.distractors])
    details.append(
        f"{right} of {counted(total, 'head')} {verb(right, 'gives', 'give')} {antecedent} more "
        f"than {distractor}; of heads that chose blindly about {whole(_blind(case) * total)} would."
    )
    astray = [
        (head, value)
        for head in scores.ranked()
        if (value := float(scores.distractor_weight[scores.row(head), head.head])) > POINTING
    ]
    if astray:
        points = verb(len(astray), "points", "point")
        details.append(f"{_with_weights(astray)} {points} to {distractor} instead.")
    return [*details, _position_answers(case)]


def _blind(case: CorefCase) -> float:
    return len(case.antecedents) / len(case.candidates)


def _position_answers(case: CorefCase) -> str:
    spans = [candidate.span for candidate in case.candidates]
    gold = [candidate.antecedent for candidate in case.candidates]
    answers = [
        ("the nearest candidate before the pronoun", nearest_preceding(case.pronoun, spans, gold)),
        ("the first candidate in the text", first_mentioned(spans, gold)),
    ]
    judged = [f"{rule} {'is right' if credit == 1 else 'is wrong'}" for rule, credit in answers]
    return f"Position alone: {judged[0]}, {judged[1]}."


def _unobservable(case: CorefCase, backward: DirectionScores) -> Finding:
    pronoun = _quoted(case, case.pronoun)
    other = (
        "The other direction, from the candidates to the pronoun, can be observed."
        if backward.is_observable
        else "Nor can the other direction."
    )
    return Finding(
        f"What {pronoun} attends to among the candidates cannot be observed: this model reads "
        "from left to right, and a candidate comes after the pronoun.",
        (other,),
        (ATTENTION_IS_NOT_CAUSATION,),
    )


def _quoted(case: CorefCase, span: tuple[int, int]) -> str:
    # An asterisk in the text itself would end the emphasis early.
    return f"*{visible_text(case.phrase(span)).replace('*', '∗')}*"


def _any_of(phrases: Sequence[str]) -> str:
    return " or ".join(dict.fromkeys(phrases))


def _with_weights(heads: Sequence[tuple[Head, float]]) -> str:
    """List heads as ``L3H1 (0.68), L5H11 (0.67) and 3 more``."""
    return listed((f"{head} ({decimal(value)})" for head, value in heads), most=_NAMED_HEADS)

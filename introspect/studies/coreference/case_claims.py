"""What is claimed of one case: rows, and the sentences made from them, true for every outcome.

``*asterisks*`` stand around quoted words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch

from introspect.functional import first_mentioned, nearest_preceding
from introspect.statistics import Claim
from introspect.studies.coreference.pointing import POINTING, TIMES, Pointing, PointingHead
from introspect.text import (
    CorefCase,
    Span,
    counted,
    decimal,
    listed,
    segment_words,
    verb,
    visible_text,
    whole,
)

#: The rule of pointing, as claims name it, and that of the second number.
RULE = f"share > {POINTING} and at least {TIMES} times the mean share that the other words give"
RULE_OF_OTHERS = "mean share that the other words of the text give"

_NAMED_HEADS = 5


class Read(Protocol):
    """What claims need of the scores in one direction."""

    @property
    def credit(self) -> torch.Tensor:
        """Of each head, ``(num_layers, num_heads)``."""

    @property
    def observable(self) -> torch.Tensor:
        """Return which layers see every candidate."""

    @property
    def readable(self) -> torch.Tensor:
        """Return which heads can be read."""

    @property
    def is_observable(self) -> bool:
        """Return whether any layer can attend in this direction."""


class CaseText(Protocol):
    """What claims are made from: a case with its attention and its scores."""

    @property
    def pointing(self) -> Pointing | None:
        """Return what the pronoun gives the antecedents."""

    @property
    def pointing_elsewhere(self) -> Mapping[Span, Pointing]:
        """Return what it gives each distractor."""

    @property
    def directions(self) -> Sequence[Read]:
        """The scores in both directions."""


def case_claims(text: CaseText, case: CorefCase) -> tuple[Claim, ...]:
    """Return the claims on a case, in the order of their sentences; the first is the headline.

    Args:
        text: the attention and the scores of the case.
        case: the case.
    """
    forward, backward = text.directions
    if not forward.is_observable:
        return _unobservable(case, is_other=backward.is_observable)
    pointing = text.pointing
    readable = forward.readable if pointing is None else forward.readable & pointing.readable
    # A head of a layer that sees no candidate is no failure of reading.
    unread = int((~readable[forward.observable]).sum())
    if not readable.any():
        return (_unreadable(case, readable.numel()),)
    if not case.antecedents:
        return (_no_antecedent(case), *left_out(unread, readable.numel() - unread))
    headline, *others = (
        *_pointing_claims(text, case),
        *_choice_claims(case, forward.credit, readable),
    )
    return (headline, *left_out(unread, readable.numel() - unread), *others)


def left_out(unread: int, read: int) -> tuple[Claim, ...]:
    """Say how many heads can be read, where some cannot."""
    if not unread:
        return ()
    claim = Claim(
        kind="unread",
        subject="heads",
        sentence=(
            f"{whole(read)} of {counted(read + unread, 'head')} can be read; the attention of the "
            f"{verb(unread, 'other', 'others')} is not finite, and counts nowhere."
        ),
        estimate=float(read),
    )
    return claim, claim.beside("of", read + unread)


def _no_antecedent(case: CorefCase) -> Claim:
    return Claim(
        kind="no-antecedent",
        subject="heads",
        sentence=(
            f"No antecedent was given for {quoted(case, case.pronoun)}: the figures show what "
            "heads attend to, and none is called right."
        ),
    )


def _unreadable(case: CorefCase, num_heads: int) -> Claim:
    return Claim(
        kind="unreadable",
        subject="heads",
        sentence=(
            f"None of the {counted(num_heads, 'head')} can be read: what "
            f"{quoted(case, case.pronoun)} attends to is not finite."
        ),
        estimate=float(num_heads),
    )


def _unobservable(case: CorefCase, *, is_other: bool) -> tuple[Claim, Claim]:
    other = (
        "The other direction, from the candidates to the pronoun, can be observed."
        if is_other
        else "Nor can the other direction."
    )
    hidden = Claim(
        kind="unobservable",
        subject="heads",
        sentence=(
            f"What {quoted(case, case.pronoun)} attends to among the candidates cannot be "
            "observed: this model reads from left to right, and a candidate comes after the "
            "pronoun."
        ),
    )
    kind = f"{'' if is_other else 'un'}observable: other"
    return hidden, replace(hidden, kind=kind, sentence=other)


def _pointing_claims(text: CaseText, case: CorefCase) -> Iterator[Claim]:
    """Yield what is claimed of single heads, first what the headline says."""
    if text.pointing is None:
        yield Claim(kind="one-token", subject="the tokenizer", sentence=_one_token(case))
        return
    antecedent = _names(case, antecedents=True)
    ranked = text.pointing.ranked()
    pointing = [each for each in ranked if each.points]
    everywhere = [each for each in ranked if _is_everywhere(each)]
    if not pointing:
        yield from _none_claims(text, case, ranked[0])
    for each in pointing[:1]:
        more = len(pointing) - 1
        sentence = _one_points(case, each, more)
        yield from _rows("points", sentence, [each])
        if more:
            yield Claim(kind="points: more", subject="heads", sentence=sentence, estimate=more)
    for heads, kind, forms in (
        (pointing[1:], "points", ("points", "point", f"to {antecedent} too")),
        (everywhere, "everywhere", ("attends", "attend", f"to {antecedent} from everywhere")),
    ):
        yield from _rows(kind, _listing(heads, *forms), heads)
    named = {each.head for each in (*pointing, *everywhere)}
    for span, towards in text.pointing_elsewhere.items():
        phrase = quoted(case, span)
        astray = [each for each in towards.ranked() if each.points and each.head not in named]
        sentence = _listing(astray, "points", "point", f"to {phrase} instead")
        yield from _rows("points-instead", sentence, astray, to=case.phrase(span))


def _none_claims(text: CaseText, case: CorefCase, best: PointingHead) -> Iterator[Claim]:
    """Yield what the strongest head gives the antecedent, and the distractor that gets most."""
    rivals = [
        (each, span)
        for span, towards in text.pointing_elsewhere.items()
        for each in towards.ranked()
        if each.head == best.head
    ]
    sentence = _none_points(case, best)
    if not rivals:
        yield from _rows("no-points", sentence, [best])
        return
    rival, span = max(rivals, key=lambda pair: pair[0].share)
    sentence = f"{sentence} To {quoted(case, span)} it gives {decimal(rival.share)}."
    yield from _rows("no-points", sentence, [best])
    subject = f"{rival.head} to {case.phrase(span)}"
    yield Claim(kind="no-points", subject=subject, sentence=sentence, estimate=rival.share)


def _is_everywhere(each: PointingHead) -> bool:
    return each.share > POINTING and not each.points and math.isfinite(each.others)


def _rows(
    kind: str, sentence: str, heads: Sequence[PointingHead], *, to: str = ""
) -> Iterator[Claim]:
    """Yield two claims on each head: the share that it gives, and what the other words give."""
    for each in heads:
        subject = f"{each.head} to {to}" if to else str(each.head)
        yield Claim(kind=kind, subject=subject, sentence=sentence, estimate=each.share, rule=RULE)
        if math.isfinite(each.others):
            yield Claim(
                kind=f"{kind}: others",
                subject=subject,
                sentence=sentence,
                estimate=each.others,
                rule=RULE_OF_OTHERS,
            )


def _one_points(case: CorefCase, best: PointingHead, more: int) -> str:
    pronoun, antecedent = quoted(case, case.pronoun), _names(case, antecedents=True)
    also = f" So {verb(more, 'does', 'do')} {counted(more, 'more head')}." if more else ""
    return (
        f"{best.head} points from {pronoun} to {antecedent}: {decimal(best.share)} of its "
        f"attention; {_by_others(best)}.{also}"
    )


def _none_points(case: CorefCase, best: PointingHead) -> str:
    pronoun, antecedent = quoted(case, case.pronoun), _names(case, antecedents=True)
    if math.isfinite(best.others):
        return (
            f"No head points from {pronoun} to {antecedent}: the strongest, {best.head}, gives it "
            f"{decimal(best.share)} of its attention; {_by_others(best)}."
        )
    return (
        f"No head is said to point from {pronoun} to {antecedent}: no other word can be compared. "
        f"The strongest, {best.head}, gives it {decimal(best.share)} of its attention."
    )


def _one_token(case: CorefCase) -> str:
    return (
        f"No head is said to point from {quoted(case, case.pronoun)} to "
        f"{_names(case, antecedents=True)}: this model reads both as one token."
    )


def _by_others(each: PointingHead) -> str:
    others = verb(each.num_others, "the other word gives", "the other words give")
    return f"{others} it {decimal(each.others)}"


def _listing(heads: Sequence[PointingHead], singular: str, plural: str, towards: str) -> str:
    """Write which heads do something, each with both numbers."""
    if len(heads) == 1:
        (only,) = heads
        return f"{only.head} ({decimal(only.share)}) {singular} {towards}: {_by_others(only)}."
    named = (f"{h.head} ({decimal(h.share)}, the others {decimal(h.others)})" for h in heads)
    return f"{listed(named, most=_NAMED_HEADS)} {plural} {towards}."


def _choice_claims(
    case: CorefCase, credit: torch.Tensor, readable: torch.Tensor
) -> Iterator[Claim]:
    """Yield how many heads prefer the antecedent, and what position alone answers."""
    if not case.distractors:
        yield Claim(
            kind="no-distractor",
            subject="heads",
            sentence="No distractor was given, so no choice between candidates was scored.",
        )
        return
    total = int(readable.sum())
    right = int((credit[readable] == 1).sum())
    blind = len(case.antecedents) / len(case.candidates) * total
    antecedent, distractor = (_names(case, antecedents=which) for which in (True, False))
    # Candidates are compared by the mean over their words, which is no share.
    more = "more per word" if _has_phrases(case) else "more"
    sentence = (
        f"{whole(right)} of {counted(total, 'head')} {verb(right, 'gives', 'give')} {antecedent} "
        f"{more} than {distractor}; of heads that chose blindly about {whole(blind)} would."
    )
    rule = "credit of 1: the mean over the words of an antecedent is the only largest"
    for kind, number in (("prefers", right), ("readable", total), ("prefers-by-chance", blind)):
        yield Claim(kind=kind, subject="heads", sentence=sentence, estimate=number, rule=rule)
    spans = [candidate.span for candidate in case.candidates]
    gold = [candidate.antecedent for candidate in case.candidates]
    is_before = any(end <= case.pronoun[0] for _, end in spans)
    answers = {
        f"the nearest candidate {'before' if is_before else 'after'} the pronoun": (
            nearest_preceding(case.pronoun, spans, gold)
        ),
        "the first candidate in the text": first_mentioned(spans, gold),
    }
    judged = ", ".join(f"{name} is {_judged(answer)}" for name, answer in answers.items())
    for subject, answer in answers.items():
        sentence = f"Position alone: {judged}."
        yield Claim(kind="position", subject=subject, sentence=sentence, estimate=answer)


def _has_phrases(case: CorefCase) -> bool:
    """Return whether a mention has several words, so that a mean over them is not a share."""
    spans = [case.pronoun, *(candidate.span for candidate in case.candidates)]
    return any(len(segment_words(case.phrase(span))) > 1 for span in spans)


def _judged(credit: float) -> str:
    return {1.0: "right", 0.0: "wrong"}.get(credit, "tied")


def quoted(case: CorefCase, span: Span) -> str:
    """Return the words of a mention in emphasis."""
    # An asterisk in the text itself would end the emphasis early.
    return f"*{visible_text(case.phrase(span)).replace('*', '∗')}*"


def _names(case: CorefCase, *, antecedents: bool) -> str:
    """Return the phrases of the antecedents, or of the distractors, as a choice."""
    candidates = case.antecedents if antecedents else case.distractors
    return " or ".join(dict.fromkeys(quoted(case, each.span) for each in candidates))

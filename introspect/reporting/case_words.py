"""The finding on one case, of which every sentence is made from claims."""

from __future__ import annotations

from introspect.reporting.findings import ATTENTION_IS_NOT_CAUSATION, Finding
from introspect.studies.coreference import CapturedText, quoted
from introspect.text import CorefCase, counted

_NOT_FINITE = "Run the model in float32 or bfloat16: float16 overflows in some models."


def finding_of_case(text: CapturedText) -> Finding:
    """Return the finding on one case.

    Args:
        text: the case with its attention.
    """
    case, claims = text.case, text.claims
    assert case is not None, "a text without a pronoun"
    headline, *details = dict.fromkeys(claim.sentence for claim in claims)
    kind = claims[0].kind
    if kind == "unreadable":
        return Finding(headline, (_NOT_FINITE,), (), claims)
    if kind == "unobservable":
        return Finding(headline, tuple(details), (ATTENTION_IS_NOT_CAUSATION,), claims)
    if kind != "no-antecedent":
        unread = sum(claim.kind == "unread" for claim in claims)
        details.insert(unread, _definition(case))
    return Finding(headline, tuple(details), _caveats(text), claims)


def _caveats(text: CapturedText) -> tuple[str, ...]:
    num_heads = text.directions[0].credit.numel()
    for claim in text.claims:
        num_heads = int(claim.estimate) if claim.kind in ("unread", "readable") else num_heads
    return (
        f"One sentence is an example, not evidence. Among {counted(num_heads, 'head')} some will "
        "seem right by chance, and no accuracy on held-out cases was measured here: this report "
        "does not show that a head resolves coreference in general.",
        ATTENTION_IS_NOT_CAUSATION,
    )


def _definition(case: CorefCase) -> str:
    return (
        f"A head points from {quoted(case, case.pronoun)} to a mention if it gives the mention "
        "more than half of its attention there, and at least twice what the other words of the "
        "text give it in the mean."
    )

"""The result of examining one type."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """Result of examining one type.

    Args:
        name: the model type.
        status: ``equal``, ``different`` or ``refused`` where it returns attention itself;
            ``silent`` where it does not; ``elsewhere`` where its text part is another type;
            ``not built``.
        model: the class that was built.
        route: how its attention was captured.
        kinds: which kinds of attention.
        parts: ``all``, or why there are not all, or do not fit together.
        scores: what they are made of.
        rotary: whether queries and keys before rotary embedding are had.
        text: what is known of the tokens of a text, where a saved folder loads.
        difference: the largest from its own attention.
        misfit: the largest among its parts.
        reason: why there is no more to say, or what else is to be known.
        detail: the error in full; not in the document.
        seconds: how long it took; not in the document.
    """

    name: str
    status: str
    model: str = ""
    route: str = ""
    kinds: str = ""
    parts: str = ""
    scores: str = ""
    rotary: str = ""
    text: str = ""
    difference: float | None = None
    misfit: float | None = None
    reason: str = ""
    detail: str = ""
    seconds: float = 0.0

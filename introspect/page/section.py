"""One view's place in a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from introspect.page.codec import Floats
from introspect.records import AttentionRecord

__all__ = ["Section"]


@dataclass(frozen=True, eq=False)
class Section:
    """One view's place in a page.

    Args:
        kind: which view it is (``head``, ``model``, …).
        title: its heading.
        lead: what is seen, in a sentence or two of plain text.
        state: what it shows first, and what only this view needs; anything JSON can hold.
        record: the attention it shows; ``None`` for figures of many texts.
        hidden: not shown until another view opens it.
        others: further records that it shows beside the first.
        parts: which parts of the records it shows beside the attention (``queries``, …), of those
            that have them.
        arrays: further numbers from 0 to 1 that only this view needs, by name.
        methods: further methods that it shows a record by, by their names in
            ``introspect.attribution``; for each of its records, the first one first.
    """

    kind: str
    title: str
    lead: str
    state: dict[str, Any]
    record: AttentionRecord | None = None
    hidden: bool = False
    others: tuple[AttentionRecord, ...] = ()
    parts: tuple[str, ...] = ()
    arrays: Mapping[str, Floats] = field(default_factory=dict)
    methods: Sequence[Sequence[str]] = ()

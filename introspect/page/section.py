"""``Section``: one view of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from introspect.page.codec import Floats
from introspect.records import AttentionRecord

__all__ = ["Section"]


@dataclass(frozen=True, eq=False)
class Section:
    """One view of a page.

    Args:
        kind: the kind of view (``head``, ``model``, …).
        title: its heading.
        lead: what the view shows, in a sentence or two of plain text.
        state: what it shows first, and data only this view needs; anything JSON can hold.
        record: the attention it shows; ``None`` for figures over many texts.
        hidden: do not show it until another view opens it.
        others: other records that it shows beside the first.
        parts: the parts it shows beside the attention (``queries``, …), for the records
            that have them.
        arrays: other numbers from 0 to 1 that only this view needs, by name.
        methods: other methods that it shows each of its records with, by their names in
            ``introspect.attribution``, first the one shown first.
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

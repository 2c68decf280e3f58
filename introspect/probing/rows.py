"""What is probed: rows, and the shards that they are cut into."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace

from introspect.cases import Reject, SeenIds, Sentence, case_to_json, reject_to_json
from introspect.mentions import CorefCase

__all__ = ["ProbeRow", "Shard", "cut", "unlike"]


@dataclass(frozen=True)
class ProbeRow:
    """A text to probe.

    Args:
        id: its own name.
        text: what the model reads.
        item: a case, a sentence of a treebank, or nothing beside the text.
        source: the file that it is in.
        line: the line there.
        shown: the row as it stands in the file, cut short.
    """

    id: str
    text: str
    item: CorefCase | Sentence | None = None
    source: str = ""
    line: int = 0
    shown: str = ""

    def rejected(self, reason: str, kind: str) -> Reject:
        """The row as one that gives no result."""
        return Reject(self.source, self.line, reason, self.shown, kind)

    @property
    def content(self) -> str:
        """All that a result depends on, as one line."""
        if isinstance(self.item, CorefCase):
            return case_to_json(self.item)
        of_treebank = None if self.item is None else asdict(self.item)
        return json.dumps([self.id, self.text, of_treebank], ensure_ascii=False)

    @property
    def meaning(self) -> str:
        """The same without its names: what another set may share with this one."""
        if isinstance(self.item, CorefCase):
            unnamed = replace(self.item, id=None, group=None, extra={})
            return f"case {case_to_json(unnamed)}"
        of_treebank = None if self.item is None else asdict(replace(self.item, id=None, line=0))
        return json.dumps([self.text, of_treebank], ensure_ascii=False)


@dataclass(frozen=True)
class Shard:
    """A piece of work: some rows of the input, in their order.

    Args:
        index: which one, from 0.
        rows: rows to probe, and those that could not be read.
        digest: of what is in it.
    """

    index: int
    rows: tuple[ProbeRow | Reject, ...]
    digest: str

    @classmethod
    def of(cls, index: int, rows: Iterable[ProbeRow | Reject]) -> Shard:
        """The shard of these rows."""
        kept = tuple(rows)
        digest = hashlib.sha256()
        for row in kept:
            line = row.content if isinstance(row, ProbeRow) else reject_to_json(row)
            digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
        return cls(index, kept, digest.hexdigest())


def cut(rows: Iterable[ProbeRow | Reject], size: int) -> Iterator[Shard]:
    """Shards of ``size`` rows, the last one shorter; one at a time is held."""
    index, held = 0, []
    for row in rows:
        held.append(row)
        if len(held) == size:
            yield Shard.of(index, held)
            index, held = index + 1, []
    if held:
        yield Shard.of(index, held)


def unlike(rows: Iterable[ProbeRow | Reject]) -> Iterator[ProbeRow | Reject]:
    """The same rows, those with an id that came before as rejects."""
    seen = SeenIds()
    for row in rows:
        if isinstance(row, Reject) or seen.add(row.id):
            yield row
        else:
            reason = f"Expected an id of its own, but an earlier row has {row.id!r}."
            yield row.rejected(reason, "duplicate_id")

"""The rows to probe and the shards that they are cut into."""

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
        id: its unique name.
        text: the text that the model reads.
        item: a case, a sentence of a treebank, or ``None`` for a plain text.
        source: the file that it is in.
        line: the line in that file.
        shown: the row as it appears in the file, shortened.
    """

    id: str
    text: str
    item: CorefCase | Sentence | None = None
    source: str = ""
    line: int = 0
    shown: str = ""

    def rejected(self, reason: str, kind: str) -> Reject:
        """Return the row as a reject."""
        return Reject(self.source, self.line, reason, self.shown, kind)

    @property
    def content(self) -> str:
        """Everything that a result depends on, as one line."""
        if isinstance(self.item, CorefCase):
            return case_to_json(self.item)
        of_treebank = None if self.item is None else asdict(self.item)
        return json.dumps([self.id, self.text, of_treebank], ensure_ascii=False)

    @property
    def meaning(self) -> str:
        """The content without its names, which another set may share with this one."""
        if isinstance(self.item, CorefCase):
            unnamed = replace(self.item, id=None, group=None, extra={})
            return f"case {case_to_json(unnamed)}"
        of_treebank = None if self.item is None else asdict(replace(self.item, id=None, line=0))
        return json.dumps([self.text, of_treebank], ensure_ascii=False)


@dataclass(frozen=True)
class Shard:
    """A unit of work: some rows of the input, in order.

    Args:
        index: its index, from 0.
        rows: rows to probe, and rejects for rows that could not be read.
        digest: the digest of its content.
    """

    index: int
    rows: tuple[ProbeRow | Reject, ...]
    digest: str

    @classmethod
    def of(cls, index: int, rows: Iterable[ProbeRow | Reject]) -> Shard:
        """Build the shard of these rows."""
        kept = tuple(rows)
        digest = hashlib.sha256()
        for row in kept:
            line = row.content if isinstance(row, ProbeRow) else reject_to_json(row)
            digest.update(line.encode("utf-8", "surrogatepass") + b"\n")
        return cls(index, kept, digest.hexdigest())


def cut(rows: Iterable[ProbeRow | Reject], size: int) -> Iterator[Shard]:
    """Yield shards of ``size`` rows, the last one shorter, holding one at a time."""
    index, held = 0, []
    for row in rows:
        held.append(row)
        if len(held) == size:
            yield Shard.of(index, held)
            index, held = index + 1, []
    if held:
        yield Shard.of(index, held)


def unlike(rows: Iterable[ProbeRow | Reject]) -> Iterator[ProbeRow | Reject]:
    """Yield the rows, with a reject for each whose id has come before."""
    seen = SeenIds()
    for row in rows:
        if isinstance(row, Reject) or seen.add(row.id):
            yield row
        else:
            reason = f"Expected an id of its own, but an earlier row has {row.id!r}."
            yield row.rejected(reason, "duplicate_id")

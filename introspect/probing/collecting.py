"""The analyzers of one lane and the results that they collect from each batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from introspect.analyzers.batches import Texts
from introspect.analyzers.coreference.batch import CaseBatches
from introspect.analyzers.coreference.columns import CaseColumns
from introspect.analyzers.registry import find_analyzer
from introspect.mentions import CorefCase
from introspect.probing.arrays import Arrays, pack, unpack
from introspect.probing.cache import Cache
from introspect.probing.options import Places, WorkerOptions
from introspect.probing.preparing import Prepared
from introspect.probing.saving import Saver

__all__ = ["Collection", "by_analyzer"]


class Collection:
    """The results of a shard, collected from batches of a running model and from other lanes.

    Args:
        prepared: the shard.
        options: the options, with the names of the analyzers.
        places: where patterns are saved, if they are.
        cache: where results are kept for other sets.
    """

    def __init__(
        self, prepared: Prepared, options: WorkerOptions, places: Places, cache: Cache | None
    ) -> None:
        self._prepared = prepared
        self._cache = cache
        self._totals = new_analyzers(options)
        #: The analyzers that see each batch.
        self.analyzers = dict(self._totals)
        if cache is not None:
            # A cached result must depend on its own text alone.
            kinds = {name: type(one) for name, one in self._totals.items() if name != "coreference"}
            self.analyzers |= {name: PerText(kind) for name, kind in kinds.items()}
        if options.saved is not None and places.attention is not None:
            tokens = [id(each.tokens) for each in prepared.encoded]
            names = dict(zip(tokens, [row.id for row in prepared.rows], strict=True))
            saver = Saver(places.attention, prepared.shard.index, names, options.saved)
            self._totals["attention"] = saver
            # It ends first: it needs the most memory, and nothing has been counted by then.
            self.analyzers = {"attention": saver, **self.analyzers}
        self._columns: list[CaseColumns] = []
        #: Rows with a result, in the order in which they ran.
        self.order: list[int] = []
        self.num_kept = 0

    def take(self, batch: Sequence[int]) -> None:
        """Collect the analyzers' results for a batch that has been seen completely."""
        self.order += batch
        kept: list[Arrays] = [{} for _ in batch]
        if "coreference" in self.analyzers:
            (columns,) = self.analyzers["coreference"].take()
            self._columns.append(columns)
            if self._cache is not None:
                for place, own in enumerate(kept):
                    own |= _named("coreference", columns.taken([place]).state())
        for name, analyzer in self.analyzers.items():
            if isinstance(analyzer, PerText):
                for own, alone in zip(kept, analyzer.take(), strict=True):
                    own |= _named(name, alone.state())
                    self._totals[name].merge(alone)
        if self._cache is not None:
            keys = [self._cache.key(self._prepared.rows[i].meaning) for i in batch]
            self._cache.put({key: pack(own) for key, own in zip(keys, kept, strict=True)})

    def take_kept(self) -> list[int]:
        """Take the results that the cache has, and return the rows that have to run."""
        rows = self._prepared.rows
        if self._cache is None or "attention" in self.analyzers:
            return list(range(len(rows)))  # patterns are never cached
        keys = [self._cache.key(row.meaning) for row in rows]
        found = self._cache.get(list(set(keys)))
        for index, key in enumerate(keys):
            if (content := found.get(key)) is not None:
                self._take_one(index, unpack(content))
        return [index for index, key in enumerate(keys) if key not in found]

    def _take_one(self, index: int, arrays: Arrays) -> None:
        self.order.append(index)
        self.num_kept += 1
        item = self._prepared.rows[index].item
        for name, state in by_analyzer(arrays).items():
            if name != "coreference":
                total = self._totals[name]
                total.merge(type(total).from_state(state))
            elif isinstance(item, CorefCase):
                self._columns.append(CaseColumns.from_state(state).called(item))

    def merge(self, other: Collection) -> None:
        """Merge the results of another lane for the same shard."""
        self.order += other.order
        self.num_kept += other.num_kept
        self._columns += other._columns
        for name, total in self._totals.items():
            if name != "coreference":
                total.merge(other._totals[name])

    def arrays(self) -> Arrays:
        """Return all results, with cases in the order of the rows."""
        found: Arrays = {}
        for name, analyzer in self._totals.items():
            if name != "coreference":
                found |= _named(name, analyzer.state())
            elif self._columns:
                columns = CaseColumns.joined(self._columns)
                order = np.argsort(self.order, kind="stable").tolist()
                found |= _named(name, columns.taken(order).state())
        return found


def new_analyzers(options: WorkerOptions) -> dict[str, Any]:
    """Return a new, empty analyzer for each name."""
    return {
        name: CaseBatches(options.mention, options.weights)
        if name == "coreference"
        else find_analyzer(name).make()
        for name in options.analyzers
    }


def _named(name: str, state: Arrays) -> Arrays:
    return {f"{name}/{key}": value for key, value in state.items()}


def by_analyzer(arrays: Arrays) -> dict[str, Arrays]:
    """Group the arrays of a shard by analyzer."""
    found: dict[str, Arrays] = {}
    for key, array in arrays.items():
        name, _, part = key.partition("/")
        found.setdefault(name, {})[part] = array
    return found


class PerText:
    """A separate analyzer for each text of a batch, so that a result depends on its text alone.

    Args:
        kind: makes an analyzer.
    """

    def __init__(self, kind: Callable[[], Any]) -> None:
        self._kind = kind
        self._lengths: tuple[int, ...] = ()
        self._own: list[Any] = []

    def begin(self, texts: Texts) -> None:
        """Begin a new batch."""
        self._lengths = texts.lengths
        self._own = [self._kind() for _ in texts.sequences]
        for own, tokens, item in zip(self._own, texts.sequences, texts.items, strict=True):
            own.begin(Texts((tokens,), (item,)))

    def see(self, layer: int, attentions: torch.Tensor) -> None:
        """Pass each analyzer the patterns of its text, without the padding."""
        for number, (own, length) in enumerate(zip(self._own, self._lengths, strict=True)):
            own.see(layer, attentions[number : number + 1, :, :length, :length])

    def end(self) -> None:
        """Count the batch in every analyzer."""
        for own in self._own:
            own.end()

    def take(self) -> list[Any]:
        """Return the analyzers of the last batch, in the order of its texts, and forget them."""
        found, self._own = self._own, []
        return found

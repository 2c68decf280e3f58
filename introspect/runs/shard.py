"""The run of one shard, with its batches in several lanes, each in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from introspect.data import Reject
from introspect.io import Arrays, pack, unpack
from introspect.models import length_batches
from introspect.runs.batches import Prepared
from introspect.runs.cache import Cache
from introspect.runs.saved_attention import Saver
from introspect.runs.store import Counts, ShardEntry, ShardStore
from introspect.runs.worker import Places, Worker, WorkerOptions
from introspect.studies.analyzer import ItemAnalyzer, Texts
from introspect.studies.registry import find_analyzer
from introspect.studies.runner import NotFiniteError, halving, no_memory_for, run_in_lanes


class ShardResults:
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
            self.analyzers |= {
                name: PerText(type(total))
                for name, total in self._totals.items()
                if not isinstance(total, ItemAnalyzer)
            }
        if options.saved is not None and places.attention is not None:
            tokens = [id(each.tokens) for each in prepared.encoded]
            names = dict(zip(tokens, [row.id for row in prepared.rows], strict=True))
            saver = Saver(places.attention, prepared.shard.index, names, options.saved)
            self._totals["attention"] = saver
            # It ends first: it needs the most memory, and nothing has been counted by then.
            self.analyzers = {"attention": saver, **self.analyzers}
        #: Rows with a result, in the order in which they ran.
        self.order: list[int] = []
        self.num_kept = 0

    def take(self, batch: Sequence[int]) -> None:
        """Collect the analyzers' results for a batch that has been seen completely."""
        self.order += batch
        if self._cache is None:
            return
        kept: list[Arrays] = [{} for _ in batch]
        for name, analyzer in self.analyzers.items():
            if name == "attention":
                continue  # patterns are never cached
            for own, alone in zip(kept, self._by_text(name, analyzer, len(batch)), strict=True):
                own |= _named(name, alone.state())
        keys = [self._cache.key(self._prepared.rows[i].meaning) for i in batch]
        self._cache.put({key: pack(own) for key, own in zip(keys, kept, strict=True)})

    def _by_text(self, name: str, analyzer: Any, count: int) -> list[Any]:
        """Return the results of the last texts, each alone, and count those that are not yet."""
        if isinstance(analyzer, PerText):
            results = analyzer.take()
            for alone in results:
                self._totals[name].merge(alone)
            return results
        return [analyzer.taken([i]) for i in range(len(analyzer) - count, len(analyzer))]

    def take_kept(self) -> list[int]:
        """Take the results that the cache has, and return the rows that have to run."""
        rows = self._prepared.rows
        if self._cache is None or "attention" in self.analyzers:
            return list(range(len(rows)))  # patterns are never cached
        keys = [self._cache.key(row.meaning) for row in rows]
        cached = self._cache.get(list(set(keys)))
        for index, key in enumerate(keys):
            if (content := cached.get(key)) is not None:
                self._take_one(index, unpack(content))
        return [index for index, key in enumerate(keys) if key not in cached]

    def _take_one(self, index: int, arrays: Arrays) -> None:
        self.order.append(index)
        self.num_kept += 1
        for name, state in by_analyzer(arrays).items():
            total = self._totals[name]
            alone = type(total).from_state(state)
            if isinstance(alone, ItemAnalyzer):
                alone = alone.called(self._prepared.rows[index].item)
            total.merge(alone)

    def merge(self, other: ShardResults) -> None:
        """Merge the results of another lane for the same shard."""
        self.order += other.order
        self.num_kept += other.num_kept
        for name, total in self._totals.items():
            total.merge(other._totals[name])

    def arrays(self) -> Arrays:
        """Return all results, those for each text in the order of the rows."""
        arrays: Arrays = {}
        for name, total in self._totals.items():
            ordered = total
            if isinstance(total, ItemAnalyzer) and len(total):
                ordered = total.taken(np.argsort(self.order, kind="stable").tolist())
            arrays |= _named(name, ordered.state())
        return arrays


def new_analyzers(options: WorkerOptions) -> dict[str, Any]:
    """Return a new, empty analyzer for each name."""
    kinds = {name: find_analyzer(name) for name in options.analyzers}
    return {
        name: kind.make(**{option: getattr(options, option) for option in kind.options})
        for name, kind in kinds.items()
    }


def _named(name: str, state: Arrays) -> Arrays:
    return {f"{name}/{key}": value for key, value in state.items()}


def by_analyzer(arrays: Arrays) -> dict[str, Arrays]:
    """Group the arrays of a shard by analyzer."""
    grouped: dict[str, Arrays] = {}
    for key, array in arrays.items():
        name, _, part = key.partition("/")
        grouped.setdefault(name, {})[part] = array
    return grouped


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
        ids = texts.ids or ("",) * len(texts)
        of_each = zip(self._own, texts.sequences, texts.items, ids, strict=True)
        for own, tokens, item, name in of_each:
            own.begin(Texts((tokens,), (item,), texts.embeddings, (name,)))

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
        analyzers, self._own = self._own, []
        return analyzers


@dataclass(frozen=True, eq=False)
class ShardResult:
    """The result of a shard.

    Args:
        arrays: arrays by analyzer and name, such as ``coreference/weights``.
        rejects: rows without a result.
        counts: how many rows there are of each kind, and how they ran.
    """

    arrays: Arrays
    rejects: tuple[Reject, ...]
    counts: Counts


def run_shard(worker: Worker, prepared: Prepared) -> ShardResult:
    """Run all batches of a shard, and put their results in the order of its rows."""
    first = _ShardLane(worker, prepared)
    todo = first.results.take_kept()
    lengths = [len(each.tokens) for each in prepared.encoded]
    batches = length_batches(
        [lengths[i] for i in todo],
        worker.options.limits,
        num_heads=worker.runner.num_heads,
        alike=not worker.runner.takes_mask,
    )
    lanes = [first, *(_ShardLane(worker, prepared) for _ in range(worker.lanes - 1))]
    run_in_lanes([[todo[i] for i in batch] for batch in batches], [lane.run for lane in lanes])
    for lane in lanes[1:]:
        first.merge(lane)
    return first.result(lengths)


def write_result(worker: Worker, prepared: Prepared, store: ShardStore) -> ShardEntry:
    """Run one shard and write its file."""
    result, shard = run_shard(worker, prepared), prepared.shard
    return store.write(shard.index, shard.digest, result.arrays, result.rejects, result.counts)


class _ShardLane:
    """A lane that runs batches of a shard until none is left."""

    def __init__(self, worker: Worker, prepared: Prepared) -> None:
        self._worker = worker
        self._prepared = prepared
        self.results = ShardResults(prepared, worker.options, worker.places, worker.cache)
        self._rejects: dict[int, Reject] = {}
        self._backoffs = 0
        self._errors: list[float] = []
        self._routes: set[str] = set()

    def run(self, batch: list[int]) -> None:
        """Run a batch, or its halves if there is not enough memory."""
        self._backoffs += halving(batch, self._attend, self._take, self._reject)

    def _attend(self, batch: list[int]) -> tuple[list[int], tuple[str, float | None] | None]:
        """Run a batch, without the rows that turn out not to be finite; return the others."""
        while batch:
            try:
                return batch, self._worker.attend(batch, self._prepared, self.results.analyzers)
            except NotFiniteError as problem:
                for place in problem.places:
                    self._put(batch[place], str(problem), "not_finite")
                batch = [row for place, row in enumerate(batch) if place not in problem.places]
        return [], None

    def _take(
        self, batch: list[int], outcome: tuple[list[int], tuple[str, float | None] | None]
    ) -> None:
        read, facts = outcome
        if facts is None:
            return
        route, error = facts
        self._routes.add(route)
        self._errors += [] if error is None else [error]
        self.results.take(read)

    def merge(self, other: _ShardLane) -> None:
        """Merge the results of another lane."""
        self.results.merge(other.results)
        self._rejects |= other._rejects
        self._backoffs += other._backoffs
        self._errors += other._errors
        self._routes |= other._routes

    def result(self, lengths: Sequence[int]) -> ShardResult:
        """Return the result of the shard."""
        rejects = {**self._prepared.rejects, **self._rejects}
        return ShardResult(
            arrays=self.results.arrays(),
            rejects=tuple(rejects[place] for place in sorted(rejects)),
            counts=Counts(
                read=len(self._prepared.shard.rows),
                rows=len(self.results.order),
                rejected=len(rejects),
                tokens=sum(lengths[i] for i in self.results.order),
                kept=self.results.num_kept,
                backoffs=self._backoffs,
                largest_error=max(self._errors, default=None),
                routes=tuple(sorted(self._routes)),
            ),
        )

    def _reject(self, index: int) -> None:
        self._put(index, no_memory_for(len(self._prepared.encoded[index].tokens)), "memory")

    def _put(self, index: int, reason: str, kind: str) -> None:
        place = self._prepared.places[index]
        self._rejects[place] = self._prepared.rows[index].rejected(reason, kind)

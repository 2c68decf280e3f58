"""One shard through the model: its batches in several lanes, each of a thread of its own.

A lane computes with one thread, so that no sum depends on how many lanes there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import torch

from introspect.cases import Reject
from introspect.probing.arrays import Arrays
from introspect.probing.batches import length_batches
from introspect.probing.collecting import Collection
from introspect.probing.preparing import Prepared
from introspect.probing.worker import Worker, is_out_of_memory

__all__ = ["ShardResult", "run_shard"]


@dataclass(frozen=True, eq=False)
class ShardResult:
    """What a shard gave.

    Args:
        arrays: by analyzer and name, ``coreference/weights``.
        rejects: rows without a result.
        num_rows: rows with one.
        num_tokens: theirs.
        num_kept: rows whose results the cache had.
        backoffs: how often a batch was divided for want of memory.
        largest_error: how far weights × values were from the heads' outputs, at most.
        routes: how attention was had.
    """

    arrays: Arrays
    rejects: tuple[Reject, ...]
    num_rows: int
    num_tokens: int
    num_kept: int
    backoffs: int
    largest_error: float | None
    routes: tuple[str, ...]


def run_shard(worker: Worker, prepared: Prepared) -> ShardResult:
    """Run all batches of a shard, and put their results in the order of its rows."""
    first = _Lane(worker, prepared)
    todo = first.found.take_kept()
    lengths = [len(each.tokens) for each in prepared.encoded]
    batches = length_batches(
        [lengths[i] for i in todo],
        worker.options.limits,
        num_heads=worker.num_heads,
        alike=not worker.takes_mask,
    )
    waiting: SimpleQueue[list[int]] = SimpleQueue()
    # Long ones first: a short one is what the other lanes wait for in the end.
    for batch in reversed([[todo[i] for i in batch] for batch in batches]):
        waiting.put(batch)
    lanes = [first, *(_Lane(worker, prepared) for _ in range(worker.lanes - 1))]
    if len(lanes) == 1:
        first.run(waiting)
    else:
        with ThreadPoolExecutor(len(lanes), thread_name_prefix="introspect-lane") as threads:
            for running in [threads.submit(lane.run, waiting) for lane in lanes]:
                running.result()
    for lane in lanes[1:]:
        first.merge(lane)
    return first.result(lengths)


class _Lane:
    """Takes batches of a shard until none is left."""

    def __init__(self, worker: Worker, prepared: Prepared) -> None:
        self._worker = worker
        self._prepared = prepared
        self.found = Collection(prepared, worker.options, worker.places, worker.cache)
        self._rejects: dict[int, Reject] = {}
        self._backoffs = 0
        self._errors: list[float] = []
        self._routes: set[str] = set()

    def run(self, waiting: SimpleQueue[list[int]]) -> None:
        """Run what waits."""
        while True:
            try:
                batch = waiting.get_nowait()
            except Empty:
                return
            try:
                self._attend(batch)
            except BaseException:
                while not waiting.empty():  # the others need not go on
                    waiting.get_nowait()
                raise

    def merge(self, other: _Lane) -> None:
        """Take over what another lane has."""
        self.found.merge(other.found)
        self._rejects |= other._rejects
        self._backoffs += other._backoffs
        self._errors += other._errors
        self._routes |= other._routes

    def result(self, lengths: Sequence[int]) -> ShardResult:
        """What the shard gave."""
        rejects = {**self._prepared.rejects, **self._rejects}
        return ShardResult(
            arrays=self.found.arrays(),
            rejects=tuple(rejects[place] for place in sorted(rejects)),
            num_rows=len(self.found.order),
            num_tokens=sum(lengths[i] for i in self.found.order),
            num_kept=self.found.num_kept,
            backoffs=self._backoffs,
            largest_error=max(self._errors, default=None),
            routes=tuple(sorted(self._routes)),
        )

    def _attend(self, batch: list[int]) -> None:
        """Run a batch; where memory does not suffice, its halves."""
        try:
            route, error = self._worker.attend(batch, self._prepared, self.found.analyzers)
        except (RuntimeError, MemoryError) as problem:
            if not is_out_of_memory(problem):
                raise
            self._backoffs += 1
            if len(batch) == 1:
                self._reject(batch[0])
                return
            # The frames of the failure hold its tensors.
            problem.__traceback__ = None
        else:
            self._routes.add(route)
            self._errors += [] if error is None else [error]
            self.found.take(batch)
            return
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        middle = len(batch) // 2
        self._attend(batch[:middle])
        self._attend(batch[middle:])

    def _reject(self, index: int) -> None:
        tokens = len(self._prepared.encoded[index].tokens)
        reason = (
            f"Expected memory enough for a text of {tokens} tokens, but the device has none left. "
            "Use a device with more, or divide the text."
        )
        place = self._prepared.places[index]
        self._rejects[place] = self._prepared.rows[index].rejected(reason, "memory")

"""The run of one shard, with its batches in several lanes, each in its own thread.

A lane computes with one thread, so that no sum depends on the number of lanes.
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
    """The result of a shard.

    Args:
        arrays: arrays by analyzer and name, such as ``coreference/weights``.
        rejects: rows without a result.
        num_rows: rows with a result.
        num_tokens: tokens of the rows with a result.
        num_kept: rows whose results the cache had.
        backoffs: how often a batch was divided for lack of memory.
        largest_error: the largest difference between weights × values and the heads' outputs.
        routes: how attention was obtained.
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
    # Long batches first, so that in the end the other lanes wait only for a short one.
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
    """A lane that runs batches of a shard until none is left."""

    def __init__(self, worker: Worker, prepared: Prepared) -> None:
        self._worker = worker
        self._prepared = prepared
        self.found = Collection(prepared, worker.options, worker.places, worker.cache)
        self._rejects: dict[int, Reject] = {}
        self._backoffs = 0
        self._errors: list[float] = []
        self._routes: set[str] = set()

    def run(self, waiting: SimpleQueue[list[int]]) -> None:
        """Run waiting batches until none is left."""
        while True:
            try:
                batch = waiting.get_nowait()
            except Empty:
                return
            try:
                self._attend(batch)
            except BaseException:
                while not waiting.empty():  # the other lanes can stop
                    waiting.get_nowait()
                raise

    def merge(self, other: _Lane) -> None:
        """Merge the results of another lane."""
        self.found.merge(other.found)
        self._rejects |= other._rejects
        self._backoffs += other._backoffs
        self._errors += other._errors
        self._routes |= other._routes

    def result(self, lengths: Sequence[int]) -> ShardResult:
        """Return the result of the shard."""
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
        """Run a batch, or its halves if there is not enough memory."""
        try:
            route, error = self._worker.attend(batch, self._prepared, self.found.analyzers)
        except (RuntimeError, MemoryError) as problem:
            if not is_out_of_memory(problem):
                raise
            self._backoffs += 1
            if len(batch) == 1:
                self._reject(batch[0])
                return
            # The frames in the traceback keep the tensors of the failed batch alive.
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

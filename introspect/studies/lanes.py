"""Lanes: threads that run batches side by side, each computing with one thread of torch.

As a lane computes with one thread, no sum depends on the number of lanes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TypeVar

import torch

from introspect.models import Model, is_out_of_memory

__all__ = ["default_lanes", "halving", "no_memory_for", "one_thread", "run_in_lanes"]

Batch = list[int]
Result = TypeVar("Result")

# More batches at once cost more memory than the time that they save is worth.
_MOST_LANES = 8


def default_lanes(model: Model) -> int:
    """Return how many batches run at once: on the CPU, one per available processor, up to 8."""
    if next(model.module.parameters()).device.type != "cpu":
        return 1
    return max(1, min(_MOST_LANES, torch.get_num_threads(), _processors()))


def _processors() -> int:
    """Return how many processors this process may use, as far as the system says."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = getattr(os, "process_cpu_count", os.cpu_count)()  # the first from Python 3.13 on
    return count or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, because each lane is a thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_in_lanes(batches: Sequence[Batch], lanes: Sequence[Callable[[Batch], object]]) -> None:
    """Run each batch in the next free lane; after an error no further batch begins.

    Args:
        batches: the batches, short texts first.
        lanes: a function for each lane, which runs a batch.
    """
    waiting: SimpleQueue[Batch] = SimpleQueue()
    # Long batches first, so that in the end the other lanes wait only for a short one.
    for batch in reversed(batches):
        waiting.put(batch)
    if len(lanes) == 1:
        _work(lanes[0], waiting)
        return
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="introspect-lane") as threads:
        for running in [threads.submit(_work, lane, waiting) for lane in lanes]:
            running.result()


def _work(lane: Callable[[Batch], object], waiting: SimpleQueue[Batch]) -> None:
    """Run waiting batches until none is left."""
    while True:
        try:
            batch = waiting.get_nowait()
        except Empty:
            return
        try:
            lane(batch)
        except BaseException:
            while not waiting.empty():  # the other lanes can stop
                waiting.get_nowait()
            raise


def halving(
    batch: Batch,
    run: Callable[[Batch], Result],
    done: Callable[[Batch, Result], None],
    give_up: Callable[[int], None],
) -> int:
    """Run a batch, or its halves if there is not enough memory; return how often it was divided.

    Args:
        batch: the indices of its texts.
        run: runs a batch.
        done: takes the result of a batch that has run.
        give_up: is called with a text that is too large even alone.
    """
    try:
        result = run(batch)
    except (RuntimeError, MemoryError) as problem:
        if not is_out_of_memory(problem):
            raise
        # The frames in the traceback keep the tensors of the failed batch alive.
        problem.__traceback__ = None
    else:
        done(batch, result)
        return 0
    if len(batch) == 1:
        give_up(batch[0])
        return 1
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(batch) // 2
    return 1 + sum(halving(half, run, done, give_up) for half in (batch[:middle], batch[middle:]))


def no_memory_for(tokens: int) -> str:
    """Return the reason why a text of so many tokens cannot run."""
    return (
        f"Expected memory enough for a text of {tokens} tokens, but the device has none left. "
        "Use a device with more, or divide the text."
    )

"""The job of running all unfinished shards of an input on one model, until the user stops it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from introspect.changes import Changes
from introspect.data import InputSet
from introspect.errors import IntrospectError
from introspect.progress import Stages
from introspect.runs.batches import Prepared
from introspect.runs.ray_engine import RayOptions, run_ray
from introspect.runs.rows import Shard, count_rows, cut, read_rows
from introspect.runs.shard import write_result
from introspect.runs.store import Counts, ShardEntry, ShardStore
from introspect.runs.worker import Worker
from introspect.studies.runner import one_thread
from introspect.text import counted, whole

ENGINES = ("serial", "ray")


class ProbeInterruptedError(IntrospectError, KeyboardInterrupt):
    """The user stopped the run; finished work is kept, and the message says how to resume."""


@dataclass(frozen=True)
class Work:
    """The result of a job: its store, its shards in order, its duration, and the rows run."""

    store: ShardStore
    entries: tuple[ShardEntry, ...]
    seconds: float
    rows_run: int


@dataclass
class Job:
    """The job of running all shards of an input on one model."""

    worker: Worker
    inputs: InputSet
    shard_rows: int
    engine: str
    ray: RayOptions
    tell: Stages
    _known: dict[int, ShardEntry] = field(default_factory=dict)
    _done_before: Counts = field(default_factory=Counts)

    def work(self, store: ShardStore, stage: str) -> Work:
        """Run the shards that are not done yet.

        Args:
            store: the store of finished shards.
            stage: the name of this work in its progress.

        Raises:
            ProbeInterruptedError: the user stopped the run between two shards.
        """
        store.create()
        began = time.perf_counter()
        run = Counts()
        total = count_rows(self.inputs)
        self.tell(stage, 0, total)
        todo = self._todo(store)
        with one_thread(), _stopping() as stop:
            for entry in self._engine(todo, store):
                store.record(entry)
                self._known[entry.shard] = entry
                run = run.plus(entry)
                self._tell(stage, run, total)
                if stop.is_set():
                    raise ProbeInterruptedError(
                        f"Interrupted after {counted(len(self._known), 'finished shard')} of "
                        f"{counted(self.shard_rows, 'row')}. Rerun the command to resume it."
                    )
        self._tell(stage, run, total)
        store.prune(len(self._known))
        entries = tuple(self._known[number] for number in sorted(self._known))
        return Work(store, entries, time.perf_counter() - began, run.read)

    def _todo(self, store: ShardStore) -> Iterator[Shard]:
        """Yield the shards that have to run, and record the entries of the others."""
        for shard in cut(read_rows(self.inputs), self.shard_rows):
            entry = store.done(shard.index, shard.digest)
            if entry is None:
                yield shard
            else:
                self._known[shard.index] = entry
                self._done_before = self._done_before.plus(entry)

    def _tell(self, stage: str, run: Counts, total: int | None) -> None:
        rejected = run.rejected + self._done_before.rejected
        note = f"{whole(rejected)} rejected" if rejected else ""
        read = run.read + self._done_before.read
        # The total counts lines, of which a row may be a part.
        self.tell(stage, read, None if total is None else max(total, read), note)

    def _engine(self, todo: Iterator[Shard], store: ShardStore) -> Iterator[ShardEntry]:
        if self.engine == "serial":
            return run_serial(self.worker, todo, store)
        return run_ray(self.worker, todo, store, self.ray)


def run_serial(worker: Worker, shards: Iterator[Shard], store: ShardStore) -> Iterator[ShardEntry]:
    """Run one shard after another in this process, while the next one is tokenized.

    Each entry is yielded when its file is on disk; the caller may stop between two shards.

    Args:
        worker: the model with its options.
        shards: the shards that have to run.
        store: the store to write them to.

    Raises:
        IntrospectError: a shard cannot be run or written; the shards before it are kept.
    """

    def ahead() -> Prepared | None:
        shard = next(shards, None)
        return None if shard is None else worker.prepare(shard)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="introspect-tokens") as tokens:
        coming: Future[Prepared | None] = tokens.submit(ahead)
        while (prepared := coming.result()) is not None:
            coming = tokens.submit(ahead)
            yield write_result(worker, prepared, store)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Let Ctrl-C request a stop after the current shard; a second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread receives signals
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    with Changes() as changes:
        changes.note(lambda: signal.signal(signal.SIGINT, before))
        signal.signal(signal.SIGINT, ask)
        yield stop

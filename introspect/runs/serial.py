"""The engine of one process: one shard after another, while the next one is tokenized."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from introspect.runs.batches import Prepared
from introspect.runs.rows import Shard
from introspect.runs.shard import run_shard
from introspect.runs.store import ShardEntry, ShardStore
from introspect.runs.worker import Worker


def run_serial(worker: Worker, shards: Iterator[Shard], store: ShardStore) -> Iterator[ShardEntry]:
    """Run shards and write them, and yield each entry when its file is on disk.

    The caller may stop between two shards.

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


def write_result(worker: Worker, prepared: Prepared, store: ShardStore) -> ShardEntry:
    """Run one shard and write its file."""
    result = run_shard(worker, prepared)
    return store.write(
        prepared.shard.index,
        prepared.shard.digest,
        result.arrays,
        result.rejects,
        read=len(prepared.shard.rows),
        rows=result.num_rows,
        tokens=result.num_tokens,
        kept=result.num_kept,
        backoffs=result.backoffs,
        largest_error=result.largest_error,
        routes=result.routes,
    )

"""The final step of a probe: tables and a report made from the finished shards."""

from __future__ import annotations

import os
import time
from pathlib import Path

from introspect.analyzers.coreference import Options
from introspect.errors import InputError
from introspect.probing.gathering import Gathered, gather
from introspect.probing.jobs import Work
from introspect.probing.outcome import Outcome, write_outcome
from introspect.probing.reading import Reading, read_rows
from introspect.probing.rows import ProbeRow, Shard
from introspect.probing.worker import Worker

__all__ = ["finish"]


def finish(
    folder: Path,
    worker: Worker,
    reading: Reading,
    work: Work,
    null: Work | None,
    options: Options,
    command: str | None,
) -> Outcome:
    """Write the tables and the report from the finished shards."""
    began = time.perf_counter()
    gathered = gather(work.store, work.entries, folder)
    if not gathered.num_rows:
        raise InputError(_nothing(reading, gathered))
    randomly = None if null is None else gather(null.store, null.entries)
    return write_outcome(
        Outcome(
            folder=folder,
            name=_name(reading),
            worker=worker,
            gathered=gathered,
            null=randomly,
            sample=_sample(worker, reading, gathered),
            options=options,
            command=command,
            timings={
                "model": work.seconds,
                "gathering": time.perf_counter() - began,
                "rows_run": work.rows_run,
                "rows_per_second": work.rows_run / max(work.seconds, 1e-9),
            },
        ),
    )


def _sample(worker: Worker, reading: Reading, gathered: Gathered) -> str:
    """Return the first text with a result, as the model read it, to capture and certify."""
    too_large = {(r.source, r.line) for r in gathered.rejects() if r.kind == "memory"}
    for row in read_rows(reading):
        if isinstance(row, ProbeRow) and (row.source, row.line) not in too_large:
            for part in worker.prepare(Shard.of(0, [row])).rows:
                return part.text
    raise InputError("Expected a row with a result, got none.")


def _name(reading: Reading) -> str:
    given = reading.inputs
    names = [given] if isinstance(given, str | os.PathLike) else list(given)
    first = Path(names[0]).name or str(names[0])
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def _nothing(reading: Reading, gathered: Gathered) -> str:
    found = gathered.rejects(1)
    first = f" The first: line {found[0].line}: {found[0].reason}" if found else ""
    return (
        f"Expected at least one row with a result in {_name(reading)!r}, got none; "
        f"{gathered.num_rejected} rows were rejected, see rejects.jsonl.{first}"
    )

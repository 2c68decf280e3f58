"""An estimate of the work of a probe before it runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from introspect.data import Inputs, InputSet, Reject, input_set
from introspect.io import SHARDS
from introspect.models import Model, load_text
from introspect.progress import ProgressLike, Stages, following
from introspect.runs.corpus_run import SHARD_ROWS
from introspect.runs.rows import (
    ProbeRow,
    Shard,
    check_readable,
    count_rows,
    cut,
    no_result,
    read_rows,
)
from introspect.runs.shard import run_shard
from introspect.runs.store import ShardStore
from introspect.runs.worker import Worker, WorkerOptions, chosen_analyzers
from introspect.studies.runner import default_lanes, one_thread
from introspect.text import counted, decimal, percent, sentence, whole

# The numbers of rows that are tokenized, and of those that also run, to predict the time.
_TOKENIZED = 2_048
_RUN = 128
_WARM = 8
_FLOAT = 4


@dataclass(frozen=True)
class Estimate:
    """The estimated work of a probe.

    Args:
        rows: rows in the input.
        unreadable: how many of them cannot be read.
        done: rows in finished shards of the folder.
        shards: the number of shards.
        rejected_share: the share of tokenized rows that the model cannot be asked about.
        tokens_per_row: the mean number of tokens of the tokenized rows.
        longest: the most tokens in one of them.
        rows_per_second: the speed of the rows that ran.
        batch_bytes: the most memory for attention of one layer in the largest batch.
        read: what was read from which file, in sentences.
    """

    rows: int
    unreadable: int
    done: int
    shards: int
    rejected_share: float
    tokens_per_row: float
    longest: int
    rows_per_second: float
    batch_bytes: int
    read: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """The time that the remaining rows would take, in seconds."""
        return (self.rows - self.unreadable - self.done) / max(self.rows_per_second, 1e-9)

    def lines(self) -> list[tuple[str, str]]:
        """Return the estimate as names and values to show to a user."""
        return [
            *(("Input", sentence(line)) for line in self.read),
            ("Rows", f"{whole(self.rows)}, of which {whole(self.unreadable)} cannot be read"),
            ("Done before", counted(self.done, "row")),
            ("Shards", whole(self.shards)),
            (
                "Tokens a row",
                f"{decimal(self.tokens_per_row, 1)}, at most {whole(self.longest)} (of a sample)",
            ),
            ("Rejected", f"{percent(self.rejected_share)} of the sample"),
            ("Speed", f"{whole(self.rows_per_second)} rows a second (measured on a sample)"),
            ("Time left", _duration(self.seconds)),
            ("Attention in memory", f"{whole(self.batch_bytes / 2**20)} MB at most, of one layer"),
        ]


def estimate(
    model: Model | str,
    inputs: Inputs | InputSet,
    out: Path | None = None,
    *,
    analyzers: Sequence[str] | None = None,
    column: str | None = None,
    format: str | None = None,
    options: WorkerOptions | None = None,
    shard_rows: int = SHARD_ROWS,
    progress: ProgressLike = None,
) -> Estimate:
    """Read all rows, tokenize some, run a few, and estimate the work of the whole probe.

    What the probe would refuse is refused with the same words.

    Args:
        model: a model or its name.
        inputs: as for ``probe``.
        out: a folder with finished shards of the same probe, if any.
        analyzers: as for ``probe``.
        column: as for ``probe``.
        format: as for ``probe``.
        options: options of the worker; its analyzers are ignored.
        shard_rows: rows per shard.
        progress: as for ``probe``.

    Raises:
        InputError: the input cannot be read, or no row of it gives a result.
    """
    reading = input_set(inputs, column=column, format=format)
    given = options or WorkerOptions()
    chosen = WorkerOptions(**{**vars(given), "analyzers": chosen_analyzers(analyzers, reading)})
    check_readable(reading)
    loaded = load_text(model)
    worker = Worker(loaded, chosen, lanes=default_lanes(loaded))
    store = ShardStore(out / SHARDS) if out is not None else None
    with following(progress) as tell:
        tell.announce(reading.words)
        counts = _counted(reading, shard_rows, store, tell)
        tell("running a sample", 0)
        tokenized = worker.prepare(Shard.of(0, counts.sample))
        lengths = [len(each.tokens) for each in tokenized.encoded]
        if not lengths and counts.is_all:
            first = counts.first if isinstance(counts.first, Reject) else tokenized.rejects[0]
            raise no_result(reading, counts.rows, first)
        longest = max(lengths, default=0)
        return Estimate(
            rows=counts.rows,
            unreadable=counts.unreadable,
            done=counts.done,
            shards=counts.shards,
            rejected_share=len(tokenized.rejects) / max(len(counts.sample), 1),
            tokens_per_row=sum(lengths) / max(len(lengths), 1),
            longest=longest,
            rows_per_second=_speed(worker, counts.sample),
            batch_bytes=_FLOAT * _most_weights(worker, longest),
            read=tuple(reading.words),
        )


@dataclass
class _Rows:
    """The numbers of rows of an input, the first of them, and a sample of those to run."""

    rows: int = 0
    unreadable: int = 0
    done: int = 0
    shards: int = 0
    first: ProbeRow | Reject | None = None
    sample: list[ProbeRow] = field(default_factory=list)

    @property
    def is_all(self) -> bool:
        """Return whether every row that can be read is in the sample."""
        return len(self.sample) == self.rows - self.unreadable


def _counted(inputs: InputSet, shard_rows: int, store: ShardStore | None, tell: Stages) -> _Rows:
    """Return how many rows there are, and how many of them a store has already."""
    counts, total = _Rows(), count_rows(inputs)
    tell("reading rows", 0, total)
    for shard in cut(read_rows(inputs), shard_rows):
        readable = [row for row in shard.rows if isinstance(row, ProbeRow)]
        counts.first = counts.first or shard.rows[0]
        counts.shards += 1
        counts.rows += len(shard.rows)
        counts.unreadable += len(shard.rows) - len(readable)
        if store is not None and store.done(shard.index, shard.digest):
            counts.done += len(readable)
        counts.sample += readable[: _TOKENIZED - len(counts.sample)]
        tell("reading rows", counts.rows, None if total is None else max(total, counts.rows))
    return counts


def _speed(worker: Worker, sample: Sequence[ProbeRow]) -> float:
    """Measure rows per second, tokenizing and analysis included, across the whole sample."""
    some = Shard.of(0, sample[:: max(1, len(sample) // _RUN)][:_RUN])
    if not some.rows:
        return 0.0
    first = worker.prepare(Shard.of(0, some.rows[:_WARM]))
    with one_thread():
        run_shard(worker, first)  # learns the model's layers, and warms up
        began = time.perf_counter()
        run_shard(worker, worker.prepare(some))
        return len(some.rows) / (time.perf_counter() - began)


def _most_weights(worker: Worker, longest: int) -> int:
    """Return the number of attention weights of a layer in the largest batch."""
    limits = worker.options.limits
    count = max(1, min(limits.texts, limits.tokens // max(longest, 1)))
    alone = worker.runner.num_heads * longest**2
    return max(alone, min(limits.weights, count * alone))


def _duration(seconds: float) -> str:
    """Format a duration in seconds, minutes, or hours, whichever reads best."""
    if seconds < 2 * 60:
        return f"{whole(seconds)} s"
    return f"{whole(seconds / 60)} min" if seconds < 2 * 3600 else f"{decimal(seconds / 3600, 1)} h"

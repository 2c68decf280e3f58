"""One probe: rows in, a folder of tables and a report out."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from introspect.analyzers.coreference import Options, Scores
from introspect.analyzers.registry import find_analyzer
from introspect.cases import Reject, reject_from_json
from introspect.errors import InputError, IntrospectError, SelectionError
from introspect.functional.coreference import Mention
from introspect.models import Model, load_text
from introspect.models.null import null_model as random_weights
from introspect.probing.batches import BatchLimits
from introspect.probing.cache import CacheOptions, identity_of
from introspect.probing.folder import (
    SHARDS,
    clean,
    held,
    open_folder,
    read_plan,
    write_plan,
)
from introspect.probing.gathering import Gathered, gather
from introspect.probing.options import Places, WorkerOptions
from introspect.probing.outcome import Outcome, write_outcome
from introspect.probing.plan import check_same, make_plan
from introspect.probing.preparing import Long
from introspect.probing.progress import QUIET, Watcher, count_rows
from introspect.probing.ray_engine import RayOptions, run_ray
from introspect.probing.reading import Reading, read_rows
from introspect.probing.rows import ProbeRow, Shard, cut
from introspect.probing.saving import FOLDER, Precision
from introspect.probing.serial import run_serial
from introspect.probing.store import Entry, ShardStore
from introspect.probing.worker import Worker, default_lanes, one_thread
from introspect.sentences import Inputs
from introspect.weighting import Weights

__all__ = ["ProbeInterruptedError", "ProbeRun", "probe"]

DEFAULT = Options()
ENGINES = ("serial", "ray")

#: Rows of a shard: what a stop can cost, and what is sorted by length together.
SHARD_ROWS = 1_024

_DEFAULT_ANALYZERS = {"cases": "coreference", "sentences": "roles", "conllu": "syntax"}


class ProbeInterruptedError(IntrospectError, KeyboardInterrupt):
    """A person stopped it; what is done is kept, and the message says how to go on."""


@dataclass(frozen=True)
class ProbeRun:
    """What a probe found, and where it is.

    Args:
        folder: the folder with tables and report.
        scores: the tables of cases; ``None`` where none was scored.
        analyzers: those of texts, with everything in them.
        finding: the headline, as plain text.
        report: the page for a person; ``None`` where there are tables only.
        num_rejected: rows without a result; they are in ``rejects.jsonl`` with their reasons.
    """

    folder: Path
    scores: Scores | None
    analyzers: dict[str, Any]
    finding: str
    report: Path | None
    num_rejected: int

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {str(self.folder)!r}: {self.finding or 'tables only'}>"

    def lines(self) -> list[tuple[str, str]]:
        """The figures that a person looks for first, as names and values."""
        summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        timings = summary["timings"]
        found = [
            ("Texts", f"{summary['texts']:,}, {summary['tokens']:,} tokens"),
            ("Rejected", f"{self.num_rejected:,}"),
            (
                "Model",
                f"{timings['model']:.0f} s, {timings['rows_per_second']:,.0f} texts a second",
            ),
        ]
        if self.scores is None or self.scores.choice is None:
            return found
        choice = self.scores.choice
        found += [
            ("Held out", _percent(choice.accuracy, choice.ci_low, choice.ci_high)),
            ("Most often chosen", f"{choice.head}, {choice.direction}"),
            ("Best in-sample", f"{choice.in_sample_head}, {_percent(choice.in_sample_accuracy)}"),
        ]
        baselines = self.scores.baselines.itertuples()
        return found + [
            (row.baseline, _percent(row.accuracy, row.ci_low, row.ci_high)) for row in baselines
        ]

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """All rows without a result, read from the folder."""
        with (self.folder / "rejects.jsonl").open(encoding="utf-8") as lines:
            return tuple(map(reject_from_json, lines))


def _percent(value: float, low: float | None = None, high: float | None = None) -> str:
    ends = "" if low is None or high is None else f" (95 %: {100 * low:.1f}–{100 * high:.1f})"
    return f"{100 * value:.1f} %{ends}"


def probe(
    model: Model | str,
    inputs: Inputs,
    out: str | os.PathLike[str],
    *,
    engine: str = "serial",
    analyzers: Sequence[str] | None = None,
    column: str | None = None,
    format: str | None = None,
    mention: Mention = "mean",
    weights: Weights = "raw",
    segment: str | None = None,
    layers: Sequence[int] | None = None,
    long: Long = "reject",
    null_model: bool = False,
    save_attention: Precision | None = None,
    batch_size: int | None = None,
    shard_rows: int = SHARD_ROWS,
    threads: int | None = None,
    ray: RayOptions | None = None,
    cache: CacheOptions | None = None,
    fresh: bool = False,
    options: Options = DEFAULT,
    command: str | None = None,
    watcher: Watcher = QUIET,
) -> ProbeRun:
    """Run a model over a set of cases or sentences, and leave a folder.

    Of cases the folder holds ``heads`` (Parquet and CSV), ``cases.parquet``, ``baselines.csv``,
    ``summary.json`` and ``report.html``; of other analyzers a table each. ``run.json`` is what it
    was begun with, ``rejects.jsonl`` has the rows without a result, and ``shards/`` the finished
    work. A probe that was stopped at any moment goes on with the same call, and ends with the same
    tables; one that is finished is gathered again.

    Args:
        model: a model, or the name of one.
        inputs: a file of cases (JSON lines), of sentences (txt, csv, tsv, jsonl, parquet) or of
            trees (conllu); all but Parquet also compressed; a folder, a glob or several.
        out: the folder.
        engine: ``serial``, or ``ray`` (extra ``ray``) with a model in each of several processes.
        analyzers: names from ``analyzers.registry``; by default ``coreference`` for cases,
            ``roles`` for sentences, ``syntax`` for trees.
        column: the column of the sentences.
        format: of all files, whatever their endings.
        mention: how the word pairs of two mentions become one number.
        weights: ``raw``, ``renormalised`` without special tokens and the row's own position, or
            ``norm``: each weight times the length of what it brings.
        segment: what divides texts without spaces into words: ``jieba`` (extra ``chinese``);
            without it every character is a word.
        layers: only these, by the model's own numbers; the model runs no further than the last.
        long: a text that is longer than the model reads is rejected (``reject``), or read in parts
            (``window``): a plain text part by part, a case around its mentions.
        null_model: also score the same architecture with random weights, as a baseline.
        save_attention: also keep the patterns of every text, in this precision; see
            ``SavedAttention``.
        batch_size: texts that run together, at most; by default as many as are quick.
        shard_rows: rows of a piece of work.
        threads: batches that run at once on the CPU, each in a thread; by default one a processor.
            No number depends on it. Of the engine ``ray`` each actor has one.
        ray: the actors of that engine.
        cache: where results are kept for other sets that share texts with this one.
        fresh: start over, also where the folder holds another probe.
        options: how much is drawn for intervals and p-values, and from which seed.
        command: the command line that made it, for the provenance.
        watcher: hears how far it is.

    Raises:
        InputError: the input cannot be read, or nothing in it gives a result.
        OutputError: the folder is another probe's or nobody's, is being written to, or cannot be.
        SelectionError: an unknown engine, analyzer, layer or option.
        ProbeInterruptedError: Ctrl-C; a second one stops at once.
    """
    if engine not in ENGINES:
        raise SelectionError(f"Expected the engine {' or '.join(ENGINES)}, got {engine!r}.")
    reading = Reading(inputs, column, format)
    worker_options = WorkerOptions(
        analyzers=chosen_analyzers(analyzers, reading),
        mention=mention,
        weights=weights,
        segment=segment,
        layers=None if layers is None else tuple(layers),
        long=long,
        saved=save_attention,
        limits=BatchLimits() if batch_size is None else BatchLimits(texts=batch_size),
    )
    if threads is not None and threads < 1:
        raise SelectionError(f"Expected at least 1 thread, got {threads}.")
    if shard_rows < 1:
        raise SelectionError(f"Expected at least 1 row in a shard, got {shard_rows}.")
    folder = Path(out)
    loaded = load_text(model)
    plan = make_plan(
        loaded, reading, worker_options, options, shard_rows=shard_rows, null_model=null_model
    )
    places = Places(
        attention=None if save_attention is None else folder / FOLDER,
        cache=None if cache is None else replace(cache, identity=identity_of(plan)),
    )
    lanes = threads or default_lanes(loaded)
    worker = Worker(loaded, worker_options, places, lanes=lanes)
    open_folder(folder)
    with held(folder):
        _begin(folder, plan, fresh=fresh, command=command)
        if places.attention is not None:
            places.attention.mkdir(exist_ok=True)
        job = _Job(worker, reading, shard_rows, engine, ray or RayOptions(), watcher)
        work = job.work(ShardStore(folder / SHARDS))
        null = None
        if null_model and "coreference" in worker_options.analyzers:
            watcher.say("probing random weights")
            alone = replace(worker_options, saved=None)
            twin = _Job(Worker(random_weights(loaded), alone, lanes=lanes), *job.rest())
            null = twin.work(ShardStore(folder / SHARDS / "random-weights"))
        watcher.say("gathering")
        found = _finish(folder, worker, reading, work, null, options, command)
    return ProbeRun(
        folder=folder,
        scores=found.scores,
        analyzers=found.gathered.analyzers,
        finding=found.finding,
        report=folder / "report.html" if found.pages else None,
        num_rejected=found.gathered.num_rejected,
    )


def chosen_analyzers(names: Sequence[str] | None, reading: Reading) -> tuple[str, ...]:
    """The analyzers asked for, if the input has what they take.

    Raises:
        SelectionError: it has not, or there is no such analyzer.
    """
    content = reading.content()
    chosen = tuple(dict.fromkeys(names or (_DEFAULT_ANALYZERS[content],)))
    for name in chosen:
        takes = find_analyzer(name).takes
        if takes not in ("sentences", content):
            needed = "cases with a pronoun" if takes == "cases" else "trees in CoNLL-U"
            raise SelectionError(
                f"Expected {needed} for the analyzer {name}, but the input holds {content}. "
                "Name other analyzers, or convert a collection with: introspect cases."
            )
    return chosen


def _begin(folder: Path, plan: dict[str, Any], *, fresh: bool, command: str | None) -> None:
    """Write the plan down, or hold it against the one that is there."""
    if not fresh and (found := read_plan(folder)) is not None:
        check_same(plan, found, folder)
        clean(folder, fresh=False)
        return
    clean(folder, fresh=True)
    write_plan(folder, plan, command=command)


@dataclass(frozen=True)
class _Work:
    """What a job left: its store, the shards in order, how long it ran and how many rows."""

    store: ShardStore
    entries: tuple[Entry, ...]
    seconds: float
    rows_run: int


@dataclass
class _Job:
    """All shards of an input on one model."""

    worker: Worker
    reading: Reading
    shard_rows: int
    engine: str
    ray: RayOptions
    watcher: Watcher
    _known: dict[int, Entry] = field(default_factory=dict)

    def rest(self) -> tuple[Any, ...]:
        """What another model's job has in common with this one."""
        return self.reading, self.shard_rows, self.engine, self.ray, self.watcher

    def work(self, store: ShardStore) -> _Work:
        """Run what is not done yet.

        Raises:
            ProbeInterruptedError: a person stopped it between two shards.
        """
        store.create()
        began = time.perf_counter()
        rows_run = 0
        total = count_rows(self.reading)
        self.watcher.begin(total, 0)
        todo = self._todo(store)
        with one_thread(), _stopping() as stop:
            for entry in self._engine(todo, store):
                store.record(entry)
                self._known[entry.shard] = entry
                rows_run += entry.read
                self.watcher.shard(entry)
                if stop.is_set():
                    raise ProbeInterruptedError(
                        f"Stopped by you after {len(self._known)} finished shards of "
                        f"{self.shard_rows} rows. Run the same command again to go on."
                    )
        store.prune(len(self._known))
        entries = tuple(self._known[number] for number in sorted(self._known))
        return _Work(store, entries, time.perf_counter() - began, rows_run)

    def _todo(self, store: ShardStore) -> Iterator[Shard]:
        """The shards that have to run; of the others the entry is noted."""
        for shard in cut(read_rows(self.reading), self.shard_rows):
            entry = store.done(shard.index, shard.digest)
            if entry is None:
                yield shard
            else:
                self._known[shard.index] = entry
                self.watcher.shard(entry)

    def _engine(self, todo: Iterator[Shard], store: ShardStore) -> Iterator[Entry]:
        if self.engine == "serial":
            return run_serial(self.worker, todo, store)
        return run_ray(self.worker, todo, store, self.ray)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Ctrl-C asks to stop after the shard that runs; a second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread hears signals
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _finish(
    folder: Path,
    worker: Worker,
    reading: Reading,
    work: _Work,
    null: _Work | None,
    options: Options,
    command: str | None,
) -> Outcome:
    """Tables and report from the finished shards."""
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
    """The first text with a result, as the model read it, to be captured with a certificate."""
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

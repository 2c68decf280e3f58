"""One probe: rows in, a folder of tables and a report out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from introspect.analyzers.coreference import Options
from introspect.errors import SelectionError
from introspect.functional.coreference import Mention
from introspect.models import Model, load_text
from introspect.models.null import null_model as random_weights
from introspect.probing.batches import BatchLimits
from introspect.probing.cache import CacheOptions, identity_of
from introspect.probing.finished import ProbeRun
from introspect.probing.finishing import finish
from introspect.probing.folder import (
    SHARDS,
    clean,
    held,
    open_folder,
    read_plan,
    write_plan,
)
from introspect.probing.jobs import ENGINES, Job
from introspect.probing.options import Places, WorkerOptions, chosen_analyzers
from introspect.probing.plan import check_same, make_plan
from introspect.probing.preparing import Long
from introspect.probing.progress import QUIET, Watcher
from introspect.probing.ray_engine import RayOptions
from introspect.probing.reading import Reading
from introspect.probing.saving import FOLDER, Precision
from introspect.probing.store import ShardStore
from introspect.probing.worker import Worker, default_lanes
from introspect.sentences import Inputs
from introspect.weighting import Weights

__all__ = ["SHARD_ROWS", "probe"]

DEFAULT = Options()

#: Rows of a shard: what a stop can cost, and what is sorted by length together.
SHARD_ROWS = 1_024


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
        job = Job(worker, reading, shard_rows, engine, ray or RayOptions(), watcher)
        work = job.work(ShardStore(folder / SHARDS))
        null = None
        if null_model and "coreference" in worker_options.analyzers:
            watcher.say("probing random weights")
            alone = replace(worker_options, saved=None)
            twin = Job(Worker(random_weights(loaded), alone, lanes=lanes), *job.rest())
            null = twin.work(ShardStore(folder / SHARDS / "random-weights"))
        watcher.say("gathering")
        found = finish(folder, worker, reading, work, null, options, command)
    return ProbeRun(
        folder=folder,
        scores=found.scores,
        analyzers=found.gathered.analyzers,
        finding=found.finding,
        report=folder / "report.html" if found.pages else None,
        num_rejected=found.gathered.num_rejected,
    )


def _begin(folder: Path, plan: dict[str, Any], *, fresh: bool, command: str | None) -> None:
    """Write the plan down, or hold it against the one that is there."""
    if not fresh and (found := read_plan(folder)) is not None:
        check_same(plan, found, folder)
        clean(folder, fresh=False)
        return
    clean(folder, fresh=True)
    write_plan(folder, plan, command=command)

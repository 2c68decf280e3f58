"""The probe of a model over a set of rows, written as a folder of tables and a report."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from introspect.calls import checked_call, checked_result
from introspect.data import (
    Inputs,
    InputSet,
    Reject,
    input_set,
    reject_from_json,
)
from introspect.errors import InputError, OutputError, SelectionError
from introspect.functional import Mention
from introspect.io import (
    ATTENTION,
    SHARDS,
    check_destination,
    random_folder,
)
from introspect.models import BatchLimits, Model
from introspect.models import null_model as random_weights
from introspect.progress import ProgressLike
from introspect.records import Weights
from introspect.reporting import check_atlas
from introspect.runs.batches import Long
from introspect.runs.cache import CacheOptions, identity_of
from introspect.runs.corpus_run import SHARD_ROWS, CorpusRun, Manner, corpus_run
from introspect.runs.jobs import Work
from introspect.runs.outcome import finish
from introspect.runs.plan import Plan, make_plan
from introspect.runs.ray_engine import RayOptions
from introspect.runs.saved_attention import Precision
from introspect.runs.worker import Places, Worker, WorkerOptions, chosen_analyzers
from introspect.studies.atlas import Atlas
from introspect.studies.coreference import Options, Scores
from introspect.studies.registry import find_analyzer
from introspect.text import counted, percent, percent_interval, sentence, whole


@checked_result
@dataclass(frozen=True, eq=False)
class ProbeRun:
    """The results of a probe and their folder.

    Args:
        folder: the folder with the tables and the report.
        scores: the tables of cases; ``None`` if none was scored.
        analyzers: the analyzers of texts, with all their results.
        finding: the headline, as plain text.
        report: the report page; ``None`` if there are only tables.
        num_rejected: rows without a result; ``rejects.jsonl`` lists them with their reasons.
        read: what was read from which file, in sentences.
    """

    folder: Path
    scores: Scores | None
    analyzers: dict[str, Any]
    finding: str
    report: Path | None
    num_rejected: int
    read: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {str(self.folder)!r}: {self.finding or 'tables only'}>"

    def lines(self) -> list[tuple[str, str]]:
        """Return the key figures as names and values."""
        summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        timings = summary["timings"]
        lines = [
            *(("Input", sentence(line)) for line in self.read),
            ("Texts", f"{whole(summary['texts'])}, {counted(summary['tokens'], 'token')}"),
            ("Rejected", whole(self.num_rejected)),
            *[("Without a choice", whole(n)) for n in [self.num_without_choice] if n],
            (
                "Model",
                f"{whole(timings['model'])} s, {whole(timings['rows_per_second'])} texts a second",
            ),
        ]
        if self.scores is None or self.scores.choice is None:
            return lines
        choice = self.scores.choice
        lines += [
            ("Held out", percent_interval(choice.accuracy, choice.ci_low, choice.ci_high)),
            ("Most often chosen", f"{choice.head}, {choice.direction}"),
            ("Best in-sample", f"{choice.in_sample_head}, {percent(choice.in_sample_accuracy)}"),
        ]
        baselines = self.scores.baselines.itertuples()
        return lines + [
            (row.baseline, percent_interval(row.accuracy, row.ci_low, row.ci_high))
            for row in baselines
        ]

    @property
    def num_without_choice(self) -> int:
        """Number of cases with only antecedents or only distractors, which have no accuracy."""
        return 0 if self.scores is None else len(self.scores.outside_forced_choice)

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """All rows without a result, read from the folder.

        Raises:
            InputError: the file of them is gone or damaged.
        """
        path = self.folder / "rejects.jsonl"
        try:
            with path.open(encoding="utf-8") as lines:
                return tuple(map(reject_from_json, lines))
        except (OSError, ValueError) as error:
            raise InputError(
                f"Expected the rejected rows in {str(path)!r}, but they cannot be read: {error}. "
                "Run the same command again: it writes the file anew."
            ) from error


DEFAULT = Options()

#: How often random weights are drawn for the null model.
NULL_SEEDS = 5
#: The name of these folders in messages.
KIND = "probe"


@checked_call(
    renamed={"fresh": "overwrite", ("weights", "renormalised"): "renormalized"},
)
def probe(
    model: Model | str,
    inputs: Inputs | InputSet,
    out: str | os.PathLike[str],
    *,
    engine: Literal["serial", "ray"] = "serial",
    analyzers: Sequence[str] | str | None = None,
    column: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    heading: bool | None = None,
    mention: Mention = "mean",
    weights: Weights = "raw",
    last_position: bool = False,
    segment: str | None = None,
    layers: Sequence[int] | None = None,
    long: Long = "reject",
    null_model: bool | int = False,
    save_attention: Precision | None = None,
    batch_size: int | None = None,
    shard_rows: int = SHARD_ROWS,
    threads: int | None = None,
    ray: RayOptions | None = None,
    cache: CacheOptions | None = None,
    overwrite: bool = False,
    options: Options = DEFAULT,
    atlas: Atlas | None = None,
    command: str | None = None,
    progress: ProgressLike = None,
) -> ProbeRun:
    """Run a model over a set of cases or sentences, and write a folder.

    For cases, the folder holds ``heads`` (Parquet and CSV), ``cases.parquet``, ``baselines.csv``,
    ``summary.json``, and ``report.html``; for every other analyzer, a table. ``run.json`` holds the
    plan, ``rejects.jsonl`` the rows without a result, and ``shards/`` the finished work. The same
    call resumes a probe that was stopped at any moment and ends with the same tables; a finished
    probe is gathered again.

    Args:
        model: a model or its name.
        inputs: a file of cases (a table, or JSON), of sentences (txt, csv, tsv, jsonl, json,
            parquet, xlsx), or of trees (conllu), most also compressed; a folder, a glob, or several
            files; or a list of texts, a list of cases, or a DataFrame.
        out: the folder.
        engine: ``serial``, or ``ray`` (extra ``ray``) with a model in each of several processes.
        analyzers: names from ``analyzers.registry``; by default ``coreference`` for cases,
            ``roles`` for sentences, ``syntax`` for trees.
        column: the column of the sentences; a table of cases is then read as sentences.
        columns: the columns of a table of cases by role: ``{"antecedent": "Correct"}``, with the
            roles ``text``, ``pronoun``, ``antecedent``, ``distractor``, ``id`` and ``group``.
        format: the format of all files, whatever their endings.
        delimiter: what separates the columns of a table; by default, what its first rows show.
        heading: whether the first row of a table names the columns; by default, what it looks
            like.
        mention: how the word pairs of two mentions become one number.
        weights: ``raw``, ``renormalized`` without special tokens and the row's own position, or
            ``norm``: each weight times the norm of the vector that it brings.
        last_position: also score what the last position of a case's text attends to, as a third
            direction within the same choice and the same tests; see ``score``.
        segment: the segmenter for texts without spaces: ``jieba`` (extra ``chinese``); without
            it, every character is a word.
        layers: the layers to use, by the model's own numbers; the model runs no further than the
            last of them.
        long: how to handle a text that is longer than the model reads: ``reject`` it, or read it
            in parts (``window``), a plain text part by part and a case around its mentions.
        null_model: also score the same architecture with random weights, as a baseline: drawn five
            times, or so many times; each draw takes as long as the model itself.
        save_attention: also keep the patterns of every text, in this precision; see
            ``SavedAttention``.
        batch_size: the most texts per batch; by default as many as run fast.
        shard_rows: rows per shard.
        threads: batches that run at once on the CPU, each in a thread; by default one per
            processor. No result depends on it. With the engine ``ray``, each actor has one.
        ray: options for the actors of the engine ``ray``.
        cache: where results are kept for other sets that share texts with this one.
        overwrite: start again, even if the folder holds another probe; only files that its
            ``run.json`` names are removed.
        options: how many samples are drawn for intervals and p-values, and the random seed.
        atlas: an atlas of the model: the reports say what else the heads that they name do, with
            links to its pages.
        command: the command line, for the provenance.
        progress: ``True`` for a bar on a terminal and in a notebook, and lines elsewhere; or a
            function of the stage, the rows done, and their total (``None`` where unknown).

    Raises:
        InputError: the input cannot be read, or nothing in it gives a result.
        OutputError: the folder belongs to another probe or to none, is being written to, or
            cannot be written to.
        SelectionError: an engine, analyzer, layer, or option is unknown, or the atlas is of another
            model.
        ProbeInterruptedError: the user pressed Ctrl-C; a second one stops at once.
    """
    manner = Manner(engine, shard_rows, threads, ray or RayOptions(), overwrite, command)
    draws = NULL_SEEDS if null_model is True else int(null_model)
    if draws < 0:
        raise SelectionError(f"Expected `null_model` from 0 up, got {null_model}.")
    reading = input_set(
        inputs, column=column, columns=columns, format=format, delimiter=delimiter, heading=heading
    )
    worker_options = WorkerOptions(
        analyzers=chosen_analyzers(analyzers, reading),
        mention=mention,
        weights=weights,
        last_position=last_position,
        segment=segment,
        layers=None if layers is None else tuple(layers),
        long=long,
        saved=save_attention,
        limits=BatchLimits() if batch_size is None else BatchLimits(texts=batch_size),
    )
    with corpus_run(KIND, out, reading, model, manner, progress) as run:
        check_atlas(atlas, run.model.name)
        plan = make_plan(
            run.model,
            reading,
            worker_options,
            options,
            shard_rows=shard_rows,
            null_model=null_model,
        )
        places = Places(
            attention=None if save_attention is None else run.folder / ATTENTION,
            cache=None if cache is None else _cache_of(plan, cache, run.folder, reading.places),
        )
        worker = Worker(run.model, worker_options, places, lanes=run.lanes)
        run.begin(plan, [SHARDS, ATTENTION] if plan["saved"] else [SHARDS])
        if places.attention is not None:
            places.attention.mkdir(exist_ok=True)
        work = run.work(worker, "probing rows")
        null = _random_work(run, worker_options, draws)
        seen = None if atlas is None else atlas.beside(run.folder)
        outcome = finish(run, worker, work, null, options, seen)
    return ProbeRun(
        folder=Path(out),
        scores=outcome.scores,
        analyzers=outcome.gathered.analyzers,
        finding=outcome.finding,
        report=Path(out) / "report.html" if outcome.pages else None,
        num_rejected=outcome.gathered.counts.rejected,
        read=tuple(reading.words),
    )


def _random_work(run: CorpusRun, options: WorkerOptions, draws: int) -> list[Work]:
    """Score the cases with random weights, so many times; sentences have no such baseline."""
    if not any(find_analyzer(name).takes == "cases" for name in options.analyzers):
        return []
    alone = replace(options, saved=None)
    return [
        run.work(
            Worker(random_weights(run.model, number), alone, lanes=run.lanes),
            "probing random weights",
            f"{SHARDS}/{random_folder(number)}",
        )
        for number in range(draws)
    ]


def _cache_of(plan: Plan, cache: CacheOptions, folder: Path, inputs: Sequence[str]) -> CacheOptions:
    """Return the options of the cache for this plan.

    Raises:
        OutputError: the cache may not be written where it was asked for.
    """
    path = check_destination(cache.path, inputs=inputs)
    if folder in path.parents:
        raise OutputError(
            f"Expected a cache outside the folder of the probe, got {str(path)!r}. Name another "
            "file."
        )
    return replace(cache, path=str(path), identity=identity_of(plan))

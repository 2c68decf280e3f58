"""The atlas of a model's heads on a corpus, written as a folder of tables and pages."""

from __future__ import annotations

import functools
import inspect
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from introspect.calls import checked_call
from introspect.data import Inputs, InputSet, check_unchanged, input_set, state_of_inputs
from introspect.errors import CaptureError, SelectionError
from introspect.io import (
    CARDS,
    SHARDS,
    as_json,
    claimed_folder,
    read_run,
    results_of,
    write_atomically,
    write_run,
)
from introspect.models import BatchLimits, Model, encode_batch, load_text, num_heads_of
from introspect.progress import ProgressLike, following
from introspect.records import AttentionRecord, Head, HeadLike, TokenSequence, as_head, listed_heads
from introspect.reporting import AtlasCases, AtlasFindings, atlas_index, head_pages, provenance_rows
from introspect.runs.atlas_cases import GivenCases, found_cases
from introspect.runs.batches import Long
from introspect.runs.jobs import ENGINES, Job, Work
from introspect.runs.outcome import sample_of, write_table
from introspect.runs.plan import Plan, begin_run, checksum, make_plan
from introspect.runs.ray_engine import RayOptions
from introspect.runs.rows import check_readable, name_of, no_result
from introspect.runs.run import DEFAULT, SHARD_ROWS
from introspect.runs.store import ShardStore
from introspect.runs.tables import Gathered, gather
from introspect.runs.worker import Worker, WorkerOptions
from introspect.studies.atlas import (
    ATLAS_KIND,
    NUM_EXAMPLES,
    REFERENCE,
    RULES,
    Atlas,
    AtlasSums,
    AtlasTables,
    Rule,
    RuleFunction,
)
from introspect.studies.runner import default_lanes, one_thread
from introspect.text import whole

# Where an object is in memory says nothing of what it is.
_ADDRESS = r" at 0x[0-9a-fA-F]+"
# Tables that are also written as CSV; the others have lists in their cells, or are for programs.
_ALSO_CSV = ("heads", "rules", "modes")


@dataclass(frozen=True)
class AtlasWorkerOptions(WorkerOptions):
    """Options for running a shard of an atlas.

    Args:
        examples: how many of a head's strongest rows are kept.
        rules: further rules, by name.
    """

    examples: int = NUM_EXAMPLES
    rules: Mapping[str, Rule] = field(default_factory=dict)


@checked_call()
def atlas(
    model: Model | str,
    inputs: Inputs | InputSet,
    out: str | os.PathLike[str],
    *,
    examples: int = NUM_EXAMPLES,
    rules: Mapping[str, RuleFunction] = MappingProxyType({}),
    heads: Sequence[HeadLike] | HeadLike | None = None,
    cases: Inputs | InputSet | None = None,
    engine: Literal["serial", "ray"] = "serial",
    column: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    heading: bool | None = None,
    layers: Sequence[int] | None = None,
    long: Long = "reject",
    batch_size: int | None = None,
    shard_rows: int = SHARD_ROWS,
    threads: int | None = None,
    ray: RayOptions | None = None,
    overwrite: bool = False,
    command: str | None = None,
    progress: ProgressLike = None,
) -> Atlas:
    """Find what every head of a model does on a corpus, and write a folder.

    One half of the texts, by their hashes, finds a rule for each head; the other half checks it.
    The folder holds the tables of an ``Atlas``, ``index.html`` with all heads, a page for each head
    in ``heads/``, ``summary.json``, ``run.json`` and ``rejects.jsonl``, and in ``shards/`` the
    finished work. The same call resumes a run that was stopped at any moment and ends with the same
    files.

    Args:
        model: a model or its name; of an encoder-decoder, the encoder is read.
        inputs: the corpus: whatever ``probe`` reads. A treebank gives rules about parts of speech
            and syntax, cases the rule about antecedents.
        out: the folder.
        examples: how many of each head's strongest rows are kept.
        rules: own rules by name: functions from a ``RuleText`` to a bool array ``(num_tokens,
            num_tokens)``, true where a query is to look.
        heads: the heads to write pages for; all by default. The tables are of all heads.
        cases: coreference cases, to say of every head how often it prefers the antecedent, as
            ``probe`` does, and which part of its attention on the corpus has to do with pronouns.
        engine: as for ``probe``.
        column: as for ``probe``.
        columns: as for ``probe``.
        format: as for ``probe``.
        delimiter: as for ``probe``.
        heading: as for ``probe``.
        layers: as for ``probe``.
        long: as for ``probe``.
        batch_size: as for ``probe``.
        shard_rows: as for ``probe``.
        threads: as for ``probe``.
        ray: as for ``probe``.
        overwrite: as for ``probe``.
        command: as for ``probe``.
        progress: as for ``probe``.

    Raises:
        InputError: the corpus cannot be read, nothing in it gives a result, or a rule fails.
        OutputError: the folder belongs to another run or to none, or cannot be written to.
        SelectionError: an engine, layer or option is unknown.
        ProbeInterruptedError: the user pressed Ctrl-C; a second one stops at once.
    """
    if engine not in ENGINES:
        raise SelectionError(f"Expected the engine {' or '.join(ENGINES)}, got {engine!r}.")
    for name, number in (("examples", examples), ("shard_rows", shard_rows)):
        if number < 1:
            raise SelectionError(f"Expected `{name}` of at least 1, got {number}.")
    if threads is not None and threads < 1:
        raise SelectionError(f"Expected at least 1 thread, got {threads}.")
    own = _own_rules(rules)
    if heads is not None and not list(filter(None, listed_heads(heads))):
        raise SelectionError("Expected heads such as L3H1, got none. Leave `heads` out for all.")
    reading = input_set(
        inputs, column=column, columns=columns, format=format, delimiter=delimiter, heading=heading
    )
    plain = WorkerOptions(
        analyzers=(ATLAS_KIND,),
        layers=None if layers is None else tuple(layers),
        long=long,
        limits=BatchLimits() if batch_size is None else BatchLimits(texts=batch_size),
    )
    kept = {each.name: getattr(plain, each.name) for each in fields(plain)}
    asked = None if cases is None else input_set(cases)
    places = [*reading.places, *(asked.places if asked else ())]
    with (
        claimed_folder(out, ATLAS_KIND, "resume", overwrite=overwrite, inputs=places) as folder,
        following(progress) as tell,
    ):
        check_readable(reading)
        given = None
        if asked is not None:
            given = GivenCases.of(asked, layers=plain.layers, long=long, limits=plain.limits)
            own |= {REFERENCE: given.rule()}
        options = AtlasWorkerOptions(**kept, examples=examples, rules=own)
        loaded = load_text(model)
        _check_heads(loaded, heads, plain.layers)
        state = state_of_inputs(reading.files)
        plan: Plan = {
            "kind": ATLAS_KIND,
            **make_plan(loaded, reading, plain, DEFAULT, shard_rows=shard_rows, null_model=False),
            "examples": examples,
            "rules": {name: _source(function) for name, function in rules.items()},
            **(given.plan if given else {}),
        }
        lanes = threads or default_lanes(loaded)
        worker = Worker(loaded, options, lanes=lanes)
        tell.announce(reading.words)
        modes = begin_run(folder, plan, [SHARDS, CARDS], overwrite=overwrite, command=command)
        job = Job(worker, reading, shard_rows, engine, ray or RayOptions(), tell)
        work = job.work(ShardStore(folder / SHARDS), "reading the corpus")
        scored = None if given is None else given.score(job, folder / SHARDS)
        # What was read has to be what the plan says, to the last byte.
        if state_of_inputs(reading.files) != state:
            check_unchanged(reading.files, plan["input"])
        if given is not None:
            given.check_unchanged(plan)
        tell("writing the atlas", 0)
        _finish(folder, worker, reading, work, own, heads, command, modes, given, scored)
    return Atlas(Path(out))


def _check_heads(
    model: Model,
    heads: Sequence[HeadLike] | HeadLike | None,
    layers: Sequence[int] | None,
) -> None:
    """Raise for layers and heads that a model does not have, as far as its configuration says.

    Raises:
        SelectionError: there is no such layer or head.
    """
    count = getattr(model.module.config, "num_hidden_layers", None)
    if count is None:
        return
    if layers is not None and (wrong := [layer for layer in layers if not 0 <= layer < count]):
        raise SelectionError(f"Expected layers from 0 to {count - 1}, got {wrong[0]}.")
    counts = dict.fromkeys(layers or range(count), num_heads_of(model.module))
    for head in listed_heads(heads):
        as_head(head, counts)


def _own_rules(rules: Mapping[str, RuleFunction]) -> dict[str, Rule]:
    """Return own rules with words for them.

    Raises:
        SelectionError: one has the name of a rule of the package, or is no function.
    """
    for name, function in rules.items():
        if name in RULES or name == REFERENCE:
            raise SelectionError(f"Expected a name of its own for a rule, got {name!r}. Rename it.")
        if not callable(function):
            raise SelectionError(
                f"Expected the rule {name!r} as a function of a text, got {function!r:.60}."
            )
    return {
        name: Rule(function, f"where the rule {name} says", f"rule {name}")
        for name, function in rules.items()
    }


def _source(function: RuleFunction) -> str:
    """Return what tells a rule from another of its name."""
    if isinstance(function, functools.partial):
        given = re.sub(_ADDRESS, "", f"{function.args} {function.keywords}")
        return checksum([_source(function.func), given])
    is_function = inspect.isroutine(function) or inspect.isclass(function)
    written = function if is_function else type(function)
    try:
        return checksum([inspect.getsource(written)])
    except (OSError, TypeError):
        return re.sub(_ADDRESS, "", repr(function))


def _finish(
    folder: Path,
    worker: Worker,
    inputs: InputSet,
    work: Work,
    rules: Mapping[str, Rule],
    heads: Sequence[HeadLike] | HeadLike | None,
    command: str | None,
    modes: Mapping[str, int],
    given: GivenCases | None,
    scored: Work | None,
) -> None:
    """Write all tables and pages from the finished shards.

    Raises:
        InputError: no row has a result; the rejected ones are written.
        OutputError: a result cannot be written or put in place.
    """
    began = time.perf_counter()
    with results_of(folder, modes) as place:
        gathered = gather(work.store, work.entries, place)
        if gathered.counts.rows:
            timings = {
                "model": work.seconds,
                "rows_run": work.rows_run,
                "rows_per_second": work.rows_run / max(work.seconds, 1e-9),
            }
            _write(
                folder, place, worker, inputs, gathered, rules, heads, command, timings, began,
                given, scored,
            )  # fmt: skip
        run = read_run(folder)
        assert run is not None, "results without a plan"
        files = [SHARDS, CARDS, *(path.name for path in place.iterdir())]
        write_run(place, run["plan"], files, command=run["command"], version=run["introspect"])
    if not gathered.counts.rows:
        first = next(iter(gathered.rejects(1)), None)
        raise no_result(inputs, gathered.counts.rejected, first, "rejects.jsonl")


def _write(
    folder: Path,
    place: Path,
    worker: Worker,
    inputs: InputSet,
    gathered: Gathered,
    rules: Mapping[str, Rule],
    heads: Sequence[HeadLike] | HeadLike | None,
    command: str | None,
    timings: dict[str, float],
    began: float,
    given: GivenCases | None,
    scored: Work | None,
) -> None:
    sums = gathered.analyzers[ATLAS_KIND].compute()
    sums.rules.update(rules)
    texts = _tokens(worker.model, {n: named.text for n, named in sums.kept.texts.items()})
    label = worker.model.tokenizer.convert_ids_to_tokens
    with one_thread():
        tables = AtlasTables.of(sums, texts, label, _with_vectors(worker, sums))
    for name, table in tables.by_name.items():
        if name in _ALSO_CSV:
            write_table(place, name, table)
        else:
            table.to_parquet(place / f"{name}.parquet", index=False)
    cases = None
    if given is not None and scored is not None:
        cases = found_cases(given, scored, sums, place)
        write_table(place, "coreference", cases.table)
    record = worker.model.capture(sample_of(worker, inputs, gathered), certify=True)
    findings = AtlasFindings(
        name=name_of(inputs),
        read=tuple(inputs.words),
        tables=tables,
        sums=sums,
        texts=texts,
        certificate=record.certificate,
        num_tokens=gathered.counts.tokens,
        num_rejected=gathered.counts.rejected,
        command=command,
        heads=_shown_heads(heads, sums),
        cases=cases,
    )
    (folder / CARDS).mkdir(exist_ok=True)
    pages = {f"{head}.html" for head in findings.heads}
    for path in list((folder / CARDS).glob("L*H*.html")):
        if path.name not in pages:
            path.unlink()  # of an earlier choice of heads
    for name, page in head_pages(findings):
        write_atomically(folder / CARDS / name, page)
    index = atlas_index(findings)
    write_atomically(place / "index.html", index.html)
    summary = {
        "finding": index.finding,
        "corpus": name_of(inputs),
        "claims": [claim.to_json() for claim in index.claims],
        "texts": gathered.counts.rows,
        "tokens": gathered.counts.tokens,
        "rejected": gathered.counts.rejected,
        **({} if cases is None else {"cases": _of_cases(cases)}),
        "timings": {**timings, "gathering": time.perf_counter() - began},
        "provenance": dict(provenance_rows(record.certificate, command)),
    }
    write_atomically(place / "summary.json", as_json(summary))


def _of_cases(cases: AtlasCases) -> dict[str, Any]:
    """Return what the summary has of the cases."""
    return {
        "name": cases.name,
        "finding": cases.choice[0].plain,
        "chosen": [str(head) for head in cases.chosen],
        "n": int(cases.scores.heads["n"].max()),
        "rejected": cases.num_rejected,
    }


def _shown_heads(heads: Sequence[HeadLike] | HeadLike | None, sums: AtlasSums) -> tuple[Head, ...]:
    """Return the heads that get a page, in order.

    Raises:
        SelectionError: the model has no such head.
    """
    counts = dict.fromkeys(sums.layers, sums.num_heads)
    if heads is None:
        return tuple(Head(layer, head) for layer in sums.layers for head in range(sums.num_heads))
    return tuple(sorted({as_head(head, counts) for head in listed_heads(heads)}))


def _with_vectors(worker: Worker, sums: AtlasSums) -> Iterator[AttentionRecord]:
    """Yield sampled texts with their queries and keys, as far as the model's can be seen."""
    for number in sorted(sums.kept.sample):
        text = sums.kept.texts[number].text
        try:
            yield worker.model.capture(
                text, include=("queries", "keys"), layers=worker.options.layers
            )
        except CaptureError:
            return


def _tokens(model: Model, texts: Mapping[int, str]) -> dict[int, TokenSequence]:
    """Return the tokens of texts that the model has read."""
    with model.tokenizing():
        read: Iterable[Any] = encode_batch(model.tokenizer, list(texts.values()), limit=None)
        return dict(zip(texts, (each.tokens for each in read), strict=True))


def atlas_lines(found: Atlas) -> list[tuple[str, str]]:
    """Return the key figures of an atlas as names and values."""
    summary = found.summary
    named = int(found.heads["best_rule"].notna().sum())
    return [
        ("Texts", f"{whole(summary['texts'])}, {whole(summary['tokens'])} tokens"),
        ("Rejected", whole(summary["rejected"])),
        ("Heads with a rule", f"{whole(named)} of {whole(len(found.heads))}"),
    ]

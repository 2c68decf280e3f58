"""The atlas of a model's heads on a corpus, written as a folder of tables and pages."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from introspect.calls import checked_call
from introspect.data import Inputs, InputSet, input_set
from introspect.errors import CaptureError, InputError, SelectionError
from introspect.io import CARDS, SHARDS, as_json, write_atomically
from introspect.models import BatchLimits, Model, encode_batch, num_heads_of
from introspect.progress import ProgressLike
from introspect.records import AttentionRecord, Head, HeadLike, TokenSequence, as_head, listed_heads
from introspect.reporting import AtlasCases, AtlasFindings, atlas_index, head_pages, provenance_rows
from introspect.runs.atlas_cases import GivenCases, ScoredCases
from introspect.runs.atlas_tags import GivenTags
from introspect.runs.atlas_writes import without_unembedding, writes_of
from introspect.runs.batches import Long
from introspect.runs.corpus_run import SHARD_ROWS, FinishedRun, Manner, corpus_run
from introspect.runs.outcome import write_table
from introspect.runs.plan import Plan, checksum, make_plan
from introspect.runs.ray_engine import RayOptions
from introspect.runs.run import DEFAULT
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
    Tags,
)
from introspect.studies.runner import one_thread
from introspect.text import listed, whole

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
        pos: parts of speech of texts that come without.
    """

    examples: int = NUM_EXAMPLES
    rules: Mapping[str, Rule] = field(default_factory=dict)
    pos: Tags = field(default_factory=Tags)


@dataclass(frozen=True)
class Beside:
    """What an atlas is written from besides the corpus.

    Args:
        scored: the cases, if any were given.
        model: the model, with its unembedding where it has one.
        pos: the parts of speech that were given, if any were.
    """

    scored: ScoredCases | None
    model: Model
    pos: GivenTags | None = None


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
    pos: str | os.PathLike[str] | None = None,
    engine: Literal["serial", "ray"] = "serial",
    column: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    heading: bool | None = None,
    layers: Sequence[int] | None = None,
    kind: str | None = None,
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
        pos: a CoNLL-U file with parts of speech for texts that come without: those that are its
            sentences, or several of them one after another. They get the rules of a treebank.
        engine: as for ``probe``.
        column: as for ``probe``.
        columns: as for ``probe``.
        format: as for ``probe``.
        delimiter: as for ``probe``.
        heading: as for ``probe``.
        layers: as for ``probe``.
        kind: the kind of attention; only that of what a model reads can be asked for.
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
    manner = Manner(engine, shard_rows, threads, ray or RayOptions(), overwrite, command)
    if examples < 1:
        raise SelectionError(f"Expected `examples` of at least 1, got {examples}.")
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
    further = [] if cases is None else [input_set(cases)]
    tagged = None if pos is None else _tags(pos, reading)
    beside_it = [*further, *([] if tagged is None else [tagged.inputs])]
    claim = corpus_run(ATLAS_KIND, out, reading, model, manner, progress, beside_it, lm_head=True)
    with claim as run:
        given = None
        for asked in further:
            given = GivenCases.of(asked, layers=plain.layers, long=long, limits=plain.limits)
            own |= {REFERENCE: given.rule()}
        options = AtlasWorkerOptions(
            **kept, examples=examples, rules=own, pos=Tags() if tagged is None else tagged.tags
        )
        _check_kind(run.model, kind)
        _check_heads(run.model, heads, plain.layers)
        common = make_plan(
            run.model, reading, plain, DEFAULT, shard_rows=shard_rows, null_model=False
        )
        plan: Plan = {
            "kind": ATLAS_KIND,
            **common,
            "examples": examples,
            "rules": {name: _source(function) for name, function in rules.items()},
            **(given.plan if given else {}),
            **(tagged.plan if tagged else {}),
        }
        # Logits of a whole corpus would be made for nothing.
        worker = Worker(without_unembedding(run.model), options, lanes=run.lanes)
        run.begin(plan, [SHARDS, CARDS])
        work = run.work(worker, "reading the corpus")
        scored = None
        if given is not None:
            scored = given.scored(run)
        beside = Beside(scored, run.model, tagged)
        run.finish(worker, work, "writing the atlas", lambda done: _write(done, own, heads, beside))
    return Atlas(Path(out))


def _tags(pos: str | os.PathLike[str], reading: InputSet) -> GivenTags:
    """Return parts of speech for a corpus.

    Raises:
        InputError: the corpus has its own, or there are none in the file.
    """
    if reading.content == "conllu":
        raise InputError(
            f"Expected a corpus of plain texts for the parts of speech in {str(pos)!r}, got a "
            f"treebank, which has its own: {reading.words[0]}. Leave out `pos` (--pos)."
        )
    return GivenTags.read(pos)


def _check_kind(model: Model, kind: str | None) -> None:
    """Raise for a kind of attention that no corpus of texts shows.

    Raises:
        SelectionError: the model does not have it, or needs a text that it writes.
    """
    if kind in (None, model.reading_kind):
        return
    why = f"{model.name} has {listed(model.kinds)}"
    if kind in model.kinds:
        why = (
            "its queries are tokens of a text that the model writes, which a corpus does not "
            "hold. Capture one: ix.capture(text, target=…, kind=…)"
        )
    raise SelectionError(f"Expected `kind` as {model.reading_kind}, got {kind!r}: {why}.")


def _check_heads(
    model: Model,
    heads: Sequence[HeadLike] | HeadLike | None,
    layers: Sequence[int] | None,
) -> None:
    """Raise for layers and heads that a model does not have, as far as its configuration says.

    Raises:
        SelectionError: there is no such layer or head.
    """
    count = getattr(getattr(model.module, "config", None), "num_hidden_layers", None)
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


def _write(
    run: FinishedRun,
    rules: Mapping[str, Rule],
    heads: Sequence[HeadLike] | HeadLike | None,
    beside: Beside,
) -> None:
    """Write all tables and pages from a finished run."""
    findings = _findings(run, rules, heads, beside)
    for name, table in findings.tables.by_name.items():
        if name in _ALSO_CSV:
            write_table(run.place, name, table)
        else:
            table.to_parquet(run.place / f"{name}.parquet", index=False)
    if not findings.writes.copies.empty:
        findings.writes.entries.to_parquet(run.place / "writes.parquet", index=False)
        write_table(run.place, "copying", findings.writes.copies)
    if findings.cases is not None:
        write_table(run.place, "coreference", findings.cases.table)
    _write_cards(run.folder / CARDS, findings)
    index = atlas_index(findings)
    write_atomically(run.place / "index.html", index.html)
    counts = run.gathered.counts
    summary = {
        "finding": index.finding,
        "corpus": run.name,
        "claims": [claim.to_json() for claim in index.claims],
        "texts": counts.rows,
        "tokens": counts.tokens,
        "rejected": counts.rejected,
        **({} if findings.cases is None else {"cases": _of_cases(findings.cases)}),
        **({} if beside.pos is None else {"pos": beside.pos.said_of(findings.sums)}),
        "timings": run.timings,
        "provenance": dict(provenance_rows(findings.certificate, run.command)),
    }
    write_atomically(run.place / "summary.json", as_json(summary))


def _write_cards(folder: Path, findings: AtlasFindings) -> None:
    """Write the page of each chosen head, and remove those of an earlier choice."""
    folder.mkdir(exist_ok=True)
    pages = {f"{head}.html" for head in findings.heads}
    for path in list(folder.glob("L*H*.html")):
        if path.name not in pages:
            path.unlink()
    for name, page in head_pages(findings):
        write_atomically(folder / name, page)


def _findings(
    run: FinishedRun,
    rules: Mapping[str, Rule],
    heads: Sequence[HeadLike] | HeadLike | None,
    beside: Beside,
) -> AtlasFindings:
    worker = run.worker
    sums = run.gathered.analyzers[ATLAS_KIND].compute()
    sums.rules.update(rules)
    texts = _tokens(worker.model, {n: named.text for n, named in sums.kept.texts.items()})
    label = worker.model.tokenizer.convert_ids_to_tokens
    with one_thread():
        tables = AtlasTables.of(sums, texts, label, _with_vectors(worker, sums))
        writes = writes_of(beside.model, sums, label, texts)
    record = worker.model.capture(run.sample, certify=True)
    return AtlasFindings(
        name=run.name,
        read=(*run.read, *([] if beside.pos is None else [beside.pos.said_of(sums)])),
        tables=tables,
        sums=sums,
        texts=texts,
        certificate=record.certificate,
        num_tokens=run.gathered.counts.tokens,
        num_rejected=run.gathered.counts.rejected,
        command=run.command,
        heads=_shown_heads(heads, sums),
        cases=None if beside.scored is None else beside.scored.found(sums, run.place),
        writes=writes,
    )


def _of_cases(cases: AtlasCases) -> dict[str, Any]:
    """Return what the summary has of the cases."""
    return {
        "name": cases.name,
        "finding": cases.choice[0].plain,
        "chosen": [str(head) for head in cases.chosen],
        "baselines": cases.baselines,
        "held_out": cases.held_out,
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

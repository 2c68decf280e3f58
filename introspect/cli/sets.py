"""Commands on sets: convert collections to cases, and probe a set into a folder of tables."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.shared import (
    Actors,
    AllowPickle,
    AtlasFolder,
    BatchSize,
    Column,
    Columns,
    Delimiter,
    Device,
    Dtype,
    Engine,
    Format,
    Heading,
    Layers,
    Long,
    ModelName,
    Overwrite,
    RayAddress,
    Strict,
    Threads,
    atlas_in,
    command_line,
    end_with_rejects,
    files_read,
    folder_out,
    inputs_of,
    layer_numbers,
    load,
    named_columns,
    print_table,
    show_notices,
    writing,
)
from introspect.io import STDOUT, check_destination, check_folder


def cases(
    kind: Annotated[
        str,
        typer.Argument(
            help="winobias, winogender, gap, xwino, wsc, dpr, winogrande, knowref, bug, conll2012, "
            "corefud, clusters (JSON), csv or jsonl."
        ),
    ],
    files: Annotated[list[Path], typer.Argument(help="The files of the collection.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; by default, or as -, standard output."),
    ] = None,
    sentences: Annotated[
        int | None,
        typer.Option(help="Number of sentences of a text made from clusters (3)."),
    ] = None,
    words: Annotated[
        int | None, typer.Option(help="Longest text made from clusters, in words (2,000).")
    ] = None,
    antecedents: Annotated[
        int | None, typer.Option(help="Number of antecedents from the pronoun's own cluster (1).")
    ] = None,
    distractors: Annotated[
        int | None, typer.Option(help="Number of distractors from other clusters (1).")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="Language of pronouns where clusters have no tags (en)."),
    ] = None,
    pronouns: Annotated[
        str | None, typer.Option(help="Words that are pronouns in clusters: he,she,it.")
    ] = None,
    offsets: Annotated[
        str | None,
        typer.Option(help="Offsets in JSON clusters: inclusive or exclusive words, or characters."),
    ] = None,
    pronoun: Annotated[
        str | None, typer.Option(help="Word that takes the place of the blank of winogrande.")
    ] = None,
    columns: Columns = None,
) -> None:
    """Turn a collection into cases, one JSON object a line, and say what was left out."""
    from introspect.data import convert
    from introspect.data.published import ClusterOptions

    out = None if out is None or str(out) == STDOUT else out
    given = {
        "sentences": sentences,
        "words": words,
        "antecedents": antecedents,
        "distractors": distractors,
        "language": language,
        "pronouns": None if pronouns is None else _words(pronouns),
    }
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    options = ClusterOptions(**chosen) if chosen else None
    result = convert(
        kind,
        files,
        out,
        options=options,
        offsets=offsets,
        pronoun=pronoun,
        columns=named_columns(columns) or None,
    )
    typer.echo(result.summary, err=True)
    if result.rejects_file is not None:
        typer.echo(f"introspect: notice: the rejected rows are in {result.rejects_file}", err=True)
    if out is not None:
        typer.echo(out)
    if result.tally.rejected:
        raise typer.Exit(3)


def _probe_out(arguments: dict[str, Any]) -> AbstractContextManager[Any]:
    """Hold the folder of a probe, unless it is only estimated."""
    if arguments["cache"] is not None:
        check_destination(arguments["cache"], inputs=files_read(arguments))
    if arguments["dry_run"]:
        overwrite, read = arguments["overwrite"], files_read(arguments)
        return nullcontext(
            check_folder(arguments["out"], "probe", "resume", overwrite=overwrite, inputs=read)
        )
    return folder_out("probe", "resume")(arguments)


@writing(_probe_out)
def probe(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Cases (a table, JSON), sentences (txt, csv, tsv, jsonl, json, parquet, xlsx), "
            "trees (conllu); a folder, a glob, hf:NAME, or - for standard input."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run in it is resumed.")],
    model: ModelName = "minilm",
    analyzer: Annotated[
        list[str] | None,
        typer.Option(help="coreference, roles, similarity or syntax; repeatable."),
    ] = None,
    column: Column = None,
    columns: Columns = None,
    format: Format = None,
    delimiter: Delimiter = None,
    heading: Heading = None,
    weights: Annotated[
        str,
        typer.Option(
            help="raw; renormalized: without special tokens and the own position; or norm."
        ),
    ] = "raw",
    last_position: Annotated[
        bool,
        typer.Option("--last-position", help="Also score what a text's last position attends to."),
    ] = False,
    segment: Annotated[
        str | None, typer.Option(help="jieba: divide Chinese into words (extra chinese).")
    ] = None,
    layers: Layers = None,
    long: Long = "reject",
    null_model: Annotated[
        bool,
        typer.Option("--null-model", help="Also score random weights, drawn 5 times."),
    ] = False,
    engine: Engine = "serial",
    save_attention: Annotated[
        str | None, typer.Option(help="float32 or float16: also keep the patterns of every text.")
    ] = None,
    batch_size: BatchSize = None,
    cache: Annotated[
        Path | None, typer.Option(help="A file that keeps results for other sets.")
    ] = None,
    cache_size: Annotated[float, typer.Option(help="Maximum size of the cache in GB.")] = 2.0,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
    actors: Actors = None,
    ray_address: RayAddress = None,
    seed: Annotated[
        int, typer.Option(help="Random seed for folds, resampling and permutations.")
    ] = 0,
    atlas: AtlasFolder = None,
    overwrite: Overwrite = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how much work and memory it takes, and stop.")
    ] = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Run a model over a set; leave tables and a report in a folder.

    If a run is interrupted, rerun the command to resume it.
    """
    from introspect.models import BatchLimits
    from introspect.runs import CacheOptions, RayOptions, WorkerOptions, estimate
    from introspect.runs import probe as run_probe
    from introspect.studies.coreference import Options
    from introspect.text import counted

    inputs = inputs_of(
        files, column=column, columns=columns, format=format, delimiter=delimiter, heading=heading
    )
    loaded = load(model, allow_pickle=allow_pickle, strict=strict, device=device, dtype=dtype)
    if dry_run:
        limits = BatchLimits() if batch_size is None else BatchLimits(texts=batch_size)
        options = WorkerOptions(
            weights=weights,  # type: ignore[arg-type]  # checked there
            last_position=last_position,
            segment=segment,
            layers=None if layers is None else tuple(layer_numbers(layers) or ()),
            long=long,  # type: ignore[arg-type]
            limits=limits,
        )
        costs = estimate(
            loaded,
            inputs,
            None if overwrite else out,
            analyzers=analyzer,
            options=options,
            progress=True,
        )
        print_table("What it would take", costs.lines())
        return
    result = run_probe(
        loaded,
        inputs,
        out,
        engine=engine,  # type: ignore[arg-type]  # checked there
        analyzers=analyzer,
        segment=segment,
        weights=weights,  # type: ignore[arg-type]  # checked there
        last_position=last_position,
        layers=layer_numbers(layers),
        long=long,  # type: ignore[arg-type]  # checked there
        null_model=null_model,
        save_attention=save_attention,  # type: ignore[arg-type]  # checked there
        batch_size=batch_size,
        cache=None if cache is None else CacheOptions(str(cache), int(cache_size * 2**30)),
        threads=threads,
        ray=RayOptions(actors, ray_address),
        overwrite=overwrite,
        options=Options(seed=seed),
        atlas=atlas_in(atlas),
        command=command_line(),
        progress=True,
    )
    if sys.stdout.isatty():
        print_table("What was found", result.lines())
    typer.echo(result.finding)
    typer.echo(result.report or result.folder)
    if number := result.num_without_choice:
        offers = "offers" if number == 1 else "offer"
        show_notices(
            (
                f"{counted(number, 'case')} {offers} no choice (all candidates are antecedents, or "
                "none is): scored, and counted in no accuracy",
            )
        )
    end_with_rejects(result.num_rejected, out)


def _words(given: str) -> tuple[str, ...]:
    """Return the words that ``he, she`` names."""
    return tuple(word for part in given.split(",") if (word := part.strip()))


def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model to load and to capture from.")
    ] = None,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, for programs.")
    ] = False,
) -> None:
    """Show versions and devices; with a model, what can be captured and how exactly."""
    from introspect.doctor import as_object, environment, examination

    if as_json:
        loaded = model and load(model, allow_pickle=allow_pickle, strict=strict)
        typer.echo(json.dumps(as_object(model, loaded or None), ensure_ascii=False, indent=2))
        return
    print_table("Environment", environment())
    if model is not None:
        print_table(
            f"Model {model}", examination(load(model, allow_pickle=allow_pickle, strict=strict))
        )


def app(
    host: Annotated[
        str, typer.Option(help="The address to listen at; by default this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65_535)] = 8501,
    atlas: Annotated[
        Path | None, typer.Option(help="The folder of an atlas, to begin with its page.")
    ] = None,
) -> None:
    """Serve the app: type a sentence, see its attention (extra app). Ctrl-C ends it."""
    from introspect.app import LOOPBACK, address_of, check_start, serve

    check_start(host, port)
    opened = atlas_in(atlas)
    if host not in LOOPBACK:
        show_notices(
            (
                "whoever reaches this address can load models, also from folders of this machine; "
                "leave --host out to keep it to yourself",
            )
        )
    typer.echo(address_of(host, port, "" if opened is None else "atlas"))
    serve(host, port, None if opened is None else str(opened.path.resolve()))

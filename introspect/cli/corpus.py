"""The command on a corpus: what every head of a model does on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from introspect.cli.shared import (
    Actors,
    AllowPickle,
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
    command_line,
    end_with_rejects,
    folder_out,
    inputs_of,
    layer_numbers,
    load,
    print_table,
    writing,
)


@writing(folder_out("atlas", "resume"))
def atlas(
    files: Annotated[
        list[str],
        typer.Argument(
            help="The corpus: sentences, cases or trees, as for probe; a folder, a glob, or - for "
            "standard input."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Output folder; an interrupted run in it is resumed.")],
    model: ModelName = "minilm",
    examples: Annotated[
        int, typer.Option(help="The strongest rows of each head to keep, one a text.", min=1)
    ] = 20,
    heads: Annotated[
        str | None,
        typer.Option(help="Keep pages for these heads alone: L3H1,L5H11; the tables are of all."),
    ] = None,
    cases: Annotated[
        str | None,
        typer.Option(help="Coreference cases: what else the heads do that prefer the antecedent."),
    ] = None,
    pos: Annotated[
        str | None,
        typer.Option(help="A CoNLL-U file with parts of speech for the sentences of the corpus."),
    ] = None,
    column: Column = None,
    columns: Columns = None,
    format: Format = None,
    delimiter: Delimiter = None,
    heading: Heading = None,
    layers: Layers = None,
    kind: Annotated[
        str | None,
        typer.Option(help="The kind of attention: that of what the model reads, such as encoder."),
    ] = None,
    long: Long = "reject",
    engine: Engine = "serial",
    batch_size: BatchSize = None,
    device: Device = None,
    dtype: Dtype = None,
    threads: Threads = None,
    actors: Actors = None,
    ray_address: RayAddress = None,
    overwrite: Overwrite = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Find what every head does on a corpus; leave a site with a page for each in a folder.

    If a run is interrupted, rerun the command to resume it.
    """
    from introspect.runs import RayOptions, atlas_lines
    from introspect.runs import atlas as run_atlas

    inputs = inputs_of(
        files, column=column, columns=columns, format=format, delimiter=delimiter, heading=heading
    )
    found = run_atlas(
        load(
            model,
            allow_pickle=allow_pickle,
            strict=strict,
            device=device,
            dtype=dtype,
            lm_head=True,
        ),
        inputs,
        out,
        examples=examples,
        heads=heads,
        cases=cases,
        pos=pos,
        kind=kind,
        engine=engine,  # type: ignore[arg-type]  # checked there
        layers=layer_numbers(layers),
        long=long,  # type: ignore[arg-type]
        batch_size=batch_size,
        threads=threads,
        ray=RayOptions(actors, ray_address),
        overwrite=overwrite,
        command=command_line(),
        progress=True,
    )
    if sys.stdout.isatty():
        print_table("What was found", atlas_lines(found))
    if pos is not None:
        typer.echo(f"introspect: {found.summary['pos']}", err=True)
    typer.echo(found.finding)
    typer.echo(found.path / "index.html")
    end_with_rejects(found.summary["rejected"], out)

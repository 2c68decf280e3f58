"""The command on a corpus: what every head of a model does on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from introspect.cli.shared import (
    AllowPickle,
    Column,
    Columns,
    Delimiter,
    Format,
    Heading,
    ModelName,
    Overwrite,
    Strict,
    command_line,
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
    out: Annotated[Path, typer.Option(help="The folder to write, or to go on with.")],
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
    column: Column = None,
    columns: Columns = None,
    format: Format = None,
    delimiter: Delimiter = None,
    heading: Heading = None,
    layers: Annotated[
        str | None, typer.Option(help="Only these, from 0: 0-5 or 3,4; the model stops there.")
    ] = None,
    long: Annotated[
        str, typer.Option(help="reject texts that are too long, or window: read them in parts.")
    ] = "reject",
    engine: Annotated[str, typer.Option(help="serial, or ray (extra ray).")] = "serial",
    batch_size: Annotated[
        int | None, typer.Option(help="Texts that run together, at most.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, …; the CPU by default.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; as the model was saved.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of each process.")] = None,
    actors: Annotated[int | None, typer.Option(help="Number of Ray actors.")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a ray cluster; by default one on this machine.")
    ] = None,
    overwrite: Overwrite = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Find what every head does on a corpus; leave a site with a page for each in a folder.

    If a run is interrupted, rerun the command to resume it.
    """
    from introspect.runs import RayOptions, atlas_lines
    from introspect.runs import atlas as run_atlas
    from introspect.text import counted

    inputs = inputs_of(
        files, column=column, columns=columns, format=format, delimiter=delimiter, heading=heading
    )
    found = run_atlas(
        load(model, allow_pickle=allow_pickle, strict=strict, device=device, dtype=dtype),
        inputs,
        out,
        examples=examples,
        heads=heads,
        cases=cases,
        engine=engine,  # type: ignore[arg-type]  # checked there
        layers=None if layers is None else layer_numbers(layers),
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
    typer.echo(found.finding)
    typer.echo(found.path / "index.html")
    if number := found.summary["rejected"]:
        rejects = out / "rejects.jsonl"
        typer.echo(
            f"introspect: notice: {counted(number, 'row')} rejected, see {rejects}", err=True
        )
        raise typer.Exit(3)

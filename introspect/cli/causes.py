"""Commands that intervene on a model to measure what its heads do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.shared import (
    AllowPickle,
    ModelName,
    Text,
    command_line,
    load,
    show_notices,
    texts_of,
)
from introspect.errors import InputError
from introspect.files import check_destination

__all__ = ["ablate", "causal"]

Method = Annotated[
    str, typer.Option(help="How heads are taken out: zero, mean, uniform or resample.")
]
ReferenceFile = Annotated[
    Path | None, typer.Option(help="For mean and resample: a file with a text on each line.")
]


def causal(
    file: Annotated[str, typer.Argument(help="Cases, one JSON object a line; - for stdin.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    model: ModelName = "minilm",
    metric: Annotated[
        str | None,
        typer.Option(
            help="How the answer is read: pseudo-likelihood, at-pronoun, continuation, target or "
            "surrogate; by default as the model's head allows."
        ),
    ] = None,
    method: Method = "zero",
    heads: Annotated[
        str | None, typer.Option(help="Only these: L3H1,L5 (a whole layer); all by default.")
    ] = None,
    reference: ReferenceFile = None,
    no_smallest: Annotated[
        bool, typer.Option("--no-smallest", help="Do not look for the few heads that carry most.")
    ] = False,
    no_twins: Annotated[
        bool, typer.Option("--no-twins", help="Do not measure effects between twins.")
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Ask only so many of the first cases.")] = None,
    seed: Annotated[int, typer.Option(help="Of the intervals, and of what is drawn.")] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Put the new run in the place of an earlier one.")
    ] = False,
    allow_pickle: AllowPickle = False,
) -> None:
    """Take each head out in turn, and leave a folder that says which heads matter."""
    from introspect.causal.loading import load_to_ask
    from introspect.models.quiet import hush
    from introspect.probing.causal_run import KIND, causal_folder
    from introspect.probing.stages import watching_stages
    from introspect.probing.whole_folder import check_folder

    check_folder(out, KIND, fresh=fresh)
    texts = texts_of(reference)
    hush()
    loaded = load_to_ask(model, metric, allow_pickle=allow_pickle)
    with watching_stages() as told:
        result = causal_folder(
            loaded,
            file,
            out,
            heads=heads,
            method=method,
            reference=texts,
            metric=metric,
            share=None if no_smallest else 0.8,
            twins=not no_twins,
            limit=limit,
            seed=seed,
            fresh=fresh,
            command=command_line(),
            told=told,
        )
    show_notices(result.report.notices)
    typer.echo(result.report.finding)
    typer.echo(out / "report.html")
    if result.rejects:
        rejects = out / "rejects.jsonl"
        typer.echo(
            f"introspect: notice: {len(result.rejects)} rows rejected, see {rejects}", err=True
        )
        raise typer.Exit(3)


def ablate(
    text: Text,
    heads: Annotated[
        str | None,
        typer.Option(help="L3H1,L5H11; L3 is a whole layer. With --edge all by default."),
    ] = None,
    method: Method = "zero",
    reference: ReferenceFile = None,
    edge: Annotated[
        list[str] | None,
        typer.Option(
            help="Cut single words off instead: it:animal, from the word that looks to the word "
            "it looks at; repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="For resample.")] = 0,
    model: ModelName = "minilm",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("ablate.html"),
    allow_pickle: AllowPickle = False,
) -> None:
    """Show what heads attend to before and after some are taken out."""
    check_destination(out)
    if heads is None and not edge:
        raise InputError("Expected --heads or --edge: what to take out. Name for example L3H1.")
    if edge and (method != "zero" or reference is not None):
        raise InputError(
            "Expected --edge without --method and --reference: an edge is cut, not replaced."
        )
    texts = texts_of(reference)
    import introspect as ix
    from introspect.models import load_text

    loaded = load_text(load(model, allow_pickle=allow_pickle))
    kind = "encoder" if loaded.is_encoder_decoder else None
    change: Any
    if edge:
        edges = [pair for each in edge for pair in ix.edges_between(loaded, text, *_ends(each))]
        change = ix.knock_out(loaded, edges, heads, kind=kind)
    else:
        change = ix.ablate(loaded, heads, method=method, reference=texts, kind=kind, seed=seed)
    before = loaded.capture(text, kind=kind)
    with change:
        after = loaded.capture(text, kind=kind)
    what = f"{', '.join(edge)} cut" if edge else change.words
    result = ix.compare_view(before, after, labels=("unchanged", what))
    show_notices(before.notices)
    if not result.changes()["total_variation"].gt(0).any():
        typer.echo(
            "introspect: notice: no attention changes: what these heads give on is read by no "
            "later attention.",
            err=True,
        )
    typer.echo(result.save(out))


def _ends(edge: str) -> tuple[str, str]:
    query, found, key = edge.rpartition(":")
    if not (found and query and key):
        raise InputError(f"Expected an edge as it:animal, got {edge!r}.")
    return query, key

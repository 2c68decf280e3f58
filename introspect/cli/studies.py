"""Commands that intervene on a model to measure what its heads do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.shared import (
    AllowPickle,
    AtlasFolder,
    Column,
    Columns,
    Delimiter,
    Format,
    Heading,
    ModelName,
    Overwrite,
    Strict,
    Text,
    ViewFile,
    atlas_in,
    command_line,
    end_with_rejects,
    folder_out,
    inputs_of,
    load,
    page_out,
    show_notices,
    texts_of,
    view_out,
    with_notes,
    writing,
)
from introspect.errors import InputError, ModelError
from introspect.io import PAGE_ENDINGS

Method = Annotated[str, typer.Option(help="Ablation: zero, mean, uniform or resample.")]
ReferenceFile = Annotated[
    Path | None, typer.Option(help="File with a text on each line, for mean and resample.")
]


@writing(folder_out("causal", "replace"))
def causal(
    file: Annotated[
        str, typer.Argument(help="Cases: a table, JSON lines, an array; - for standard input.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    model: ModelName = "minilm",
    metric: Annotated[
        str | None,
        typer.Option(
            help="Metric of the answer: pseudo-likelihood, at-pronoun, continuation, target or "
            "surrogate; by default as the model's head allows."
        ),
    ] = None,
    method: Method = "zero",
    heads: Annotated[
        str | None, typer.Option(help="Heads to ablate: L3H1,L5 (a whole layer); all by default.")
    ] = None,
    reference: ReferenceFile = None,
    no_smallest: Annotated[
        bool, typer.Option("--no-smallest", help="Do not search for the few heads that carry most.")
    ] = False,
    no_minimal_pairs: Annotated[
        bool,
        typer.Option("--no-minimal-pairs", help="Do not measure effects within minimal pairs."),
    ] = False,
    limit: Annotated[int | None, typer.Option(help="Ask only so many of the first cases.")] = None,
    columns: Columns = None,
    format: Format = None,
    delimiter: Delimiter = None,
    heading: Heading = None,
    seed: Annotated[int, typer.Option(help="Random seed for intervals and samples.")] = 0,
    atlas: AtlasFolder = None,
    overwrite: Overwrite = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Ablate each head in turn, and leave a folder that says which support the answer."""
    from introspect.models import hush
    from introspect.runs import causal_folder
    from introspect.studies.causal import load_to_ask

    inputs = inputs_of(
        [file], columns=columns, format=format, delimiter=delimiter, heading=heading, wanted="cases"
    )
    texts, _ = texts_of(reference)
    hush()
    loaded = with_notes(load_to_ask(model, metric, allow_pickle=allow_pickle, strict=strict))
    result = causal_folder(
        loaded,
        inputs,
        out,
        heads=heads,
        method=method,  # type: ignore[arg-type]  # checked there
        reference=texts,
        metric=metric,
        share=None if no_smallest else 0.8,
        minimal_pairs=not no_minimal_pairs,
        limit=limit,
        seed=seed,
        also_read=[] if reference is None else [reference],
        atlas=atlas_in(atlas),
        overwrite=overwrite,
        command=command_line(),
        progress=True,
    )
    show_notices(result.report.notices)
    typer.echo(result.report.finding)
    typer.echo(out / "report.html")
    end_with_rejects(len(result.rejects), out)


@writing(view_out)
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
            help="Cut single words off instead: it:animal, from the word that attends to the word "
            "it attends to; repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed for resample.")] = 0,
    model: ModelName = "minilm",
    out: ViewFile = Path("ablate.html"),
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Show what heads attend to before and after some are ablated."""
    if heads is None and not edge:
        raise InputError("Expected --heads or --edge: what to ablate. Name for example L3H1.")
    if edge and (method != "zero" or reference is not None):
        raise InputError(
            "Expected --edge without --method and --reference: an edge is cut, not replaced."
        )
    texts, _ = texts_of(reference)
    import introspect as ix
    from introspect.models import load_text

    loaded = load_text(load(model, allow_pickle=allow_pickle, strict=strict))
    kind = loaded.reading_kind
    change: Any
    if edge:
        edges = [pair for each in edge for pair in ix.edges_between(loaded, text, *_ends(each))]
        change = ix.knock_out(loaded, edges, heads, kind=kind)
        change.words = f"{', '.join(edge)} cut"
    else:
        change = ix.ablate(
            loaded,
            heads,
            method=method,  # type: ignore[arg-type]  # checked there
            reference=texts,
            kind=kind,
            seed=seed,
        )
    compared = ix.before_after(loaded, text, change, kind=kind)
    show_notices(compared.before.notices)
    if compared.most_changed is None:
        typer.echo(
            "introspect: notice: no attention changes: the output of these heads is read by no "
            "later attention.",
            err=True,
        )
    view = ix.compare_view(compared.before, compared.after, labels=compared.labels)
    typer.echo(view.save(out))


def _ends(edge: str) -> tuple[str, str]:
    query, colon, key = edge.rpartition(":")
    if not (colon and query and key):
        raise InputError(f"Expected an edge as it:animal, got {edge!r}.")
    return query, key


def _heads_out(arguments: dict[str, Any]) -> AbstractContextManager[Path]:
    """Hold the folder or the page of a search for heads."""
    is_page = arguments["out"].suffix.lower() in PAGE_ENDINGS
    return (page_out if is_page else folder_out("heads", "replace"))(arguments)


@writing(_heads_out)
def heads(
    out: Annotated[
        Path, typer.Option(help="The folder to write, or a .html file for the page alone.")
    ],
    model: ModelName = "minilm",
    texts: Annotated[
        Path | None,
        typer.Option(
            help="A file with a text on each line: also say which heads are positional or attend "
            "to rare words, what shape their patterns have, and how fast a loss changes with each."
        ),
    ] = None,
    column: Column = None,
    format: Format = None,
    delimiter: Delimiter = None,
    heading: Heading = None,
    threshold: Annotated[
        float, typer.Option(help="A head is called by a score that is surely above this.")
    ] = 0.4,
    sequences: Annotated[int, typer.Option(help="Random sequences that are read.")] = 32,
    prefix: Annotated[
        str, typer.Option(help="Fewest and most tokens before the block that comes twice.")
    ] = "0-16",
    period: Annotated[str, typer.Option(help="Fewest and most tokens of the block.")] = "8-22",
    kind: Annotated[
        str | None,
        typer.Option(help="Kind of attention: encoder (the default) or decoder."),
    ] = None,
    no_importance: Annotated[
        bool, typer.Option("--no-importance", help="Do not measure the loss on --texts.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Random seed for the tokens and the intervals.")] = 0,
    atlas: AtlasFolder = None,
    overwrite: Overwrite = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Find previous-token, duplicate-token and induction heads; leave a folder or a page."""
    from introspect.models import hush, load_text
    from introspect.runs import HeadOptions, heads_folder, is_page
    from introspect.studies.causal import load_to_ask

    given, read = texts_of(
        texts, column=column, format=format, delimiter=delimiter, heading=heading
    )
    options = HeadOptions(
        num_sequences=sequences,
        prefix=_lengths(prefix, "--prefix"),
        period=_lengths(period, "--period"),
        kind=kind,
        threshold=threshold,
        importance=not no_importance,
        seed=seed,
    )
    hush()
    # Only a loss needs the LM head.
    with_loss = given is not None and not no_importance
    loaded = (
        with_notes(load_to_ask(model, allow_pickle=allow_pickle, strict=strict))
        if with_loss
        else load_text(load(model, allow_pickle=allow_pickle, strict=strict))
    )
    result = heads_folder(
        loaded,
        out,
        given,
        name=None if texts is None else texts.name,
        read=read,
        inputs=[] if texts is None else [texts],
        options=options,
        atlas=atlas_in(atlas),
        overwrite=overwrite,
        command=command_line(),
        progress=True,
    )
    show_notices(result.notices)
    typer.echo(result.finding)
    typer.echo(out if is_page(out) else out / "report.html")


@writing(page_out)
def lens(
    text: Text,
    model: ModelName = "minilm",
    token: Annotated[
        str | None,
        typer.Option(
            help="Whose logit is divided among heads, biases and feed-forwards: one piece of the "
            "vocabulary, with its space; by default what the model predicts."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another token, whose logit is subtracted.")
    ] = None,
    position: Annotated[
        str | None,
        typer.Option(
            help="The token to read at: a word, it#2 for the second one, or a number, from 0 or "
            "from the end: -1; by default a mask, or else the last token."
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="Readings of each state.")] = 5,
    target: Annotated[
        str | None, typer.Option(help="Text that an encoder-decoder writes; its tokens are read.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("lens.html"),
    atlas: AtlasFolder = None,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Show what a model would predict after each layer, and which heads contribute."""
    import introspect as ix
    from introspect.models import hush
    from introspect.studies.causal import load_to_ask

    known = atlas_in(atlas, out.parent)
    hush()
    loaded = with_notes(load_to_ask(model, allow_pickle=allow_pickle, strict=strict))
    if not loaded.has_unembedding:
        raise ModelError(
            f"Expected a model with a language-model head, whose unembedding turns states into "
            f"words, but {loaded.name} was saved without one. Choose another, such as induction "
            "or gpt2."
        )
    study = ix.lens_study(
        loaded,
        text,
        token=token,
        against=against,
        position=_position(position),
        top=top,
        target=target,
    )
    result = ix.lens_report(study, command=command_line(), atlas=known)
    path = result.save(out)
    show_notices(result.notices)
    typer.echo(result.finding)
    typer.echo(path)


def _position(given: str | None) -> str | int | None:
    """Return a number as one; any other text is a word."""
    is_number = given is not None and given.removeprefix("-").isdecimal()
    return int(given) if is_number and given is not None else given


def _lengths(given: str, option: str) -> tuple[int, int]:
    """Return the minimum and maximum, as ``8-22`` or one number names them."""
    first, dash, last = given.partition("-")
    last = last if dash else first
    if not (first.strip().isdecimal() and last.strip().isdecimal()):
        raise InputError(f"Expected {option} as fewest and most, 8-22, got {given!r}.")
    return int(first), int(last)

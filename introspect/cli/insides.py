"""Commands that analyze a model's internals: heads with known roles, and the logit lens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
from introspect.errors import InputError, ModelError
from introspect.files import check_destination

__all__ = ["heads", "lens"]


def heads(
    out: Annotated[
        Path, typer.Option(help="The folder to write, or a .html file for the page alone.")
    ],
    model: ModelName = "minilm",
    texts: Annotated[
        Path | None,
        typer.Option(
            help="A file with a text on each line: also say which heads are positional or look at "
            "rare words, what shape their patterns have, and how fast a loss changes with each."
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="A head is called by a score that is surely above this.")
    ] = 0.4,
    sequences: Annotated[int, typer.Option(help="Random sequences that are read.")] = 32,
    prefix: Annotated[
        str, typer.Option(help="Fewest and most tokens before the block that comes twice.")
    ] = "0-16",
    period: Annotated[str, typer.Option(help="Fewest and most tokens of the block.")] = "8-22",
    kind: Annotated[
        str | None, typer.Option(help="Of an encoder-decoder: encoder, the default, or decoder.")
    ] = None,
    no_importance: Annotated[
        bool, typer.Option("--no-importance", help="With --texts: leave out the loss.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the tokens and the intervals.")] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Put the new run in the place of an earlier one.")
    ] = False,
    allow_pickle: AllowPickle = False,
) -> None:
    """Find previous-token, duplicate-token and induction heads; leave a folder or a page."""
    from introspect.causal.loading import load_to_ask
    from introspect.models import load_text
    from introspect.models.quiet import hush
    from introspect.probing.heads_run import KIND, HeadOptions, heads_folder, is_page
    from introspect.probing.whole_folder import check_folder

    if is_page(out):
        check_destination(out)
    else:
        check_folder(out, KIND, fresh=fresh)
    given = texts_of(texts)
    if texts is not None and not given:
        raise InputError(f"Expected a text on each line of {str(texts)!r}, got none. Add some.")
    options = HeadOptions(
        num_sequences=sequences,
        prefix=_ends(prefix, "--prefix"),
        period=_ends(period, "--period"),
        kind=kind,
        threshold=threshold,
        importance=not no_importance,
        seed=seed,
    )
    hush()
    # Only a loss needs the LM head.
    with_loss = given is not None and not no_importance
    loaded = (
        load_to_ask(model, allow_pickle=allow_pickle)
        if with_loss
        else load_text(load(model, allow_pickle=allow_pickle))
    )
    result = heads_folder(
        loaded,
        out,
        given,
        name=None if texts is None else texts.name,
        options=options,
        fresh=fresh,
        command=command_line(),
    )
    show_notices(result.notices)
    typer.echo(result.finding)
    typer.echo(out if is_page(out) else out / "report.html")


def lens(
    text: Text,
    model: ModelName = "minilm",
    token: Annotated[
        str | None,
        typer.Option(
            help="Whose logit is divided among heads, biases and feed-forwards: one piece of the "
            "vocabulary, with its space; by default what the model says."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another token, whose logit is subtracted.")
    ] = None,
    position: Annotated[
        int | None,
        typer.Option(
            help="The token to read at, from 0, or from the end: -1; by default a mask, or else "
            "the last token."
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="Readings of each state.")] = 5,
    target: Annotated[
        str | None, typer.Option(help="What an encoder-decoder writes; its tokens are read.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("lens.html"),
    allow_pickle: AllowPickle = False,
) -> None:
    """Show what a model would say after each layer, and which heads say it."""
    check_destination(out)
    import introspect as ix
    from introspect.causal.loading import load_to_ask
    from introspect.models.quiet import hush

    hush()
    loaded = load_to_ask(model, allow_pickle=allow_pickle)
    if not loaded.has_unembedding:
        raise ModelError(
            f"Expected a model with a language-model head, whose unembedding turns states into "
            f"words, but {loaded.name} was saved without one. Choose another, such as induction "
            "or gpt2."
        )
    result = ix.lens_report(
        loaded,
        text,
        token=token,
        against=against,
        position=position,
        top=top,
        target=target,
        command=command_line(),
    )
    path = result.save(out)
    show_notices(result.notices)
    typer.echo(result.finding)
    typer.echo(path)


def _ends(given: str, option: str) -> tuple[int, int]:
    """Return the minimum and maximum, as ``8-22`` or one number names them."""
    first, found, last = given.partition("-")
    last = last if found else first
    if not (first.strip().isdecimal() and last.strip().isdecimal()):
        raise InputError(f"Expected {option} as fewest and most, 8-22, got {given!r}.")
    return int(first), int(last)

"""Arguments, loading, and output that several commands share."""

from __future__ import annotations

import functools
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.errors import InputError
from introspect.io import Way, check_page_file, check_view_file, claimed_file, claimed_folder

Text = Annotated[str, typer.Argument(help="The text that the model reads.")]
TextPair = Annotated[str | None, typer.Argument(help="A second text, for models of pairs.")]
ModelName = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="An alias (minilm, pronoun, …), a hub id or a local folder."
    ),
]
Format = Annotated[
    str | None, typer.Option(help="Format of all files, whatever their endings: txt, csv, …")
]
Column = Annotated[str | None, typer.Option(help="The column of the sentences.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        help="Columns of a table of cases, by what they hold: "
        "pronoun=Pronoun,antecedent=Correct; repeatable."
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="Separator of the columns of a table: comma, semicolon, tab or pipe; by default, "
        "what its first rows show."
    ),
]
Heading = Annotated[
    bool | None,
    typer.Option(
        "--heading/--no-heading",
        help="Read the first row of a table as column names, or not; by default, as it reads.",
        show_default=False,
    ),
]
ViewFile = Annotated[
    Path,
    typer.Option(help="The file to write: .html for the page; .svg, .png or .pdf for a picture."),
]
Truncation = Annotated[bool, typer.Option(help="Truncate a text that is too long, and say so.")]
Layers = Annotated[
    str | None, typer.Option(help="Layers to read, from 0: 0-5 or 3,4; the model stops there.")
]
Long = Annotated[
    str, typer.Option(help="reject texts that are too long, or window: read them in parts.")
]
Engine = Annotated[str, typer.Option(help="serial, or ray (extra ray).")]
BatchSize = Annotated[int | None, typer.Option(help="Texts that run together, at most.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; the CPU by default.")]
Dtype = Annotated[
    str | None, typer.Option(help="float32, bfloat16 or float16; as the model was saved.")
]
Threads = Annotated[int | None, typer.Option(help="Threads of each process.")]
Actors = Annotated[int | None, typer.Option(help="Number of Ray actors.")]
RayAddress = Annotated[
    str | None, typer.Option(help="Address of a Ray cluster; by default one on this machine.")
]
AtlasFolder = Annotated[
    Path | None,
    typer.Option(help="The folder of an atlas of the model: say what else its heads do."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Overwrite an earlier run.")]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Load pickled weights too: only files you trust.")
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict/--no-strict",
        help="Refuse a model with weights or settings that its code does not use, or go on and "
        "say so.",
    ),
]


Command = Callable[..., None]
#: What holds the place that a command writes, given its arguments.
Claim = Callable[[dict[str, Any]], AbstractContextManager[Any]]


def writing(claim: Claim) -> Callable[[Command], Command]:
    """Return a decorator of a command that holds what it writes from its start to its end."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            with claim(arguments):
                command(**arguments)

        return run

    return decorate


def view_out(arguments: dict[str, Any]) -> AbstractContextManager[Path]:
    """Hold a view's file."""
    return claimed_file(check_view_file(arguments["out"]), inputs=files_read(arguments))


def page_out(arguments: dict[str, Any]) -> AbstractContextManager[Path]:
    """Hold a report's file."""
    return claimed_file(check_page_file(arguments["out"]), inputs=files_read(arguments))


def folder_out(kind: str, way: Way) -> Claim:
    """Return what holds the folder of a kind of run."""

    def claim(arguments: dict[str, Any]) -> AbstractContextManager[Path]:
        return claimed_folder(
            arguments["out"],
            kind,
            way,
            overwrite=arguments["overwrite"],
            inputs=files_read(arguments),
        )

    return claim


def files_read(arguments: dict[str, Any]) -> list[str | Path]:
    """Return what a command reads, as far as its arguments name files."""
    named = (arguments.get(name) for name in ("file", "reference", "texts"))
    atlas = arguments.get("atlas")
    pages = [] if atlas is None else [*atlas.glob("*.html"), *atlas.glob("*/*.html")]
    return [*(place for place in named if place is not None), *arguments.get("files", ()), *pages]


def layer_numbers(given: str | None) -> list[int] | None:
    """Return the numbers that ``0-5,7`` names; none stays none."""
    if given is None:
        return None
    numbers: list[int] = []
    for part in given.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise InputError(f"Expected layers as 0-5 or 3,4, got {given!r}.")
        numbers += range(int(first), int(last or first) + 1)
    return sorted(set(numbers))


def load(
    name: str,
    *,
    allow_pickle: bool,
    strict: bool = True,
    device: str | None = None,
    dtype: str | None = None,
    lm_head: bool = False,
) -> Any:
    """Load a model, and print what it does not use, if anything."""
    import introspect as ix
    from introspect.models import hush

    hush()
    return with_notes(
        ix.load(
            name,
            allow_pickle=allow_pickle,
            strict=strict,
            device=device,
            dtype=dtype,
            lm_head=lm_head,
        )
    )


def load_if_asked(name: str, **options: Any) -> Any:
    """Load a model with its LM head where it has one; print what it does not use, if anything."""
    from introspect.models import hush
    from introspect.studies.causal import load_to_ask

    hush()
    return with_notes(load_to_ask(name, **options))


def with_notes(model: Any) -> Any:
    """Return a model, after a notice about weights and settings that it does not use."""
    from introspect.models import unused_by
    from introspect.text import sentence

    if unused := unused_by(model):
        show_notices((sentence(f"{model.name}: {unused}"),))
    return model


def show_notices(notices: tuple[str, ...]) -> None:
    """Print the notices about a result to standard error."""
    for notice in notices:
        typer.echo(f"introspect: notice: {notice}", err=True)


def head_names(layer: int | None, heads: Sequence[str]) -> list[str]:
    """Return the names of heads; a number beside ``--layer``, the old form, becomes a name."""
    names = [f"L{layer or 0}H{head}" if head.isdecimal() else head for head in heads]
    if names != list(heads):
        old = "".join(f" --head {head}" for head in heads)
        new = "".join(f" --head {name}" for name in names)
        before = "" if layer is None else f" --layer {layer}"
        warnings.warn(
            f"{(before + old).strip()} is now {new.strip()}; the old form goes with the next "
            "release.",
            FutureWarning,
            stacklevel=2,
        )
    return names


def token_at(tokens: Any, token: str | None) -> int | None:
    """Return the index of a token that is named by a word, or by a number that is no word."""
    from introspect.records import as_token
    from introspect.text import occurrences

    if token is None:
        return None
    is_number = token.isdecimal() and not any(occurrences(text, token) for text in tokens.texts)
    return as_token(tokens, int(token) if is_number else token)


def texts_of(
    file: Path | None,
    *,
    column: str | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    heading: bool | None = None,
) -> tuple[list[str] | None, list[str]]:
    """Return the texts of a file without blank ones, and what was read, in sentences."""
    from introspect.data import FORMATS, InputSet, read_texts

    if file is None:
        return None, []
    is_known = format is not None or any(f".{name}" in file.suffixes for name in FORMATS)
    inputs = InputSet(
        file, column, format=format if is_known else "txt", delimiter=delimiter, heading=heading
    )
    return read_texts(inputs), inputs.words


def inputs_of(
    files: Sequence[str],
    *,
    column: str | None = None,
    columns: Sequence[str] | None = None,
    format: str | None = None,
    delimiter: str | None = None,
    heading: bool | None = None,
    wanted: Any = None,
) -> Any:
    """Return the inputs that a command names."""
    from introspect.data import InputSet

    given = files[0] if len(files) == 1 else [Path(file) if file != "-" else file for file in files]
    return InputSet(given, column, named_columns(columns), format, delimiter, heading, wanted)


def named_columns(given: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the columns by role, as ``pronoun=Pronoun,antecedent=Correct`` names them."""
    from introspect.data import ROLES

    columns: dict[str, list[str]] = {}
    for part in given or ():
        # A name may hold commas: only one before a role divides.
        for pair in re.split(rf",(?=(?:{'|'.join(ROLES)})=)", part):
            role, has_name, name = pair.partition("=")
            if not (has_name and name and role in ROLES):
                raise InputError(
                    f"Expected --columns as {ROLES[1]}=NAME, with a role from {', '.join(ROLES)}, "
                    f"got {pair!r}."
                )
            columns.setdefault(role, []).append(name)
    return columns


def atlas_in(folder: Path | None, seen_from: Path | None = None) -> Any:
    """Return the atlas in a folder, with links that start from where a page is saved."""
    import introspect as ix

    return None if folder is None else ix.Atlas.open(folder, seen_from=seen_from)


def end_with_rejects(number: int, folder: Path) -> None:
    """End a run that has rejected rows with 3, after a notice that says where they are.

    Raises:
        Exit: there are some.
    """
    from introspect.text import counted

    if number:
        show_notices((f"{counted(number, 'row')} rejected, see {folder / 'rejects.jsonl'}",))
        raise typer.Exit(3)


def command_line() -> str:
    """Return the command as it was given, for the provenance of what it writes."""
    return shlex.join(["introspect", *sys.argv[1:]])


def print_table(title: str, rows: list[tuple[str, str]]) -> None:
    """Print names and values as a table for a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as RichText

    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows:
        table.add_row(RichText(name), RichText(value))
    Console().print(table)

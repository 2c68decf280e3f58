"""The command line: parse, call one library function, show.

Exit codes: 0 done; 1 internal error; 2 bad arguments or input; 3 finished, but some input rows were
rejected. Heavy packages load inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from introspect.errors import InputError, IntrospectError

__all__ = ["app", "main"]


class _StoppedError(Exception):
    """Ctrl-C, in a form that the parser hands on with its message."""


class _Commands(typer.core.TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        """Run a command; Typer itself makes of Ctrl-C an exit code without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _StoppedError(str(stop)) from stop


app = typer.Typer(
    name="introspect",
    cls=_Commands,
    help="See what a pretrained Transformer attends to, and whether it matters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class ViewKind(StrEnum):
    """The views that ``introspect view`` can write."""

    head = "head"
    model = "model"
    layer = "layer"
    neuron = "neuron"
    steps = "steps"
    heatmap = "heatmap"


#: The parts of attention that a view is made of.
_PARTS_OF = {
    ViewKind.neuron: ("attentions", "scores", "queries", "keys"),
    ViewKind.steps: ("attentions", "scores", "values", "head_outputs"),
}

Text = Annotated[str, typer.Argument(help="The text that the model reads.")]
TextPair = Annotated[str | None, typer.Argument(help="A second text, for models of pairs.")]
ModelName = Annotated[
    str,
    typer.Option(
        "--model", "-m", help="An alias (minilm, pronoun, …), a hub id or a local folder."
    ),
]
Truncate = Annotated[bool, typer.Option(help="Cut a text that is too long, and say so.")]
AllowPickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Load pickled weights too: only files you trust.")
]


@app.callback()
def _options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """See what a pretrained Transformer attends to, and whether it matters."""


@app.command()
def report(
    text: Text,
    text_pair: TextPair = None,
    pronoun: Annotated[
        str | None, typer.Option(help="The pronoun; it#2 means the second one.")
    ] = None,
    antecedent: Annotated[str | None, typer.Option(help="What the pronoun refers to.")] = None,
    distractor: Annotated[
        list[str] | None, typer.Option(help="What it might refer to, but does not; repeatable.")
    ] = None,
    model: ModelName = "minilm",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    truncate: Truncate = False,
    allow_pickle: AllowPickle = False,
) -> None:
    """Write an interactive report on one text, and print what it found."""
    _check_case_options(pronoun, antecedent, distractor)
    _check_destination(out)
    import introspect as ix

    subject: Any = text if text_pair is None else (text, text_pair)
    if pronoun is not None:
        subject = ix.CorefCase.from_words(
            text, pronoun=pronoun, antecedent=antecedent, distractors=distractor or ()
        )
    result = ix.report(
        _load(model, allow_pickle=allow_pickle),
        [subject],
        truncation=truncate,
        command=_command_line(),
    )
    path = result.save(out)
    _show_notices(result.notices)
    typer.echo(result.finding)
    typer.echo(path)


@app.command()
def view(
    kind: Annotated[ViewKind, typer.Argument(help="Which view.")],
    text: Text,
    text_pair: TextPair = None,
    layer: Annotated[int, typer.Option(help="The layer to show first, from 0.")] = 0,
    head: Annotated[
        list[int] | None, typer.Option(help="A head to show first, from 0; repeatable.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="A word to pin; it#2 means the second one.")
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="What to show first: raw; norm, residual_norm, rollout, flow, alti; of the head "
            "view also renormalised."
        ),
    ] = "raw",
    model: ModelName = "minilm",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("view.html"),
    truncate: Truncate = False,
    allow_pickle: AllowPickle = False,
) -> None:
    """Write one interactive view."""
    _check_destination(out)
    if kind is ViewKind.model and (token is not None or head or layer):
        raise InputError(
            "Expected no --layer, --head or --token for the model view: it shows every head. "
            "Leave them out, or write the head view."
        )
    if kind not in (ViewKind.head, ViewKind.model) and len(head or []) > 1:
        raise InputError(
            f"Expected one --head for the {kind} view, got {len(head or [])}. Name one of them."
        )
    if kind is ViewKind.layer and layer:
        raise InputError(
            "Expected no --layer for the layer view: it shows every layer. Leave it out."
        )
    if kind is ViewKind.heatmap and token is not None:
        raise InputError(
            "Expected no --token for the heatmap view: it shows every token. Leave it out."
        )
    if kind in (ViewKind.neuron, ViewKind.steps) and weights != "raw":
        raise InputError(
            f"Expected no --weights for the {kind} view: it shows how the weights are made. "
            "Leave it out."
        )
    import introspect as ix
    from introspect.alignment import find_tokens
    from introspect.attribution import parts_of
    from introspect.models import load_text

    parts = parts_of(weights, ("raw", "renormalised") if kind is ViewKind.head else ("raw",))
    loaded = load_text(_load(model, allow_pickle=allow_pickle))
    include = (*_PARTS_OF.get(kind, ("attentions",)), *parts)
    record = loaded.capture(text, text_pair, truncation=truncate, include=include)
    pinned = None if token is None else find_tokens(record.queries, token)[0]
    result: ix.View
    if kind is ViewKind.head:
        result = ix.head_view(
            record, layer=layer, heads=head or None, token=pinned, weights=weights
        )
    elif kind is ViewKind.model:
        result = ix.model_view(record, weights=weights)
    elif kind is ViewKind.heatmap:
        result = ix.heatmap_view(record, layer=layer, head=_one(head), weights=weights)
    elif kind is ViewKind.layer:
        chosen = _one(head) if head else "mean"
        result = ix.layer_view(record, head=chosen, token=pinned, weights=weights)
    else:
        focal = ix.neuron_view if kind is ViewKind.neuron else ix.steps_view
        result = focal(record, layer=layer, head=_one(head), token=pinned)
    _show_notices(record.notices)
    typer.echo(result.save(out))


@app.command()
def compare(
    text_a: Annotated[str, typer.Argument(help="A text.")],
    text_b: Annotated[
        str | None, typer.Argument(help="Another text; the same one by default.")
    ] = None,
    model: ModelName = "minilm",
    model_a: Annotated[str | None, typer.Option(help="The model of the first text.")] = None,
    model_b: Annotated[str | None, typer.Option(help="The model of the second text.")] = None,
    layer: Annotated[int | None, typer.Option(help="The layer to show first, from 0.")] = None,
    head: Annotated[int | None, typer.Option(help="The head to show first, from 0.")] = None,
    token: Annotated[
        str | None, typer.Option(help="A word of the first text; it#2 means the second one.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("compare.html"),
    truncate: Truncate = False,
    allow_pickle: AllowPickle = False,
) -> None:
    """Show two texts, or two models on one text, side by side with their difference."""
    _check_destination(out)
    names = (model_a or model, model_b or model)
    if text_b in (None, text_a) and names[0] == names[1]:
        raise InputError(
            "Expected a second text, or --model-a and --model-b that differ, got one text and one "
            "model. Name what to compare with."
        )
    import introspect as ix
    from introspect.alignment import find_tokens
    from introspect.models import load_text

    loaded = {
        name: load_text(_load(name, allow_pickle=allow_pickle)) for name in dict.fromkeys(names)
    }
    texts = (text_a, text_a if text_b is None else text_b)
    records = [
        loaded[name].capture(text, truncation=truncate)
        for name, text in zip(names, texts, strict=True)
    ]
    result = ix.compare_view(
        *records,
        layer=layer,
        head=head,
        token=None if token is None else find_tokens(records[0].queries, token)[0],
        labels=names if names[0] != names[1] else ("A", "B"),
    )
    for record in records:
        _show_notices(record.notices)
    typer.echo(result.save(out))


def _one(heads: list[int] | None) -> int | None:
    return heads[0] if heads else None


@app.command()
def cases(
    kind: Annotated[str, typer.Argument(help="winobias, winogender, gap, xwino, csv or jsonl.")],
    files: Annotated[list[Path], typer.Argument(help="The files of the collection.")],
    out: Annotated[
        Path | None, typer.Option(help="The file to write; standard output by default.")
    ] = None,
) -> None:
    """Turn a collection into cases, one JSON object a line, and say what was left out."""
    from introspect.cases import convert

    if out is not None:
        _check_destination(out)
    result = convert(kind, files, out)
    typer.echo(result.summary, err=True)
    if result.rejects_file is not None:
        typer.echo(f"introspect: notice: the rejected rows are in {result.rejects_file}", err=True)
    if out is not None:
        typer.echo(out)
    if result.tally.rejected:
        raise typer.Exit(3)


@app.command()
def probe(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Cases (JSON lines), sentences (txt, csv, tsv, jsonl, parquet), trees (conllu); "
            "a folder, a glob, hf:NAME, or - for standard input."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write, or to go on with.")],
    model: ModelName = "minilm",
    analyzer: Annotated[
        list[str] | None,
        typer.Option(help="coreference, roles, similarity or syntax; repeatable."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column of the sentences.")] = None,
    format: Annotated[
        str | None, typer.Option(help="Of all files, whatever their endings: txt, csv, …")
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="raw; renormalised: without special tokens and the own position; or norm."
        ),
    ] = "raw",
    segment: Annotated[
        str | None, typer.Option(help="jieba: divide Chinese into words (extra chinese).")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Only these, from 0: 0-5 or 3,4; the model stops there.")
    ] = None,
    long: Annotated[
        str, typer.Option(help="reject texts that are too long, or window: read them in parts.")
    ] = "reject",
    null_model: Annotated[
        bool, typer.Option("--null-model", help="Also score the model with random weights.")
    ] = False,
    engine: Annotated[str, typer.Option(help="serial, or ray (extra ray).")] = "serial",
    save_attention: Annotated[
        str | None, typer.Option(help="float32 or float16: also keep the patterns of every text.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Texts that run together, at most.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="A file that keeps results for other sets.")
    ] = None,
    cache_size: Annotated[float, typer.Option(help="Of that file at most, in GB.")] = 2.0,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, …; the CPU by default.")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16 or float16; as the model was saved.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of each process.")] = None,
    actors: Annotated[int | None, typer.Option(help="Of the engine ray.")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a ray cluster; by default one on this machine.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds, resamples and relabellings.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say how much work and memory it takes.")
    ] = False,
    allow_pickle: AllowPickle = False,
) -> None:
    """Run a model over a set; leave tables and a report in a folder.

    Stopped at any moment, the same command goes on where it was.
    """
    from introspect.analyzers.claims import Options
    from introspect.probing import CacheOptions, RayOptions, estimate
    from introspect.probing import probe as run_probe
    from introspect.probing.batches import BatchLimits
    from introspect.probing.options import WorkerOptions
    from introspect.probing.progress import watching
    from introspect.sentences import spooled_stdin

    given: list[Any] = [spooled_stdin() if name == "-" else name for name in files]
    loaded = _load(model, allow_pickle=allow_pickle, device=device, dtype=dtype)
    if dry_run:
        limits = BatchLimits() if batch_size is None else BatchLimits(texts=batch_size)
        options = WorkerOptions(
            weights=weights,  # type: ignore[arg-type]  # checked there
            segment=segment,
            layers=None if layers is None else tuple(_numbers(layers)),
            long=long,  # type: ignore[arg-type]
            limits=limits,
        )
        found = estimate(
            loaded,
            given,
            out,
            analyzers=analyzer,
            column=column,
            format=format,
            options=options,
        )
        _print_table("What it would take", found.lines())
        return
    with watching() as watcher:
        result = run_probe(
            loaded,
            given,
            out,
            engine=engine,
            analyzers=analyzer,
            column=column,
            format=format,
            segment=segment,
            weights=weights,  # type: ignore[arg-type]  # checked there
            layers=None if layers is None else _numbers(layers),
            long=long,  # type: ignore[arg-type]  # checked there
            null_model=null_model,
            save_attention=save_attention,  # type: ignore[arg-type]  # checked there
            batch_size=batch_size,
            cache=None if cache is None else CacheOptions(str(cache), int(cache_size * 2**30)),
            threads=threads,
            ray=RayOptions(actors, ray_address),
            fresh=fresh,
            options=Options(seed=seed),
            command=_command_line(),
            watcher=watcher,
        )
    if sys.stdout.isatty():
        _print_table("What was found", result.lines())
    typer.echo(result.finding)
    typer.echo(result.report or result.folder)
    if result.num_rejected:
        rejects = out / "rejects.jsonl"
        typer.echo(
            f"introspect: notice: {result.num_rejected} rows rejected, see {rejects}", err=True
        )
        raise typer.Exit(3)


def _numbers(given: str) -> list[int]:
    """The numbers that ``0-5,7`` names."""
    found: list[int] = []
    for part in given.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or not (last or first).isdigit():
            raise InputError(f"Expected layers as 0-5 or 3,4, got {given!r}.")
        found += range(int(first), int(last or first) + 1)
    return sorted(set(found))


@app.command()
def index(
    folder: Annotated[Path, typer.Argument(help="The folder that the reports are in.")],
) -> None:
    """List the reports and views of a folder on a page, index.html."""
    import introspect as ix

    typer.echo(ix.report_index(folder))


@app.command()
def doctor(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="A model to load and to capture from.")
    ] = None,
    allow_pickle: AllowPickle = False,
) -> None:
    """Show versions and devices; with a model, what can be captured and how exactly."""
    from introspect.doctor import environment, examination

    _print_table("Environment", environment())
    if model is not None:
        _print_table(f"Model {model}", examination(_load(model, allow_pickle=allow_pickle)))


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    try:
        code = app(args=arguments, standalone_mode=False)
    except typer.Abort:
        _fail("interrupted", None, code=1)
    except (KeyboardInterrupt, _StoppedError) as stop:
        _fail(str(stop) or "interrupted", None, code=1)
    except IntrospectError as error:
        _fail(str(error), error, code=2)
    except Exception as error:
        if hasattr(error, "format_message"):  # what the parser raises for bad arguments
            _fail(f"{error.format_message()} Try: introspect --help", error, code=2)
        _fail(
            f"{type(error).__name__}: {error} (a fault of introspect itself; "
            "-v before the command shows where)",
            error,
            code=1,
        )
    sys.exit(code or 0)


def _fail(message: str, error: BaseException | None, *, code: int) -> None:
    if error is not None and {"-v", "--verbose"} & set(sys.argv[1:]):
        traceback.print_exception(error)
    line = " ".join(message.split())
    print(f"introspect: error: {line}", file=sys.stderr)
    sys.exit(code)


def _load(
    name: str, *, allow_pickle: bool, device: str | None = None, dtype: str | None = None
) -> Any:
    # The command's own output is the answer; progress bars and library chatter hide it.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from transformers.utils import logging

    import introspect as ix

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return ix.load(name, allow_pickle=allow_pickle, device=device, dtype=dtype)


def _check_case_options(
    pronoun: str | None, antecedent: str | None, distractor: list[str] | None
) -> None:
    if pronoun is None and (antecedent is not None or distractor):
        raise InputError("Expected --pronoun beside --antecedent and --distractor. Add it.")
    if pronoun is not None and antecedent is None:
        raise InputError("Expected --antecedent beside --pronoun: what it refers to. Add it.")


def _check_destination(out: Path) -> None:
    """Refuse a place that cannot be written before the model's work, not after it."""
    from introspect.files import check_destination

    check_destination(out)


def _show_notices(notices: tuple[str, ...]) -> None:
    for notice in notices:
        typer.echo(f"introspect: notice: {notice}", err=True)


def _command_line() -> str:
    return shlex.join(["introspect", *sys.argv[1:]])


def _print_table(title: str, rows: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as RichText

    table = Table(title=title, title_justify="left", show_header=False)
    for name, value in rows:
        table.add_row(RichText(name), RichText(value))
    Console().print(table)


if __name__ == "__main__":
    main()

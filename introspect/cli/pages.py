"""Commands that write a page: a report, a view, a comparison, and a folder's index."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.shared import (
    AllowPickle,
    ModelName,
    Strict,
    Text,
    TextPair,
    Truncation,
    ViewFile,
    command_line,
    head_names,
    load,
    page_out,
    show_notices,
    token_at,
    view_out,
    writing,
)
from introspect.errors import InputError


class ViewKind(StrEnum):
    """The views that ``introspect view`` can write."""

    head = "head"
    model = "model"
    layer = "layer"
    neuron = "neuron"
    steps = "steps"
    heatmap = "heatmap"


@writing(page_out)
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
    truncation: Truncation = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Write an interactive report on one text, and print what it found."""
    _check_case_options(pronoun, antecedent, distractor)
    import introspect as ix

    subject: Any = text if text_pair is None else (text, text_pair)
    if pronoun is not None:
        subject = ix.CorefCase.from_words(
            text, pronoun=pronoun, antecedent=antecedent, distractors=distractor or ()
        )
    loaded = load(model, allow_pickle=allow_pickle, strict=strict)
    study = ix.coreference_study(loaded, [subject], truncation=truncation)
    result = ix.report(study, command=command_line())
    path = result.save(out)
    show_notices(result.notices)
    typer.echo(result.finding)
    typer.echo(path)


def _check_case_options(
    pronoun: str | None, antecedent: str | None, distractor: list[str] | None
) -> None:
    if pronoun is None and (antecedent is not None or distractor):
        raise InputError("Expected --pronoun beside --antecedent and --distractor. Add it.")
    if pronoun is not None and antecedent is None:
        raise InputError("Expected --antecedent beside --pronoun: what it refers to. Add it.")


@writing(view_out)
def view(
    kind: Annotated[ViewKind, typer.Argument(help="Which view.")],
    text: Text,
    text_pair: TextPair = None,
    layer: Annotated[
        int | None, typer.Option(help="The layer to show first, from 0, where no head is named.")
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            help="A head to show first: L3H1; repeatable. The pages of the neuron and steps views "
            "hold those that are named. For the layer view a number: 1."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="A token to pin: a word, it#2 for the second one, or a number from 0."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="What to show first: raw; norm, residual_norm, rollout, flow, alti; of the head "
            "view also renormalized."
        ),
    ] = "raw",
    model: ModelName = "minilm",
    out: ViewFile = Path("view.html"),
    truncation: Truncation = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Write one interactive view."""
    _check_view_options(kind, layer, head or [], token, weights)
    heads: list[Any] = head or []
    if kind is not ViewKind.layer:
        heads = head_names(layer, heads)
    elif heads and heads[0].isdecimal():
        heads = [int(heads[0])]
    from introspect.models import load_text
    from introspect.records import parts_of
    from introspect.views import parts_of_view, view_by_name

    parts = parts_of(weights, ("raw", "renormalized") if kind is ViewKind.head else ("raw",))
    loaded = load_text(load(model, allow_pickle=allow_pickle, strict=strict))
    include = (*parts_of_view(kind.value), *parts)
    record = loaded.capture(text, text_pair, truncation=truncation, include=include)
    result = view_by_name(
        kind.value,
        record,
        layer=layer,
        heads=heads,
        token=token_at(record.queries, token),
        weights=weights,
    )
    show_notices(record.notices)
    typer.echo(result.save(out))


def _check_view_options(
    kind: ViewKind, layer: int | None, heads: list[str], token: str | None, weights: str
) -> None:
    """Raise on options that a view would ignore."""
    if kind is ViewKind.model and (token is not None or heads or layer is not None):
        raise InputError(
            "Expected no --layer, --head or --token for the model view: it shows every head. "
            "Leave them out, or write the head view."
        )
    if kind in (ViewKind.layer, ViewKind.heatmap) and len(heads) > 1:
        raise InputError(
            f"Expected one --head for the {kind} view, got {len(heads)}. Name one of them."
        )
    if kind is ViewKind.layer and (layer is not None or any(not h.isdecimal() for h in heads)):
        raise InputError(
            "Expected no --layer for the layer view, and a number as --head: it shows that head of "
            "every layer. Give for example --head 1."
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


@writing(view_out)
def compare(
    text_a: Annotated[str, typer.Argument(help="A text.")],
    text_b: Annotated[
        str | None, typer.Argument(help="Another text; the same one by default.")
    ] = None,
    model: ModelName = "minilm",
    model_a: Annotated[str | None, typer.Option(help="The model of the first text.")] = None,
    model_b: Annotated[str | None, typer.Option(help="The model of the second text.")] = None,
    layer: Annotated[
        int | None, typer.Option(help="The layer to show first, from 0, where no head is named.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="The head to show first: L3H1.")] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="A token of the first text: a word, it#2 for the second one, or a number from 0."
        ),
    ] = None,
    out: ViewFile = Path("compare.html"),
    truncation: Truncation = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Show two texts, or two models on one text, side by side with their difference."""
    names = (model_a or model, model_b or model)
    if text_b in (None, text_a) and names[0] == names[1]:
        raise InputError(
            "Expected a second text, or --model-a and --model-b that differ, got one text and one "
            "model. Name what to compare with."
        )
    import introspect as ix
    from introspect.models import load_text

    loaded = {
        name: load_text(load(name, allow_pickle=allow_pickle, strict=strict))
        for name in dict.fromkeys(names)
    }
    texts = (text_a, text_a if text_b is None else text_b)
    records = [
        loaded[name].capture(text, truncation=truncation)
        for name, text in zip(names, texts, strict=True)
    ]
    result = ix.compare_view(
        *records,
        layer=layer,
        head=None if head is None else head_names(layer, [head])[0],
        token=token_at(records[0].queries, token),
        labels=names if names[0] != names[1] else ("A", "B"),
    )
    for record in records:
        show_notices(record.notices)
    typer.echo(result.save(out))


def index(
    folder: Annotated[Path, typer.Argument(help="The folder that the reports are in.")],
) -> None:
    """List the reports and views of a folder on a page, index.html."""
    import introspect as ix

    typer.echo(ix.report_index(folder))

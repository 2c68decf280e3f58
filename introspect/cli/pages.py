"""Commands that write a page: a report, a view, a comparison, and a folder's index."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from introspect.cli.shared import (
    AllowPickle,
    AtlasFolder,
    ModelName,
    Strict,
    Text,
    TextPair,
    Truncation,
    ViewFile,
    atlas_in,
    command_line,
    head_names,
    load,
    load_if_asked,
    page_out,
    show_notices,
    token_at,
    view_out,
    writing,
)
from introspect.errors import CaptureError, InputError, IntrospectError


class ViewKind(StrEnum):
    """The views that ``introspect view`` can write."""

    head = "head"
    model = "model"
    layer = "layer"
    neuron = "neuron"
    steps = "steps"
    heatmap = "heatmap"
    flow = "flow"
    playback = "playback"
    coreference = "coreference"
    image = "image"
    audio = "audio"
    evolution = "evolution"


#: Views that show how weights are made, or raw ones only.
NO_WEIGHTS = (
    ViewKind.neuron,
    ViewKind.steps,
    ViewKind.coreference,
    ViewKind.image,
    ViewKind.audio,
    ViewKind.evolution,
    ViewKind.playback,
)


@writing(page_out)
def report(
    text: Text,
    text_pair: TextPair = None,
    pronoun: Annotated[
        str | None, typer.Option(help="The pronoun; it#2 means the second one.")
    ] = None,
    antecedent: Annotated[str | None, typer.Option(help="Word that the pronoun refers to.")] = None,
    distractor: Annotated[
        list[str] | None,
        typer.Option(help="Word that it might refer to; repeatable."),
    ] = None,
    model: ModelName = "minilm",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    atlas: AtlasFolder = None,
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
    known = atlas_in(atlas, out.parent)
    loaded = load(model, allow_pickle=allow_pickle, strict=strict)
    study = ix.coreference_study(loaded, [subject], truncation=truncation)
    result = ix.report(study, atlas=known, command=command_line())
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
    view: Annotated[ViewKind, typer.Argument(help="View to write.")],
    text: Annotated[
        str,
        typer.Argument(
            help="The text that the model reads; for image the picture’s file, for audio a WAV "
            "file."
        ),
    ],
    text_pair: TextPair = None,
    layer: Annotated[
        int | None, typer.Option(help="The layer to show first, from 0, where no head is named.")
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            help="A head to show first: L3H1; repeatable. The pages of the neuron and steps views "
            "hold those that are named. The layer view takes a number too: 1."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="The word that attends, to show first: a word, it#2 for the second one, or a "
            "number from 0."
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The text that the decoder of an encoder-decoder reads.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Kind of attention of an encoder-decoder: encoder, decoder or cross."),
    ] = None,
    generate: Annotated[
        int | None,
        typer.Option(min=1, help="Number of tokens to generate after the text."),
    ] = None,
    pronoun: Annotated[
        str | None, typer.Option(help="Pronoun of the coreference view; it#2 means the second one.")
    ] = None,
    antecedent: Annotated[
        str | None, typer.Option(help="Word that the pronoun refers to, for the coreference view.")
    ] = None,
    distractor: Annotated[
        list[str] | None,
        typer.Option(help="Word that it might refer to, likewise; repeatable."),
    ] = None,
    checkpoint: Annotated[
        list[str] | None,
        typer.Option(help="Model at a later time than --model, for evolution; repeatable."),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Weights to show first: raw; norm, residual_norm, rollout, flow, alti; of the "
            "head view also renormalized; of the flow view alti, residual_norm, rollout or "
            "even_rollout."
        ),
    ] = "raw",
    model: ModelName = "minilm",
    out: ViewFile = Path("view.html"),
    truncation: Truncation = False,
    allow_pickle: AllowPickle = False,
    strict: Strict = True,
) -> None:
    """Write one interactive view."""
    _check_case_options(pronoun, antecedent, distractor)
    _check_view_options(view, head or [], weights)
    case = {"--pronoun": pronoun}
    pictures = {"--target": target, "--kind": kind, "--generate": generate, "--token": token}
    _check_only(view, ViewKind.coreference, case)
    _check_only(view, ViewKind.evolution, {"--checkpoint": checkpoint or None})
    if view is ViewKind.image:
        _check_none(view, {**pictures, "a second text": text_pair})
    if view is ViewKind.audio:
        _check_none(view, {"a second text": text_pair})
    from introspect.models import load_text
    from introspect.records import parts_of
    from introspect.views import parts_of_view, parts_wished, view_by_name

    heads = _heads_of(view, layer, head or [])
    given: dict[str, Any] = {"allow_pickle": allow_pickle, "strict": strict}
    if view is ViewKind.playback and generate is None:
        loaded = load_if_asked(model, **given)
    else:
        # Only a model with its LM head can write.
        given["lm_head"] = generate is not None
        loaded = load(model, **given)
    _check_writes(loaded, generate)
    if view is ViewKind.image:
        record = _pictured(loaded).capture(text)
        result: Any = _image(loaded, record, text, layer, heads)
        show_notices(record.notices)
        typer.echo(result.save(out))
        return
    if view is ViewKind.audio:
        result = _audio(loaded, text, target, kind, generate, layer, heads, token)
        show_notices(result.record.notices)
        typer.echo(result.save(out))
        return
    own = ("raw", "renormalized") if view is ViewKind.head else ("raw",)
    name: Any = view.value
    options: dict[str, Any] = {
        "target": target,
        "kind": kind,
        "generate": generate or False,
        "truncation": truncation,
        "include": (*parts_of_view(name), *parts_of(weights, own)),
    }
    wished = () if generate else parts_wished(name)
    record = _captured(load_text(loaded), text, text_pair, wished, options)
    place = token_at(record.queries, token)
    if view is ViewKind.coreference:
        result = _coreference(record, text, pronoun, antecedent, distractor, layer, heads)
    elif view is ViewKind.evolution:
        later = (load(name, **given) for name in checkpoint or ())
        records = [record, *(load_text(each).capture(text, text_pair, **options) for each in later)]
        result = _evolution(records, layer, heads)
    elif view is ViewKind.playback:
        result = _playback(loaded, record, text, layer, heads, is_written=bool(generate))
    else:
        result = view_by_name(name, record, layer=layer, heads=heads, token=place, weights=weights)
    show_notices(record.notices)
    typer.echo(result.opening(token=place).save(out))


def _check_writes(model: Any, generate: int | None) -> None:
    if generate is not None and not getattr(model, "has_unembedding", True):
        raise InputError(
            f"Expected a model with an LM head for --generate, got {model.name}: it writes no "
            "text. Name another with --model, or leave --generate out."
        )


def _heads_of(view: ViewKind, layer: int | None, heads: list[str]) -> list[Any]:
    """Return the heads that are named; the layer view takes a number too, in every layer."""
    if view is ViewKind.layer and heads and heads[0].isdecimal():
        return [int(heads[0])]
    return list(head_names(layer, heads))


def _captured(
    loaded: Any,
    text: str,
    text_pair: str | None,
    wished: Sequence[str],
    options: dict[str, Any],
) -> Any:
    """Capture with the parts that a view wishes for; without them where the model has none."""
    if wished:
        include = (*options["include"], *wished)
        with suppress(CaptureError):
            return loaded.capture(text, text_pair, **{**options, "include": include})
    return loaded.capture(text, text_pair, **options)


def _playback(
    model: Any, record: Any, text: str, layer: int | None, heads: list[Any], *, is_written: bool
) -> Any:
    """Build the playback view, with the likeliest tokens where the model predicts any."""
    import introspect as ix
    from introspect.studies.lens import readings_after

    options: dict[str, Any] = {
        # What an encoder-decoder writes begins with its first token.
        "prompt": text if is_written and record.kind == "self" else None,
        "layer": layer,
        "head": heads[0] if heads else None,
    }
    # What cannot be played is refused before anything else is computed.
    view = ix.playback_view(record, **options)
    try:
        return ix.playback_view(record, **options, lens=readings_after(model, record, text=text))
    except IntrospectError as error:
        show_notices((f"The likeliest next tokens are not shown. {error}",))
        return view


def _pictured(loaded: Any) -> Any:
    """Return a model that reads pictures."""
    if not hasattr(loaded, "picture"):
        raise InputError(
            f"Expected a model that reads pictures for the image view, got {loaded.name}. Name one "
            "with --model, or write another view."
        )
    return loaded


def _image(loaded: Any, record: Any, file: str, layer: int | None, heads: list[Any]) -> Any:
    import introspect as ix

    head = heads[0] if heads else None
    return ix.image_view(record, loaded.picture(file), layer=layer, head=head)


def _audio(
    loaded: Any,
    file: str,
    target: str | None,
    kind: str | None,
    generate: int | None,
    layer: int | None,
    heads: list[Any],
    token: str | None,
) -> Any:
    """Build the sound view; a text that the model writes itself is its target."""
    import introspect as ix

    if not isinstance(loaded, ix.AudioModel):
        raise InputError(
            f"Expected a model that reads sound for the audio view, got {loaded.name}. Name one "
            "with --model, or write another view."
        )
    if generate is not None:
        _check_none(ViewKind.audio, {"--target beside --generate": target})
        target = loaded.transcript(file, max_new_tokens=generate)
    record = loaded.capture(file, target=target, kind=kind)
    head = heads[0] if heads else None
    word = None if token is None else token_at(record.queries, token)
    return ix.audio_view(record, loaded.waveform(file), layer=layer, head=head, token=word)


def _coreference(
    record: Any,
    text: str,
    pronoun: str | None,
    antecedent: str | None,
    distractors: list[str] | None,
    layer: int | None,
    heads: list[Any],
) -> Any:
    import introspect as ix

    if pronoun is None:
        raise InputError(
            "Expected --pronoun and --antecedent for the coreference view. Add them, for example "
            "--pronoun it --antecedent animal."
        )
    case = ix.CorefCase.from_words(
        text, pronoun=pronoun, antecedent=antecedent, distractors=distractors or ()
    )
    head = heads[0] if heads else None if layer is None else _best_of(record, case, layer)
    return ix.coreference_view(record, case, head=head)


def _best_of(record: Any, case: Any, layer: int) -> Any:
    """Return the head of a layer that gives the antecedent most: the view shows every layer."""
    from introspect.records import Head
    from introspect.studies.coreference import CapturedText
    from introspect.views import layer_row

    layer_row(record, layer)
    pointing = CapturedText(case, record).pointing
    ranked = () if pointing is None else (each.head for each in pointing.ranked())
    return next((head for head in ranked if head.layer == layer), Head(layer, 0))


def _evolution(records: list[Any], layer: int | None, heads: list[Any]) -> Any:
    import introspect as ix

    if len(records) < 2:
        raise InputError(
            "Expected a --checkpoint for the evolution view, got one model alone. Name the same "
            "model at later times, each with --checkpoint."
        )
    head = heads[0] if heads else None
    return ix.evolution_view(records, layer=layer, head=head, unit="checkpoint")


def _check_only(view: ViewKind, owner: ViewKind, options: dict[str, Any]) -> None:
    """Raise on options that belong to another view."""
    for name, value in options.items():
        if value is not None and view is not owner:
            raise InputError(
                f"Expected no {name} for the {view} view: it is of the {owner} view. Leave it out."
            )


def _check_none(view: ViewKind, options: dict[str, Any]) -> None:
    """Raise on options that a view cannot take."""
    for name, value in options.items():
        if value is not None:
            raise InputError(f"Expected no {name} for the {view} view. Leave it out.")


def _check_view_options(kind: ViewKind, heads: list[str], weights: str) -> None:
    """Raise on options that a view would ignore."""
    several = (ViewKind.head, ViewKind.model, ViewKind.neuron, ViewKind.steps)
    if kind not in several and len(heads) > 1:
        raise InputError(
            f"Expected one --head for the {kind} view, got {len(heads)}. Name one of them."
        )
    if kind in NO_WEIGHTS and weights != "raw":
        raise InputError(
            f"Expected no --weights for the {kind} view: it shows raw weights. Leave it out."
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

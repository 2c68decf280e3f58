"""Plans of the run that computes the attention or the output for a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.functional import are_shares
from introspect.hooks import (
    accepted,
    attention_layout,
    check_positions,
    has_own_attention,
    is_encoder_decoder,
    words_kind,
)
from introspect.models.inputs import EncodedText
from introspect.records import (
    KINDS,
    AttentionRecord,
    Kind,
    TokenSequence,
    is_kind,
    notices_of_weights,
)

if TYPE_CHECKING:
    from introspect.hooks import Captured


Inputs = Mapping[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class RunPlan:
    """One run of a model on a text.

    Args:
        module: the part of the model to run: all of it, or the encoder of an encoder-decoder that
            writes nothing.
        inputs: its inputs, each with a batch size of one.
        kind: the requested kind of attention.
        source: the text that is read.
        written: the text that an encoder-decoder writes; ``None`` if there is none.
    """

    module: nn.Module
    inputs: dict[str, torch.Tensor]
    kind: Kind
    source: EncodedText
    written: EncodedText | None = None

    @property
    def queries(self) -> EncodedText:
        """The side that attends."""
        if self.written is not None and self.kind in ("decoder", "cross"):
            return self.written
        return self.source

    @property
    def keys(self) -> EncodedText:
        """The side that is attended to."""
        if self.written is not None and self.kind == "decoder":
            return self.written
        return self.source

    @property
    def tokens(self) -> TokenSequence:
        """The tokens that the output has a row for."""
        return (self.source if self.written is None else self.written).tokens


def kinds_of(module: nn.Module) -> tuple[Kind, ...]:
    """Return the kinds of attention of a model: first that over the text that it reads."""
    if is_encoder_decoder(module):
        return ("encoder", "decoder", "cross")
    return (words_kind(module),)


def reader_of(module: nn.Module) -> nn.Module:
    """Return the part of a model that reads a text: of an encoder-decoder its encoder, or all."""
    return module.get_encoder() if is_encoder_decoder(module) else module  # type: ignore[operator]


def plan_run(
    module: nn.Module, kind: Kind, source: EncodedText, written: EncodedText | None
) -> RunPlan:
    """Choose the part of a model to run for a kind of attention, and the inputs that it takes."""
    if kind == "encoder" and written is None:
        module = reader_of(module)
    inputs = run_inputs(module, source.inputs, None if written is None else written.inputs)
    return RunPlan(module, inputs, kind, source, written)


def run_inputs(
    module: nn.Module, read: Inputs, written: Inputs | None = None
) -> dict[str, torch.Tensor]:
    """Return the inputs that a model or its encoder takes for texts, and for what it writes.

    Raises:
        CaptureError: the model reads more than the tokens of the texts.
    """
    check_positions(module)
    inputs = dict(read)
    if written is not None:
        names = [name for name in ("input_ids", "attention_mask") if name in written]
        inputs |= {f"decoder_{name}": written[name] for name in names}
    taken = accepted(module, inputs)
    mask = inputs.get("attention_mask")
    if mask is not None and has_own_attention(module) and not bool(mask.all()):
        _check_padding(module)
    return taken


def _check_padding(module: nn.Module) -> None:
    """Raise an error for a module of the caller's own that would read padding as text.

    Raises:
        CaptureError: what it reads depends on padding, which its mask, if any, does not hide.
    """
    if attention_layout(module).reads_ahead:
        raise CaptureError(
            f"Expected texts of one length, as {type(module).__name__} takes no attention_mask "
            "that leaves out padding, got several. Let its forward take attention_mask and heed "
            "it, or give texts of one length."
        )


def mask_of(inputs: Mapping[str, Any], kind: Kind) -> torch.Tensor | None:
    """Return the attention mask of the tokens that attend, ``(batch, length)``, if there is one."""
    if kind in ("decoder", "cross"):
        mask = inputs.get("decoder_attention_mask")
    else:
        # The patches of a picture are no tokens, so the mask of those says nothing of them.
        mask = inputs.get("attention_mask") if kind in (*KINDS, "text") else None
    return mask if torch.is_tensor(mask) else None


def checked_kind(
    kind: Kind | None,
    *,
    name: str,
    kinds: Sequence[Kind],
    has_target: bool,
    generates: bool = False,
) -> Kind:
    """Return the requested kind of attention, or the default kind.

    Args:
        kind: the requested kind; ``None`` for the default.
        name: the model's name, for errors.
        kinds: the kinds of attention that the model has.
        has_target: whether the text that it writes is given.
        generates: whether it generates the text itself.

    Raises:
        SelectionError: the model has no attention of this kind, or there is no target for it.
    """
    if kind is not None and not is_kind(kind):
        raise SelectionError(f"Expected `kind` as one of {', '.join(KINDS)}, got {kind!r}.")
    if len(kinds) == 1:
        if kind is not None and kind not in KINDS and kind != kinds[0]:
            raise SelectionError(
                f"Expected kind={kinds[0]!r} for a text, got {kind!r}: {name} reads no picture "
                "here. Hand both to ix.capture(model.module, inputs, kind=…), as its processor "
                "makes them."
            )
        if has_target or kind not in (None, "self", kinds[0]):
            raise SelectionError(
                f"Expected an encoder-decoder for `target` or kind={kind!r}, but {name} "
                "is none: it has self-attention only. Leave both out."
            )
        return kinds[0]
    if kind not in (None, *kinds):
        raise SelectionError(
            f"Expected kind as encoder, decoder or cross, got {kind!r}: {name} is an "
            "encoder-decoder and has three kinds of attention."
        )
    writes = generates or has_target
    kind = kind or ("cross" if writes else "encoder")
    if kind != "encoder" and not writes:
        raise SelectionError(
            f"Expected a target for {kind} attention: the text that {name} writes. "
            "Give it with target='…', or let the model write with generate=True."
        )
    return kind


class Named(Protocol):
    """A model with what a certificate says of it."""

    @property
    def name(self) -> str:
        """Return the name to report."""

    @property
    def revision(self) -> str | None:
        """Return the commit on the hub, or a digest of the weights."""

    @property
    def unused(self) -> str:
        """Return the weights of its checkpoint that it does not use."""


def signed(record: AttentionRecord, model: Named, reader: Any) -> AttentionRecord:
    """Return a record whose certificate names the model and what reads for it.

    Args:
        record: the record.
        model: the model that it was captured in.
        reader: its tokenizer or processor.
    """
    certificate = replace(
        record.certificate,
        unused="; ".join(filter(None, (model.unused, record.certificate.unused))),
        model=model.name,
        revision=model.revision,
        tokenizer=type(reader).__name__,
    )
    return replace(record, certificate=certificate)


def make_record(
    captured: Captured,
    kind: Kind,
    *,
    queries: TokenSequence,
    keys: TokenSequence,
    name: str,
    parts: Sequence[str] = (),
    notices: Sequence[str] = (),
) -> AttentionRecord:
    """Build the record of the only item of a batch.

    Args:
        captured: the results of the run.
        kind: the kind of attention.
        queries: the tokens that attend.
        keys: the tokens attended to.
        name: the model's name, for errors.
        parts: the other parts to include besides the attention.
        notices: notices for the reader.

    Raises:
        CaptureError: the run has no such attention or part, or its shape does not match the tokens.
    """
    if kind not in captured.attentions:
        raise CaptureError(
            f"Expected {kind} attention from {name}, got only "
            f"{', '.join(captured.attentions)}. Ask for one of those with `kind`."
        )
    attentions = stacked(captured.attentions[kind])
    if attentions.shape[2:] != (len(queries), len(keys)):
        raise not_whole(name, kind, (len(queries), len(keys)), attentions.shape[2:])
    lacking = [part for part in parts if kind not in getattr(captured, part)]
    if lacking:
        raise CaptureError(
            f"Expected {', '.join(lacking)} of the {kind} attention of {name}, but there is none: "
            "what is added to attention to another text is a state of its own token, which is none "
            "of the keys. Take 'value_norms', or another `kind`."
        )
    layers = tuple(captured.layers[kind])
    masks = [mask[0, 0].cpu() for mask in captured.visible.get(kind, ())]
    # Some layers may say nothing of their mask; selected rows have none of their own here.
    is_known = [mask.shape for mask in masks] == [attentions.shape[2:]] * len(layers)
    if not are_shares(attentions):
        notices = [*notices, *notices_of_weights(attentions, layers)]
    return AttentionRecord(
        attentions=attentions,
        parts={part: stacked(getattr(captured, part)[kind]) for part in parts},
        queries=queries,
        keys=keys,
        kind=kind,
        layers=layers,
        visible=torch.stack(masks) if is_known else None,
        certificate=captured.certificate,
        notices=tuple(dict.fromkeys(notices)),
    )


def not_whole(
    name: str, kind: str, expected: tuple[int, int], shape: Sequence[int]
) -> CaptureError:
    """Return the error of attention that is not over all of its tokens."""
    return CaptureError(
        f"Expected {kind} attention over {expected[0]} × {expected[1]} tokens from {name}, got "
        f"{tuple(shape)}: it attends within windows or blocks and returns only those. Use "
        "introspect.capture to have them as they are."
    )


def stacked(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack the layers of the only item of the batch to ``(num_layers, heads, ...)``.

    Raises:
        CaptureError: the layers have different shapes.
    """
    shapes = {tuple(layer.shape[1:]) for layer in layers}
    if len(shapes) > 1:
        raise CaptureError(
            f"Expected layers of one shape, got {sorted(shapes)}: some layers have other heads or "
            "see other tokens. Capture them apart with `layers`."
        )
    return torch.stack([layer[0].float().cpu() for layer in layers])

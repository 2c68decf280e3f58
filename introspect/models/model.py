"""A model and its tokenizer, asked for the attention of a text."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError, ModelError, SelectionError
from introspect.hooks import capture, verify
from introspect.models.encoding import Encoded, encode, encode_target, length_limit
from introspect.records import KINDS, AttentionRecord, TokenSequence

__all__ = ["Model"]


@dataclass(frozen=True, eq=False)
class Model:
    """A transformers module with its tokenizer.

    Args:
        module: the transformers model itself.
        tokenizer: its fast tokenizer itself.
        name: what to call it: hub id or folder.
        revision: commit of the hub, or digest of the weights.

    Raises:
        ModelError: the tokenizer is not a fast one; only those know character offsets.
    """

    module: nn.Module
    tokenizer: Any
    name: str = "model"
    revision: str | None = None
    # A fast tokenizer keeps its truncation setting in one shared object.
    _tokenizer_lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if not getattr(self.tokenizer, "is_fast", False):
            raise ModelError(
                f"Expected a fast tokenizer for {self.name}, got {type(self.tokenizer).__name__}: "
                "only fast ones know which characters a token stands for. Load it with "
                "AutoTokenizer.from_pretrained, or convert it to tokenizer.json."
            )

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model reads one text and writes another (T5, BART)."""
        return bool(getattr(getattr(self.module, "config", None), "is_encoder_decoder", False))

    def capture(
        self,
        text: str,
        text_pair: str | None = None,
        *,
        target: str | None = None,
        kind: str | None = None,
        include: Sequence[str] = ("attentions",),
        layers: Sequence[int] | None = None,
        truncation: bool = False,
        certify: bool = False,
    ) -> AttentionRecord:
        """The attention of every layer and head for one text.

        Args:
            text: what the model reads.
            text_pair: a second text, for models that read pairs.
            target: what an encoder-decoder writes.
            kind: for encoder-decoders ``encoder`` (the default without a target), ``decoder`` or
                ``cross`` (the default with one).
            include: parts to keep beside the attention: ``scores``, ``queries``, ``keys``,
                ``values``, ``head_outputs``; they are in ``record.parts``.
            layers: only these layers, by the model's own numbers.
            truncation: cut a text that is too long for the model, and say so in ``notices``.
            certify: run the model twice more, to put into the certificate how far the capture is
                from the attention that the model returns itself.

        Raises:
            TextError: an empty text, or one longer than the model reads.
            SelectionError: a layer or kind that the model does not have.
            CaptureError: the model's attention cannot be observed.
        """
        kind = self._checked_kind(kind, target)
        with self._tokenizer_lock:
            source = self._encode(text, text_pair, truncation=truncation)
            written = None if target is None else self._encode_target(target, truncation)
        module, inputs = self._run_plan(kind, source, written)
        wanted = (include,) if isinstance(include, str) else tuple(include)
        captured = capture(module, inputs, ("attentions", *wanted), layers=layers)
        certificate = verify(module, inputs, captured) if certify else captured.certificate
        found = kind if kind in captured.attentions else "self"
        if found not in captured.attentions and layers is not None:
            raise SelectionError(
                f"Expected `layers` that the {kind} attention of {self.name} has, got "
                f"{list(layers)}. Layers of each kind are numbered from 0."
            )
        if found not in captured.attentions:
            raise CaptureError(
                f"Expected {kind} attention from {self.name}, got only "
                f"{', '.join(captured.attentions)}. Ask for one of those with `kind`."
            )
        queries = written if written is not None and kind in ("decoder", "cross") else source
        keys = written if written is not None and kind == "decoder" else source
        attentions = _stacked(captured.attentions[found])
        if attentions.shape[2:] != (len(queries.tokens), len(keys.tokens)):
            raise CaptureError(
                f"Expected {kind} attention over {len(queries.tokens)} × {len(keys.tokens)} tokens "
                f"from {self.name}, got {tuple(attentions.shape[2:])}: it attends within windows "
                "or blocks and returns only those. Use introspect.capture to have them as they are."
            )
        return AttentionRecord(
            attentions=attentions,
            parts={
                name: _stacked(getattr(captured, name)[found])
                for name in wanted
                if name != "attentions"
            },
            queries=queries.tokens,
            keys=keys.tokens,
            kind=kind,
            layers=tuple(captured.layers[found]),
            certificate=replace(
                certificate,
                model=self.name,
                revision=self.revision,
                tokenizer=type(self.tokenizer).__name__,
            ),
            notices=tuple(dict.fromkeys(queries.notices + keys.notices)),
        )

    def tokens(self, text: str, *, truncation: bool = False) -> TokenSequence:
        """The tokens the model reads for ``text``, without running it."""
        with self._tokenizer_lock:
            return self._encode(text, None, truncation=truncation).tokens

    def _encode(self, text: str, text_pair: str | None, *, truncation: bool) -> Encoded:
        limit = length_limit(self.module, self.tokenizer)
        return encode(self.tokenizer, text, text_pair, limit=limit, truncation=truncation)

    def _encode_target(self, target: str, truncation: bool) -> Encoded:
        config: Any = self.module.config
        start_id = getattr(config, "decoder_start_token_id", None)
        if start_id is None:
            raise ModelError(
                f"Expected decoder_start_token_id in the configuration of {self.name}, which is "
                "what its decoder reads first. Set it to the id that the model was trained with."
            )
        return encode_target(
            self.tokenizer,
            target,
            start_id=start_id,
            limit=length_limit(self.module, self.tokenizer),
            truncation=truncation,
        )

    def _checked_kind(self, kind: str | None, target: str | None) -> str:
        if kind is not None and kind not in KINDS:
            raise SelectionError(f"Expected `kind` as one of {', '.join(KINDS)}, got {kind!r}.")
        if not self.is_encoder_decoder:
            if target is not None or kind not in (None, "self"):
                raise SelectionError(
                    f"Expected an encoder-decoder for `target` or kind={kind!r}, but {self.name} "
                    "is none: it has self-attention only. Leave both out."
                )
            return "self"
        if kind == "self":
            raise SelectionError(
                f"Expected kind as encoder, decoder or cross, got 'self': {self.name} is an "
                "encoder-decoder and has three kinds of attention."
            )
        kind = kind or ("encoder" if target is None else "cross")
        if kind != "encoder" and target is None:
            raise SelectionError(
                f"Expected a target for {kind} attention: the text that {self.name} writes. "
                "Give it with target='…'."
            )
        return kind

    def _run_plan(
        self, kind: str, source: Encoded, written: Encoded | None
    ) -> tuple[nn.Module, dict[str, torch.Tensor]]:
        """The part of the model to run, and those of the inputs that it takes."""
        module = self.module
        if kind == "encoder" and written is None:
            module = self.module.get_encoder()  # type: ignore[operator]
        inputs = dict(source.inputs)
        if written is not None:
            inputs["decoder_input_ids"] = written.inputs["input_ids"]
        taken = inspect.signature(module.forward).parameters
        return module, {name: value for name, value in inputs.items() if name in taken}


def _stacked(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """``(num_layers, heads, ...)`` of the only item of the batch."""
    shapes = {tuple(layer.shape[1:]) for layer in layers}
    if len(shapes) > 1:
        raise CaptureError(
            f"Expected layers of one shape, got {sorted(shapes)}: some layers have other heads or "
            "see other tokens. Capture them apart with `layers`."
        )
    return torch.stack([layer[0].float().cpu() for layer in layers])

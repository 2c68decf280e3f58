"""The run of a batch of texts through a model, whose attention analyzers see layer by layer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from introspect.errors import CaptureError
from introspect.hooks import Projection, RowsNotRecomputableError, find_projections, stream
from introspect.models import (
    BatchLimits,
    EncodedText,
    Model,
    is_out_of_memory,
    not_whole,
    num_heads_of,
    padded,
    taken,
)
from introspect.studies.analyzer import RowAnalyzer, Texts

__all__ = ["BatchRunner"]


class BatchRunner:
    """A model that runs batches of texts, and passes the attention of each layer to analyzers.

    After the first batch, a run ends with the last layer that is read. One runner may serve several
    threads.

    Args:
        model: the model; of an encoder-decoder, the encoder runs.
        layers: the layers to read, by the model's own numbers; all by default.
        limits: the limits on a batch; over that of weights, only rows are read where they suffice.
    """

    def __init__(
        self,
        model: Model,
        *,
        layers: tuple[int, ...] | None = None,
        limits: BatchLimits | None = None,
    ) -> None:
        self.model = model
        self.limits = limits or BatchLimits()
        self.num_heads = num_heads_of(model.module)
        self._layers = layers
        self._knows_layers = False
        self._projections: dict[tuple[str, int], Projection] | None = None

    def run(
        self, encoded: Sequence[EncodedText], items: Sequence[Any], analyzers: Sequence[Any]
    ) -> tuple[str, float | None]:
        """Run one batch through the analyzers; return the route and the largest error.

        Args:
            encoded: the texts.
            items: what each text comes with: a case, a sentence of a treebank, or ``None``.
            analyzers: batch analyzers.

        Raises:
            RuntimeError: the device has no memory left.
            CaptureError: the model's attention is not over the tokens of the texts.
        """
        texts = Texts(tuple(each.tokens for each in encoded), tuple(items))
        module, inputs = self._inputs(encoded)
        if any(map(_takes_norms, analyzers)) and self._projections is None:
            self._projections = find_projections(*self._inputs(encoded[:1]))
        by_rows = self._by_rows(texts, analyzers)
        try:
            return self._stream(module, inputs, texts, analyzers, by_rows=by_rows)
        except RowsNotRecomputableError:
            return self._stream(module, inputs, texts, analyzers, by_rows=False)

    def _by_rows(self, texts: Texts, analyzers: Sequence[Any]) -> bool:
        """Return whether to read only rows, because whole patterns would be too large."""
        weights = len(texts) * self.num_heads * texts.length**2
        is_of_rows = len(analyzers) == 1 and isinstance(analyzers[0], RowAnalyzer)
        is_too_large = weights > self.limits.weights
        return is_of_rows and is_too_large and not _takes_norms(analyzers[0])

    def _stream(
        self,
        module: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        texts: Texts,
        analyzers: Sequence[Any],
        *,
        by_rows: bool,
    ) -> tuple[str, float | None]:
        for analyzer in analyzers:
            analyzer.begin(texts)
        norms = (self._projections or {}) if any(map(_takes_norms, analyzers)) else {}

        def receive(kind: str, layer: int, parts: Mapping[str, torch.Tensor]) -> None:
            attentions = parts["attentions"]
            self._check_shape(kind, attentions, texts, by_rows="received" in parts)
            if "received" in parts:
                analyzers[0].see_rows(layer, attentions, parts["received"])
                return
            for analyzer in analyzers:
                if _takes_norms(analyzer):
                    analyzer.see(layer, attentions, norms[kind, layer].norms(parts["values"]))
                else:
                    analyzer.see(layer, attentions)

        layers, certificate = stream(
            module,
            inputs,
            receive,
            ("attentions", "values") if norms else ("attentions",),
            layers=self._layers,
            rows=analyzers[0].rows() if by_rows else None,
            counted=texts.is_token if by_rows else None,
        )
        _end(analyzers)
        if not self._knows_layers:
            # From now on, a run ends with the last layer that is read.
            (self._layers,) = (tuple(numbers) for numbers in layers.values())
            self._knows_layers = True
        return certificate.route, certificate.max_head_output_error

    def _check_shape(
        self, kind: str, attentions: torch.Tensor, texts: Texts, *, by_rows: bool
    ) -> None:
        shape = attentions.shape[-1:] if by_rows else attentions.shape[2:]
        if set(shape) != {texts.length}:
            raise not_whole(self.model.name, kind, (texts.length, texts.length), shape)

    def _inputs(self, encoded: Sequence[EncodedText]) -> tuple[torch.nn.Module, dict[str, Any]]:
        """Return the part of the model that reads and the inputs that it takes."""
        module: Any = self.model.module
        module = module.get_encoder() if self.model.is_encoder_decoder else module
        return module, taken(module, padded(self.model.tokenizer, encoded))

    @property
    def takes_mask(self) -> bool:
        """Whether texts of different lengths can run together."""
        return "attention_mask" in inspect.signature(self.model.module.forward).parameters


def _takes_norms(analyzer: Any) -> bool:
    """Return whether an analyzer asks for the norms of what each key adds."""
    return "value_norms" in getattr(analyzer, "parts", ())


def _end(analyzers: Iterable[Any]) -> None:
    """End a batch in every analyzer, so that it counts.

    Raises:
        CaptureError: there is no memory left, and some analyzers have already counted the batch;
            a second run would count it twice.
    """
    is_counted = False
    for analyzer in analyzers:
        try:
            analyzer.end()
        except (RuntimeError, MemoryError) as problem:
            if is_counted and is_out_of_memory(problem):
                raise CaptureError(
                    "Expected memory enough to add up a batch, but none is left. Give smaller "
                    "batches (--batch-size), or fewer analyzers at once."
                ) from problem
            raise
        is_counted = True

"""Records of many texts, which the model reads in batches of like length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import nn

from introspect.errors import TextError, naming
from introspect.hooks import Captured, capture, taken_by
from introspect.models.batches import BatchLimits, length_batches, num_heads_of
from introspect.models.inputs import EncodedText, Readable, padded
from introspect.models.run_plan import make_record, not_whole, run_inputs
from introspect.records import PARTS_BY_NAME, AttentionRecord, Kind

# Texts are sorted by length within a window: of so many batches, and of so many weights, which are
# 256 MB and what a reader may have to wait for.
_WINDOW_BATCHES = 16
_WINDOW_WEIGHTS = 1 << 26

Encode = Callable[[Sequence[Readable]], list[EncodedText | TextError]]


@dataclass(frozen=True)
class BatchCapture:
    """A capture of many texts, one record for each, in their order.

    Args:
        module: the part of the model that reads.
        tokenizer: its tokenizer.
        name: the model's name, for errors.
        kind: the kind of attention of the records.
        batch_size: the most texts in a batch.
        parts: what to keep besides the attention.
        layers: the layers to keep, by the model's own numbers; all by default.
    """

    module: nn.Module
    tokenizer: Any
    name: str
    kind: Kind
    batch_size: int
    parts: tuple[str, ...] = ()
    layers: tuple[int, ...] | None = None

    def records(self, texts: Iterable[Readable], encode: Encode) -> Iterator[AttentionRecord]:
        """Yield a record of each text; no more of them are kept than a window holds.

        Args:
            texts: the texts.
            encode: returns texts as the model reads them, or their errors.
        """
        waiting: list[EncodedText] = []
        for each in self._encoded(texts, encode):
            if waiting and not self._fits([*waiting, each]):
                yield from self._of_window(waiting)
                waiting = []
            waiting.append(each)
        yield from self._of_window(waiting)

    def _encoded(self, texts: Iterable[Readable], encode: Encode) -> Iterator[EncodedText]:
        """Yield each text as the model reads it, tokenizing a batch at a time."""
        given, number = iter(texts), 0
        while some := list(islice(given, self.batch_size)):
            for outcome in encode(some):
                number += 1
                with naming(f"Text {number}"):
                    if isinstance(outcome, TextError):
                        raise outcome
                yield outcome

    def _fits(self, window: Sequence[EncodedText]) -> bool:
        config: Any = getattr(self.module, "config", None)
        of_model = getattr(config, "num_hidden_layers", None) or 12
        num_layers = of_model if self.layers is None else len(self.layers)
        pairs = sum(len(each.tokens) ** 2 for each in window)
        weights = pairs * num_layers * num_heads_of(self.module)
        return len(window) <= _WINDOW_BATCHES * self.batch_size and weights <= _WINDOW_WEIGHTS

    def _of_window(self, window: Sequence[EncodedText]) -> Iterator[AttentionRecord]:
        """Yield the records of some texts, which run in batches of like length."""
        batches = length_batches(
            [len(each.tokens) for each in window],
            BatchLimits(texts=self.batch_size),
            num_heads=num_heads_of(self.module),
            alike="attention_mask" not in taken_by(self.module),
        )
        records: dict[int, AttentionRecord] = {}
        for batch in batches:
            records |= zip(batch, self._of_batch([window[i] for i in batch]), strict=True)
        for number in range(len(window)):
            yield records.pop(number)

    def _of_batch(self, encoded: Sequence[EncodedText]) -> list[AttentionRecord]:
        inputs = run_inputs(self.module, padded(self.tokenizer, encoded))
        captured = capture(self.module, inputs, ("attentions", *self.parts), layers=self.layers)
        kind = self.kind if self.kind in captured.attentions else "self"
        whole = (max(len(each.tokens) for each in encoded),) * 2
        for layer in captured.attentions[kind]:
            if tuple(layer.shape[2:]) != whole:
                raise not_whole(self.name, kind, whole, layer.shape[2:])
        return [self._record(captured, i, kind, each) for i, each in enumerate(encoded)]

    def _record(
        self, captured: Captured, item: int, kind: Kind, encoded: EncodedText
    ) -> AttentionRecord:
        """Return the record of one text of a batch, without the padding."""
        record = make_record(
            _alone(captured, item, len(encoded.tokens), ("attentions", *self.parts)),
            kind,
            queries=encoded.tokens,
            keys=encoded.tokens,
            name=self.name,
            parts=self.parts,
            notices=encoded.notices,
        )
        error = float((record.attentions.sum(-1) - 1).abs().max())
        certificate = replace(record.certificate, max_row_sum_error=error)
        return replace(record, kind=self.kind, certificate=certificate)


def _alone(captured: Captured, item: int, length: int, parts: Sequence[str]) -> Captured:
    """Return what was captured of one text of a batch."""
    alone: dict[str, Any] = {
        part: {
            kind: [_cut(part, layer[item : item + 1], length) for layer in layers]
            for kind, layers in getattr(captured, part).items()
        }
        for part in parts
    }
    masks = {
        kind: [
            mask[item % len(mask) : item % len(mask) + 1, :, :length, :length] for mask in layers
        ]
        for kind, layers in captured.visible.items()
    }
    return replace(captured, **alone, visible=masks)


def _cut(part: str, layer: torch.Tensor, length: int) -> torch.Tensor:
    """Leave out the padding of a part of one layer."""
    axes = ("batch", *PARTS_BY_NAME[part].axes)
    ends = (length if axis in ("query_len", "key_len") else None for axis in axes)
    return layer[tuple(slice(end) for end in ends)]

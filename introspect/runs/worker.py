"""The worker: one model with its options, which prepares shards and runs their batches."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from introspect.errors import CaptureError
from introspect.hooks.capture import find_projections, stream
from introspect.hooks.downstream.projection import Projection
from introspect.hooks.rows import RowsNotRecomputableError
from introspect.models import Model
from introspect.models.inputs import length_limit, padded
from introspect.runs.batches import Prepared, Segment, prepare
from introspect.runs.cache import Cache
from introspect.runs.options import Places, WorkerOptions, segmenter
from introspect.runs.rows import Shard
from introspect.studies.heads.analyzer import Texts

__all__ = ["Worker", "default_lanes", "is_out_of_memory", "one_thread"]

# Error messages of a device without memory left; torch has its own class only for accelerators.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
# More batches at once cost more memory than the time that they save is worth.
_MOST_LANES = 8


def default_lanes(model: Model) -> int:
    """Return how many batches run at once: on the CPU, one per available processor, up to 8."""
    if next(model.module.parameters()).device.type != "cpu":
        return 1
    return max(1, min(_MOST_LANES, torch.get_num_threads(), _processors()))


def _processors() -> int:
    """Return how many processors this process may use, as far as the system says."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = getattr(os, "process_cpu_count", os.cpu_count)()  # the first from Python 3.13 on
    return count or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, because each lane is a thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Worker:
    """A model with its options, for running shards.

    Args:
        model: the model.
        options: options for running a shard.
        places: the places that it writes to besides its shards.
        lanes: how many batches run at once. On the CPU each runs in one thread: limit torch to one
            (``torch.set_num_threads(1)``) meanwhile.
    """

    def __init__(
        self,
        model: Model,
        options: WorkerOptions,
        places: Places | None = None,
        *,
        lanes: int = 1,
    ) -> None:
        self.model = model
        self.lanes = lanes
        self.options = options
        self.places = places or Places()
        self.cache = None if self.places.cache is None else Cache(self.places.cache)
        self.limit = length_limit(model.module, model.tokenizer)
        self._segment: Segment | None = segmenter(options.segment)
        self._layers = options.layers
        self._knows_layers = False
        self._projections: dict[tuple[str, int], Projection] | None = None
        self.num_heads = _num_heads(model)

    def prepare(self, shard: Shard) -> Prepared:
        """Encode a shard; this may run in another thread beside the model."""
        return prepare(
            self.model,
            shard,
            limit=self.limit,
            segment=self._segment,
            long=self.options.long,
        )

    def attend(
        self, batch: Sequence[int], prepared: Prepared, analyzers: Mapping[str, Any]
    ) -> tuple[str, float | None]:
        """Run one batch through the analyzers; return the route and the largest error.

        Raises:
            RuntimeError: the device has no memory left.
        """
        encoded = [prepared.encoded[i] for i in batch]
        texts = Texts(
            tuple(each.tokens for each in encoded), tuple(prepared.rows[i].item for i in batch)
        )
        for analyzer in analyzers.values():
            analyzer.begin(texts)
        module, inputs = self._inputs(padded(self.model.tokenizer, encoded))
        by_rows = self._by_rows(texts, analyzers)
        if self.options.weights == "norm" and self._projections is None:
            alone = self._inputs(padded(self.model.tokenizer, encoded[:1]))
            self._projections = find_projections(*alone)
        try:
            return self._stream(module, inputs, texts, analyzers, by_rows=by_rows)
        except RowsNotRecomputableError:
            for analyzer in analyzers.values():
                analyzer.begin(texts)
            return self._stream(module, inputs, texts, analyzers, by_rows=False)

    def _by_rows(self, texts: Texts, analyzers: Mapping[str, Any]) -> bool:
        """Return whether to read only rows, because whole patterns would be too large."""
        weights = len(texts) * self.num_heads * texts.length**2
        is_of_rows = list(analyzers) == ["coreference"] and self._projections is None
        return is_of_rows and weights > self.options.limits.weights

    def _stream(
        self,
        module: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        texts: Texts,
        analyzers: Mapping[str, Any],
        *,
        by_rows: bool,
    ) -> tuple[str, float | None]:
        def receive(kind: str, layer: int, parts: Mapping[str, torch.Tensor]) -> None:
            if "received" in parts:
                analyzers["coreference"].see_rows(layer, parts["attentions"])
                analyzers["coreference"].see_received(parts["received"])
                return
            for name, analyzer in analyzers.items():
                if name == "coreference" and self._projections is not None:
                    norms = self._projections[kind, layer].norms(parts["values"])
                    analyzer.see(layer, parts["attentions"], norms)
                else:
                    analyzer.see(layer, parts["attentions"])

        layers, certificate = stream(
            module,
            inputs,
            receive,
            ("attentions",) if self._projections is None else ("attentions", "values"),
            layers=self._layers,
            rows=analyzers["coreference"].rows if by_rows else None,
            counted=texts.is_token if by_rows else None,
        )
        _end(analyzers.values())
        if not self._knows_layers:
            # From now on, a run ends with the last layer that is read.
            (self._layers,) = (tuple(found) for found in layers.values())
            self._knows_layers = True
        return certificate.route, certificate.max_head_output_error

    def _inputs(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.nn.Module, dict[str, Any]]:
        """Return the part of the model that reads and the inputs that it takes."""
        module: Any = self.model.module
        module = module.get_encoder() if self.model.is_encoder_decoder else module
        taken = inspect.signature(module.forward).parameters
        return module, {name: value for name, value in inputs.items() if name in taken}

    @property
    def takes_mask(self) -> bool:
        """Whether texts of different lengths can run together."""
        return "attention_mask" in inspect.signature(self.model.module.forward).parameters


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _OUT_OF_MEMORY)


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


def _num_heads(model: Model) -> int:
    """Return the heads per layer from the configuration, or 16; only batch sizes depend on it."""
    config: Any = getattr(model.module, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(config, "num_attention_heads", 0) or 16)

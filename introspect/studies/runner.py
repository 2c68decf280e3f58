"""The run of a batch of texts through a model, whose attention analyzers see layer by layer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import torch

from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.hooks import (
    Projection,
    RowsNotRecomputableError,
    find_projections,
    stream,
    taken_by,
)
from introspect.models import (
    BatchLimits,
    EncodedText,
    Model,
    StaticEmbeddings,
    is_out_of_memory,
    not_whole,
    num_heads_of,
    padded,
    run_inputs,
)
from introspect.studies.analyzer import RowAnalyzer, Texts


class NotFiniteError(CaptureError):
    """The attention of some texts of a batch is not finite, so that nothing can be counted.

    Args:
        places: their places in the batch.
        layer: the layer where that was seen.
    """

    def __init__(self, places: Sequence[int], layer: int) -> None:
        super().__init__(
            f"Expected finite attention, got NaN or infinite weights in layer {layer}, as where "
            "float16 overflows. Run the model in float32 or bfloat16, or leave the text out."
        )
        self.places = tuple(places)
        self.layer = layer

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.places, self.layer)


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
        self,
        encoded: Sequence[EncodedText],
        items: Sequence[Any],
        analyzers: Sequence[Any],
        ids: Sequence[str] = (),
    ) -> tuple[str, float | None]:
        """Run one batch through the analyzers; return the route and the largest error.

        Args:
            encoded: the texts.
            items: what each text comes with: a case, a sentence of a treebank, or ``None``.
            analyzers: batch analyzers.
            ids: the id of each text, where they have one.

        Raises:
            RuntimeError: the device has no memory left.
            NotFiniteError: the attention of some texts is not finite; nothing was counted.
            CaptureError: the model's attention is not over the tokens of the texts.
        """
        tokens = tuple(each.tokens for each in encoded)
        texts = Texts(tokens, tuple(items), self._embeddings, tuple(ids))
        module, inputs = self._inputs(encoded)
        if any(map(_takes_norms, analyzers)) and self._projections is None:
            self._projections = find_projections(*self._inputs(encoded[:1]))
        by_rows = self._by_rows(texts, analyzers)
        try:
            return self._stream(module, inputs, texts, analyzers, by_rows=by_rows)
        except RowsNotRecomputableError:
            return self._stream(module, inputs, texts, analyzers, by_rows=False)

    @cached_property
    def _embeddings(self) -> StaticEmbeddings | None:
        return StaticEmbeddings.of(self.model.module)

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
            by_rows = "received" in parts
            self._check_shape(kind, attentions, texts, by_rows=by_rows)
            # Every row is in what its keys receive.
            _check_finite(parts["received"] if by_rows else attentions, texts, layer)
            for analyzer in analyzers:
                more = {"visible": parts.get("visible")} if _takes_masks(analyzer) else {}
                if _takes_norms(analyzer):
                    more["value_norms"] = norms[kind, layer].norms(parts["values"])
                if by_rows:
                    analyzer.see_rows(layer, attentions, parts["received"], **more)
                else:
                    analyzer.see(layer, attentions, **more)

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
        module = self.model.reader
        return module, run_inputs(module, padded(self.model.tokenizer, encoded))

    @property
    def takes_mask(self) -> bool:
        """Return whether texts of different lengths can run together."""
        return "attention_mask" in taken_by(self.model.module)


def _check_finite(attentions: torch.Tensor, texts: Texts, layer: int) -> None:
    """Raise unless the weights of all texts are finite; rows of padding may be anything.

    Args:
        attentions: ``(batch, num_heads, length, length)``, or sums over the rows of tokens,
            ``(batch, num_heads, 1, length)``.
        texts: the texts.
        layer: the number of the layer, for the error.
    """
    if attentions.sum(dtype=torch.float32).isfinite():
        return
    finite = attentions.isfinite().all(-1).all(1)
    if finite.shape[1] > 1:
        finite |= ~texts.is_token.to(finite.device)
    if places := (~finite.all(1)).nonzero().flatten().tolist():
        raise NotFiniteError(places, layer)


def _takes_norms(analyzer: Any) -> bool:
    """Return whether an analyzer asks for the norms of what each key adds."""
    return "value_norms" in getattr(analyzer, "parts", ())


def _takes_masks(analyzer: Any) -> bool:
    """Return whether an analyzer wants to know which keys the mask lets a query see."""
    return bool(getattr(analyzer, "takes_masks", False))


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


Batch = list[int]
Result = TypeVar("Result")

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
    with Changes() as changes:
        changes.note(lambda: torch.set_num_threads(before))
        torch.set_num_threads(1)
        yield


def run_in_lanes(batches: Sequence[Batch], lanes: Sequence[Callable[[Batch], object]]) -> None:
    """Run each batch in the next free lane; after an error no further batch begins.

    Args:
        batches: the batches, short texts first.
        lanes: a function for each lane, which runs a batch.
    """
    waiting: SimpleQueue[Batch] = SimpleQueue()
    # Long batches first, so that in the end the other lanes wait only for a short one.
    for batch in reversed(batches):
        waiting.put(batch)
    if len(lanes) == 1:
        _work(lanes[0], waiting)
        return
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="introspect-lane") as threads:
        try:
            for running in [threads.submit(_work, lane, waiting) for lane in lanes]:
                running.result()
        except BaseException:  # Ctrl-C too: the block waits for the lanes
            _empty(waiting)
            raise


def _work(lane: Callable[[Batch], object], waiting: SimpleQueue[Batch]) -> None:
    """Run waiting batches until none is left."""
    while True:
        try:
            batch = waiting.get_nowait()
        except Empty:
            return
        try:
            lane(batch)
        except BaseException:
            _empty(waiting)  # the other lanes can stop
            raise


def _empty(waiting: SimpleQueue[Batch]) -> None:
    with suppress(Empty):
        while True:
            waiting.get_nowait()


def halving(
    batch: Batch,
    run: Callable[[Batch], Result],
    done: Callable[[Batch, Result], None],
    give_up: Callable[[int], None],
) -> int:
    """Run a batch, or its halves if there is not enough memory; return how often it was divided.

    Args:
        batch: the indices of its texts.
        run: runs a batch.
        done: takes the result of a batch that has run.
        give_up: is called with a text that is too large even alone.
    """
    try:
        result = run(batch)
    except (RuntimeError, MemoryError) as problem:
        if not is_out_of_memory(problem):
            raise
        # The frames in the traceback keep the tensors of the failed batch alive.
        problem.__traceback__ = None
    else:
        done(batch, result)
        return 0
    if len(batch) == 1:
        give_up(batch[0])
        return 1
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(batch) // 2
    return 1 + sum(halving(half, run, done, give_up) for half in (batch[:middle], batch[middle:]))


def no_memory_for(tokens: int) -> str:
    """Return the reason why a text of so many tokens cannot run."""
    return (
        f"Expected memory enough for a text of {tokens} tokens, but the device has none left. "
        "Use a device with more, or divide the text."
    )

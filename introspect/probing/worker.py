"""One model with its analyzers: a shard of rows becomes arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from introspect.analyzers.batches import Texts
from introspect.analyzers.case_columns import CaseColumns
from introspect.analyzers.coreference_batch import CaseBatches
from introspect.analyzers.registry import find_analyzer
from introspect.cases import Reject
from introspect.errors import CaptureError, SelectionError
from introspect.functional.coreference import MENTION_OPTIONS, Mention
from introspect.hooks.capturing import projections
from introspect.hooks.projection import Projection
from introspect.hooks.streaming import stream
from introspect.hooks.watchers import RowsNotRecomputableError
from introspect.mentions import CorefCase
from introspect.models import Model
from introspect.models.batching import padded
from introspect.models.encoding import length_limit
from introspect.probing.arrays import Arrays, pack, unpack
from introspect.probing.batches import BatchLimits, length_batches
from introspect.probing.cache import Cache, CacheOptions
from introspect.probing.preparing import Long, Prepared, Segment, prepare
from introspect.probing.rows import Shard
from introspect.probing.saving import Precision, Saver
from introspect.weighting import Weights, checked_weights

__all__ = ["ShardResult", "Worker", "WorkerOptions"]

# What a device says when it has no memory left; torch has a class of its own for accelerators only.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class WorkerOptions:
    """How a shard is run; all of it is part of the plan.

    Args:
        analyzers: names, as in the registry.
        mention: how the word pairs of two mentions become one number.
        weights: which are scored.
        segment: what divides texts into words; ``None`` for the package's own rule.
        layers: only these, by the model's own numbers.
        long: what becomes of a text that is longer than the model reads.
        saved: in which precision patterns are kept as well; ``None`` where they are not.
        limits: of a batch.
    """

    analyzers: tuple[str, ...] = ("coreference",)
    mention: Mention = "mean"
    weights: Weights = "raw"
    segment: str | None = None
    layers: tuple[int, ...] | None = None
    long: Long = "reject"
    saved: Precision | None = None
    limits: BatchLimits = field(default_factory=BatchLimits)

    def __post_init__(self) -> None:
        checked_weights(self.weights)
        for name, allowed in (("long", get_args(Long)), ("saved", (None, *get_args(Precision)))):
            if getattr(self, name) not in allowed:
                raise SelectionError(
                    f"Expected `{name}` as {' or '.join(map(str, allowed))}, got "
                    f"{getattr(self, name)!r}."
                )
        if self.mention not in MENTION_OPTIONS:
            raise SelectionError(
                f"Expected `mention` from {', '.join(MENTION_OPTIONS)}, got {self.mention!r}."
            )


@dataclass(frozen=True)
class Places:
    """Where a worker writes beside its shards; no result depends on it.

    Args:
        attention: the folder of saved patterns.
        cache: where results are kept for other sets.
    """

    attention: Path | None = None
    cache: CacheOptions | None = None


@dataclass(frozen=True, eq=False)
class ShardResult:
    """What a shard gave.

    Args:
        arrays: by analyzer and name, ``coreference/weights``.
        rejects: rows without a result.
        num_rows: rows with one.
        num_tokens: theirs.
        num_kept: rows whose results the cache had.
        backoffs: how often a batch was divided for want of memory.
        largest_error: how far weights × values were from the heads' outputs, at most.
        routes: how attention was had.
    """

    arrays: Arrays
    rejects: tuple[Reject, ...]
    num_rows: int
    num_tokens: int
    num_kept: int
    backoffs: int
    largest_error: float | None
    routes: tuple[str, ...]


class Worker:
    """Runs shards on one model.

    Args:
        model: the model.
        options: how a shard is run.
        places: where else it writes.
    """

    def __init__(self, model: Model, options: WorkerOptions, places: Places | None = None) -> None:
        self.model = model
        self.options = options
        self.places = places or Places()
        self.cache = None if self.places.cache is None else Cache(self.places.cache)
        self.limit = length_limit(model.module, model.tokenizer)
        self._segment: Segment | None = segmenter(options.segment)
        self._layers = options.layers
        self._knows_layers = False
        self._projections: dict[int, Projection] | None = None
        self.num_heads = _num_heads(model)

    def prepare(self, shard: Shard) -> Prepared:
        """Tokens of a shard; may run beside the model, in another thread."""
        return prepare(
            self.model,
            shard,
            limit=self.limit,
            segment=self._segment,
            long=self.options.long,
        )

    def run(self, prepared: Prepared) -> ShardResult:
        """Run a shard that was prepared."""
        return _Run(self, prepared).result()

    def attend(
        self, batch: Sequence[int], prepared: Prepared, analyzers: Mapping[str, Any]
    ) -> tuple[str, float | None]:
        """Run one batch and let the analyzers see it; the route, and the largest error.

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
            self._projections = projections(*alone)
        try:
            return self._stream(module, inputs, texts, analyzers, by_rows=by_rows)
        except RowsNotRecomputableError:
            for analyzer in analyzers.values():
                analyzer.begin(texts)
            return self._stream(module, inputs, texts, analyzers, by_rows=False)

    def _by_rows(self, texts: Texts, analyzers: Mapping[str, Any]) -> bool:
        """Whether only rows are read, of patterns too large to be made whole."""
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
                    norms = self._projections[layer].norms(parts["values"])
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
            # From now on a run ends with the last layer that is read.
            (self._layers,) = (tuple(found) for found in layers.values())
            self._knows_layers = True
        return certificate.route, certificate.max_head_output_error

    def _inputs(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.nn.Module, dict[str, Any]]:
        """The part of the model that reads, and what it takes."""
        module: Any = self.model.module
        module = module.get_encoder() if self.model.is_encoder_decoder else module
        taken = inspect.signature(module.forward).parameters
        return module, {name: value for name, value in inputs.items() if name in taken}

    @property
    def takes_mask(self) -> bool:
        """Whether texts of different lengths can run together."""
        return "attention_mask" in inspect.signature(self.model.module.forward).parameters


class _Run:
    """One shard on its way through the model."""

    def __init__(self, worker: Worker, prepared: Prepared) -> None:
        self._worker = worker
        self._prepared = prepared
        self._totals = new_analyzers(worker.options)
        self._analyzers = dict(self._totals)
        if worker.cache is not None:
            # What is kept of a text must be of that text alone.
            kinds = {name: type(one) for name, one in self._totals.items() if name != "coreference"}
            self._analyzers |= {name: PerText(kind) for name, kind in kinds.items()}
        if worker.options.saved is not None and worker.places.attention is not None:
            names = {
                id(e.tokens): r.id for e, r in zip(prepared.encoded, prepared.rows, strict=True)
            }
            index = prepared.shard.index
            saver = Saver(worker.places.attention, index, names, worker.options.saved)
            self._totals["attention"] = saver
            # First to end: it needs most memory, and nothing has been counted yet.
            self._analyzers = {"attention": saver, **self._analyzers}
        self._columns: list[CaseColumns] = []
        self._order: list[int] = []
        self._rejects = dict(prepared.rejects)
        self._backoffs = self._num_kept = 0
        self._errors: list[float] = []
        self._routes: dict[str, None] = {}

    def result(self) -> ShardResult:
        """Run all batches, and put their results in the order of the rows."""
        prepared, worker = self._prepared, self._worker
        lengths = [len(each.tokens) for each in prepared.encoded]
        todo = self._without_kept(range(len(lengths)))
        batches = length_batches(
            [lengths[i] for i in todo],
            worker.options.limits,
            num_heads=worker.num_heads,
            alike=not worker.takes_mask,
        )
        for batch in batches:
            self._attend([todo[i] for i in batch])
        return ShardResult(
            arrays=self._arrays(),
            rejects=tuple(self._rejects[place] for place in sorted(self._rejects)),
            num_rows=len(self._order),
            num_tokens=sum(lengths[i] for i in self._order),
            num_kept=self._num_kept,
            backoffs=self._backoffs,
            largest_error=max(self._errors, default=None),
            routes=tuple(self._routes),
        )

    def _attend(self, batch: list[int]) -> None:
        """Run a batch; where memory does not suffice, its halves."""
        try:
            route, error = self._worker.attend(batch, self._prepared, self._analyzers)
        except (RuntimeError, MemoryError) as problem:
            if not is_out_of_memory(problem):
                raise
            self._backoffs += 1
            if len(batch) == 1:
                self._reject(batch[0])
                return
            # The frames of the failure hold its tensors.
            problem.__traceback__ = None
        else:
            self._routes[route] = None
            self._errors += [] if error is None else [error]
            self._take(batch)
            return
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        middle = len(batch) // 2
        self._attend(batch[:middle])
        self._attend(batch[middle:])

    def _take(self, batch: Sequence[int]) -> None:
        """Take what the analyzers have of a batch that was seen whole."""
        self._order += batch
        kept: list[Arrays] = [{} for _ in batch]
        if "coreference" in self._analyzers:
            (columns,) = self._analyzers["coreference"].take()
            self._columns.append(columns)
            if self._worker.cache is not None:
                for place, own in enumerate(kept):
                    own |= _named("coreference", columns.taken([place]).state())
        for name, analyzer in self._analyzers.items():
            if isinstance(analyzer, PerText):
                for own, alone in zip(kept, analyzer.take(), strict=True):
                    own |= _named(name, alone.state())
                    self._totals[name].merge(alone)
        if (cache := self._worker.cache) is not None:
            keys = [cache.key(self._prepared.rows[i].meaning) for i in batch]
            cache.put({key: pack(own) for key, own in zip(keys, kept, strict=True)})

    def _without_kept(self, indices: Sequence[int]) -> list[int]:
        """Those of the rows that have to run; of the others the cache has the results."""
        cache, rows = self._worker.cache, self._prepared.rows
        if cache is None or "attention" in self._analyzers:
            return list(indices)  # patterns are in no cache
        keys = {i: cache.key(rows[i].meaning) for i in indices}
        found = cache.get(list(set(keys.values())))
        for index in indices:
            if (content := found.get(keys[index])) is not None:
                self._take_kept(index, unpack(content))
        return [i for i in indices if keys[i] not in found]

    def _take_kept(self, index: int, arrays: Arrays) -> None:
        row = self._prepared.rows[index]
        self._order.append(index)
        self._num_kept += 1
        for name, state in by_analyzer(arrays).items():
            if name != "coreference":
                total = self._totals[name]
                total.merge(type(total).from_state(state))
            elif isinstance(row.item, CorefCase):
                self._columns.append(CaseColumns.from_state(state).called(row.item))

    def _reject(self, index: int) -> None:
        tokens = len(self._prepared.encoded[index].tokens)
        reason = (
            f"Expected memory enough for a text of {tokens} tokens, but the device has none left. "
            "Use a device with more, or divide the text."
        )
        place = self._prepared.places[index]
        self._rejects[place] = self._prepared.rows[index].rejected(reason, "memory")

    def _arrays(self) -> Arrays:
        found: Arrays = {}
        for name, analyzer in self._totals.items():
            if name != "coreference":
                found |= _named(name, analyzer.state())
            elif self._columns:
                columns = CaseColumns.joined(self._columns)
                order = np.argsort(self._order, kind="stable").tolist()
                found |= _named(name, columns.taken(order).state())
        return found


def _end(analyzers: Iterable[Any]) -> None:
    """Let a batch count.

    Raises:
        CaptureError: there is no memory left, and some analyzers have counted it already: run
            again, it would be in their totals twice.
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


def _named(name: str, state: Arrays) -> Arrays:
    return {f"{name}/{key}": value for key, value in state.items()}


def by_analyzer(arrays: Arrays) -> dict[str, Arrays]:
    """The arrays of each analyzer, from those of a shard."""
    found: dict[str, Arrays] = {}
    for key, array in arrays.items():
        name, _, part = key.partition("/")
        found.setdefault(name, {})[part] = array
    return found


class PerText:
    """An analyzer for each text of a batch, so that what is found of a text is of it alone.

    Args:
        kind: of the analyzers.
    """

    def __init__(self, kind: Callable[[], Any]) -> None:
        self._kind = kind
        self._lengths: tuple[int, ...] = ()
        self._own: list[Any] = []

    def begin(self, texts: Texts) -> None:
        """A new batch."""
        self._lengths = texts.lengths
        self._own = [self._kind() for _ in texts.sequences]
        for own, tokens, item in zip(self._own, texts.sequences, texts.items, strict=True):
            own.begin(Texts((tokens,), (item,)))

    def see(self, layer: int, attentions: torch.Tensor) -> None:
        """Each analyzer sees its text, without the padding."""
        for number, (own, length) in enumerate(zip(self._own, self._lengths, strict=True)):
            own.see(layer, attentions[number : number + 1, :, :length, :length])

    def end(self) -> None:
        """The batch counts."""
        for own in self._own:
            own.end()

    def take(self) -> list[Any]:
        """The analyzers of the last batch, in the order of its texts."""
        found, self._own = self._own, []
        return found


def new_analyzers(options: WorkerOptions) -> dict[str, Any]:
    """An analyzer for each name, with nothing in it."""
    return {
        name: CaseBatches(options.mention, options.weights)
        if name == "coreference"
        else find_analyzer(name).make()
        for name in options.analyzers
    }


def segmenter(name: str | None) -> Segment | None:
    """What divides texts into words.

    Raises:
        SelectionError: there is no such thing.
    """
    if name is None:
        return None
    if name != "jieba":
        raise SelectionError(f"Expected `segment` as jieba or nothing, got {name!r}.")
    from introspect.segmentation import chinese_words

    return chinese_words


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a failure says that a device has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _OUT_OF_MEMORY)


def _num_heads(model: Model) -> int:
    """Heads of a layer, as far as the configuration says; only batch sizes depend on it."""
    config: Any = getattr(model.module, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(config, "num_attention_heads", 0) or 16)

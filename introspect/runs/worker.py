"""The worker: one model with its options, which prepares shards and runs their batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from introspect.models import Model, length_limit
from introspect.runs.batches import Prepared, Segment, prepare
from introspect.runs.cache import Cache
from introspect.runs.options import Places, WorkerOptions, segmenter
from introspect.runs.rows import Shard
from introspect.studies.runner import BatchRunner


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
        self.runner = BatchRunner(model, layers=options.layers, limits=options.limits)
        self._segment: Segment | None = segmenter(options.segment)

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
            NotFiniteError: the attention of some rows is not finite; nothing was counted.
        """
        return self.runner.run(
            [prepared.encoded[i] for i in batch],
            [prepared.rows[i].item for i in batch],
            list(analyzers.values()),
        )

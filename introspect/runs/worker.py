"""The worker: one model with its options, which prepares shards and runs their batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from introspect.data import InputSet
from introspect.errors import SelectionError
from introspect.functional import Mention, checked_mention
from introspect.models import BatchLimits, Model, length_limit
from introspect.records import Weights, checked_weights
from introspect.runs.batches import Long, Prepared, Segment, prepare
from introspect.runs.cache import Cache, CacheOptions
from introspect.runs.rows import Shard
from introspect.runs.saved_attention import Precision
from introspect.studies.registry import ATLAS, find_analyzer
from introspect.studies.runner import BatchRunner

_DEFAULT_ANALYZERS = {"cases": "coreference", "sentences": "roles", "conllu": "syntax"}


@dataclass(frozen=True)
class WorkerOptions:
    """Options for running a shard; all of them are part of the plan.

    Args:
        analyzers: names from the registry.
        mention: how the word pairs of two mentions become one number.
        weights: the weights that are scored.
        last_position: whether cases are also scored from the last position of their text.
        segment: the word segmenter; ``None`` for the package's own rule.
        layers: the layers to use, by the model's own numbers.
        long: how to handle a text that is longer than the model reads.
        saved: the precision in which patterns are saved as well; ``None`` to save none.
        limits: the limits on a batch.
    """

    analyzers: tuple[str, ...] = ("coreference",)
    mention: Mention = "mean"
    weights: Weights = "raw"
    last_position: bool = False
    segment: str | None = None
    layers: tuple[int, ...] | None = None
    long: Long = "reject"
    saved: Precision | None = None
    limits: BatchLimits = field(default_factory=BatchLimits)

    def __post_init__(self) -> None:
        checked_weights(self.weights)
        checked_mention(self.mention)
        for name, allowed in (("long", get_args(Long)), ("saved", (None, *get_args(Precision)))):
            if getattr(self, name) not in allowed:
                raise SelectionError(
                    f"Expected `{name}` as {' or '.join(map(str, allowed))}, got "
                    f"{getattr(self, name)!r}."
                )
        takes_cases = any(find_analyzer(name).takes == "cases" for name in self.analyzers)
        if self.last_position and not takes_cases:
            raise SelectionError(
                "Expected an analyzer of cases with a pronoun for `last_position`, got "
                f"{', '.join(self.analyzers)}. Leave the option out."
            )


@dataclass(frozen=True)
class Places:
    """The places that a worker writes to besides its shards; no result depends on them.

    Args:
        attention: the folder of saved patterns.
        cache: where results are kept for other sets.
    """

    attention: Path | None = None
    cache: CacheOptions | None = None


def segmenter(name: str | None) -> Segment | None:
    """Return the word segmenter with this name.

    Raises:
        SelectionError: there is no such segmenter.
    """
    if name is None:
        return None
    if name != "jieba":
        raise SelectionError(f"Expected `segment` as jieba or nothing, got {name!r}.")
    from introspect.text import chinese_words

    return chinese_words


def chosen_analyzers(names: Sequence[str] | str | None, inputs: InputSet) -> tuple[str, ...]:
    """Return the requested analyzers, if the input suits them.

    Raises:
        SelectionError: the input does not suit one, or there is no such analyzer.
    """
    content = inputs.content
    names = (names,) if isinstance(names, str) else names
    chosen = tuple(dict.fromkeys(names or (_DEFAULT_ANALYZERS[content],)))
    for name in chosen:
        if (kind := find_analyzer(name)) is ATLAS:
            raise SelectionError(
                f"Expected an analyzer of probes, got {name!r}, which has a command of its own. "
                f"Run: introspect {name} FILE --out DIR."
            )
        takes = kind.takes
        if takes not in ("sentences", content):
            needed = "cases with a pronoun" if takes == "cases" else "trees in CoNLL-U"
            raise SelectionError(
                f"Expected {needed} for the analyzer {name}, but the input holds {content}. "
                "Name other analyzers, or convert a collection with: introspect cases."
            )
    return chosen


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
            [prepared.rows[i].id for i in batch],
        )

"""Options of a worker: those that results depend on, and the places that it writes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from introspect.data import InputSet
from introspect.errors import SelectionError
from introspect.functional import MENTION_OPTIONS, Mention
from introspect.models import BatchLimits
from introspect.records import Weights, checked_weights
from introspect.runs.batches import Long, Segment
from introspect.runs.cache import CacheOptions
from introspect.runs.saved_attention import Precision
from introspect.studies.registry import find_analyzer

_DEFAULT_ANALYZERS = {"cases": "coreference", "sentences": "roles", "conllu": "syntax"}


@dataclass(frozen=True)
class WorkerOptions:
    """Options for running a shard; all of them are part of the plan.

    Args:
        analyzers: names from the registry.
        mention: how the word pairs of two mentions become one number.
        weights: the weights that are scored.
        segment: the word segmenter; ``None`` for the package's own rule.
        layers: the layers to use, by the model's own numbers.
        long: how to handle a text that is longer than the model reads.
        saved: the precision in which patterns are saved as well; ``None`` to save none.
        limits: the limits on a batch.
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


def chosen_analyzers(names: Sequence[str] | None, inputs: InputSet) -> tuple[str, ...]:
    """Return the requested analyzers, if the input suits them.

    Raises:
        SelectionError: the input does not suit one, or there is no such analyzer.
    """
    content = inputs.content
    chosen = tuple(dict.fromkeys(names or (_DEFAULT_ANALYZERS[content],)))
    for name in chosen:
        takes = find_analyzer(name).takes
        if takes not in ("sentences", content):
            needed = "cases with a pronoun" if takes == "cases" else "trees in CoNLL-U"
            raise SelectionError(
                f"Expected {needed} for the analyzer {name}, but the input holds {content}. "
                "Name other analyzers, or convert a collection with: introspect cases."
            )
    return chosen

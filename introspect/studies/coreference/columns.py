"""Scored cases as columns, which batches produce, files store, and tables are built from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from introspect.data import case_to_json
from introspect.errors import InputError
from introspect.functional import (
    best_of,
    chance,
    credit,
    first_mentioned,
    margin,
    nearest_preceding,
    smallest,
)
from introspect.studies.analyzer import Floats, Integers
from introspect.text import CorefCase, Span, segment_words

Bools = npt.NDArray[np.bool_]

#: From the pronoun's row to the candidates, and from the candidates' rows to the pronoun.
Direction = Literal["pronoun_to_candidate", "candidate_to_pronoun"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
#: From the last position's row to the candidates, which is scored where it is asked for: the
#: pronoun's row of a causal model sees only what stands before it, and this one sees every word.
LAST_POSITION = "last_position_to_candidate"
EVERY_DIRECTION: tuple[str, ...] = (*DIRECTIONS, LAST_POSITION)

#: The baselines that need no attention, in the order of the columns.
BASELINES = (
    "random", "nearest_preceding", "first_mentioned", "fewest_words", "most_pieces",
    "word_association",
)  # fmt: skip

#: Directions, layers and heads.
Shape = tuple[int, ...]


def head_places(shape: Shape, layers: Sequence[int]) -> pd.DataFrame:
    """Return the layer, head and direction of each number of an array, in order.

    Args:
        shape: its shape, ``(num_directions, num_layers, num_heads)``.
        layers: the model's own layer numbers.
    """
    num_directions, num_layers, num_heads = shape
    return pd.DataFrame(
        {
            "layer": np.tile(np.repeat(layers, num_heads), num_directions),
            "head": np.tile(np.arange(num_heads), num_directions * num_layers),
            "direction": np.repeat(EVERY_DIRECTION[:num_directions], num_layers * num_heads),
        }
    )


def check_alike(cases: Iterable[tuple[str, Shape, Sequence[int]]]) -> None:
    """Check that cases have the same directions, layers and heads.

    Args:
        cases: of each its name, the shape of its numbers for every head, and its layers.

    Raises:
        InputError: they are of different models.
    """
    (first, *known), *others = cases
    for name, *given in others:
        if given != known:
            raise InputError(
                f"Expected cases of one model, got directions, layers and heads of {known[0]} for "
                f"{first!r} and {given[0]} for {name!r}."
            )


@dataclass(frozen=True, eq=False)
class ScoredCase:
    """The scores of one case.

    Arrays are ``(num_directions, num_layers, num_heads)``; credit and margin are NaN where the
    direction cannot be observed.

    Args:
        name: its id.
        group: its group; cases of one group are never split.
        layers: the model's own layer numbers.
        antecedent_weight: the largest weight of an antecedent.
        distractor_weight: the largest weight of a distractor.
        margin: how clearly the antecedent is preferred.
        removed_mass: the mass that renormalization removed from the rows.
        observable: ``(num_directions, num_layers)``.
        labelings: the credit if the antecedents' labels are shifted by no candidate, by one, by
            two, …: ``(num_candidates, num_directions, num_layers, num_heads)``; empty outside
            forced choice.
        antecedents: which candidates are antecedents.
        distances: how many words each candidate is after the pronoun.
        baselines: the credit of answers that need no head.
        raw_credit: the credit by raw weights where norms were scored; otherwise ``None``.
        lengths: how many words each candidate has.
        is_copy: whether an earlier case has the same text and the same spans.
    """

    name: str
    group: str
    layers: tuple[int, ...]
    antecedent_weight: Floats
    distractor_weight: Floats
    margin: Floats
    removed_mass: Floats
    observable: Bools
    labelings: Floats
    antecedents: tuple[bool, ...]
    distances: tuple[int, ...]
    baselines: dict[str, float]
    raw_credit: Floats | None = None
    lengths: tuple[int, ...] = ()
    is_copy: bool = False

    @property
    def is_forced_choice(self) -> bool:
        """Return whether the case offers a choice."""
        return bool(len(self.labelings))

    @property
    def credit(self) -> Floats:
        """Credit with the labels as they are; NaN outside forced choice."""
        credit: Floats = np.full(self.margin.shape, np.nan)
        return self.labelings[0] if self.is_forced_choice else credit

    def places(self) -> pd.DataFrame:
        """Return the layer, head and direction of each number, in order."""
        return head_places(self.margin.shape, self.layers)


def candidate_distances(case: CorefCase) -> tuple[int, ...]:
    """Count the words from the pronoun's first word to the nearer end of each candidate."""
    words = segment_words(case.text)

    def number(span: Span) -> tuple[int, int]:
        inside = [i for i, (start, end) in enumerate(words) if start < span[1] and span[0] < end]
        return (inside[0], inside[-1]) if inside else (0, 0)

    first, last = number(case.pronoun)
    distances = []
    for candidate in case.candidates:
        start, end = number(candidate.span)
        distances.append(end - first if end < first else max(start - last, 0))
    return tuple(distances)


def position_credits(
    case: CorefCase, words: Sequence[int], pieces: Sequence[int]
) -> tuple[float, ...]:
    """Return the credits of all ``BASELINES`` but word association.

    Args:
        case: the case.
        words: how many words each candidate has.
        pieces: how many pieces its words are divided into.
    """
    spans = [candidate.span for candidate in case.candidates]
    antecedents = [candidate.antecedent for candidate in case.candidates]
    return (
        chance(antecedents),
        nearest_preceding(case.pronoun, spans, antecedents),
        first_mentioned(spans, antecedents),
        smallest(words, antecedents),
        smallest([-count for count in pieces], antecedents),
    )


@dataclass(frozen=True, eq=False)
class CaseColumns:
    """Cases and the attention of every head to each of their candidates.

    The candidates of all cases are concatenated.

    Args:
        names: ids, ``(num_cases,)``.
        groups: group of each case; cases of one group are never split.
        lines: the cases themselves, as JSON.
        layers: the model's own layer numbers.
        num_candidates: the number of candidates of each case.
        weights: ``(all_candidates, num_directions, num_layers, num_heads)``.
        raw_weights: the same for raw weights where norms were scored; otherwise of length 0.
        antecedents: which candidates are antecedents, ``(all_candidates,)``.
        distances: how many words each candidate is after the pronoun.
        lengths: how many words each candidate has.
        received: attention to each candidate from all positions, averaged over layers and heads.
        observable: ``(num_cases, num_directions, num_layers)``.
        removed: the mass that renormalization removed from the rows, ``(num_cases, num_directions,
            num_layers, num_heads)``; of length 0 with raw weights, which remove none.
        positions: credits of ``BASELINES``, ``(num_cases, 6)``; NaN where one is not known.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    lines: tuple[str, ...]
    layers: tuple[int, ...]
    num_candidates: Integers
    weights: Floats
    raw_weights: Floats
    antecedents: Bools
    distances: Integers
    lengths: Integers
    received: Floats
    observable: Bools
    removed: Floats
    positions: Floats

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def starts(self) -> Integers:
        """The index where the candidates of each case begin."""
        return np.concatenate([[0], np.cumsum(self.num_candidates)]).astype(np.int64)

    @cached_property
    def _copies(self) -> tuple[tuple[str, ...], tuple[bool, ...]]:
        return _with_copies(self.groups, self.lines)

    @property
    def shared_groups(self) -> tuple[str, ...]:
        """The group of each case, where copies of a case share one, whatever their ids."""
        return self._copies[0]

    def of(self, case: int) -> slice:
        """Return the slice of the candidates of a case."""
        return slice(int(self.starts[case]), int(self.starts[case + 1]))

    def scored(self) -> list[ScoredCase]:
        """Return each case as the numbers that the tables are built from."""
        found: dict[int, ScoredCase] = {}
        for cases, together in self._alike():
            derived = _derived(self, cases, together)
            for place, case in enumerate(cases):
                found[int(case)] = self._scored(int(case), place, derived)
        return [found[case] for case in range(len(self))]

    def _alike(self) -> Iterator[tuple[Integers, torch.Tensor]]:
        """Yield cases with equally many candidates, and their ``(num_candidates, some_cases)``."""
        for count in np.unique(self.num_candidates):
            cases = np.flatnonzero(self.num_candidates == count)
            yield cases, torch.from_numpy(self.starts[cases] + np.arange(count)[:, None])

    def _scored(self, case: int, place: int, derived: Mapping[str, Floats]) -> ScoredCase:
        own = self.of(case)
        antecedents = tuple(map(bool, self.antecedents[own]))
        is_choice = any(antecedents) and not all(antecedents)
        labelings = derived["labelings"][:, place]
        return ScoredCase(
            name=self.names[case],
            group=self.shared_groups[case],
            layers=self.layers,
            antecedent_weight=derived["antecedent_weight"][place],
            distractor_weight=derived["distractor_weight"][place],
            margin=derived["margin"][place],
            removed_mass=derived["removed_mass"][place],
            observable=self.observable[case],
            labelings=labelings if is_choice else labelings[:0],
            antecedents=antecedents,
            distances=tuple(map(int, self.distances[own])),
            lengths=tuple(map(int, self.lengths[own])),
            is_copy=self._copies[1][case],
            baselines=self._baselines(case, derived["answers"][:, place]) if is_choice else {},
            raw_credit=derived["raw_credit"][place] if len(self.raw_weights) else None,
        )

    def _baselines(self, case: int, answers: Floats) -> dict[str, float]:
        credits = zip(BASELINES, map(float, self.positions[case]), strict=True)
        named = {name: credit for name, credit in credits if not math.isnan(credit)}
        return named | {"most_attended": float(answers[0]), "mean_of_heads": float(answers[1])}

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all data as plain arrays, from which ``from_state`` restores it."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        packed = json.dumps(texts | {"layers": self.layers}, ensure_ascii=False).encode()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {**arrays, "texts": np.frombuffer(packed, dtype=np.uint8)}

    @classmethod
    def from_state(cls, state: Mapping[str, npt.NDArray[Any]]) -> CaseColumns:
        """Restore the columns that ``state`` was made from."""
        texts = json.loads(state["texts"].tobytes())
        parts: dict[str, Any] = {name: tuple(texts[name]) for name in (*_TEXTS, "layers")}
        return cls(**parts | {name: state[name] for name in _ARRAYS})

    @classmethod
    def joined(cls, parts: Sequence[CaseColumns]) -> CaseColumns:
        """Concatenate several columns."""
        joined: dict[str, Any] = {
            name: tuple(text for part in parts for text in getattr(part, name)) for name in _TEXTS
        }
        joined |= {name: np.concatenate([getattr(p, name) for p in parts]) for name in _ARRAYS}
        return cls(layers=parts[0].layers, **joined)

    def called(self, case: CorefCase) -> CaseColumns:
        """Return the columns of one case with the name and group of another, identical case."""
        named = str(case.id)
        return replace(
            self, names=(named,), groups=(case.group or named,), lines=(case_to_json(case),)
        )

    def taken(self, order: Sequence[int]) -> CaseColumns:
        """Select some of the cases, in another order."""
        candidates = np.concatenate(
            [np.arange(self.of(case).start, self.of(case).stop) for case in order]
        ).astype(np.int64)
        cases = np.asarray(order, dtype=np.int64)
        taken: dict[str, Any] = {
            name: tuple(getattr(self, name)[case] for case in order) for name in _TEXTS
        }
        taken |= {name: getattr(self, name)[candidates] for name in _OF_CANDIDATES}
        taken |= {name: getattr(self, name)[cases] for name in _OF_CASES}
        taken["removed"] = self.removed[cases] if len(self.removed) else self.removed
        raw = self.raw_weights
        taken["raw_weights"] = raw[candidates] if len(raw) else raw
        return replace(self, **taken)


_TEXTS = ("names", "groups", "lines")
_OF_CANDIDATES = ("weights", "antecedents", "distances", "lengths", "received")
_OF_CASES = ("num_candidates", "observable", "positions")
_ARRAYS = (*_OF_CANDIDATES, *_OF_CASES, "removed", "raw_weights")


def _with_copies(
    groups: Sequence[str], lines: Sequence[str]
) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """Return the groups, joined where they hold copies of a case, and which cases are copies.

    Args:
        groups: the group of each case.
        lines: each case as JSON; a copy has the same text and the same spans.
    """
    leaders: dict[str, str] = {}

    def leader(group: str) -> str:
        while (up := leaders.get(group, group)) != group:
            group = up
        return group

    seen: dict[str, str] = {}
    is_copy = []
    for group, line in zip(groups, lines, strict=True):
        content = _content(line)
        is_copy.append(content in seen)
        first, second = sorted((leader(seen.setdefault(content, group)), leader(group)))
        if first != second:
            leaders[second] = first
    return tuple(map(leader, groups)), tuple(is_copy)


def _content(line: str) -> str:
    """Return what makes a case the same as another: its text, and its spans in their order."""
    case = json.loads(line)
    candidates = sorted((c["span"], c["antecedent"]) for c in case["candidates"])
    return json.dumps([case["text"], case["pronoun"], candidates])


def _derived(columns: CaseColumns, cases: Integers, candidates: torch.Tensor) -> dict[str, Floats]:
    """Compute what follows from the weights of cases with equally many candidates.

    Arrays are ``(num_cases, num_directions, num_layers, num_heads)``; ``labelings`` has the shifts
    of the antecedents' labels as its first dimension, and ``answers`` has the credits of the most
    attended candidate and of the attention averaged over all heads.
    """
    weights = torch.from_numpy(columns.weights)[candidates]
    gold = torch.from_numpy(columns.antecedents)[candidates]
    seen = torch.from_numpy(columns.observable[cases])[..., None]
    shifts = [credit(weights, gold.roll(shift, 0)) for shift in range(len(gold))]
    # A direction that the mask makes impossible is neither right nor wrong.
    labelings = torch.stack(shifts).masked_fill(~seen, torch.nan)
    nothing = np.zeros(weights.shape[1:])
    over_heads = weights[:, :, 0].mean((-2, -1))
    received = torch.from_numpy(columns.received)[candidates]
    beside = {}
    if len(columns.raw_weights):
        by_raw = credit(torch.from_numpy(columns.raw_weights)[candidates], gold)
        beside["raw_credit"] = by_raw.masked_fill(~seen, torch.nan).numpy()
    return beside | {
        "labelings": labelings.numpy(),
        "antecedent_weight": best_of(weights, gold).numpy(),
        "distractor_weight": best_of(weights, gold, distractors=True).numpy(),
        "margin": margin(weights, gold).masked_fill(~seen, torch.nan).numpy(),
        "removed_mass": columns.removed[cases] if len(columns.removed) else nothing,
        "answers": torch.stack([credit(received, gold), credit(over_heads, gold)]).numpy(),
    }

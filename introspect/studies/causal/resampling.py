"""Ablations of heads to what they output on other cases' texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeGuard

import numpy as np
import torch

from introspect.hooks import Edit
from introspect.interventions import Ablation, patched
from introspect.records import Head, Kind
from introspect.studies.causal.answers import Answers, Batch
from introspect.studies.causal.metrics import Asked, Floats
from introspect.studies.causal.runs import Runs

#: How many texts each case is resampled from.
DRAWS = 2


def draws_for_each_case(answers: Asked, method: Ablation) -> TypeGuard[Answers]:
    """Return whether heads are resampled from texts that are drawn for each case.

    An encoder-decoder gets no reference from texts alone: what its decoder reads is missing.
    """
    if method != "resample" or not isinstance(answers, Answers):
        return False
    return not answers.model.is_encoder_decoder


class Resampling:
    """Ablations of heads to their outputs on other cases' texts, averaged over several draws.

    Each case is given texts of its own, of other groups: neither the case nor its minimal pair. The
    interval of a mean over cases so includes what the draw does.

    Source: Chan et al. 2022, "Causal scrubbing".

    Args:
        answers: the cases.
        kind: the kind of attention.
        heads: the heads that may be ablated.
        seed: the random seed of the draws.
        draws: how many texts each case is given, one at a time.
        runs: the runs of the same cases, which keep the outputs of these layers.
    """

    def __init__(
        self,
        answers: Answers,
        kind: Kind,
        heads: Sequence[Head],
        seed: int,
        draws: int = DRAWS,
        *,
        runs: Runs | None = None,
    ) -> None:
        self._answers, self._kind = answers, kind
        layers = sorted({head.layer for head in heads})
        self._runs = runs or Runs(answers, kind, outputs=layers)
        self._outputs: list[dict[int, torch.Tensor]] = []
        self._lengths: list[int] = []
        # The first question of each case, as the model reads it.
        first: dict[int, int] = {}
        for number, batch in enumerate(answers.batches):
            parts = self._runs.outputs(number, layers)
            for row, case in enumerate(batch.cases):
                if case not in first:
                    first[case] = len(self._outputs)
                    self._outputs.append({layer: parts[layer][row] for layer in layers})
                    self._lengths.append(int(batch.mask[row].sum()))
        self._first = first
        self._drawn = self._draw(np.random.default_rng(seed), draws)

    @property
    def draws(self) -> int:
        """The number of texts that each case is given."""
        return len(self._drawn)

    def _draw(self, random: np.random.Generator, draws: int) -> list[list[int]]:
        """Draw for each case the cases that it takes outputs from, ``(draws, num_cases)``."""
        groups, cases = self._answers.groups, self._answers.cases
        drawn = []
        for number, case in enumerate(cases):
            others = [
                other
                for other in range(len(cases))
                if groups[other] != groups[number] and cases[other].text != case.text
            ]
            # With one group alone there is nothing but the case itself.
            others = others or [number]
            long = [o for o in others if self._length(o) >= self._length(number)] or others
            drawn.append(random.choice(long, draws, replace=len(long) < draws).tolist())
        return [list(each) for each in zip(*drawn, strict=True)]

    def _length(self, case: int) -> int:
        return self._lengths[self._first[case]]

    def margins(self, *heads: Head, done: Callable[[], None] = lambda: None) -> Floats:
        """Return the mean margin of each case over the draws without heads, ``(num_cases,)``."""
        found = []
        for draw in range(self.draws):
            reading = self._answers.reading()
            for number, batch in enumerate(self._answers.batches):
                reading.add(batch, self._runs.run(number, self.edits(heads, batch, draw)))
            found.append(self._answers.margins(reading.scores()))
            done()
        mean: Floats = np.mean(found, axis=0)
        return mean

    def edits(self, heads: Sequence[Head], batch: Batch, draw: int) -> list[Edit]:
        """Return the edits of a batch that put in the outputs of heads in the texts of a draw."""
        by_layer: dict[int, list[int]] = {}
        for head in sorted(heads):
            by_layer.setdefault(head.layer, []).append(head.head)
        drawn = self._drawn[draw]
        return [
            Edit(self._kind, layer, "head_outputs", patched(self._source(layer, batch, drawn), n))
            for layer, n in by_layer.items()
        ]

    def _source(self, layer: int, batch: Batch, drawn: Sequence[int]) -> torch.Tensor:
        """Stack the outputs that a batch takes, each at the same positions as its own."""
        length = batch.mask.shape[1]
        rows = []
        for case in batch.cases:
            outputs = self._outputs[self._first[drawn[case]]][layer]
            known = self._length(drawn[case])
            # A text that is too short goes on with its last token.
            places = torch.arange(length, device=outputs.device).clamp(max=known - 1)
            rows.append(outputs[:, places])
        return torch.stack(rows)

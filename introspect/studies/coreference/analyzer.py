"""The analyzer of coreference cases, which come batch by batch or as records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from introspect.errors import InputError
from introspect.functional import Mention
from introspect.records import AttentionRecord, Weights, parts_for
from introspect.studies.analyzer import State, Texts
from introspect.studies.coreference.batch import CaseBatch, columns_of_record
from introspect.studies.coreference.claims import DEFAULT, Options
from introspect.studies.coreference.columns import CaseColumns, ScoredCase, check_alike
from introspect.studies.coreference.pairs import minimal_pairs_of
from introspect.studies.coreference.tables import Scores, case_table, scores_of
from introspect.text import CorefCase


@dataclass
class CoreferenceAnalyzer:
    """An analyzer that collects the attention between the mentions of cases.

    It takes records of cases (``update``), or the batches of a running model, layer by layer
    (``begin``, ``see`` or ``see_rows``, ``end``).

    Args:
        mention: how the word pairs of two mentions are combined into one number.
        weights: ``raw``, ``renormalized`` or ``norm``.
        last_position: whether to score what the last position attends to, as a third direction.
    """

    mention: Mention = "mean"
    weights: Weights = "raw"
    last_position: bool = False
    _batch: CaseBatch | None = field(default=None, repr=False)
    _columns: list[CaseColumns] = field(default_factory=list, repr=False)
    _names: set[str] = field(default_factory=set, repr=False)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def takes_masks(self) -> bool:
        """Return whether ``see`` is to be told which keys the mask lets each query see."""
        return True

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of a capture that it needs besides the attention."""
        return parts_for(self.weights)

    @property
    def columns(self) -> CaseColumns:
        """The cases so far, in the order in which they were added.

        Raises:
            InputError: there are no cases.
        """
        if not self._columns:
            raise InputError("Expected at least one case to score, got none.")
        if len(self._columns) > 1:
            self._columns = [CaseColumns.joined(self._columns)]
        return self._columns[0]

    @property
    def scored(self) -> tuple[ScoredCase, ...]:
        """The cases so far, as the numbers that the tables are built from."""
        return tuple(self.columns.scored()) if self._columns else ()

    def begin(self, texts: Texts) -> None:
        """Start a batch, whose items are cases with ids, and discard any unfinished one.

        Raises:
            MentionError: a mention cannot be found among the tokens.
        """
        self._batch = CaseBatch.of(
            texts, self.mention, self.weights, last_position=self.last_position
        )

    def rows(self) -> torch.Tensor:
        """Return the query positions that are read of each text, ``(batch, num_rows)``."""
        return self._begun().words.rows

    def see(
        self,
        layer: int,
        attentions: torch.Tensor,
        value_norms: torch.Tensor | None = None,
        visible: torch.Tensor | None = None,
    ) -> None:
        """Process the patterns of a layer, ``(batch, num_heads, length, length)``.

        Args:
            layer: the model's own layer number.
            attentions: the patterns.
            value_norms: for ``norm``, the norm of the vector that each key adds, ``(batch,
                num_heads, length)``.
            visible: the keys that the mask lets each query see, ``(batch or 1, 1, length,
                length)``, bool; where it is not known, positions decide.
        """
        self._begun().see(layer, attentions, value_norms, visible)

    def see_rows(
        self,
        layer: int,
        rows: torch.Tensor,
        received: torch.Tensor,
        visible: torch.Tensor | None = None,
    ) -> None:
        """Process the rows ``self.rows()`` of a layer, and what every key gets from all rows.

        Args:
            layer: the model's own layer number.
            rows: ``(batch, num_heads, num_rows, length)``.
            received: sums over rows, ``(batch, num_heads, 1, length)``.
            visible: as for ``see``, of those rows.
        """
        self._begun().see_rows(layer, rows, received, visible)

    def end(self) -> None:
        """Finish the batch and count it.

        Raises:
            InputError: two cases have the same id, or the batch is of another model.
        """
        self._add(self._begun().columns())
        self._batch = None

    def update(self, batch: Iterable[tuple[CorefCase, AttentionRecord]]) -> None:
        """Score some cases with the records of their texts.

        Raises:
            InputError: two cases have the same id, or the records are of different models.
            MentionError: a mention cannot be found among the tokens.
        """
        for case, record in batch:
            columns = columns_of_record(
                record, case, self.mention, self.weights, last_position=self.last_position
            )
            self.add(case, columns)

    def add(self, case: CorefCase, columns: CaseColumns) -> None:
        """Count a case whose columns are known; one without an id is numbered.

        Raises:
            InputError: a case with this id is there already, or the columns are of another model.
        """
        named = case if case.id is not None else replace(case, id=f"case-{len(self) + 1}")
        self._add(columns.called(named))

    def _add(self, columns: CaseColumns) -> None:
        counts = Counter(columns.names)
        for name in self._names & counts.keys() or [n for n, count in counts.items() if count > 1]:
            raise InputError(f"Expected a different id for each case, got {name!r} twice.")
        if self._columns:
            both = (self._columns[0], columns)
            check_alike((each.names[0], each.weights.shape[1:], each.layers) for each in both)
        self._columns.append(columns)
        self._names.update(columns.names)

    def merge(self, other: CoreferenceAnalyzer) -> None:
        """Take over what another analyzer has collected from other cases.

        Raises:
            InputError: a case is in both, or the two score mentions differently.
        """
        if both := self._names & other._names:
            raise InputError(f"Expected different cases to merge, got {min(both)!r} twice.")
        ours, theirs = ((each.mention, each.weights, each.last_position) for each in (self, other))
        if ours != theirs:
            raise InputError(f"Expected one way to score mentions, got {ours} and {theirs}.")
        for columns in other._columns:
            self._add(columns)

    def taken(self, order: Sequence[int]) -> CoreferenceAnalyzer:
        """Return an analyzer of some of the cases, in another order."""
        return self._of(self.columns.taken(order))

    def called(self, item: CorefCase) -> CoreferenceAnalyzer:
        """Return the analyzer of one case under the name and group of another, identical case."""
        return self._of(self.columns.called(item))

    def _of(self, columns: CaseColumns) -> CoreferenceAnalyzer:
        analyzer = CoreferenceAnalyzer(self.mention, self.weights, self.last_position)
        analyzer._add(columns)
        return analyzer

    def state(self) -> State:
        """Return all collected data and the options as arrays; nothing where there are no cases."""
        if not self._columns:
            return {}
        options = json.dumps([self.mention, self.weights, self.last_position]).encode()
        return self.columns.state() | {"options": np.frombuffer(options, dtype=np.uint8)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> CoreferenceAnalyzer:
        """Restore the analyzer that had this state."""
        analyzer = cls(*json.loads(state["options"].tobytes()))
        analyzer._add(CaseColumns.from_state(state))
        return analyzer

    def compute(self, options: Options = DEFAULT) -> Scores:
        """Compute the tables of all cases so far.

        Args:
            options: the numbers of draws for intervals and p-values, and the random seed.

        Raises:
            InputError: there are no cases.
        """
        cases = self.columns.scored()
        pairs = minimal_pairs_of(self.columns)
        return scores_of(cases, case_table(cases), options, pairs=pairs)

    def _begun(self) -> CaseBatch:
        if self._batch is None:
            raise InputError(
                "Expected a batch to be begun first. Call `begin` with its texts, then `see` with "
                "each layer, then `end`."
            )
        return self._batch

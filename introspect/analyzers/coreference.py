"""Coreference scores of every head over a set of cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from introspect.alignment import mention_pieces
from introspect.errors import InputError, naming
from introspect.functional.baselines import chance, first_mentioned, nearest_preceding
from introspect.functional.coreference import Mention, credit, mention_weights
from introspect.mentions import CorefCase
from introspect.models import Model, load_text
from introspect.records import AttentionRecord
from introspect.scoring import DirectionScores, score_case

__all__ = ["CoreferenceAnalyzer", "Scores", "score"]

#: The columns of the tables, in order.
HEAD_COLUMNS = (
    "layer", "head", "direction", "n", "n_not_observable", "accuracy", "ci_low", "ci_high",
    "margin", "p_value", "p_adjusted",
)  # fmt: skip
CASE_COLUMNS = (
    "id", "group", "layer", "head", "direction", "antecedent_weight", "distractor_weight",
    "credit", "removed_mass",
)  # fmt: skip
BASELINE_COLUMNS = ("baseline", "n", "accuracy", "ci_low", "ci_high")


@dataclass(frozen=True)
class Scores:
    """Coreference scores as tables.

    Args:
        heads: one row for each layer, head and direction: accuracy is the mean credit over the
            ``n`` forced-choice cases in which the direction can be observed, margin the mean where
            it is defined. Intervals and p-values are NaN until statistics are computed.
        cases: one row for each case, layer, head and direction.
        baselines: accuracy on the same cases of answers that need no head.
        outside_forced_choice: ids of cases with no antecedent, or with nothing else, among the
            candidates; they have rows in ``cases`` and count nowhere else.
    """

    heads: pd.DataFrame
    cases: pd.DataFrame
    baselines: pd.DataFrame
    outside_forced_choice: tuple[str, ...] = ()


@dataclass
class CoreferenceAnalyzer:
    """Collects scores case by case.

    Args:
        mention: how the word pairs of two mentions become one number.
    """

    mention: Mention = "mean"
    _cases: list[pd.DataFrame] = field(default_factory=list)
    _baselines: list[dict[str, Any]] = field(default_factory=list)
    _outside: list[str] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def update(self, batch: Iterable[tuple[CorefCase, AttentionRecord]]) -> None:
        """Score some cases with the records of their texts.

        Raises:
            InputError: two cases have the same id.
            MentionError: a mention cannot be found among the tokens.
        """
        for case, record in batch:
            name = case.id if case.id is not None else f"case-{len(self._ids) + 1}"
            if name in self._ids:
                raise InputError(f"Expected a different id for each case, got {name!r} twice.")
            scores = score_case(record, case, mention=self.mention)
            self._ids.add(name)
            self._cases += [_case_table(name, case, direction) for direction in scores]
            if case.is_forced_choice:
                self._baselines.append(_baseline_credits(case, record, scores, self.mention))
            else:
                self._outside.append(name)

    def merge(self, other: CoreferenceAnalyzer) -> None:
        """Take over what another analyzer has collected from other cases.

        Raises:
            InputError: a case is in both, or the two score mentions differently.
        """
        if both := self._ids & other._ids:
            raise InputError(f"Expected different cases to merge, got {sorted(both)[0]!r} twice.")
        if self.mention != other.mention:
            raise InputError(
                f"Expected one way to score mentions, got {self.mention!r} and {other.mention!r}."
            )
        self._ids |= other._ids
        self._cases += other._cases
        self._baselines += other._baselines
        self._outside += other._outside

    def compute(self) -> Scores:
        """The tables of all cases so far.

        Raises:
            InputError: there are none.
        """
        if not self._cases:
            raise InputError("Expected at least one case to score, got none.")
        rows = pd.concat(self._cases, ignore_index=True)
        return Scores(
            heads=_head_table(rows),
            cases=rows[list(CASE_COLUMNS)].copy(),
            baselines=_baseline_table(self._baselines),
            outside_forced_choice=tuple(self._outside),
        )


def score(
    model: Model | str,
    cases: Sequence[CorefCase],
    *,
    mention: Mention = "mean",
    truncation: bool = False,
) -> Scores:
    """Score every attention head of a model on coreference cases.

    Args:
        model: a model, or the name of one.
        cases: the cases.
        mention: how the word pairs of two mentions become one number.
        truncation: cut texts that are too long; a case whose mentions are cut off is an error.

    Raises:
        IntrospectError: a case cannot be scored; the message names it.
    """
    loaded = load_text(model)
    analyzer = CoreferenceAnalyzer(mention=mention)
    for number, case in enumerate([cases] if isinstance(cases, CorefCase) else cases, start=1):
        with naming(f"Case {case.id or number}"):
            analyzer.update([(case, loaded.capture(case.text, truncation=truncation))])
    return analyzer.compute()


def _case_table(name: str, case: CorefCase, scores: DirectionScores) -> pd.DataFrame:
    num_layers, num_heads = scores.antecedent_weight.shape
    return pd.DataFrame(
        {
            "id": name,
            "group": case.group if case.group is not None else name,
            "layer": np.repeat(scores.layers, num_heads),
            "head": np.tile(np.arange(num_heads), num_layers),
            "direction": scores.direction,
            "antecedent_weight": scores.antecedent_weight.flatten().numpy(),
            "distractor_weight": scores.distractor_weight.flatten().numpy(),
            # A direction that the mask makes impossible is neither right nor wrong.
            "credit": _where_observable(scores, scores.credit),
            "removed_mass": 0.0,  # raw weights: nothing is taken out of a row
            "margin": _where_observable(scores, scores.margin),
            "is_observable": np.repeat(scores.observable.numpy(), num_heads),
            "is_forced_choice": case.is_forced_choice,
        }
    )


def _where_observable(scores: DirectionScores, values: Any) -> Any:
    return values.masked_fill(~scores.observable[:, None], float("nan")).flatten().numpy()


def _head_table(rows: pd.DataFrame) -> pd.DataFrame:
    counted = rows[rows["is_forced_choice"]]
    keys = ["layer", "head", "direction"]
    groups = counted.groupby(keys, sort=False)
    table = pd.DataFrame(
        {
            "n": groups["is_observable"].sum().astype("int64"),
            "n_not_observable": groups["is_observable"].agg(lambda s: int((~s).sum())),
            "accuracy": groups["credit"].mean(),
            "margin": groups["margin"].mean(),
        }
    ).reset_index()
    return table.reindex(columns=list(HEAD_COLUMNS))


def _baseline_credits(
    case: CorefCase,
    record: AttentionRecord,
    scores: Sequence[DirectionScores],
    mention: Mention,
) -> dict[str, float]:
    """The credit that each baseline gets on one case."""
    spans = [candidate.span for candidate in case.candidates]
    antecedents = [candidate.antecedent for candidate in case.candidates]
    over_heads = scores[0].weights.mean(dim=(1, 2))
    return {
        "random": chance(antecedents),
        "nearest_preceding": nearest_preceding(case.pronoun, spans, antecedents),
        "first_mentioned": first_mentioned(spans, antecedents),
        "most_attended": float(credit(_received(case, record, mention), antecedents)),
        "mean_of_heads": float(credit(over_heads, antecedents)),
    }


def _received(case: CorefCase, record: AttentionRecord, mention: Mention) -> torch.Tensor:
    """What each candidate gets from all positions, in the mean over layers and heads."""
    everyone = [list(range(len(record.queries)))]
    return torch.stack(
        [
            mention_weights(
                record.attentions, everyone, mention_pieces(record.keys, c.span), mention=mention
            ).mean()
            for c in case.candidates
        ]
    )


def _baseline_table(credits: Sequence[dict[str, float]]) -> pd.DataFrame:
    table = pd.DataFrame(credits, dtype="float64")
    return pd.DataFrame(
        {"baseline": table.columns, "n": len(table), "accuracy": table.mean().to_numpy()}
    ).reindex(columns=list(BASELINE_COLUMNS))

"""The effect of each head on a model's answer to one case; nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from introspect.app.removal import Removal
from introspect.causal.study import CausalStudy, causal_study
from introspect.interventions.ablation import NEEDS_REFERENCE, ablate
from introspect.mentions import CorefCase
from introspect.models import Model
from introspect.records import Head
from introspect.views.causal import CausalView, causal_view

__all__ = ["CaseEffects", "effects_of_study", "study_of_case"]


@dataclass(frozen=True, eq=False)
class CaseEffects:
    """Effects of heads on the preference for the antecedent of one case.

    Args:
        view: each head's effect beside what it attends to.
        before: how much the unchanged model prefers the antecedent, in ``unit``.
        after: the same with all chosen heads ablated at once.
        unit: the unit of ``before`` and ``after``.
        is_surrogate: whether the model was asked something other than who the pronoun refers to.
    """

    view: CausalView
    before: float
    after: float
    unit: str
    is_surrogate: bool

    @property
    def table(self) -> pd.DataFrame:
        """Table with a row for each head, the largest effect first.

        ``head`` (``L3H1``), ``effect`` (how much the preference falls without it), ``control``
        (the mean effect of the other heads of its layer), and ``antecedent`` (the share of the
        pronoun's attention that goes to the antecedent).
        """
        rows = self.view.table.sort_values("effect", ascending=False, kind="stable")
        names = [
            str(Head(int(layer), int(head)))
            for layer, head in zip(rows["layer"], rows["head"], strict=True)
        ]
        return pd.DataFrame(
            {
                "head": names,
                "effect": rows["effect"].to_numpy(),
                "control": rows["control"].to_numpy(),
                "antecedent": rows["attention_weight"].to_numpy(),
            }
        )


def study_of_case(
    model: Model, case: CorefCase, method: str, references: tuple[str, ...]
) -> CausalStudy:
    """Ablate each head in turn and measure the model's answer to a case.

    Args:
        model: the model, with its LM head if it has one.
        case: the pronoun and its candidates.
        method: the ablation method.
        references: for ``mean``, the texts to average over.

    Raises:
        InputError: the case cannot be asked.
    """
    reference = references if method in NEEDS_REFERENCE else None
    return causal_study(model, [case], method=method, reference=reference, share=None, twins=False)


def effects_of_study(study: CausalStudy, removal: Removal) -> CaseEffects:
    """Compute the effect of each head and the joint effect of the chosen heads.

    Args:
        study: the study of one case.
        removal: the chosen heads, ablated by the method of the study.

    Raises:
        SelectionError: the model does not have a chosen head.
    """
    answers = study.effects.answers
    reference = removal.references if removal.method in NEEDS_REFERENCE else None
    chosen = ablate(
        answers.model,
        removal.heads,
        method=removal.method,
        reference=reference,
        kind=study.effects.kind,
    )
    with chosen:
        after = answers.margins()
    return CaseEffects(
        view=causal_view(study),
        before=float(study.effects.margins[0]),
        after=float(after[0]),
        unit=answers.metric.unit,
        is_surrogate=answers.metric.is_surrogate,
    )

"""What each head does to a model's answer to one case. Nothing here draws."""

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
    """What heads do to the preference for the antecedent of one case.

    Args:
        view: each head's effect beside where it looks.
        before: by how much the unchanged model prefers the antecedent, in ``unit``.
        after: the same without all chosen heads at once.
        unit: of the two.
        is_surrogate: whether the model was asked something else than who the pronoun is.
    """

    view: CausalView
    before: float
    after: float
    unit: str
    is_surrogate: bool

    @property
    def table(self) -> pd.DataFrame:
        """A row for each head, the largest effect first.

        ``head`` (``L3H1``), ``effect`` (by how much the preference falls without it), ``control``
        (the mean effect of the other heads of its layer) and ``antecedent`` (the share of the
        pronoun's attention that it gives the antecedent).
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
    """Take each head out in turn, and ask the model about a case.

    Args:
        model: the model, with its language-model head where it has one.
        case: the pronoun and its candidates.
        method: how heads are taken out.
        references: for ``mean``, the texts that it is taken over.

    Raises:
        InputError: the case cannot be asked.
    """
    reference = references if method in NEEDS_REFERENCE else None
    return causal_study(model, [case], method=method, reference=reference, share=None, twins=False)


def effects_of_study(study: CausalStudy, removal: Removal) -> CaseEffects:
    """What each head does, and what the chosen ones do together.

    Args:
        study: of one case.
        removal: which heads are chosen, by the method of the study.

    Raises:
        SelectionError: a head that the model does not have.
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

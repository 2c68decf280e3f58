"""Attention, states, and words before and after heads are ablated; nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from introspect.app import Question
from introspect.errors import SelectionError
from introspect.hooks import attention_layout
from introspect.interventions import (
    NEEDS_REFERENCE,
    Intervention,
    ablate,
    checked_kind,
    knock_out,
    module_of,
)
from introspect.models import Model
from introspect.records import AttentionRecord, Head
from introspect.studies.causal.asking import Place, Reading, states_in
from introspect.studies.causal.study import CausalStudy, causal_study
from introspect.text import CorefCase, Span, visible
from introspect.views import CausalView, CompareView, causal_view, compare_view

__all__ = [
    "METHODS",
    "BeforeAfter",
    "CaseEffects",
    "Removal",
    "before_after",
    "effects_of_study",
    "head_names",
    "removed",
    "said_before_and_after",
    "state_changes",
    "study_of_case",
]

#: The ablation methods offered: those that need only one text.
METHODS = ("zero", "mean", "uniform")

_UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Removal:
    """An ablation of a model.

    Args:
        heads: heads such as ``L3H1``, or ``L3`` for a whole layer; with ``edge``, none means all.
        method: the ablation method: ``zero``, ``mean``, or ``uniform``.
        edge: the query word and the key word, as spans of the text; the heads are then kept, and
            only their attention from the one word to the other is cut.
        references: for ``mean``, the texts to average over.
    """

    heads: tuple[str, ...]
    method: str = "zero"
    edge: tuple[Span, Span] | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """A text as the unchanged model and the ablated model read it.

    Args:
        view: the attention of both, side by side.
        states: how far the last hidden state of each token moves; see ``state_changes``.
        words: a description of what was ablated.
    """

    view: CompareView
    states: pd.DataFrame
    words: str

    @property
    def most_changed(self) -> tuple[Head, float] | None:
        """The head whose attention changes most and the share that changes, or ``None``."""
        changes = self.view.changes()
        row = changes.loc[changes["total_variation"].fillna(0.0).idxmax()]
        amount = float(row["total_variation"])
        return (Head(int(row["layer"]), int(row["head"])), amount) if amount > 0 else None


def head_names(model: Model, kind: str | None) -> list[str]:
    """Return the names of what can be ablated: each layer as a whole and its heads.

    Args:
        model: the model.
        kind: for an encoder-decoder, ``encoder``, ``decoder``, or ``cross``.

    Example:
        >>> import introspect as ix
        >>> head_names(ix.load("pronoun"), None)[:3]
        ['L0', 'L0H0', 'L0H1']
    """
    layout = attention_layout(module_of(model))
    kind = checked_kind(layout, kind)
    return [
        name
        for layer in layout.layers(kind)
        for name in [
            f"L{layer}",
            *(str(Head(layer, head)) for head in range(layout.heads[kind, layer].heads)),
        ]
    ]


def removed(reading: Reading, removal: Removal) -> Intervention:
    """Return the ablation as a context manager.

    Args:
        reading: the text that the model will read.
        removal: what to ablate.

    Raises:
        SelectionError: no heads are chosen, or the model does not have some of them.
        MentionError: the model has no tokens for a word.
    """
    model, kind = reading.model, reading.question.kind
    if removal.edge is not None:
        queries, keys = map(reading.pieces, removal.edge)
        edges = [(query, key) for query in queries for key in keys]
        return knock_out(model, edges, removal.heads or None, kind=kind)
    if not removal.heads:
        raise SelectionError("Expected at least one head or layer to take out, got none.")
    reference = removal.references if removal.method in NEEDS_REFERENCE else None
    return ablate(model, removal.heads, method=removal.method, reference=reference, kind=kind)


def before_after(model: Model, question: Question, removal: Removal) -> BeforeAfter:
    """Compare a text before and after ablation.

    Args:
        model: the model, with its LM head if it has one.
        question: the text.
        removal: what to ablate.

    Raises:
        IntrospectError: the text cannot be read or captured, or the model ablated in this way.
    """

    def capture() -> AttentionRecord:
        return model.capture(
            question.text,
            target=question.target,
            kind=question.kind,
            truncation=question.truncation,
        )

    reading = Reading.of(model, question)
    before, states = capture(), states_in(reading.output())
    change = removed(reading, removal)
    with change:
        after, moved = capture(), states_in(reading.output())
    words = _words(removal, change, question.text)
    return BeforeAfter(
        view=compare_view(before, after, labels=(_UNCHANGED, words)),
        states=state_changes(states[0], moved[0], reading.tokens.tokens),
        words=words,
    )


def _words(removal: Removal, change: Intervention, text: str) -> str:
    if removal.edge is None:
        return change.words
    query, key = (text[start:end] for start, end in removal.edge)
    where = f" in {', '.join(removal.heads)}" if removal.heads else ""
    return f"{query} → {key} cut{where}"


def state_changes(before: torch.Tensor, after: torch.Tensor, tokens: Sequence[str]) -> pd.DataFrame:
    r"""Compute how far the hidden state of each token moves.

    With :math:`h_i` and :math:`h_i'` its states after the last layer, before and after ablation:

    .. math:: \frac{\lVert h_i' - h_i \rVert}{\lVert h_i \rVert} \quad \text{and} \quad
        \frac{h_i \cdot h_i'}{\lVert h_i \rVert \lVert h_i' \rVert}

    Args:
        before: states before ablation, ``(length, hidden_size)``.
        after: states after ablation, of the same shape.
        tokens: the tokens of the states.

    Returns:
        A row for each token: ``position``, ``token``, ``moved`` (0: not at all), and ``cosine``.

    Example:
        >>> table = state_changes(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 0.0]]), ["a"])
        >>> table[["moved", "cosine"]].round(3).to_numpy().tolist()
        [[0.8, 0.6]]
    """
    one, other = before.double(), after.double()
    return pd.DataFrame(
        {
            "position": range(len(tokens)),
            "token": [visible(token) for token in tokens],
            "moved": ((other - one).norm(dim=-1) / one.norm(dim=-1)).tolist(),
            "cosine": torch.cosine_similarity(one, other, dim=-1).tolist(),
        }
    )


def said_before_and_after(
    model: Model, question: Question, removal: Removal, place: Place, *, top: int = 8
) -> pd.DataFrame:
    """Return the likeliest words at a place before and after ablation.

    Args:
        model: the model, with its LM head.
        question: the text.
        removal: what to ablate.
        place: where the model is asked.
        top: the number of words taken from each side.

    Returns:
        A row for each word among the likeliest before or after, the likeliest first: ``word`` and
        its probabilities ``before`` and ``after``.

    Raises:
        IntrospectError: the place cannot be read, or the model cannot be ablated in this way.
    """
    asked = Reading.of(model, question).at(place)
    before = asked.probabilities()
    with removed(asked, removal):
        after = asked.probabilities()
    likeliest: dict[int, Any] = dict.fromkeys(
        [*before.topk(top).indices.tolist(), *after.topk(top).indices.tolist()]
    )
    table = pd.DataFrame(
        {
            "word": [asked.word(number) for number in likeliest],
            "before": before[list(likeliest)].tolist(),
            "after": after[list(likeliest)].tolist(),
        }
    )
    largest = table[["before", "after"]].max(axis=1)
    return table.loc[largest.sort_values(ascending=False, kind="stable").index].reset_index(
        drop=True
    )


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

"""A model before and after heads are taken out: attention, states, words. Nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from introspect.app.asking import Place, Reading, states_in
from introspect.app.questions import Question
from introspect.errors import SelectionError
from introspect.hooks.layout import attention_layout
from introspect.interventions.ablation import NEEDS_REFERENCE, ablate
from introspect.interventions.edges import knock_out
from introspect.interventions.intervening import Intervention, module_of
from introspect.interventions.targets import checked_kind
from introspect.mentions import Span
from introspect.models import Model
from introspect.records import AttentionRecord, Head
from introspect.text import visible
from introspect.views.compare import CompareView, compare_view

__all__ = [
    "METHODS",
    "BeforeAfter",
    "Removal",
    "before_after",
    "head_names",
    "removed",
    "said_before_and_after",
    "state_changes",
]

#: What is offered: those that one text is enough for.
METHODS = ("zero", "mean", "uniform")

_UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Removal:
    """What is taken out of a model.

    Args:
        heads: as ``L3H1``, or ``L3`` for a whole layer; none means all, where a word is cut off.
        method: how heads are taken out: ``zero``, ``mean`` or ``uniform``.
        edge: the word that looks and the word that it looks at, as spans of the text; then heads
            are kept, and this one way of theirs is cut.
        references: for ``mean``, the texts that it is taken over.
    """

    heads: tuple[str, ...]
    method: str = "zero"
    edge: tuple[Span, Span] | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """A text as the unchanged model reads it, and as the changed one does.

    Args:
        view: the attention of both, side by side.
        states: how far the last layer's state of each token moves; see ``state_changes``.
        words: what was taken out.
    """

    view: CompareView
    states: pd.DataFrame
    words: str

    @property
    def most_changed(self) -> tuple[Head, float] | None:
        """The head whose attention changes most, and by how much of it; ``None`` if none does."""
        changes = self.view.changes()
        row = changes.loc[changes["total_variation"].fillna(0.0).idxmax()]
        amount = float(row["total_variation"])
        return (Head(int(row["layer"]), int(row["head"])), amount) if amount > 0 else None


def head_names(model: Model, kind: str | None) -> list[str]:
    """What can be taken out: each layer as a whole, and its heads.

    Args:
        model: the model.
        kind: of an encoder-decoder ``encoder``, ``decoder`` or ``cross``.

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
    """The change of the model, to be opened.

    Args:
        reading: the text that the model will read.
        removal: what is taken out.

    Raises:
        SelectionError: no heads, or some that the model does not have.
        MentionError: a word that the model does not see.
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
    """A text before and after.

    Args:
        model: the model, with its language-model head where it has one.
        question: the text.
        removal: what is taken out.

    Raises:
        IntrospectError: it cannot be read, captured, or changed in this way.
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
    r"""How far the state of each token moves.

    With :math:`h_i` and :math:`h_i'` its states after the last layer, before and after the change:

    .. math:: \frac{\lVert h_i' - h_i \rVert}{\lVert h_i \rVert} \quad \text{and} \quad
        \frac{h_i \cdot h_i'}{\lVert h_i \rVert \lVert h_i' \rVert}

    Args:
        before: ``(length, hidden_size)``.
        after: the same size.
        tokens: what they are of.

    Returns:
        A row for each token: ``position``, ``token``, ``moved`` (0: not at all) and ``cosine``.

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
    """The likeliest words at a place, before and after.

    Args:
        model: the model, with its language-model head.
        question: the text.
        removal: what is taken out.
        place: where the model is asked.
        top: how many words of each of the two.

    Returns:
        A row for each word that is among the likeliest before or after, the likeliest first:
        ``word``, ``before`` and ``after``, probabilities.

    Raises:
        IntrospectError: the place cannot be read, or the model not be changed in this way.
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

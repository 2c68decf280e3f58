"""The layer view: one token's attention to every token, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.page import Choice, Section
from introspect.records import (
    LARGEST_SHOWN,
    METHODS,
    AttentionRecord,
    TokenLike,
    TokenSequence,
    as_token,
    why_not_square,
)
from introspect.text import counted, shortened, visible, whole
from introspect.views.base import View, plotly_text
from introspect.views.given import (
    BERTVIZ_NAMES,
    BERTVIZ_ONLY,
    RAW,
    Tokens,
    by_method,
    checked_weights,
    first_token,
    is_whole,
    page_methods,
    scale_of,
    shown_record,
)
from introspect.views.heatmap import HeadChoice, axis_of, checked_head, token_labels
from introspect.views.palette import INK, SEQUENTIAL, themed
from introspect.views.plotly_numbers import cell_hover, weight_bar, writing_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SIDES = ("query", "key")

# Sizes of the static figure, in pixels.
_ROW = 26
_COLUMN = 46
_LABEL_ROOM = 150
_LONGEST_QUOTE = 40


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class LayerView(View):
    """Tokens × layers: attention from one token to each token, or the reverse.

    Args:
        record: the attention.
        token: the index of the token shown first, among the tokens of ``side``.
        head: ``mean`` or ``max`` of all heads, or a head's number.
        side: ``query`` for attention from the token; ``key`` for attention to it.
        weights: ``raw``, or the name of a method of ``introspect.records``; a method that
            combines all heads has one number, whatever the head.
    """

    token: int
    head: HeadChoice = "mean"
    side: str = "query"
    weights: str = RAW

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Layer view"

    def values(self) -> torch.Tensor:
        """Return what is shown first, ``(num_layers, num_tokens)``, of the other side's tokens."""
        heads = self._of_token(by_method(self.record, self.weights).attentions)
        if is_whole(self.weights):
            return heads[:, 0]
        if self.head == "mean":
            return heads.double().mean(1).float()
        return heads.amax(1) if self.head == "max" else heads[:, int(self.head)]

    def _of_token(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the token's row or column of ``(..., query_len, key_len)``."""
        return weights[..., self.token, :] if self.side == "query" else weights[..., self.token]

    @property
    def choice(self) -> Choice:
        """The token and the head, if it is one."""
        head = self.head if isinstance(self.head, int) else None
        if self.side == "key":
            return Choice(head=head, key=self.token, granularity="token")
        return Choice(head=head, query=self.token, granularity="token")

    @property
    def figure(self) -> Figure:
        """Tokens from top to bottom and layers from left to right, as a plain Plotly figure."""
        import plotly.graph_objects as go

        weights = self.values().T
        tokens, layers = weights.shape
        figure = go.Figure(
            go.Heatmap(
                z=weights.tolist(),
                zmin=0,
                zmax=scale_of(self.weights, weights),
                colorscale=SEQUENTIAL,
                colorbar=weight_bar(),
                xgap=1,
                ygap=1,
                **cell_hover(weights, writing_of(self.weights)),
            )
        )
        figure.update_layout(
            template="plotly_white",
            title={"text": self._caption(), "x": 0, "xref": "paper"},
            width=_LABEL_ROOM + 130 + max(layers * _COLUMN, 240),
            height=130 + max(tokens * _ROW, 120),
            margin={"l": _LABEL_ROOM, "r": 120, "t": 110, "b": 20},
            font={"color": INK},
            xaxis={
                **axis_of([str(layer) for layer in self.record.layers], title="layer", is_key=True),
                "tickangle": 0,
            },
            yaxis=axis_of(token_labels(_other(self.record, self.side)), title="", is_key=False),
        )
        return figure

    def _caption(self) -> str:
        token = visible(_own(self.record, self.side).tokens[self.token])
        named = plotly_text(shortened(token, _LONGEST_QUOTE))
        what = f"From “{named}”" if self.side == "query" else f"To “{named}”"
        if is_whole(self.weights):
            method = METHODS[self.weights]
            return f"{what}, {method.label}{' up to each layer' if method.through else ''}"
        how = {
            "mean": f"mean of {self.record.num_heads} heads",
            "max": f"largest of {self.record.num_heads} heads",
        }
        words = f"{what}, {how.get(str(self.head), f'head {self.head}')}"
        return words if self.weights == RAW else f"{words}, {METHODS[self.weights].label}"

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        return (
            Section(
                kind="layer",
                title=self.title,
                lead=(
                    "One token through all layers: each row is a token, each column a layer, and "
                    "each cell the weight between the two. Choose the token in the text; point at "
                    "a cell to have it in words."
                ),
                state={
                    "tokens": {
                        side: self.token
                        if side == self.side
                        else first_token(_own(self.record, side))
                        for side in SIDES
                    },
                    "head": self.head if isinstance(self.head, int) else 0,
                    "combine": "one" if isinstance(self.head, int) else self.head,
                    "weights": self.weights,
                    "side": self.side,
                    "isSelf": self.record.queries == self.record.keys,
                    "scale": themed(SEQUENTIAL),
                    "note": layers_note(self.record),
                    "missing": missing_note(self.record),
                    "rowHeight": _ROW,
                },
                record=self.record,
                parts=("value_norms",),
                methods=(page_methods(self.record, self.weights),),
            ),
        )


@checked_call(aliases=BERTVIZ_NAMES, hints=BERTVIZ_ONLY)
def layer_view(
    record: AttentionRecord | Any,
    tokens: Tokens | None = None,
    sentence_b_start: int | None = None,
    *,
    token: TokenLike | None = None,
    head: HeadChoice | None = None,
    side: Literal["query", "key"] = "query",
    weights: str = RAW,
) -> LayerView:
    """Build a view of one token's attention through all layers.

    The arguments set only what is shown first; the page's controls can change it.

    Args:
        record: the attention; or tensors, as BertViz takes them, with their ``tokens``.
        tokens: the tokens of attention that is no record.
        sentence_b_start: of a pair of texts without a record, the first token of the second one.
        token: the token to show first, among the queries or, with ``side="key"``, the keys: its
            index or its word, ``"it#2"`` for the second one; by default, the last word.
        head: a head's number; ``mean`` or ``max`` of the heads of each layer, ``mean`` by default.
        side: ``query`` for attention from the token to each token; ``key`` for the reverse.
        weights: ``raw``, or the name of a method, as in ``head_view``; for example
            ``rollout``, how much of each token the token holds according to the attention of all
            layers up to each one.

    Raises:
        SelectionError: a token, head or choice does not exist, or the record cannot provide the
            weights.

    Example:
        >>> record = AttentionRecord.from_tensors(torch.eye(2).expand(3, 1, 2, 2), ["a", "b"])
        >>> layer_view(record, token=0).values()
        tensor([[1., 0.],
                [1., 0.],
                [1., 0.]])
    """
    record = shown_record(record, tokens, sentence_b_start, view="layer_view")
    if side not in SIDES:
        raise SelectionError(f"Expected `side` as query or key, got {side!r}.")
    own = _own(record, side)
    place = first_token(own) if token is None else as_token(own, token)
    checked_weights(record, weights)
    head = checked_head(record, "mean" if head is None else head)
    return LayerView(record=record, token=place, head=head, side=side, weights=weights)


def layers_note(record: AttentionRecord) -> str:
    """Return the caveat on methods that go through layers; empty if there is none."""
    if record.layers == tuple(range(record.num_layers)):
        return ""
    numbers = shortened(", ".join(map(str, record.layers)), 60)
    return f"It goes through the captured layers only: {numbers}."


def missing_note(record: AttentionRecord) -> str:
    """Explain which methods are unavailable for this record; empty if none is missing."""
    if reason := why_not_square(record):
        return f"There is no rollout: {reason}."
    if len(record.keys) > LARGEST_SHOWN:
        return (
            "Other methods, such as rollout, are left out: the text has "
            f"{counted(len(record.keys), 'token')}, and a page has them for at most "
            f"{whole(LARGEST_SHOWN)}."
        )
    return ""


def _own(record: AttentionRecord, side: str) -> TokenSequence:
    """Return the tokens to choose from."""
    return record.queries if side == "query" else record.keys


def _other(record: AttentionRecord, side: str) -> TokenSequence:
    """Return the tokens of the rows."""
    return record.keys if side == "query" else record.queries

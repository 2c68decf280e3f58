"""The layer view: one token's attention to every token, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from introspect.errors import SelectionError
from introspect.functional.rollout import rollout
from introspect.page import Section
from introspect.records import AttentionRecord, TokenSequence
from introspect.text import shortened, visible
from introspect.views.base import View, first_token, plotly_text
from introspect.views.heatmap import HeadChoice, axis_of, checked_head, tick_labels
from introspect.views.palette import INK, SEQUENTIAL, themed

__all__ = ["LARGEST_ROLLOUT", "ROLLOUT", "LayerView", "layer_view"]

#: The choice of rollout in place of a head.
ROLLOUT = "rollout"
#: A page of more tokens has no rollout, which would be as large again as the attention of a head
#: in every layer.
LARGEST_ROLLOUT = 512

SIDES = ("query", "key")

# Of the static figure, in pixels.
_ROW = 26
_COLUMN = 46
_LABEL_ROOM = 150
_LONGEST_QUOTE = 40


@dataclass(frozen=True, eq=False, repr=False)
class LayerView(View):
    """Tokens × layers: what one token gives to each token, or gets from it.

    Args:
        record: the attention.
        token: the index of the token shown first, among the tokens of ``side``.
        head: ``mean`` or ``max`` of all heads, a head's number, or ``rollout``.
        side: ``query``, what the token gives; ``key``, what it gets.
    """

    token: int
    head: HeadChoice = "mean"
    side: str = "query"

    @property
    def title(self) -> str:
        """The heading."""
        return "Layer view"

    def weights(self) -> torch.Tensor:
        """What is shown first, ``(num_layers, num_tokens)``, over the tokens of the other side."""
        if self.head == ROLLOUT:
            return self._of_token(self.rollout)
        heads = self._of_token(self.record.attentions)
        if self.head == "mean":
            return heads.double().mean(1).float()
        return heads.amax(1) if self.head == "max" else heads[:, int(self.head)]

    def _of_token(self, weights: torch.Tensor) -> torch.Tensor:
        """The token's row, or its column, of ``(..., query_len, key_len)``."""
        return weights[..., self.token, :] if self.side == "query" else weights[..., self.token]

    @cached_property
    def rollout(self) -> torch.Tensor:
        """The rollout up to each layer, ``(num_layers, n, n)``; of square self-attention only."""
        return rollout(self.record.attentions).float()

    @property
    def figure(self) -> Any:
        """The tokens from the top down, the layers from left to right, as a plain Plotly figure."""
        import plotly.graph_objects as go

        weights = self.weights().T
        tokens, layers = weights.shape
        figure = go.Figure(
            go.Heatmap(
                z=weights.tolist(),
                zmin=0,
                zmax=1,
                colorscale=SEQUENTIAL,
                colorbar={"title": "weight", "thickness": 14, "outlinewidth": 0},
                hovertemplate="%{z:.4f}<extra></extra>",
                xgap=1,
                ygap=1,
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
            yaxis=axis_of(
                tick_labels(_other(self.record, self.side).tokens), title="", is_key=False
            ),
        )
        return figure

    def _caption(self) -> str:
        token = visible(_own(self.record, self.side).tokens[self.token])
        named = plotly_text(shortened(token, _LONGEST_QUOTE))
        what = f"From “{named}”" if self.side == "query" else f"To “{named}”"
        how = {
            "mean": f"mean of {self.record.num_heads} heads",
            "max": f"largest of {self.record.num_heads} heads",
            ROLLOUT: "rollout up to each layer",
        }
        return f"{what}, {how.get(str(self.head), f'head {self.head}')}"

    def sections(self) -> tuple[Section, ...]:
        """The section of the page."""
        has_rollout = why_no_rollout(self.record) is None
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
                    "weights": "one" if isinstance(self.head, int) else self.head,
                    "side": self.side,
                    "isSelf": self.record.queries == self.record.keys,
                    "scale": themed(SEQUENTIAL),
                    "rollout": rollout_note(self.record),
                    "rowHeight": _ROW,
                },
                record=self.record,
                arrays={"rollout": self.rollout.numpy()} if has_rollout else {},
            ),
        )


def layer_view(
    record: AttentionRecord,
    *,
    token: int | None = None,
    head: HeadChoice | None = None,
    side: str = "query",
) -> LayerView:
    """One token's attention through all layers.

    Everything named here is only what is shown first; the page's controls change it.

    Args:
        record: the attention.
        token: the index of the token to show first, among the queries or, with ``side="key"``, the
            keys; the last word by default.
        head: a head's number; ``mean`` or ``max`` of the heads of each layer, ``mean`` by default;
            or ``rollout``, what the token holds of each token by the attention of all layers up to
            each one (self-attention of at most 512 tokens).
        side: ``query``, what the token gives to each token; ``key``, what it gets from each.

    Raises:
        SelectionError: a token, head or choice that there is not.

    Example:
        >>> record = AttentionRecord.from_tensors(torch.eye(2).expand(3, 1, 2, 2), ["a", "b"])
        >>> layer_view(record, token=0).weights()
        tensor([[1., 0.],
                [1., 0.],
                [1., 0.]])
    """
    if side not in SIDES:
        raise SelectionError(f"Expected `side` as query or key, got {side!r}.")
    if token is None:
        token = first_token(_own(record, side))
    if not 0 <= token < len(_own(record, side)):
        raise SelectionError(f"Expected `token` in 0–{len(_own(record, side)) - 1}, got {token}.")
    head = "mean" if head is None else head
    if head == ROLLOUT:
        if reason := why_no_rollout(record):
            raise SelectionError(f"{reason} Choose mean, max or a head's number.")
    elif isinstance(head, str) and head not in ("mean", "max"):
        raise SelectionError(f"Expected `head` as a number, mean, max or rollout, got {head!r}.")
    else:
        head = checked_head(record, head)
    return LayerView(record=record, token=token, head=head, side=side)


def why_no_rollout(record: AttentionRecord) -> str | None:
    """Why there is no rollout, in a sentence; ``None`` where there is one."""
    if record.queries != record.keys:
        return "There is no rollout: it is for attention of a text to itself, with all its rows."
    if len(record.keys) > LARGEST_ROLLOUT:
        return (
            f"Rollout is left out: the text has {len(record.keys)} tokens, and a page has it for "
            f"at most {LARGEST_ROLLOUT}."
        )
    return None


def rollout_note(record: AttentionRecord) -> str:
    """What a reader must know of the rollout; empty where nothing."""
    if reason := why_no_rollout(record):
        return reason
    if record.layers != tuple(range(record.num_layers)):
        numbers = shortened(", ".join(map(str, record.layers)), 60)
        return f"Rollout goes through the captured layers only: {numbers}."
    return ""


def _own(record: AttentionRecord, side: str) -> TokenSequence:
    """The tokens that one is chosen from."""
    return record.queries if side == "query" else record.keys


def _other(record: AttentionRecord, side: str) -> TokenSequence:
    """The tokens that are the rows."""
    return record.keys if side == "query" else record.queries

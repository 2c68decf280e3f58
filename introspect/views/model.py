"""The model view: every head of every layer as a small map; a click opens one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from introspect.page import Section
from introspect.records import AttentionRecord
from introspect.views.base import View
from introspect.views.head import hidden_head_view
from introspect.views.palette import INK, SEQUENTIAL

__all__ = ["ModelView", "model_view"]

#: A small map has at most this many cells a side; longer texts are pooled by their maximum.
TILE_CELLS = 48
#: Empty cells around each small map.
GAP = 1


@dataclass(frozen=True, eq=False)
class ModelView(View):
    """Layers × heads, each cell the attention pattern of one head."""

    @property
    def title(self) -> str:
        """The heading."""
        return "Model view"

    @property
    def figure(self) -> Any:
        """All patterns as one Plotly heatmap."""
        import plotly.graph_objects as go

        tiles, (height, width) = self.tiles()
        layers, heads = self.record.num_layers, self.record.num_heads
        figure = go.Figure(
            go.Heatmap(
                z=tiles.numpy(),
                zmin=0,
                zmax=1,
                colorscale=SEQUENTIAL,
                colorbar={"title": "weight", "thickness": 12},
                hoverinfo="skip",
            )
        )
        figure.update_layout(
            template="plotly_white",
            width=90 + heads * 70,
            height=70 + layers * 70,
            margin={"l": 50, "r": 10, "t": 40, "b": 10},
            font={"color": INK},
            xaxis={
                "tickvals": [head * width + (width - 1) / 2 for head in range(heads)],
                "ticktext": [f"H{head}" for head in range(heads)],
                "side": "top",
                "showgrid": False,
            },
            yaxis={
                "tickvals": [row * height + (height - 1) / 2 for row in range(layers)],
                "ticktext": [f"L{layer}" for layer in self.record.layers],
                "range": [layers * height - 0.5, -0.5],
                "showgrid": False,
            },
        )
        return figure

    def tiles(self) -> tuple[torch.Tensor, tuple[int, int]]:
        """All patterns side by side, NaN between them, and the size of one with its gap."""
        pattern = pooled(self.record.attentions)
        tile = torch.nn.functional.pad(pattern, (GAP, GAP, GAP, GAP), value=torch.nan)
        layers, heads, height, width = tile.shape
        joined = tile.permute(0, 2, 1, 3).reshape(layers * height, heads * width)
        return joined, (height, width)

    def sections(self, *, with_detail: bool = True) -> tuple[Section, ...]:
        """The section of the page, and the head view that it opens.

        Args:
            with_detail: bring a head view along; leave it out where the page has one.
        """
        longest = max(self.record.attentions.shape[-2:])
        pooling = (
            f" The text is long: each small map shows at most {TILE_CELLS} × {TILE_CELLS} cells, "
            "each the largest weight of the cells it stands for."
            if longest > TILE_CELLS
            else ""
        )
        own = Section(
            kind="model",
            title=self.title,
            lead=(
                "Each small map is one head: its rows are the tokens that attend, its columns "
                "those attended to, darker for more. Click a map to open the head." + pooling
            ),
            state={"scale": SEQUENTIAL, "tileCells": TILE_CELLS, "gap": GAP},
            record=self.record,
        )
        return (own, *hidden_head_view(self.record)) if with_detail else (own,)


def model_view(record: AttentionRecord) -> ModelView:
    """The model view of a record."""
    return ModelView(record=record)


def pooled(pattern: torch.Tensor, cells: int = TILE_CELLS) -> torch.Tensor:
    """``(..., query_len, key_len)`` pooled by the maximum to at most ``cells`` a side.

    Example:
        >>> pooled(torch.tensor([[[[0.1, 0.2], [0.3, 0.4]]]]), cells=1)
        tensor([[[[0.4000]]]])
    """
    factors = [-(-length // cells) for length in pattern.shape[-2:]]
    if factors == [1, 1]:
        return pattern
    return torch.nn.functional.max_pool2d(pattern, kernel_size=factors, ceil_mode=True)

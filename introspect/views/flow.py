"""The flow view: what reaches a token from where, as paths through all layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.functional import largest_passing, passing, widest_paths
from introspect.page import Choice, Section
from introspect.records import (
    LARGEST_SHOWN,
    METHODS,
    AttentionRecord,
    HeadLike,
    TokenLike,
    as_token,
    layer_methods,
    layer_shares,
)
from introspect.text import counted, percent, shortened, visible, whole
from introspect.views.base import View, plotly_text
from introspect.views.flow_figure import Readings, flow_figure
from introspect.views.given import (
    Tokens,
    first_token,
    head_number,
    layer_row,
    named_head,
    shown_record,
)
from introspect.views.layer import layers_note
from introspect.views.lens import lens_view

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: The least that an edge must carry to be drawn, however the threshold is set.
LEAST = 0.001
_LARGEST_THRESHOLD = 0.9
# Of the largest threshold at which a path reaches the first layer: the main path with its context.
_CONTEXT = 8
#: More edges than this are more than a page takes.
LARGEST_FLOW = 8_000_000
_LONGEST_QUOTE = 40


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class FlowView(View):
    """Tokens × layers: the paths by which tokens reach one token, or all, after the last layer.

    Args:
        record: the attention.
        token: the index of the token shown first.
        weights: the name of a method of ``introspect.records`` that shares a token out layer by
            layer.
        threshold: the part of the token that each edge of a path carries at least, from 0 to 1.
        every: show the paths into every token first, instead of into one.
        readings: what the logit lens reads at each token, before the first layer and after each:
            layers + 1 lists of a word and its probability; empty without it.
        layer: the layer of the head that is chosen first, by the model's own number.
        head: the number of that head.
    """

    token: int
    weights: str
    threshold: float
    every: bool = False
    readings: Readings = ()
    layer: int | None = None
    head: int | None = None

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Flow view"

    @cached_property
    def shares(self) -> torch.Tensor:
        """Return what each token takes from each through each layer, ``(num_layers, n, n)``.

        Rows sum to 1, with what bypasses the attention in a token's share of itself.
        """
        return layer_shares(self.record, self.weights)

    @cached_property
    def amounts(self) -> torch.Tensor:
        """Return what each edge carries of the token, or of any, ``(num_layers, n, n)``."""
        return _amounts(self.shares, None if self.every else self.token)

    @cached_property
    def widest(self) -> torch.Tensor:
        """The least that is carried on the widest path to each edge, ``(num_layers, n, n)``."""
        return widest_paths(self.amounts, _ends(self.record, None if self.every else self.token))

    def edges(self) -> pd.DataFrame:
        """Return the edges on paths above the threshold, the one that carries most first.

        Returns:
            ``layer``, ``query`` (the token after the layer), ``key`` (before it), ``share`` (of
            the query) and ``amount`` (of the token that is followed).
        """
        places = (self.widest >= max(self.threshold, LEAST)).nonzero()
        rows, queries, keys = places.unbind(1)
        table = pd.DataFrame(
            {
                "layer": torch.tensor(self.record.layers)[rows].numpy(),
                "query": queries.numpy(),
                "key": keys.numpy(),
                "share": self.shares[rows, queries, keys].numpy(),
                "amount": self.amounts[rows, queries, keys].numpy(),
            }
        )
        return table.sort_values("amount", ascending=False, kind="stable", ignore_index=True)

    @property
    def choice(self) -> Choice:
        """The token that is reached, and the head if one is named."""
        return Choice(layer=self.layer, head=self.head, query=self.token, granularity="token")

    @property
    def figure(self) -> Figure:
        """Tokens from top to bottom, layers from left to right, and the edges as lines."""
        return flow_figure(
            self.record,
            self.edges(),
            title=self._caption(),
            ends=range(len(self.record.keys)) if self.every else [self.token],
            readings=self.readings,
        )

    def _caption(self) -> str:
        token = plotly_text(
            shortened(visible(self.record.queries.tokens[self.token]), _LONGEST_QUOTE)
        )
        into = "Into every token" if self.every else f"Into “{token}”"
        drawn, known = len(self.edges()), int((self.shares > 0).sum())
        return (
            f"{into}, by {METHODS[self.weights].label}: {whole(drawn)} of "
            f"{counted(known, 'edge')}, on paths from {percent_of(self.threshold)}"
        )

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        methods = {name: layer_shares(self.record, name) for name in self._methods()}
        largest = {f"{name}-largest": largest_passing(shares) for name, shares in methods.items()}
        return (
            Section(
                kind="flow",
                title=self.title,
                lead=(
                    "Where a token comes from: a line leads from a token before a layer to a token "
                    "after it, as wide as what it carries of the chosen token. Move the threshold "
                    "for more or fewer; click a line for the heads behind it."
                ),
                state={
                    "token": self.token,
                    "every": self.every,
                    "weights": self.weights,
                    "threshold": self.threshold,
                    "least": LEAST,
                    "methods": [
                        {
                            "name": name,
                            "label": METHODS[name].label,
                            "edges": int((shares > 0).sum()),
                        }
                        for name, shares in methods.items()
                    ],
                    "readings": [list(map(list, line)) for line in self.readings],
                    "note": layers_note(self.record),
                },
                record=self.record,
                parts=("value_norms",),
                methods=(("norm",) if "value_norms" in self.record.parts else (),),
                arrays={name: array.float().numpy() for name, array in (methods | largest).items()},
            ),
        )

    def _methods(self) -> tuple[str, ...]:
        """Return the methods to choose from; of a long text the one that is shown."""
        if len(self.record.keys) > LARGEST_SHOWN:
            return (self.weights,)
        return tuple(dict.fromkeys((self.weights, *layer_methods(self.record))))


def percent_of(share: float) -> str:
    """Return a share as a percentage with about two significant digits.

    Example:
        >>> [percent_of(share) for share in (0.25, 0.0125, 0.001)]
        ['25%', '1.3%', '0.10%']
    """
    return percent(share, 0 if share >= 0.0995 else 1 if share >= 0.00995 else 2)


@checked_call
def flow_view(
    record: AttentionRecord | Any,
    tokens: Tokens | None = None,
    sentence_b_start: int | None = None,
    *,
    token: TokenLike | None = None,
    weights: str | None = None,
    threshold: float | None = None,
    every: bool = False,
    lens: pd.DataFrame | None = None,
    layer: int | None = None,
    head: int | HeadLike | None = None,
) -> FlowView:
    """Build a view of how tokens reach a token through all layers: nodes, and edges between layers.

    The arguments set only what is shown first; the page's controls can change it.

    Args:
        record: self-attention, all its rows; captured with ``include=("contributions",)`` it shows
            ALTI, and with ``value_norms`` which heads carry an edge by what they bring. Or tensors,
            as BertViz takes them, with their ``tokens``.
        tokens: the tokens of attention that is no record.
        sentence_b_start: of a pair of texts without a record, the first token of the second one.
        token: the token that is reached: its index or its word, ``"it#2"`` for the second one; by
            default, the last word.
        weights: ``alti``, ``residual_norm``, ``rollout`` or ``even_rollout``; by default the first
            of them that the record has the parts for.
        threshold: the part of the token that each edge of a path carries at least, from 0 to 1; by
            default, an eighth of the largest at which a path still reaches the first layer.
        every: show the paths into every token first.
        lens: the readings of ``ix.logit_lens`` for the same text, to label the nodes.
        layer: the layer to highlight in the strip of heads, in the model's own numbering.
        head: the head to highlight there, its number in ``layer`` or ``"L3H1"``.

    Raises:
        SelectionError: the token, layer or head does not exist, the record cannot provide the
            weights, it is not self-attention with all its rows, there are too many edges for a
            page, or the readings are of another text.

    Source: Abnar and Zuidema 2020 for ``rollout``, Ferrando et al. 2022 for ``alti``; paths above a
    threshold follow Ferrando and Voita 2024, "Information Flow Routes".

    Example:
        >>> record = AttentionRecord.from_tensors(torch.eye(2).expand(3, 1, 2, 2), ["a", "b"])
        >>> flow_view(record, token=1).edges()
           layer  query  key  share  amount
        0      0      1    1    1.0     1.0
        1      1      1    1    1.0     1.0
        2      2      1    1    1.0     1.0
    """
    record = shown_record(record, tokens, sentence_b_start, view="flow_view")
    if (size := record.num_layers * len(record.queries) * len(record.keys)) > LARGEST_FLOW:
        raise SelectionError(
            f"Expected at most {whole(LARGEST_FLOW)} edges, which a page holds, got {whole(size)}. "
            "Shorten the text, or give fewer layers with record.only."
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise SelectionError(f"Expected `threshold` from 0 to 1, got {threshold}.")
    place = first_token(record.queries) if token is None else as_token(record.queries, token)
    name = layer_methods(record)[0] if weights is None else weights
    shares = layer_shares(record, name)
    layer, number = named_head(record, layer, head)
    if layer is not None:
        layer_row(record, layer)
    first = _first_threshold(record, shares, None if every else place)
    return FlowView(
        record=record,
        token=place,
        weights=name,
        threshold=first if threshold is None else float(threshold),
        every=every,
        readings=() if lens is None else _readings(record, lens),
        layer=layer,
        head=None if number is None else head_number(record, number),
    )


def _ends(record: AttentionRecord, token: int | None) -> torch.Tensor:
    """Return the tokens after the last layer that are followed: one, or all."""
    ends = torch.full((len(record.queries),), token is None)
    if token is not None:
        ends[token] = True
    return ends


def _amounts(shares: torch.Tensor, token: int | None) -> torch.Tensor:
    """Return what each edge carries of a token, or the most that it carries of any token."""
    if token is None:
        return largest_passing(shares)[:, :, None] * shares.nan_to_num(0.0)
    last = torch.zeros(shares.shape[-1], dtype=torch.float64)
    last[token] = 1.0
    return passing(shares, last)


def _first_threshold(record: AttentionRecord, shares: torch.Tensor, token: int | None) -> float:
    """Return a part of the largest threshold at which a path reaches the first layer."""
    widest = widest_paths(_amounts(shares, token), _ends(record, token))
    threshold = float(widest[0].max()) / _CONTEXT
    if threshold > 0:
        # Two digits: it is said in words.
        threshold = round(threshold, 1 - math.floor(math.log10(threshold)))
    return min(max(threshold, LEAST), _LARGEST_THRESHOLD)


def _readings(record: AttentionRecord, lens: pd.DataFrame) -> Readings:
    """Return the likeliest word before the first layer of a record, and after each.

    Raises:
        SelectionError: the table is not one of ``ix.logit_lens``, or of other tokens.
    """
    read = lens_view(lens)
    if read.tokens != record.queries.tokens:
        raise SelectionError(
            f"Expected readings of the record's {counted(len(record.queries), 'token')}, got "
            f"readings of {counted(len(read.tokens), 'token')}, which differ. Call ix.logit_lens "
            "with the same text."
        )
    best = lens[lens["rank"] == 1]
    words = {
        (row.layer, row.position): (visible(row.predicted), row.probability)
        for row in best.itertuples()
    }
    layers = (record.layers[0] - 1, *record.layers)
    nothing = ("", 0.0)
    return tuple(
        tuple(words.get((layer, place), nothing) for place in range(len(record.queries)))
        for layer in layers
    )

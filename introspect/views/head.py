"""The head view: two columns of tokens joined by lines, colored by head, opaque by weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from introspect.calls import checked_call, checked_result
from introspect.errors import SelectionError
from introspect.functional import renormalized
from introspect.page import Choice, Section
from introspect.records import AttentionRecord, Head, HeadLike, TokenLike, as_token
from introspect.text import decimal, quantity, shortened, visible
from introspect.views.base import LONGEST_TOKEN, View, plotly_text, underlined
from introspect.views.given import (
    BERTVIZ_NAMES,
    BERTVIZ_ONLY,
    RAW,
    Tokens,
    by_method,
    checked_records,
    checked_weights,
    head_number,
    is_whole,
    layer_row,
    named_heads,
    one_or_several,
    page_methods,
    scale_of,
    shown_record,
    whole_words,
)
from introspect.views.palette import ACCENT, INK, head_colors, mixed, themed_head_colors

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Lower edges of the weight bins; all lines of one head and bin are one Plotly trace.
EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: Lines below this weight are not drawn at first; the control says so and goes down to 0.
THRESHOLD = 0.02
ROW_HEIGHT = 26

#: Weights that the view computes itself; all others come from a method.
OWN_WEIGHTS = (RAW, "renormalized")
#: Allowed values of the view's other options.
CHOICES = {
    "granularity": ("token", "word"),
    "combine": ("separate", "mean", "max", "mean-layers", "max-layers"),
    "layout": ("vertical", "horizontal"),
}

_SIDES = ("query", "key")
_NAMED_HEADS = 6
_SMALL = 0.1


@checked_result
@dataclass(frozen=True, eq=False, repr=False)
class HeadView(View):
    """Lines from each query token to the key tokens that it attends to.

    Args:
        record: the attention.
        layer: the layer shown first, in the model's own numbering.
        heads: the heads shown first.
        tokens: the tokens pinned first, as ``{"side": "query", "index": 10}``; the weights of
            several tokens are summed.
        threshold: lines below this weight are not drawn.
        others: more attention of the same model to choose from: the decoder's and the
            cross-attention.
        granularity: ``token`` or ``word``.
        weights: ``raw``, ``renormalized`` without special tokens and the query itself, or the name
            of a method of ``introspect.records``; a method that combines all heads has one
            line set.
        combine: ``separate`` heads, their ``mean`` or ``max`` in the layer, or the same over all
            layers (``mean-layers``, ``max-layers``).
        layout: ``vertical`` (two columns) or ``horizontal`` (two lines).
        hidden: whether the view stays hidden until another view opens it.
    """

    layer: int
    heads: tuple[int, ...]
    tokens: tuple[Mapping[str, Any], ...] = ()
    threshold: float = THRESHOLD
    others: tuple[AttentionRecord, ...] = ()
    granularity: str = "token"
    weights: str = "raw"
    combine: str = "separate"
    layout: str = "vertical"
    hidden: bool = False

    @property
    def title(self) -> str:
        """The title of the view."""
        return "Head view"

    @property
    def shown(self) -> AttentionRecord:
        """The record by word or by token, with the weights to draw."""
        record = by_method(self.record, self.weights)
        record = record.words() if self.granularity == "word" else record
        if self.weights != "renormalized":
            return record
        is_self = record.queries == record.keys
        special = record.keys.special_tokens_mask
        weights, _ = renormalized(record.attentions, special, is_self=is_self)
        return replace(record, attentions=weights)

    @property
    def choice(self) -> Choice:
        """The head, if it is one, the first pinned tokens and the weights."""
        by_side = {token["side"]: token["index"] for token in reversed(self.tokens)}
        if self.granularity == "word":
            sides = {"query": self.record.queries, "key": self.record.keys}
            by_side = {side: sides[side].pieces()[index][0] for side, index in by_side.items()}
        return Choice(
            layer=self.layer,
            head=self.heads[0] if self.heads else None,
            query=by_side.get("query"),
            key=by_side.get("key"),
            weights=self.weights,
            granularity=self.granularity,
            methods=page_methods(self.record, self.weights),
        )

    _height_and_of_token = 190, ROW_HEIGHT

    @property
    def noted_head(self) -> str | None:
        """The head in the small print, or of several their layer."""
        return super().noted_head if len(self.heads) == 1 else f"layer {self.layer}"

    @property
    def figure(self) -> Figure:
        """The tokens and lines of the current state, as a plain Plotly figure."""
        import plotly.graph_objects as go

        record = self.shown
        rows = max(len(record.queries), len(record.keys))
        figure = go.Figure([go.Scatter(**trace) for trace in self.traces()])
        figure.update_layout(
            template="plotly_white",
            title=self._caption(),
            width=640,
            height=rows * ROW_HEIGHT + 80,
            margin={"l": 10, "r": 10, "t": 60, "b": 10},
            showlegend=False,
            hovermode=False,
            font={"color": INK},
            xaxis={"visible": False, "range": [-0.6, 1.6]},
            yaxis={"visible": False, "range": [rows - 0.5, -0.5]},
        )
        # All at once: Plotly checks those that are there again for each that is added.
        figure.layout.annotations = [
            {"x": x, "y": index, "text": label, "xanchor": anchor, "showarrow": False,
             "font": {"size": 14}}
            for side, x, anchor in (("query", -0.02, "right"), ("key", 1.02, "left"))
            for index, label in enumerate(self._labels(side))
        ]  # fmt: skip
        return figure

    def _caption(self) -> str:
        if is_whole(self.weights):
            return whole_words(self.weights, self.layer)
        how, _, extent = self.combine.partition("-")
        several = (
            f"{len(self.heads)} heads"
            if len(self.heads) > _NAMED_HEADS
            else ", ".join(str(head) for head in self.heads)
        )
        if extent:
            return f"All layers, {how} over heads {several}"
        if how != "separate":
            return f"Layer {self.layer}, {how} over heads {several}"
        if len(self.heads) > _NAMED_HEADS:
            return f"Layer {self.layer}, {several}"
        return ", ".join(str(Head(self.layer, head)) for head in self.heads)

    def traces(self) -> list[dict[str, Any]]:
        """Build one line trace for each line set and weight bin, in the order of heads and bins.

        A line set is one head, or the combination of several.
        """
        colors = head_colors(self.record.num_heads)
        separate = [colors[head] for head in self.heads]
        if not self.heads and not is_whole(self.weights):
            return []
        is_separate = self.combine == "separate" and not is_whole(self.weights)
        of_sets = separate if is_separate else [ACCENT]
        traces = []
        scale = self._scale()
        for pattern, color in zip(self._patterns(), of_sets, strict=True):
            pairs = self._pairs(pattern / scale)
            for edge, low, high in zip(EDGES, EDGES, (*EDGES[1:], 2.0), strict=True):
                inside = [(q, k) for q, k, weight in pairs if low <= weight < high]
                if inside:
                    traces.append(_line_trace(inside, color, edge, self._dimming()))
        return traces

    def _patterns(self) -> list[torch.Tensor]:
        """Return the pattern to draw for each line set, ``(query_len, key_len)``."""
        attentions = self.shown.attentions
        if is_whole(self.weights):
            return [attentions[layer_row(self.record, self.layer), 0]]
        own = attentions[layer_row(self.record, self.layer)][list(self.heads)]
        if self.combine == "separate":
            return list(own)
        how, _, extent = self.combine.partition("-")
        chosen = attentions[:, list(self.heads)].flatten(0, 1) if extent else own
        return [chosen.amax(0) if how == "max" else chosen.double().mean(0).float()]

    def _scale(self) -> float:
        """Return the weight drawn at full strength: 1, or the largest if unbounded."""
        shown = self.shown.attentions
        is_of_all = self.combine.endswith("layers") and not is_whole(self.weights)
        rows = shown if is_of_all else shown[layer_row(self.record, self.layer)]
        return scale_of(self.weights, rows)

    def _dimming(self) -> float:
        """Compute a factor that dims the lines of many heads, so that strong lines stay visible."""
        if self.tokens or self.combine != "separate" or is_whole(self.weights):
            return 1.0
        return float(len(self.heads) ** -0.5)

    def sections(self) -> tuple[Section, ...]:
        """Return the section of the page."""
        return (
            Section(
                kind="head",
                title=self.title,
                lead=(
                    "Each line goes from a token that attends (query) to one that it attends to "
                    "(key): a color for each head, the stronger the weight. Point at a token for "
                    "its numbers; click tokens to keep them. Arrow keys change layer and head, "
                    "with Shift they go from token to token."
                ),
                state={
                    "layer": self.layer,
                    "heads": self.heads,
                    "pins": self.tokens,
                    "threshold": self.threshold,
                    "granularity": self.granularity,
                    "weights": self.weights,
                    "combine": self.combine,
                    "layout": self.layout,
                    "colors": [
                        themed_head_colors(record.num_heads)
                        for record in (self.record, *self.others)
                    ],
                    "edges": EDGES,
                    "opacities": [_opacity(edge) for edge in EDGES],
                    "widths": [_width(edge) for edge in EDGES],
                    "rowHeight": ROW_HEIGHT,
                },
                record=self.record,
                others=self.others,
                hidden=self.hidden,
                parts=("value_norms",),
                methods=(
                    page_methods(self.record, self.weights),
                    *(page_methods(other) for other in self.others),
                ),
            ),
        )

    def _pairs(self, weights: torch.Tensor) -> list[tuple[int, int, float]]:
        """Return query, key and weight of each line of one set, row by row; NaN has no line."""
        drawn = weights >= self.threshold
        if self.tokens:
            mask = torch.zeros_like(drawn)
            for token in self.tokens:
                if token["side"] == "query":
                    mask[token["index"]] = True
                else:
                    mask[:, token["index"]] = True
            drawn &= mask
        return [(q, k, float(weights[q, k])) for q, k in drawn.nonzero().tolist()]

    def _labels(self, side: str) -> list[str]:
        record = self.shown
        sequence = record.queries if side == "query" else record.keys
        short = [plotly_text(shortened(visible(t), LONGEST_TOKEN)) for t in sequence.tokens]
        labels = underlined(short, sequence)
        sources = [token["index"] for token in self.tokens if token["side"] != side]
        if not sources or not (self.heads or is_whole(self.weights)):
            return labels
        mean = torch.stack(self._patterns()).double().mean(0)
        sums = mean[sources].sum(0) if side == "key" else mean[:, sources].sum(1)
        # Gradients may be so small that two decimals show only zeros.
        write = decimal if self._scale() >= _SMALL else quantity
        weights = [write(weight) for weight in sums.tolist()]
        if side == "key":
            return [f"{label}  <b>{w}</b>" for label, w in zip(labels, weights, strict=True)]
        return [f"<b>{w}</b>  {label}" for label, w in zip(labels, weights, strict=True)]


Token = TokenLike | Mapping[str, Any]


@checked_call(
    aliases=BERTVIZ_NAMES,
    hints=BERTVIZ_ONLY,
    renamed={("weights", "renormalised"): "renormalized"},
)
def head_view(
    record: AttentionRecord | Sequence[AttentionRecord] | Any,
    tokens: Tokens | None = None,
    sentence_b_start: int | None = None,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    heads: Iterable[int | HeadLike] | HeadLike | None = None,
    token: Token | Sequence[Token] | None = None,
    threshold: float = THRESHOLD,
    granularity: Literal["token", "word"] = "token",
    weights: str = "raw",
    combine: Literal["separate", "mean", "max", "mean-layers", "max-layers"] = "separate",
    layout: Literal["vertical", "horizontal"] = "vertical",
) -> HeadView:
    """Build the head view of a record.

    The arguments set only what is shown first; the page's controls can change it. To leave layers
    out of the page altogether, pass ``record.only(layers=[…])``.

    Args:
        record: the attention, or a list of the kinds of an encoder-decoder to choose from; or
            tensors, as BertViz takes them, with their ``tokens``.
        tokens: the tokens of attention that is no record.
        sentence_b_start: of a pair of texts without a record, the first token of the second one.
        layer: the layer to show first, in the model's own numbering; the first one by default.
        head: the head to show first: its number in ``layer``, or ``"L3H1"``.
        heads: several heads of one layer to show first, as ``[1, 2]`` or ``["L3H1", "L3H2"]``; all
            by default.
        token: a token to pin: the index of a query token, its word (``"it"``, ``"it#2"`` for the
            second one), or ``{"side": "key", "index": 2}``; or a list of these, whose weights are
            summed. With ``granularity="word"``, indices count words.
        threshold: do not draw lines below this weight at first; for norms, below this share of the
            largest.
        granularity: ``token`` or ``word``.
        weights: ``raw``; ``renormalized``: without special tokens and the query itself; or the
            name of a method whose inputs the record carries: ``norm``, ``residual_norm``,
            ``rollout``, ``flow``, ``alti``, ``gradient_attention``, ``relevance``,
            ``integrated_gradients``. The page offers those that the record can provide.
        combine: ``separate`` heads, their ``mean`` or ``max``, or the same over all layers
            (``mean-layers``, ``max-layers``).
        layout: ``vertical`` (two columns) or ``horizontal`` (two lines).

    Raises:
        SelectionError: a layer, head, token or choice does not exist, or the record cannot provide
            the weights.
    """
    if tokens is not None or sentence_b_start is not None:
        record = shown_record(record, tokens, sentence_b_start, view="head_view")
    record, *others = checked_records(record, view="head_view")
    chosen: Sequence[int] = range(record.num_heads)
    if head is not None or heads is not None:
        layer, chosen = named_heads(record, layer, one_or_several(head, heads))
    layer = record.layers[0] if layer is None else layer
    layer_row(record, layer)
    if not 0 <= threshold <= 1:
        raise SelectionError(f"Expected `threshold` from 0 to 1, got {threshold}.")
    for name, given in (
        ("granularity", granularity),
        ("combine", combine),
        ("layout", layout),
    ):
        if given not in CHOICES[name]:
            known = ", ".join(CHOICES[name])
            raise SelectionError(f"Expected `{name}` as one of {known}, got {given!r}.")
    checked_weights(record, weights, OWN_WEIGHTS)
    view = HeadView(
        record=record,
        layer=layer,
        heads=tuple(sorted({head_number(record, head) for head in chosen})),
        threshold=threshold,
        others=tuple(others),
        granularity=granularity,
        weights=weights,
        combine=combine,
        layout=layout,
    )
    return replace(view, tokens=_checked_tokens(view.shown, token))


def hidden_head_view(record: AttentionRecord) -> tuple[Section, ...]:
    """Build a head view that stays hidden until another view opens it."""
    return replace(head_view(record), hidden=True).sections()


def _checked_tokens(
    record: AttentionRecord, given: Token | Sequence[Token] | None
) -> tuple[dict[str, Any], ...]:
    if given is None:
        return ()
    several = [given] if isinstance(given, int | str | Mapping) else given
    return tuple(_checked_token(record, token) for token in several)


def _checked_token(record: AttentionRecord, token: Token) -> dict[str, Any]:
    given = {"side": "query", "index": token} if not isinstance(token, Mapping) else dict(token)
    side, index = given.get("side"), given.get("index")
    if side not in _SIDES:
        raise SelectionError(f"Expected the token's `side` as query or key, got {side!r}.")
    tokens = record.queries if side == "query" else record.keys
    return {"side": side, "index": as_token(tokens, index)}  # type: ignore[arg-type]


def _line_trace(
    pairs: Sequence[tuple[int, int]], color: str, edge: float, dimming: float
) -> dict[str, Any]:
    return {
        "mode": "lines",
        "x": [x for _ in pairs for x in (0, 1, None)],
        "y": [y for query, key in pairs for y in (query, key, None)],
        "line": {"color": mixed(color, round(_opacity(edge) * dimming, 3)), "width": _width(edge)},
        "hoverinfo": "skip",
    }


def _opacity(edge: float) -> float:
    """Return the line opacity of a weight bin: roughly the weight, but never invisible."""
    return round(min(1.0, 0.06 + 1.05 * edge), 3)


def _width(edge: float) -> float:
    return round(1.0 + 3.0 * edge, 2)

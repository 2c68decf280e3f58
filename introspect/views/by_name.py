"""Selection of a record's view by name, for programs in which the user names one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from introspect.records import AttentionRecord, Head, HeadLike, TokenLike
from introspect.views.base import View
from introspect.views.flow import flow_view
from introspect.views.focal import neuron_view, steps_view
from introspect.views.given import layer_row, named_head
from introspect.views.head import head_view
from introspect.views.heatmap import heatmap_view
from introspect.views.layer import layer_view
from introspect.views.model import model_view

ViewName = Literal["head", "model", "layer", "neuron", "steps", "heatmap", "flow"]
VIEW_NAMES: tuple[ViewName, ...] = get_args(ViewName)

_PARTS: dict[str, tuple[str, ...]] = {
    "neuron": ("attentions", "scores", "queries", "keys"),
    "steps": ("attentions", "scores", "values", "head_outputs"),
}

# Not every model has these.
_WISHED: dict[str, tuple[str, ...]] = {"flow": ("contributions", "value_norms")}


def parts_wished(name: ViewName) -> tuple[str, ...]:
    """Return further parts that a view shows where a model has them, and does without elsewhere.

    Example:
        >>> parts_wished("flow")
        ('contributions', 'value_norms')
    """
    return _WISHED.get(name, ())


def parts_of_view(name: ViewName) -> tuple[str, ...]:
    """Return the parts that must be captured for a view.

    Example:
        >>> parts_of_view("head")
        ('attentions',)
    """
    return _PARTS.get(name, ("attentions",))


def view_by_name(
    name: ViewName,
    record: AttentionRecord,
    *,
    layer: int | None = None,
    heads: Sequence[int | HeadLike] = (),
    token: TokenLike | None = None,
    weights: str = "raw",
) -> View:
    """Build the view of a record that has a given name.

    Args:
        name: the name of the view.
        record: the attention, with the parts from ``parts_of_view``.
        layer: the layer to show first; of the model view the one to highlight; of the layer view,
            which shows all, the one chosen first.
        heads: the heads to show first; of the model view those to highlight; of the neuron and
            steps views, if they are several, those that the page holds; all others but the head
            view use only the first of them.
        token: the query token to show first, in the views that show one.
        weights: the weights to show first; ignored by the neuron and steps views.

    Raises:
        SelectionError: the record does not have the layer, head or token.
    """
    head = heads[0] if heads else None
    if layer is not None:
        layer_row(record, layer)
    if name == "head":
        return head_view(record, layer=layer, heads=heads or None, token=token, weights=weights)
    if name == "model":
        # What the others select, the model view highlights: it shows every head.
        framed: list[Any] = list(heads)
        if layer is not None and not framed:
            framed = [Head(layer, number) for number in range(record.num_heads)]
        return model_view(record, weights=weights, framed=framed or None)
    if name == "heatmap":
        return heatmap_view(record, layer=layer, head=head, weights=weights)
    if name == "layer":
        of_head, number = named_head(record, layer, head)
        made = layer_view(record, head=number, token=token, weights=weights)
        return made.opening(layer=of_head)
    if name == "flow":
        shares = None if weights == "raw" else weights
        return flow_view(record, token=token, weights=shares, layer=layer, head=head)
    focal = neuron_view if name == "neuron" else steps_view
    held = heads if len(heads) > 1 else None
    return focal(record, layer=layer, head=head, token=token, heads=held)

"""Selection of a record's view by name, for programs in which the user names one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from introspect.records import AttentionRecord, HeadLike, TokenLike
from introspect.views.base import View
from introspect.views.focal import neuron_view, steps_view
from introspect.views.given import named_head
from introspect.views.head import head_view
from introspect.views.heatmap import heatmap_view
from introspect.views.layer import layer_view
from introspect.views.model import model_view

ViewName = Literal["head", "model", "layer", "neuron", "steps", "heatmap"]
VIEW_NAMES: tuple[ViewName, ...] = get_args(ViewName)

_PARTS: dict[str, tuple[str, ...]] = {
    "neuron": ("attentions", "scores", "queries", "keys"),
    "steps": ("attentions", "scores", "values", "head_outputs"),
}


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
        layer: the layer to show first; ignored by the model and layer views.
        heads: the heads to show first; all views but the head view use only the first of them, and
            the pages of the neuron and steps views hold those that are named, if they are several.
        token: the query token to show first, in the views that show one.
        weights: the weights to show first; ignored by the neuron and steps views.

    Raises:
        SelectionError: the record does not have the layer, head or token.
    """
    head = heads[0] if heads else None
    if name == "head":
        return head_view(record, layer=layer, heads=heads or None, token=token, weights=weights)
    if name == "model":
        return model_view(record, weights=weights)
    if name == "heatmap":
        return heatmap_view(record, layer=layer, head=head, weights=weights)
    if name == "layer":
        _, number = named_head(record, None, head)
        return layer_view(record, head=number, token=token, weights=weights)
    focal = neuron_view if name == "neuron" else steps_view
    held = heads if len(heads) > 1 else None
    return focal(record, layer=layer, head=head, token=token, heads=held)

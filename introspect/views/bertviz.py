"""Show a record in BertViz: its head view and its model view.

BertViz (Vig 2019, "A Multiscale Visualization of Attention in the Transformer Model") is the
extra ``bertviz``. Its pages fetch three scripts from a network each time they are opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from introspect.errors import InputError, MissingExtraError, SelectionError
from introspect.records import AttentionRecord, HeadLike, TokenSequence
from introspect.text import visible
from introspect.views.given import head_number, layer_row, named_heads, one_or_several

# How the line of BertViz's script begins that holds its data, and no HTML.
_DATA_LINE = "const params = "


def head_view(
    record: AttentionRecord,
    *,
    layer: int | None = None,
    head: int | HeadLike | None = None,
    heads: Iterable[int | HeadLike] | HeadLike | None = None,
    as_html: bool = False,
) -> Any:
    """Show a record in BertViz's head view.

    Args:
        record: the attention, ``(num_layers, num_heads, query_len, key_len)``.
        layer: the layer to show first, by the model's own number; the first one by default.
        head: the head to show first: its number in ``layer``, or ``"L3H1"``.
        heads: several heads of one layer to show first, as ``[1, 2]`` or ``["L3H1", "L3H2"]``; all
            by default.
        as_html: return the view as an ``IPython.display.HTML`` instead of showing it.

    Returns:
        the HTML, or ``None`` where the notebook shows it.

    Raises:
        MissingExtraError: BertViz is not installed.
        SelectionError: the record does not have a layer or head.
        InputError: a weight is missing.
    """
    numbers = None
    if head is not None or heads is not None:
        layer, numbers = named_heads(record, layer, one_or_several(head, heads))
    layer = record.layers[0] if layer is None else layer
    layer_row(record, layer)
    options = {
        "layer": layer,
        "heads": None if numbers is None else _checked_heads(record, numbers),
    }
    return _shown("head_view", record, options, as_html=as_html)


def model_view(record: AttentionRecord, *, as_html: bool = False) -> Any:
    """Show a record in BertViz's model view.

    Args:
        record: the attention, ``(num_layers, num_heads, query_len, key_len)``.
        as_html: return the view as an ``IPython.display.HTML`` instead of showing it.

    Returns:
        the HTML, or ``None`` where the notebook shows it.

    Raises:
        MissingExtraError: BertViz is not installed.
        InputError: a weight is missing.
    """
    return _shown("model_view", record, {}, as_html=as_html)


def _shown(name: str, record: AttentionRecord, options: Mapping[str, Any], *, as_html: bool) -> Any:
    """Call one of BertViz's views."""
    try:
        import bertviz
    except ImportError as error:
        raise MissingExtraError("bertviz", "bertviz", "Showing a record in BertViz") from error
    view = getattr(bertviz, name)
    arguments = {**_arguments(record), **options}
    if not as_html:
        return view(**arguments, html_action="view")
    shown = view(**arguments, html_action="return")
    shown.data = _with_inert_data(shown.data)
    return shown


def _arguments(record: AttentionRecord) -> dict[str, Any]:
    """Return a record as BertViz's arguments."""
    weights = _by_layer(record)
    queries, keys = _labels(record.queries), _labels(record.keys)
    common = {"include_layers": list(record.layers), "prettify_tokens": False}
    # BertViz has one list of tokens for self-attention. Where some queries are left out, only its
    # cross-attention has another on each side.
    if record.kind == "cross" or queries != keys:
        tokens = {"decoder_tokens": queries, "encoder_tokens": keys}
        return {"cross_attention": weights, **tokens, **common}
    if record.kind == "encoder":
        return {"encoder_attention": weights, "encoder_tokens": keys, **common}
    if record.kind == "decoder":
        return {"decoder_attention": weights, "decoder_tokens": keys, **common}
    pair = {"sentence_b_start": _second_text(record.keys)}
    return {"attention": weights, "tokens": keys, **pair, **common}


def _by_layer(record: AttentionRecord) -> list[torch.Tensor]:
    """Return a list over layers of ``(1, num_heads, query_len, key_len)``, by the model's numbers.

    BertViz uses the layer numbers both as indices into this list and as names; the entries of
    layers that the record does not have are never read.
    """
    if record.attentions.isnan().any():
        raise InputError(
            "Expected a weight in each place, got a record with missing ones, which BertViz would "
            "draw as its strongest lines. Show it with introspect's own views."
        )
    places = [record.attentions[:1]] * (max(record.layers) + 1)
    for row, layer in enumerate(record.layers):
        places[layer] = record.attentions[row : row + 1]
    return places


def _labels(sequence: TokenSequence) -> list[str]:
    """Return the tokens as the views of this package show them."""
    return [visible(token) for token in sequence.tokens]


def _second_text(sequence: TokenSequence) -> int | None:
    """Return where the second text of a pair begins; ``None`` without one."""
    ids = sequence.sequence_ids
    start = ids.index(1) if 1 in ids else 0
    return start if start > 0 and 0 not in ids[start:] else None


def _checked_heads(record: AttentionRecord, heads: Sequence[int]) -> list[int]:
    if len(heads) == 0:
        raise SelectionError(
            "Expected at least one of the `heads`, got none. Leave it out for all."
        )
    return sorted({int(head_number(record, head)) for head in heads})


def _with_inert_data(page: str) -> str:
    """Return BertViz's page, made safe so that no token can end the script around it."""
    return "\n".join(
        line.replace("<", "\\u003c") if line.lstrip().startswith(_DATA_LINE) else line
        for line in page.split("\n")
    )

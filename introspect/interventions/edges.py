"""Knock out attention edges from single queries to single keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from introspect.calls import checked_call
from introspect.errors import CaptureError, SelectionError
from introspect.functional import knocked_out
from introspect.hooks import Change, Edit, Visible, attention_layout
from introspect.interventions.intervention import Intervention, ModelLike, module_of
from introspect.interventions.targets import checked_kind, heads_by_layer, in_words
from introspect.models import Model, load_text
from introspect.records import (
    HeadLike,
    Kind,
    TokenLike,
    TokenSequence,
    as_token,
    find_tokens,
    mention_pieces,
)
from introspect.text import Span

#: A query's position and a key's.
Edge = tuple[int, int]


@checked_call
def knock_out(
    model: ModelLike,
    edges: Iterable[Edge] | torch.Tensor,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    layers: Sequence[int] | None = None,
    renormalize: bool = True,
    kind: Kind | None = None,
) -> Intervention:
    r"""Keep queries from attending to keys for the duration of a ``with`` block.

    For an edge :math:`(i, j)` the weight :math:`\alpha_{ij}` becomes 0. With ``renormalize`` the
    rest of the row is divided by :math:`1 - \alpha_{ij}`, which is the softmax without
    that key; otherwise the key's contribution is simply missing.

    Source: attention knockout, Geva et al. 2023, https://arxiv.org/abs/2304.14767.

    Args:
        model: a model of this package, or a transformers module.
        edges: pairs of a query's position and a key's, for all items of a batch; or a tensor of
            bool, ``(query_len, key_len)`` or ``(batch, query_len, key_len)``, true where an edge is
            removed. ``edges_between`` finds them by words.
        heads: as ``ablate`` takes them; all heads of ``layers``, or all, by default.
        layers: whole layers, in addition to the heads.
        renormalize: whether the rest of the row is rescaled to sum to 1 again.
        kind: of an encoder-decoder ``encoder``, ``decoder`` or ``cross``.

    Raises:
        SelectionError: a head or kind that does not exist, or no edge.
        CaptureError: within the block, if a position does not exist, the run continues from a
            cache (pass ``use_cache=False``), or the pattern cannot be changed.
    """
    layout = attention_layout(module_of(model))
    kind = checked_kind(layout, kind)
    chosen = heads_by_layer(layout, kind, heads, layers)
    if not torch.is_tensor(edges):
        edges = [(int(query), int(key)) for query, key in edges]
        if not edges:
            raise SelectionError("Expected at least one edge, a query's and a key's position.")
    edits = [
        Edit(
            kind,
            layer,
            "attentions",
            _cut(edges, numbers, renormalize=renormalize),
            by_position=True,
        )
        for layer, numbers in chosen.items()
    ]
    return Intervention(model, edits, f"edges of {in_words(chosen, layout, kind)} knocked out")


@checked_call
def edges_between(
    model: Model | str,
    text: str,
    query: TokenLike | Span,
    key: TokenLike | Span,
    *,
    both_ways: bool = False,
) -> list[Edge]:
    """Return the edges from the tokens of one word or phrase of a text to those of another.

    Args:
        model: the model whose tokens are meant, or its name.
        text: the text.
        query: the word that attends, its span, or the index of a token; ``it#2`` is the second
            *it*.
        key: the word attended to.
        both_ways: also include edges from the key to the query.

    Raises:
        MentionError: a word is not in the text, or occurs several times.

    Example:
        >>> import introspect as ix
        >>> model = ix.load("pronoun")
        >>> ix.edges_between(model, "The fox did not cross the river .", "fox", "river")
        [(2, 7)]
    """
    tokens = load_text(model).tokens(text)
    queries, keys = (_pieces(tokens, each) for each in (query, key))
    edges = [(i, j) for i in queries for j in keys]
    return edges + [(j, i) for i, j in edges] if both_ways else edges


def _pieces(tokens: TokenSequence, word: TokenLike | Span) -> list[int]:
    if isinstance(word, str):
        return find_tokens(tokens, word)
    if isinstance(word, int):
        return [as_token(tokens, word)]
    return [piece for pieces in mention_pieces(tokens, word) for piece in pieces]


def _cut(edges: list[Edge] | torch.Tensor, heads: Sequence[int], *, renormalize: bool) -> Change:
    def changed(weights: torch.Tensor, _visible: Visible) -> torch.Tensor:
        cut = _mask(edges, weights)
        result = weights.clone()
        result[:, heads] = knocked_out(weights[:, heads], cut, renormalize=renormalize)
        return result

    return changed


def _mask(edges: list[Edge] | torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return ``(batch or 1, 1, query_len, key_len)``, true where an edge is removed."""
    batch, _, *size = weights.shape
    if torch.is_tensor(edges):
        cut = edges.to(weights.device).bool()
        cut = cut[None] if cut.ndim == 2 else cut
        if cut.ndim != 3 or list(cut.shape[1:]) != size or cut.shape[0] not in (1, batch):
            raise CaptureError(
                f"Expected edges as a tensor of shape {tuple(size)} or {(batch, *size)}, as this "
                f"run has queries and keys, got {tuple(edges.shape)}."
            )
        return cut[:, None]
    if not all(0 <= query < size[0] and 0 <= key < size[1] for query, key in edges):
        raise CaptureError(
            f"Expected edges from queries 0–{size[0] - 1} to keys 0–{size[1] - 1}, got {edges}."
        )
    cut = torch.zeros(1, 1, *size, dtype=torch.bool, device=weights.device)
    for query, key in edges:
        cut[..., query, key] = True
    return cut

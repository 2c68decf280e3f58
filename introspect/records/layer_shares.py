"""The share of each token before a layer in each token after it: the edges of the flow view."""

from __future__ import annotations

from collections.abc import Callable

import torch

from introspect.calls import checked_call
from introspect.errors import SelectionError
from introspect.functional import even_attention, mixed_layers
from introspect.records.attention import AttentionRecord
from introspect.records.attribution import check_square, contributions, residual_norms
from introspect.records.weights import METHODS

_RESIDUAL = 0.5


def _of_norms(record: AttentionRecord) -> torch.Tensor:
    norms = residual_norms(record)[:, 0].double()
    return norms / norms.sum(-1, keepdim=True)


def _of_contributions(record: AttentionRecord) -> torch.Tensor:
    shares = contributions(record)[:, 0].double()
    return shares / shares.sum(-1, keepdim=True)


#: What one layer is in each method that has a share for all that a token consists of, what bypasses
#: the attention included; the methods nearest to the model first. Gradients have none.
_BY_LAYER: dict[str, Callable[[AttentionRecord], torch.Tensor]] = {
    "alti": _of_contributions,
    "residual_norm": _of_norms,
    "rollout": lambda record: mixed_layers(record.attentions, _RESIDUAL),
    "even_rollout": lambda record: mixed_layers(
        even_attention(record.attentions)[:, None], _RESIDUAL
    ),
}
#: The names of these methods.
LAYER_METHODS: tuple[str, ...] = tuple(_BY_LAYER)


@checked_call
def layer_shares(record: AttentionRecord, weights: str) -> torch.Tensor:
    r"""Compute the share of each token before a layer in each token after its attention.

    What bypasses the attention is part of a token's share of itself. By ``alti`` these are the
    contributions that ALTI multiplies; by ``residual_norm`` the norms, each divided by the sum of
    its row; by ``rollout`` half the mean of the heads and half the token itself; by
    ``even_rollout`` the same of even attention.

    Args:
        record: self-attention, all its rows, with the part that the method needs.
        weights: one of ``LAYER_METHODS``.

    Returns:
        ``(num_layers, n, n)``, float64, from 0 to 1; rows sum to 1, or are NaN where a row is
        missing.

    Raises:
        SelectionError: there is no such method, the record does not carry what it needs, or it is
            attention to another text or of some rows only.

    Example:
        >>> weights = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
        >>> layer_shares(AttentionRecord.from_tensors([weights], ["a", "b"]), "rollout")[0]
        tensor([[1.0000, 0.0000],
                [0.2500, 0.7500]], dtype=torch.float64)
    """
    if weights not in _BY_LAYER:
        raise SelectionError(
            f"Expected `weights` as one of {', '.join(LAYER_METHODS)}, which say for each layer "
            f"what share of a token is from where, got {weights!r}."
        )
    check_square(record, "the flow through layers")
    shares = _BY_LAYER[weights](record)
    missing = ~shares.isfinite().all(-1, keepdim=True)
    return shares.masked_fill(missing, torch.nan)


def layer_methods(record: AttentionRecord) -> tuple[str, ...]:
    """Return the names of the methods that a record supports layer by layer, the best first."""
    return tuple(
        name
        for name in LAYER_METHODS
        if (part := METHODS[name].part) is None or part in record.parts
    )

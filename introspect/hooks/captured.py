"""The results of one captured run of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from introspect.records import Certificate

PartByKind = Mapping[str, list[torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Captured:
    """The results of one run of a model.

    Each part is a mapping from the kind of attention (``self``; or ``encoder``, ``decoder``,
    ``cross``) to a list over layers. A part that was not requested is empty.

    Args:
        attentions: ``(batch, num_heads, query_len, key_len)``; for selected rows
            ``(batch, num_heads, num_rows, key_len)``.
        layers: the model's own number of each layer.
        output: the model's output; ``None`` if it was stopped after the last requested layer.
        certificate: how the results were captured.
        scores: the input of the softmax, shaped like the attentions.
        queries: ``(batch, num_heads, query_len, head_dim)``, after rotary embedding.
        keys: ``(batch, num_key_value_heads, key_len, head_dim)``, before they are repeated for
            grouped queries.
        values: shaped like the keys, also before they are repeated.
        head_outputs: ``(batch, num_heads, query_len, value_dim)``, before the output projection.
        value_norms: ``(batch, num_heads, key_len)``: the norm of each value after its head's part
            of the output projection (Kobayashi et al. 2020).
        residual_norms: ``(batch, 1, n, n)``: the norm of each key's contribution through all heads,
            the residual and the layer norm (Kobayashi et al. 2021); not for cross-attention.
        contributions: ``(batch, 1, n, n)``: the share of each key in the block's output (Ferrando
            et al. 2022); not for cross-attention.
        gradients: shaped like the attentions, as ``capture_gradients`` returns them.
        integrated_gradients: shaped like the attentions, from ``capture_gradients`` as well.
    """

    attentions: PartByKind
    layers: Mapping[str, list[int]]
    output: Any
    certificate: Certificate
    scores: PartByKind = field(default_factory=dict)
    queries: PartByKind = field(default_factory=dict)
    keys: PartByKind = field(default_factory=dict)
    values: PartByKind = field(default_factory=dict)
    head_outputs: PartByKind = field(default_factory=dict)
    value_norms: PartByKind = field(default_factory=dict)
    residual_norms: PartByKind = field(default_factory=dict)
    contributions: PartByKind = field(default_factory=dict)
    gradients: PartByKind = field(default_factory=dict)
    integrated_gradients: PartByKind = field(default_factory=dict)

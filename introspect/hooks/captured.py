"""What one run of a model gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from introspect.records import Certificate

__all__ = ["Captured", "PartByKind"]

PartByKind = Mapping[str, list[torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Captured:
    """What one run of a model gave.

    Each part is a mapping from the kind of attention (``self``; or ``encoder``, ``decoder``,
    ``cross``) to a list over layers; a part that was not asked for is empty.

    Args:
        attentions: ``(batch, num_heads, query_len, key_len)``; of selected rows
            ``(batch, num_heads, num_rows, key_len)``.
        layers: the model's own number of each layer.
        output: what the model returned; ``None`` if it was stopped after the last layer asked for.
        certificate: how it was captured.
        scores: what the softmax was given, shaped like the attentions.
        queries: ``(batch, num_heads, query_len, head_dim)``, after rotary embedding.
        keys: ``(batch, num_key_value_heads, key_len, head_dim)``, before they are repeated for
            grouped queries.
        values: the same.
        head_outputs: ``(batch, num_heads, query_len, value_dim)``, before the output projection.
        value_norms: ``(batch, num_heads, key_len)``: the length of each value after its head's part
            of the output projection (Kobayashi et al. 2020).
        residual_norms: ``(batch, 1, n, n)``: the length of what each key brings through all heads,
            the residual and the layer norm (Kobayashi et al. 2021); not of cross-attention.
        contributions: ``(batch, 1, n, n)``: the share of each key in what the block gives (Ferrando
            et al. 2022); not of cross-attention.
        gradients: shaped like the attentions, as ``capture_gradients`` gives them.
        integrated_gradients: the same.
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

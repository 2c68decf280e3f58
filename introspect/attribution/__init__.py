"""Attribution methods based on attention: each turns a record into an attention-shaped tensor.

Every method has one signature, ``method(record) -> (num_layers, num_heads, query_len, key_len)``. A
method that combines the heads of a layer returns one in their place. What a method needs in
addition to the attention is captured with ``include``; if it is missing, the error names it.
"""

from introspect.attribution.methods import (
    alti,
    contributions,
    flow,
    gradient_attention,
    integrated_gradients,
    relevance,
    residual_norms,
    rollout,
    why_not_square,
)
from introspect.attribution.registry import (
    LARGEST_SHOWN,
    METHODS,
    Method,
    attributed,
    offered,
    parts_of,
)

__all__ = [
    "LARGEST_SHOWN",
    "METHODS",
    "Method",
    "alti",
    "attributed",
    "contributions",
    "flow",
    "gradient_attention",
    "integrated_gradients",
    "offered",
    "parts_of",
    "relevance",
    "residual_norms",
    "rollout",
    "why_not_square",
]

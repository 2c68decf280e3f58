"""Records of a capture: attention tensors, their tokens, and a certificate of the capture.

Layers and heads are numbered from 0. Shapes are always
``(num_layers, num_heads, query_len, key_len)``.
"""

from introspect.records.alignment import (
    find_tokens,
    mention_pieces,
    resegmented,
    resegmented_tokens,
    words_of_texts,
)
from introspect.records.attention import KINDS, AttentionRecord
from introspect.records.attribution import (
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
from introspect.records.facts import (
    Certificate,
    Head,
    HeadLike,
    PatchGrid,
    as_head,
    layer_and_head,
    listed_heads,
)
from introspect.records.tokens import TokenLike, TokenSequence, as_token
from introspect.records.weights import (
    LARGEST_SHOWN,
    METHODS,
    Method,
    Weights,
    attributed,
    checked_weights,
    norms,
    norms_of_values,
    offered,
    parts_for,
    parts_of,
)

__all__ = [
    "KINDS",
    "LARGEST_SHOWN",
    "METHODS",
    "AttentionRecord",
    "Certificate",
    "Head",
    "HeadLike",
    "Method",
    "PatchGrid",
    "TokenLike",
    "TokenSequence",
    "Weights",
    "alti",
    "as_head",
    "as_token",
    "attributed",
    "checked_weights",
    "contributions",
    "find_tokens",
    "flow",
    "gradient_attention",
    "integrated_gradients",
    "layer_and_head",
    "listed_heads",
    "mention_pieces",
    "norms",
    "norms_of_values",
    "offered",
    "parts_for",
    "parts_of",
    "relevance",
    "resegmented",
    "resegmented_tokens",
    "residual_norms",
    "rollout",
    "why_not_square",
    "words_of_texts",
]

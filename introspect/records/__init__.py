"""Records of a capture: attention tensors, their tokens, and a certificate of the capture.

Layers and heads are numbered from 0. Shapes are always
``(num_layers, num_heads, query_len, key_len)``.
"""

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
from introspect.records.facts import Certificate, Head, HeadLike, PatchGrid, as_head
from introspect.records.tokens import TokenLike, TokenSequence, as_token
from introspect.records.weights import LARGEST_SHOWN, METHODS, Method, attributed, offered, parts_of

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
    "alti",
    "as_head",
    "as_token",
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

"""Records of a capture: attention tensors, their tokens, and a certificate of the capture.

Layers and heads are numbered from 0. Shapes are always
``(num_layers, num_heads, query_len, key_len)``.
"""

from introspect.records.attention import KINDS, AttentionRecord
from introspect.records.certificate import Certificate
from introspect.records.places import Head, PatchGrid
from introspect.records.tokens import TokenSequence

__all__ = ["KINDS", "AttentionRecord", "Certificate", "Head", "PatchGrid", "TokenSequence"]

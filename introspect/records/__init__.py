"""Records of a capture: attention tensors, their tokens, and a certificate of the capture.

Layers and heads are numbered from 0. Shapes are always
``(num_layers, num_heads, query_len, key_len)``.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)

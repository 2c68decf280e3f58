"""Settings of a configuration that the code of a model does not read."""

from __future__ import annotations

import inspect
import sys
from functools import cache

from torch import nn
from transformers import PreTrainedModel

_POSITIONS = "position_embedding_type"
# What code that knows one scheme only has: positions added to the embeddings.
_PLAIN = (None, "absolute")


def unread_positions(module: nn.Module) -> str:
    """Return what a configuration says of positions that the model's code does not do.

    A model that was trained with relative keys, and runs on code without them, attends otherwise
    than it was trained to.

    Returns:
        A clause for a certificate; empty where the code does what the configuration says.
    """
    for part in module.modules():
        scheme = getattr(getattr(part, "config", None), _POSITIONS, None)
        if not isinstance(part, PreTrainedModel) or scheme in _PLAIN:
            continue
        if not _is_read(type(part).__module__):
            name = type(part).__name__
            return f"its configuration has {_POSITIONS}={scheme!r}, which {name} ignores"
    return ""


@cache
def _is_read(module: str) -> bool:
    """Return whether the file of a model's class mentions the setting."""
    try:
        return _POSITIONS in inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError):
        return True  # there is no source to tell by

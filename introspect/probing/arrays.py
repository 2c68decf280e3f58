"""Arrays as bytes: safetensors, which runs no code when read, with strings stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

__all__ = ["Arrays", "pack", "unpack"]

Arrays = dict[str, npt.NDArray[Any]]

# Prefix for the name of an array of strings, a type that the format lacks.
_STRINGS = "strings:"


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Serialize arrays to bytes, the same for the same arrays; ``unpack`` restores them.

    Example:
        >>> unpack(pack({"a": np.arange(2), "b": np.array(["x"])}))["b"].tolist()
        ['x']
    """
    found: Arrays = {}
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            text = json.dumps(array.tolist(), ensure_ascii=False).encode()
            found[_STRINGS + name] = np.frombuffer(text, dtype=np.uint8)
        else:
            found[name] = array.copy(order="C")
    return save(found)


def unpack(content: bytes) -> Arrays:
    """Return the arrays that were packed.

    Raises:
        SafetensorError: the bytes are damaged.
    """
    found: Arrays = {}
    for name, array in load(content).items():
        if name.startswith(_STRINGS):
            texts = json.loads(array.tobytes())
            found[name.removeprefix(_STRINGS)] = np.array(texts, dtype=np.str_)
        else:
            found[name] = array
    return found

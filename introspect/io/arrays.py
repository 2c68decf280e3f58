"""Arrays as bytes: safetensors, which runs no code when read, with strings stored as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from introspect.io.plain import from_json

Arrays = dict[str, npt.NDArray[Any]]

# Prefix for the name of an array of strings, a type that the format lacks.
_STRINGS = "strings:"


def pack(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Serialize arrays to bytes, the same for the same arrays; ``unpack`` restores them.

    Example:
        >>> unpack(pack({"a": np.arange(2), "b": np.array(["x"])}))["b"].tolist()
        ['x']
    """
    packed: Arrays = {}
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            text = json.dumps(array.tolist(), ensure_ascii=False).encode()
            packed[_STRINGS + name] = np.frombuffer(text, dtype=np.uint8)
        else:
            packed[name] = array.copy(order="C")
    return save(packed)


def unpack(content: bytes) -> Arrays:
    """Return the arrays that were packed.

    Raises:
        SafetensorError: the bytes are damaged.
        ValueError: strings among them are damaged.
    """
    unpacked: Arrays = {}
    for name, array in load(content).items():
        if name.startswith(_STRINGS):
            texts = np.array(from_json(array.tobytes()), dtype=object)
            if not all(isinstance(text, str) for text in texts.ravel()):
                raise ValueError(f"{name} holds other things than strings")
            unpacked[name.removeprefix(_STRINGS)] = texts.astype(np.str_)
        else:
            unpacked[name] = array
    return unpacked


def as_json(value: Any) -> str:
    """Format a value as indented JSON, with null for NaN.

    Example:
        >>> print(as_json({"a": float("nan")}), end="")
        {
          "a": null
        }
    """
    return json.dumps(_finite(value), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Replace NaN, which JSON does not have, with ``None``."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value

"""Values as JSON, with null for NaN."""

from __future__ import annotations

import json
import math
from typing import Any

__all__ = ["as_json"]


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

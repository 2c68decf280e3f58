"""Plain values, as JSON has them, into frozen dataclasses whose fields have these types."""

from __future__ import annotations

import hashlib
import json
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_Made = TypeVar("_Made")
# Larger whole numbers fit into no tensor and no table.
_LARGEST = 2**63 - 1


def from_json(text: str | bytes, **options: Any) -> Any:
    """Return the value that a text of JSON stands for.

    Args:
        text: the text.
        options: as for ``json.loads``.

    Raises:
        ValueError: it is no JSON, or too deeply nested to be read.
    """
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def object_from(text: str | bytes) -> dict[str, Any]:
    """Return the object that a text of JSON stands for.

    Raises:
        ValueError: it is no JSON, or another value.
    """
    value = from_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__} where an object belongs")
    return value


_DIGEST = "digest"


def sealed(fields: Mapping[str, Any]) -> str:
    """Return an object as a line of JSON with the digest by which ``unsealed`` finds damage in it.

    Example:
        >>> unsealed(sealed({"shard": 3}))
        {'shard': 3}
    """
    return json.dumps({**fields, _DIGEST: _digest_of(fields)})


def unsealed(line: str | bytes) -> dict[str, Any]:
    """Return the object of a line that ``sealed`` wrote.

    Raises:
        ValueError: it is something else, or has changed since.
    """
    fields = object_from(line)
    if fields.pop(_DIGEST, None) != _digest_of(fields):
        raise ValueError("the line has changed since it was written")
    return fields


def _digest_of(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def from_plain(kind: Callable[..., _Made], values: Any) -> _Made:
    """Return a dataclass made of plain values; lists become tuples where its fields are tuples.

    Args:
        kind: the dataclass. Its fields are texts, numbers, truths, ``None``, literals, and tuples
            of these.
        values: its fields by name; those that are left out have their defaults.

    Raises:
        ValueError: a field is of another type, unknown, or missing.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Place:
        ...     name: str
        ...     at: tuple[int, int] | None = None
        >>> from_plain(Place, {"name": "it", "at": [3, 5]})
        Place(name='it', at=(3, 5))
    """
    name = getattr(kind, "__name__", "value")
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} is a {type(values).__name__} where an object belongs")
    hints = _hints(kind)
    if unknown := [key for key in values if key not in hints]:
        raise ValueError(f"{name} has {str(unknown[0])!r:.60}, which is not known")
    try:
        return kind(**{key: as_typed(hints[key], value, key) for key, value in values.items()})
    except TypeError as error:  # a field without a default is missing
        raise ValueError(f"{name} is not whole ({error})") from error


@cache
def _hints(kind: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(kind)


def as_typed(hint: Any, value: Any, name: str) -> Any:
    """Return a plain value as its type has it.

    Args:
        hint: the type: as for a field of ``from_plain``.
        value: the value.
        name: what an error calls it.

    Raises:
        ValueError: it is of another type.

    Example:
        >>> as_typed(tuple[int | None, ...], [1, None], "word_ids")
        (1, None)
    """
    if get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            if _is(part, value):
                return as_typed(part, value, name)
        raise _mistyped(name, hint, value)
    if not _is(hint, value):
        raise _mistyped(name, hint, value)
    if get_origin(hint) is not tuple:
        return value
    parts = get_args(hint)
    if parts[-1] is ...:
        return tuple(as_typed(parts[0], item, name) for item in value)
    if len(parts) != len(value):
        raise _mistyped(name, hint, value)
    return tuple(as_typed(part, item, name) for part, item in zip(parts, value, strict=True))


def _is(hint: Any, value: Any) -> bool:
    """Return whether a value is of a type, apart from what a list holds."""
    if hint is Any:
        return True
    if hint is types.NoneType or hint is None:
        return value is None
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple)
    if hint is bool or isinstance(value, bool):
        return hint is bool and isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and abs(value) <= _LARGEST
    if hint is float:
        return isinstance(value, float) or (isinstance(value, int) and abs(value) <= _LARGEST)
    return isinstance(value, get_origin(hint) or hint)


def _mistyped(name: str, hint: Any, value: Any) -> ValueError:
    wanted = getattr(hint, "__name__", None) if isinstance(hint, type) else None
    return ValueError(f"{name} is {value!r:.60} where {wanted or hint} belongs")

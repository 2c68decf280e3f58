"""Names that were replaced: each works for one more release, and a warning gives the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from introspect.errors import SelectionError

__all__ = ["renamed_keyword", "renamed_value"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def renamed_keyword(
    old: str, new: str
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Return a decorator that accepts a keyword's old name, with a ``FutureWarning``.

    Args:
        old: the name before.
        new: the name now.

    Raises:
        SelectionError: (by the decorated function) both names came.

    Example:
        >>> double = renamed_keyword("n", "number")(lambda number: 2 * number)
        >>> double(number=2)
        4
    """

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        name = getattr(function, "__name__", "the function")

        @functools.wraps(function)
        def accepting(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            if old in kwargs:
                if new in kwargs:
                    raise SelectionError(
                        f"Expected {new} alone for {name}, got {old} too, which is its old name. "
                        f"Leave {old} out."
                    )
                warnings.warn(
                    f"{name}({old}=…) is now {name}({new}=…); the old name goes with the next "
                    "release.",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return accepting

    return decorate


def renamed_value(
    keyword: str, old: str, new: str
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Return a decorator that accepts a value's old spelling, with a ``FutureWarning``.

    Args:
        keyword: the option that takes the value.
        old: the spelling before.
        new: the spelling now.

    Example:
        >>> size = renamed_value("unit", "metre", "meter")(lambda *, unit: len(unit))
        >>> size(unit="meter")
        5
    """

    def decorate(
        function: Callable[_Parameters, _Result],
    ) -> Callable[_Parameters, _Result]:
        @functools.wraps(function)
        def accepting(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            value = kwargs.get(keyword)
            if isinstance(value, str) and value == old:
                warnings.warn(
                    f"{keyword}={old!r} is now {keyword}={new!r}; the old spelling goes with the "
                    "next release.",
                    FutureWarning,
                    stacklevel=2,
                )
                kwargs[keyword] = new
            return function(*args, **kwargs)

        return accepting

    return decorate

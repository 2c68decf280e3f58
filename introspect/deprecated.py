"""Names that were replaced: each works for one more release, and a warning gives the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["of_a_study", "renamed_keyword"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def renamed_keyword(
    old: str, new: str
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Return a decorator that accepts a keyword's old name, with a ``FutureWarning``.

    Args:
        old: the name before.
        new: the name now.

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
                    raise TypeError(
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


def of_a_study(
    make: Callable[..., Any],
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
    """Return a decorator for a report that took a model before, and takes a study now.

    Args:
        make: makes the study from the arguments that the report took before.

    Example:
        >>> show = of_a_study(lambda model, text: {"study": text})(lambda study: study["study"])
        >>> show({"study": "a"})
        'a'
    """

    def decorate(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
        names = [getattr(one, "__name__", "the function") for one in (function, make)]

        @functools.wraps(function)
        def accepting(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
            if len(args) < 2:
                return function(*args, **kwargs)
            warnings.warn(
                f"{names[0]}(model, …) is now {names[0]}({names[1]}(model, …)); the old form goes "
                "with the next release.",
                FutureWarning,
                stacklevel=2,
            )
            own: Any = {"command": kwargs.pop("command", None)}
            write: Callable[..., _Result] = function
            return write(make(*args, **kwargs), **own)

        return accepting

    return decorate

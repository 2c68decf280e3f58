"""Names that were replaced: each works for one more release, and a warning gives the new one."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

from introspect.errors import SelectionError

# The modules that the documentation of 0.1.0 named.
_MODULES = {
    "introspect.analyzers": "introspect.studies",
    "introspect.analyzers.batches": "introspect.studies.analyzer",
    "introspect.analyzers.bias": "introspect.studies.coreference.bias",
    "introspect.analyzers.linear_probe": "introspect.studies.coreference.linear_probe",
    "introspect.analyzers.pairs": "introspect.studies.coreference.pairs",
    "introspect.analyzers.patterns": "introspect.studies.heads.shapes",
    "introspect.analyzers.roles": "introspect.studies.heads.attention_targets",
    "introspect.analyzers.similarity": "introspect.studies.heads.similarity",
    "introspect.analyzers.syntax": "introspect.studies.heads.syntax",
    "introspect.attribution": "introspect.records",
    "introspect.cases": "introspect.data",
    "introspect.causal": "introspect.studies.causal",
    "introspect.heads": "introspect.studies.heads",
    "introspect.interop": "introspect.views",
    "introspect.mentions": "introspect.text.mentions",
    "introspect.probing": "introspect.runs",
    "introspect.residual": "introspect.studies.lens",
    "introspect.segmentation": "introspect.text.chinese",
    "introspect.sentences": "introspect.data",
    "introspect.weighting": "introspect.records.weights",
}

# Options of the command line, and values, each by its spelling of 0.1.0.
_OPTIONS = (
    {(command, "--truncate"): "--truncation" for command in ("report", "view", "compare")}
    | {(command, "--fresh"): "--overwrite" for command in ("probe", "causal", "heads")}
    | {("causal", "--no-twins"): "--no-minimal-pairs"}
)
_VALUES = {("--weights", "renormalised"): "renormalized"}

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


#: A keyword's old name, or a keyword and the old spelling of a value of it.
Renamed = Mapping[str | tuple[str, str], str]


def _warn(old: str, new: str, what: str = "name", level: int = 3) -> None:
    """Warn the caller of the function that calls this one, or one further away."""
    text = f"{old} is now {new}; the old {what} goes with the next release."
    warnings.warn(text, FutureWarning, stacklevel=level)


def rename_arguments(function: str, kwargs: dict[str, Any], renamed: Renamed) -> None:
    """Replace old names and spellings in the keywords of a call, each with a ``FutureWarning``.

    The caller of the function that calls this one is warned.

    Args:
        function: the name of the function that was called.
        kwargs: its keywords, which are changed in place.
        renamed: each old name, or keyword with an old spelling of its value, and the new one.

    Raises:
        SelectionError: a keyword came under both names.
    """
    for old, new in renamed.items():
        if isinstance(old, tuple):
            keyword, spelling = old
            value = kwargs.get(keyword)
            if isinstance(value, str) and value == spelling:
                _warn(f"{keyword}={spelling!r}", f"{keyword}={new!r}", "spelling", level=4)
                kwargs[keyword] = new
        elif old in kwargs:
            if new in kwargs:
                raise SelectionError(
                    f"Expected {new} alone for {function}, got {old} too, which is its old name. "
                    f"Leave {old} out."
                )
            _warn(f"{function}({old}=…)", f"{function}({new}=…)", level=4)
            kwargs[new] = kwargs.pop(old)


def renamed_attribute(old: str, new: str) -> Any:
    """Return a property that gives an attribute under its old name, with a ``FutureWarning``.

    Args:
        old: the name before.
        new: the name now.
    """

    def read(owner: Any) -> Any:
        _warn(f"{type(owner).__name__}.{old}", new)
        return getattr(owner, new)

    return property(read)


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
            _warn(f"{names[0]}(model, …)", f"{names[0]}({names[1]}(model, …))", "form")
            own: Any = {"command": kwargs.pop("command", None)}
            write: Callable[..., _Result] = function
            return write(make(*args, **kwargs), **own)

        return accepting

    return decorate


def renamed_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command with old spellings replaced, each with a ``FutureWarning``.

    Args:
        arguments: as they were typed. What follows ``--`` is data and stays as it is.

    Example:
        >>> renamed_arguments(["probe", "cases.jsonl", "--out", "runs/x"])
        ['probe', 'cases.jsonl', '--out', 'runs/x']
    """
    current: list[str] = []
    command = next((word for word in arguments if not word.startswith("-")), "")
    for number, argument in enumerate(arguments):
        if argument == "--":
            return [*current, *arguments[number:]]
        name, has_value, value = argument.partition("=")
        if has_value and (name, value) in _VALUES:
            new = f"{name}={_VALUES[name, value]}"
        elif current and (current[-1], argument) in _VALUES:
            new = _VALUES[current[-1], argument]
        else:
            new = _OPTIONS.get((command, argument), argument)
        if new != argument:
            _warn(argument, new, "spelling")
        current.append(new)
    return current


class OldModules(MetaPathFinder):
    """Finds modules under the names that they had in 0.1.0, with a ``FutureWarning``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load an old name; ``None`` for a name that never was one."""
        new = _new_name(fullname)
        return None if new is None else ModuleSpec(fullname, _Alias(new), is_package=True)


def _new_name(name: str) -> str | None:
    old = name
    while old not in _MODULES:
        old, dot, _ = old.rpartition(".")
        if not dot:
            return None
    return _MODULES[old] + name.removeprefix(old)


class _Alias(Loader):
    """Loads a module that hands out what another one has."""

    def __init__(self, new: str) -> None:
        self._new = new

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module in.

        Raises:
            ModuleNotFoundError: the new name does not exist either.
        """
        real = importlib.import_module(self._new)
        _warn(module.__name__, self._new)

        def attribute(name: str) -> Any:
            return getattr(real, name)

        module.__dict__["__getattr__"] = attribute

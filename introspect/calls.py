"""Calls of public functions with something else than they take, refused in words."""

from __future__ import annotations

import builtins
import collections.abc
import difflib
import functools
import inspect
import re
import types
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, overload

from introspect.changes import begin
from introspect.deprecated import Renamed, rename_arguments
from introspect.errors import CallError, IntrospectError

__all__ = ["checked_call", "checked_class", "checked_result", "kind_of_thing"]

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Class = TypeVar("_Class", bound=type)

# How to come by what a function takes, by the name of its class.
_MADE_BY = {
    "AttentionRecord": 'model.capture("The cat sat.")',
    "VisionModel": 'ix.load("openai/clip-vit-base-patch32", tower="vision")',
    "AudioModel": 'ix.load("openai/whisper-tiny")',
    "Model": 'ix.load("minilm")',
    "ModelLike": 'ix.load("minilm")',
    "CorefCase": 'ix.CorefCase.from_words(text, pronoun="it", antecedent="animal", '
    'distractors=["street"])',
    "CausalStudy": "ix.causal_study(model, cases)",
    "CoreferenceStudy": "ix.coreference_study(model, cases)",
    "HeadStudy": "ix.head_study(model, texts)",
    "LensStudy": "ix.lens_study(model, text)",
    "Tensor": "torch.tensor(…)",
}
# So many items of a list are checked.
_MOST_CHECKED = 8


@overload
def checked_call(function: Callable[_Parameters, _Result], /) -> Callable[_Parameters, _Result]: ...
@overload
def checked_call(
    *, aliases: Mapping[str, str] = ..., hints: Mapping[str, str] = ..., renamed: Renamed = ...
) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]: ...
def checked_call(
    function: Any = None,
    /,
    *,
    aliases: Mapping[str, str] = types.MappingProxyType({}),
    hints: Mapping[str, str] = types.MappingProxyType({}),
    renamed: Renamed = types.MappingProxyType({}),
) -> Any:
    """Let a public function refuse what it does not take in words, with the right call.

    The arguments are checked only once the call has failed with an error of Python: where one of
    them is nothing that the function says it takes, or one is missing or unknown, that is what the
    caller is told. Any other error is a fault of this package, and stays as it is. What the call
    has changed outside itself is undone at its end, wherever it is interrupted (``changes``).

    Args:
        function: the function.
        aliases: names under which keywords are also taken, each with the function's own name.
        hints: keywords of other tools that it does not take, each with what to do.
        renamed: old names of its keywords, or keywords with old spellings of their values, which
            work for one more release with a ``FutureWarning``, each with the new one.

    Raises:
        CallError: (by the decorated function) it was called with something else.

    Example:
        >>> double = checked_call(aliases={"n": "number"})(lambda number: 2 * number)
        >>> double(n=2)
        4
    """
    if function is None:
        return functools.partial(_checked, aliases=aliases, hints=hints, renamed=renamed)
    return _checked(function, aliases={}, hints={})


def checked_class(made: _Class) -> _Class:
    """Let a class that users make objects of refuse arguments as ``checked_call`` does.

    Raises:
        CallError: (by the decorated class) it was called with something else.
    """
    made.__init__ = _checked(made.__init__, aliases={}, hints={})  # type: ignore[misc]
    return made


def checked_result(made: _Class) -> _Class:
    """Let a class that functions make objects of refuse wrong parts at once, not when used.

    Raises:
        CallError: (by the decorated class) a part is missing, or is something else.
    """
    made.__init__ = _checked(  # type: ignore[misc]
        made.__init__,  # type: ignore[misc]
        aliases={},
        hints={},
        at_once=True,
    )
    return made


def _checked(
    function: Callable[..., Any],
    *,
    aliases: Mapping[str, str],
    hints: Mapping[str, str],
    renamed: Renamed = types.MappingProxyType({}),
    at_once: bool = False,
) -> Callable[..., Any]:
    signature = inspect.signature(function)
    old_names = {old[0] if isinstance(old, tuple) else old for old in renamed}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for alias in aliases.keys() & kwargs.keys():
            kwargs.setdefault(aliases[alias], kwargs.pop(alias))
        if renamed and not old_names.isdisjoint(kwargs):
            rename_arguments(function.__name__, kwargs, renamed)
        if at_once and (why := _why_refused(function, signature, args, kwargs)):
            raise CallError(why)
        scope = begin()
        try:
            try:
                return function(*args, **kwargs)
            finally:
                scope.end()
        except IntrospectError:
            raise
        except Exception as error:
            why = _unknown(function, signature, kwargs, hints)
            why = why or _why_refused(function, signature, args, kwargs)
            if why is None:
                raise
            raise CallError(why) from error
        finally:
            scope.end()  # again, in case Ctrl-C has interrupted the first time

    return call


def _unknown(
    function: Callable[..., Any],
    signature: inspect.Signature,
    kwargs: Mapping[str, Any],
    hints: Mapping[str, str],
) -> str | None:
    """Return what is wrong with the names of keywords; ``None`` where nothing is."""
    known = signature.parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return None
    unknown = next((name for name in kwargs if name not in known), None)
    if unknown is None:
        return None
    like = difflib.get_close_matches(unknown, [*known], n=1)
    advice = hints.get(unknown) or (
        f"perhaps `{like[0]}` is meant" if like else f"it takes {', '.join(_names_in(signature))}"
    )
    return f"Expected no `{unknown}` for {_name_of(function)}, got one: {advice}."


def _names_in(signature: inspect.Signature) -> list[str]:
    return [f"`{name}`" for name in signature.parameters if name not in ("self", "cls")]


def _why_refused(
    function: Callable[..., Any],
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> str | None:
    """Return what is wrong with the arguments, and the right call; ``None`` where nothing is."""
    call = _call_of(function, signature)
    try:
        given = signature.bind(*args, **kwargs)
    except TypeError as error:
        return f"Expected the call {call}, got another: {error}."
    for name, value in given.arguments.items():
        parameter = signature.parameters[name]
        is_several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_several or parameter.annotation is parameter.empty:  # self and cls have none
            continue
        if not _is_taken(value, parameter.annotation, function.__globals__):
            words = re.sub(r"\s+", " ", str(parameter.annotation))
            return (
                f"Expected `{name}` of {_name_of(function)} as {words}, got {kind_of_thing(value)}."
                f"{_advice(words)} The call is {call}."
            )
    return None


def _advice(annotation: str) -> str:
    makes = [how for name, how in _MADE_BY.items() if re.search(rf"\b{name}\b", annotation)]
    return f" Make one with {makes[0]}." if makes else ""


def kind_of_thing(value: Any) -> str:
    """Name what a value is, for an error: ``a list of str``.

    Example:
        >>> kind_of_thing(["a"]), kind_of_thing(None)
        ('a list of str', 'None')
    """
    if value is None:
        return "None"
    name = type(value).__name__
    article = "an" if name[0].lower() in "aeio" else "a"
    if not isinstance(value, list | tuple):
        return f"{article} {name}"
    kinds = sorted({type(item).__name__ for item in value})
    return f"{article} {name} of {' and '.join(kinds)}" if kinds else f"an empty {name}"


def _name_of(function: Callable[..., Any]) -> str:
    name = function.__qualname__.removesuffix(".__init__")
    owner, _, method = name.rpartition(".")
    return f"model.{method}" if owner in ("Model", "VisionModel", "AudioModel") else f"ix.{name}"


def _call_of(function: Callable[..., Any], signature: inspect.Signature) -> str:
    """Return how a function is called: what it needs, and ``…`` where it takes more."""
    needed, is_more = [], False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.default is not parameter.empty:
            is_more = True
        elif parameter.kind is parameter.KEYWORD_ONLY:
            needed.append(f"{parameter.name}=…")
        else:
            needed.append(parameter.name)
    return f"{_name_of(function)}({', '.join([*needed, *(['…'] if is_more else [])])})"


def _is_taken(value: Any, annotation: Any, names: Mapping[str, Any]) -> bool:
    """Return whether a value is of an annotation; one that cannot be told is taken."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, {**vars(builtins), **names})  # of this package
        except (NameError, AttributeError, TypeError):
            return True
    return _is_of(value, annotation)


def _is_of(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if hint is None or hint is types.NoneType:
        return value is None
    if origin is Literal:
        return isinstance(value, str | int | None) and value in parts
    if origin in (Union, types.UnionType):
        return any(_is_of(value, part) for part in parts)
    if origin is None:
        return _is_of_class(value, hint)
    if origin is collections.abc.Callable:
        return callable(value)
    if not isinstance(origin, type):
        return True
    if not isinstance(value, origin):
        return False
    if not issubclass(origin, Iterable) or origin.__module__ == "numpy":
        return True  # what an array holds is for whom it is given to
    return _has_items(value, origin, parts)


def _is_of_class(value: Any, kind: Any) -> bool:
    numbers = {int: Integral, float: Real}
    try:
        return isinstance(value, numbers.get(kind, kind))
    except TypeError:  # neither a class, nor one that can be asked
        return True


def _has_items(value: Any, origin: type, parts: tuple[Any, ...]) -> bool:
    """Return whether the items of a list are of its kind; a text is no list of texts."""
    if isinstance(value, str | bytes) and issubclass(origin, Iterable):
        return False
    if origin is tuple and parts[-1:] != (...,):
        return len(value) == len(parts) and all(map(_is_of, value, parts))
    is_list = issubclass(origin, Iterable) and not issubclass(origin, Mapping)
    if not parts or not is_list or isinstance(value, collections.abc.Iterator):
        return True
    return all(_is_of(item, parts[0]) for item in islice(value, _MOST_CHECKED))

"""Queries and keys before rotary embedding, which turns each by its position.

A model turns them by a function of its own file, ``apply_rotary_pos_emb``. While they are asked
for, that function notes what it was given and what it returned. What it returned is looked for in
the queries and keys that reach the attention: where they are not the same, nothing is handed out.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial, wraps
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes, change_setting, lock
from introspect.errors import CaptureError
from introspect.hooks.interface import AttentionCall, uses_interface
from introspect.records import names_of_parts

#: The parts that this module finds.
ROTARY_PARTS = names_of_parts("rotary")

_NAME = re.compile("apply_rot")
# In units of the larger of 1 and the largest number; both sides are rounded alike.
_SAME = 1e-6


class Rotations:
    """The rotations of a run.

    Args:
        name: the model's name, for errors.
    """

    def __init__(self, name: str) -> None:
        #: How many layers have turned their queries.
        self.turned = 0
        self._name = name
        # What was given and returned since the last attention.
        self._steps: list[tuple[torch.Tensor, torch.Tensor]] = []

    def note(self, given: Sequence[Any], returned: Any) -> None:
        """Note the tensors that a rotation was given and returned, in their order."""
        results = returned if isinstance(returned, tuple) else (returned,)
        self._steps += [
            (before, after)
            for before, after in zip(given, results, strict=False)
            if torch.is_tensor(before) and torch.is_tensor(after)
        ]

    def before(self, call: AttentionCall) -> dict[str, torch.Tensor]:
        """Return the queries and keys of an attention before they were turned.

        Those of a layer without rotation are what they are.

        Raises:
            CaptureError: what the rotation returned is not what reaches the attention.
        """
        steps, self._steps = self._steps, []
        reached = {"queries": call.queries, "keys": call.keys}
        if not steps:
            return {f"{name}_before_rotary": tensor for name, tensor in reached.items()}
        found = {name: _unturned(tensor, steps) for name, tensor in reached.items()}
        if lacking := [name for name, tensor in found.items() if tensor is None]:
            raise CaptureError(
                f"Expected the {' and '.join(lacking)} of {type(call.module).__name__} in "
                f"{self._name} to be what its rotary embedding returns, but they are changed after "
                "it, or edited. Take them after it: 'queries', 'keys'."
            )
        self.turned += 1
        return {
            f"{name}_before_rotary": tensor for name, tensor in found.items() if tensor is not None
        }


def _unturned(
    reached: torch.Tensor, steps: Sequence[tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor | None:
    """Return what a tensor was before a step turned it, or a part of its dimensions."""
    for before, after in reversed(steps):
        if before.shape != after.shape or after.ndim != reached.ndim:
            continue
        # Some turn them before heads and positions change places.
        for given, turned in ((before, after), (before.transpose(1, 2), after.transpose(1, 2))):
            if (found := _placed(given, turned, reached)) is not None:
                return found
    return None


def _placed(
    given: torch.Tensor, turned: torch.Tensor, reached: torch.Tensor
) -> torch.Tensor | None:
    """Return a tensor with what was given instead of what it was turned to, if it is there."""
    size, whole = turned.shape[-1], reached.shape[-1]
    pairs = zip(turned.shape[:-1], reached.shape[:-1], strict=True)
    if size > whole or not all(own in (1, length) for own, length in pairs):
        return None
    shape = (*reached.shape[:-1], size)  # heads may share what is turned
    # Some turn the first dimensions of each head, some the last ones.
    for first in dict.fromkeys((0, whole - size)):
        if _is_same(reached[..., first : first + size], turned.expand(shape)):
            ends = reached[..., :first], reached[..., first + size :]
            return torch.cat([ends[0], given.expand(shape), ends[1]], dim=-1)
    return None


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    largest = one.abs().max().clamp(min=1)
    return bool((one - other).abs().max() <= _SAME * largest)


_rotations: ContextVar[Rotations | None] = ContextVar("introspect_rotations", default=None)


@contextmanager
def noting_rotations(module: nn.Module) -> Iterator[None]:
    """Note the rotations of a model in this thread, for parts that need them.

    Raises:
        CaptureError: the model has no rotary embedding that could be noted, or did not use it.
    """
    name = type(module).__name__
    places = list(_functions(module))
    if not places:
        raise _not_rotary(name)
    rotations = Rotations(name)
    before = _rotations.get()
    with Changes() as changes:
        changes.note(partial(_rotations.set, before))
        _rotations.set(rotations)
        for scope, named in places:
            _replace(changes, scope, named)
        yield
    if not rotations.turned:
        raise _not_rotary(name)


def before_rotary(call: AttentionCall) -> dict[str, torch.Tensor]:
    """Return the queries and keys of an attention before rotary embedding, by the names of parts.

    Raises:
        CaptureError: they are not known.
    """
    rotations = _rotations.get()
    assert rotations is not None, "asked for outside of noting_rotations"
    return rotations.before(call)


def _not_rotary(name: str) -> CaptureError:
    return CaptureError(
        f"Expected rotary embedding in {name}, for {' and '.join(map(repr, ROTARY_PARTS))}, but it "
        "has none, or has it elsewhere than in a function of its file such as "
        "apply_rotary_pos_emb. Leave them out of `include`."
    )


def _functions(module: nn.Module) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the functions that turn queries and keys, as the scope that each is in and its name."""
    classes = {type(part) for part in module.modules() if uses_interface(type(part).forward)}
    scopes = {id(scope): scope for each in classes for scope in [_scope(each)]}
    for scope in scopes.values():
        names = [name for name, held in scope.items() if _NAME.search(name) and callable(held)]
        yield from ((scope, name) for name in names)


def _scope(cls: type) -> dict[str, Any]:
    scope: dict[str, Any] = inspect.unwrap(cls.forward).__globals__  # type: ignore[attr-defined]
    return scope


def _replace(changes: Changes, scope: dict[str, Any], name: str) -> None:
    """Let a function note what it does in this thread, as long as the changes last."""
    with lock:
        held = scope[name]
        noted = held if hasattr(held, "_notes_rotations") else _noting(held)
        change_setting(
            changes,
            f"{scope.get('__name__')}.{name}",
            noted,
            partial(scope.__getitem__, name),
            partial(scope.__setitem__, name),
        )


@cache
def _noting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that also notes what it was given and returned."""

    @wraps(function)
    def noting(*args: Any, **named: Any) -> Any:
        returned = function(*args, **named)
        if (rotations := _rotations.get()) is not None:
            rotations.note((*args, *named.values()), returned)
        return returned

    noting._notes_rotations = True  # type: ignore[attr-defined]
    return noting

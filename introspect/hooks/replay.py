"""Runs of a model that begin at one of its layers, on what the layers before gave in another run.

A change in layer *l* leaves the layers before it as they were. So a run on inputs that were read
before need not compute those again: they return what they returned, and the model's own code goes
on from there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes, guarded
from introspect.hooks.loans import hook_after

# Modules keep one ``forward`` for all threads: two blocks that overlap would restore each other's.
_replaying = guarded(threading.RLock())


@contextmanager
def replayed_results(results: Mapping[nn.Module, Any]) -> Iterator[None]:
    """Let modules return these results instead of computing, in this thread, within the block."""
    thread = threading.get_ident()

    def replaying(own: Callable[..., Any], result: Any) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            return result if threading.get_ident() == thread else own(*args, **kwargs)

        return forward

    with _replaying, Changes() as changes:
        before = {module: vars(module).get("forward") for module in results}
        changes.note(partial(_restore_forwards, before))
        for module, result in results.items():
            vars(module)["forward"] = replaying(module.forward, result)
        yield


def _restore_forwards(before: Mapping[nn.Module, Any]) -> None:
    for module, forward in before.items():
        if forward is None:
            vars(module).pop("forward", None)
        else:
            vars(module)["forward"] = forward


@dataclass(frozen=True, eq=False)
class KeptRun:
    """What the layers of a model returned in one run.

    Args:
        results: what each layer returned, in order.
        size: the memory that this takes, in bytes.
    """

    results: Mapping[nn.Module, Any]
    size: int

    def ends_like(self, other: KeptRun) -> bool:
        """Return whether the last layer returned the same, to the last bit."""
        ends = (list(one.results.values())[-1] for one in (self, other))
        mine, theirs = (tensors_in(end) for end in ends)
        return len(mine) == len(theirs) and all(map(torch.equal, mine, theirs))

    def from_layer(self, first: int) -> AbstractContextManager[None]:
        """Let runs on the same inputs begin at a layer, in this thread, within the block."""
        before = list(self.results)[:first]
        return replayed_results({layer: self.results[layer] for layer in before})


class Layers:
    """The layers of a model, which are the items of one list.

    Args:
        module: the model.
        count: how many layers attend.
    """

    def __init__(self, module: nn.Module, count: int) -> None:
        self._lists = [
            list(part)
            for part in module.modules()
            if isinstance(part, nn.ModuleList) and len(part) == count > 0
        ]

    def keep(self, run: Callable[[], Any]) -> tuple[Any, KeptRun | None]:
        """Run the model, and keep what its layers return.

        Args:
            run: runs the model once, whole, in this thread.

        Returns:
            What it returned, and what is kept; ``None`` where the layers are not those of one list,
            or what they return cannot be given twice.
        """
        log = _ResultLog()
        with Changes() as changes:
            hook_after(changes, {layer for each in self._lists for layer in each}, log.note)
            output = run()
        return output, next(filter(None, map(log.kept, self._lists)), None)


class _ResultLog:
    """What layers return in this thread, with the number of times that each tensor was written."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._seen: dict[nn.Module, list[tuple[Any, list[int]]]] = {}

    def note(self, layer: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        if threading.get_ident() == self._thread:
            self._seen.setdefault(layer, []).append((result, _versions(_tensors(result) or [])))

    def kept(self, layers: Sequence[nn.Module]) -> KeptRun | None:
        results, size = {}, 0
        for layer in layers:
            if len(self._seen.get(layer, ())) != 1:
                return None
            ((result, versions),) = self._seen[layer]
            tensors = _tensors(result)
            # The next layer may have added to a state in place: it is not what was returned.
            if not tensors or _versions(tensors) != versions:
                return None
            results[layer] = result
            size += sum(each.numel() * each.element_size() for each in tensors)
        return KeptRun(results, size)


def _tensors(result: Any) -> list[torch.Tensor] | None:
    """Return the tensors of a result; ``None`` where it holds something else, such as a cache."""
    if result is None or isinstance(result, bool):
        return []
    if torch.is_tensor(result):
        # Nobody counts how often a tensor of inference mode is written.
        return None if result.is_inference() or result.requires_grad else [result]
    if not isinstance(result, tuple | list):
        return None
    found: list[torch.Tensor] = []
    for each in result:
        inner = _tensors(each)
        if inner is None:
            return None
        found += inner
    return found


def tensors_in(output: Any) -> list[torch.Tensor]:
    """Return the tensors of what a model or a layer returned, but for those of its cache."""
    if torch.is_tensor(output):
        return [output]
    values = output.values() if isinstance(output, Mapping) else output
    is_several = isinstance(output, Mapping | tuple | list)
    return [each for one in values for each in tensors_in(one)] if is_several else []


def _versions(tensors: Sequence[torch.Tensor]) -> list[int]:
    return [each._version for each in tensors]

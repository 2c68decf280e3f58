"""Of which tensors a tensor was made, while a run is under way."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from introspect.changes import Changes
from introspect.hooks.loans import hook_before

# Steps that map by weights; only behind one of these have queries and keys parted.
_MAPS = frozenset(
    "linear matmul __matmul__ mm addmm bmm baddbmm einsum conv1d conv2d".split()  # noqa: SIM905
)


class Origin:
    """One tensor of a run, and those that it was made of.

    Args:
        parents: the origins of the tensors that it was made of.
        is_mapped: whether weights mapped them.
    """

    __slots__ = ("is_mapped", "parents")

    def __init__(self, parents: tuple[Origin, ...] = (), *, is_mapped: bool = False) -> None:
        self.parents = parents
        self.is_mapped = is_mapped


class Provenance:
    """Notes how the tensors of a run follow from what its modules are given.

    Args:
        module: the model; with each of its runs the notes begin anew.
    """

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._origins: dict[int, tuple[weakref.ref[torch.Tensor], Origin]] = {}
        self._given: dict[nn.Module, frozenset[Origin]] = {}
        self._batches: dict[nn.Module, int | None] = {}
        self._thread = threading.get_ident()

    def attach(self, changes: Changes) -> None:
        """Note what each module is given, as long as the changes last."""
        hook_before(changes, self._module.modules(), self._note_given)

    def note(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        result: Any,
    ) -> None:
        """Note of what the result of a function was made."""
        of = [o for each in _tensors((args, kwargs)) if (o := self.origin(each)) is not None]
        is_mapped = getattr(function, "__name__", "") in _MAPS
        if not of and not is_mapped:
            return  # weights; what is learned and mapped is a state, such as a latent
        origin = Origin(tuple(of), is_mapped=is_mapped)
        for tensor in _tensors(result):
            # Each part of what was split is of its own.
            self._keep(tensor, origin)

    def is_cross(
        self,
        queries: torch.Tensor,
        keys: torch.Tensor,
        within: Sequence[nn.Module],
        *,
        are_mapped: bool = True,
    ) -> bool:
        """Return whether keys are of another sequence than queries.

        Both are followed back to what the modules around them were given: the innermost that maps
        either of them by weights decides. The keys are of the queries' sequence if all that the
        queries are made of is among what they are made of; with a cache, there is more.

        Args:
            queries: the queries, before or after they are mapped.
            keys: the keys.
            within: the modules that are running, the innermost first.
            are_mapped: whether they have been mapped already; if not, any module around decides.
        """
        asks, offers = self.origin(queries), self.origin(keys)
        if asks is offers:
            return False
        answer = not are_mapped
        for module in within:
            given = self._given.get(module, frozenset())
            of_queries, has_mapped = _reached(asks, given)
            of_keys, has_mapped_keys = _reached(offers, given)
            if of_keys:
                answer = not of_queries or not of_queries <= of_keys
                if has_mapped or has_mapped_keys or not are_mapped:
                    break
        return answer

    def origin(self, tensor: torch.Tensor) -> Origin | None:
        """Return what a tensor was made of; ``None`` for weights, and what came from elsewhere."""
        held = self._origins.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None

    def batch(self, within: Sequence[nn.Module]) -> int | None:
        """Return the size of the batch, as the first tensor given to the outermost module has it.

        Args:
            within: the modules that are running, the innermost first.
        """
        return self._batches.get(within[-1]) if within else None

    def _keep(self, tensor: torch.Tensor, origin: Origin) -> None:
        self._origins[id(tensor)] = weakref.ref(tensor), origin

    def _note_given(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
    ) -> None:
        # A run that is under way when a hook is removed still calls it, without kwargs.
        if threading.get_ident() != self._thread:
            return
        origins = []
        if module is self._module:
            self._origins, self._given, self._batches = {}, {}, {}
        sizes = (t.shape[0] for t in _tensors((args, kwargs)) if t.ndim and not t.is_nested)
        self._batches[module] = next(sizes, None)
        for tensor in _tensors((args, kwargs or {})):
            if (origin := self.origin(tensor)) is None:
                origin = Origin()
                self._keep(tensor, origin)
            if tensor.dtype.is_floating_point or tensor.dtype == torch.long:
                origins.append(origin)
        self._given[module] = frozenset(origins)


def follows(tensor: Origin | None, other: Origin, *, most_maps: int) -> bool:
    """Return whether a tensor was made of another by at most so many maps by weights."""
    fewest: dict[int, int] = {}
    pending = [] if tensor is None else [(tensor, 0)]
    while pending:
        origin, maps = pending.pop()
        if origin is other:
            return True
        after = maps + origin.is_mapped
        if after <= most_maps and after < fewest.get(id(origin), most_maps + 1):
            fewest[id(origin)] = after
            pending += [(parent, after) for parent in origin.parents]
    return False


def _reached(start: Origin | None, ends: frozenset[Origin]) -> tuple[frozenset[Origin], bool]:
    """Return the ends that a tensor was made of, and whether it was mapped on the way from one.

    An end that is reached through a map counts alone: what turns queries and keys by their places,
    or hides some, is given to both.
    """
    found: dict[bool, set[Origin]] = {False: set(), True: set()}
    seen: set[tuple[int, bool]] = set()
    pending = [] if start is None else [(start, False)]
    while pending:
        origin, mapped = pending.pop()
        if (id(origin), mapped) in seen:
            continue
        seen.add((id(origin), mapped))
        if origin in ends:
            found[mapped].add(origin)
            continue
        pending += [(parent, mapped or origin.is_mapped) for parent in origin.parents]
    return frozenset(found[True] or found[False]), bool(found[True])


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    if isinstance(given, torch.Tensor):
        if not isinstance(given, nn.Parameter):
            yield given
    elif isinstance(given, tuple | list):
        for each in given:
            yield from _tensors(each)
    elif isinstance(given, Mapping):
        for each in given.values():
            yield from _tensors(each)

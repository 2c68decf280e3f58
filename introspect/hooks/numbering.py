"""Which attention a call is: its kind, and its layer's number."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import nn

__all__ = ["Numbering", "Place"]

# An attention module was given the states of another sequence if one of these arguments was.
_OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states")


#: Is told which part of a model begins to run, and what it is given.
Begun = Callable[[nn.Module, tuple[Any, ...], Mapping[str, Any]], None]


class Place(NamedTuple):
    """Where in a model an attention was computed.

    Args:
        kind: ``self``; of an encoder-decoder ``encoder``, ``decoder`` or ``cross``.
        layer: the model's own number.
        is_again: whether the layer weighs further values with the same queries (DiffLlama).
    """

    kind: str
    layer: int
    is_again: bool = False


class Numbering:
    """Tells the attention modules of one run apart, in the order in which they compute.

    Args:
        module: the model.
    """

    def __init__(self, module: nn.Module) -> None:
        #: The layers that came by, by kind.
        self.seen: dict[str, list[int]] = {}
        # Held, not only its address: another layer's may be made at the same place.
        self._last_queries: torch.Tensor | None = None
        self._thread = threading.get_ident()
        self._attends_elsewhere: dict[nn.Module, bool] = {}
        self._module = module
        self.is_encoder_decoder = bool(
            getattr(getattr(module, "config", None), "is_encoder_decoder", False)
        )
        encoder = self._part("get_encoder") if self.is_encoder_decoder else None
        self._encoder_parts = set(encoder.modules()) if encoder is not None else set()
        self._hookable = [m for m in module.modules() if _source_arguments(type(m).forward)]

    @contextmanager
    def hooks(self, *, begun: Begun | None = None) -> Iterator[None]:
        """Note which modules are given another sequence to attend to, while this is open.

        Args:
            begun: begin anew with each run of the model in this thread, and call this with the
                part that is about to run, and what it is given.
        """
        handles = [
            part.register_forward_pre_hook(self._note_sources, with_kwargs=True)
            for part in self._hookable
        ]
        if begun is not None:
            begin = partial(self._begin, begun)
            handles += [
                part.register_forward_pre_hook(begin, with_kwargs=True) for part in self._wholes()
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def place(self, module: nn.Module, queries: torch.Tensor) -> Place:
        """The place of an attention that is being computed, which is counted by this."""
        kind = self.kind(module)
        if queries is self._last_queries:
            return Place(kind, self.seen[kind][-1], is_again=True)
        self._last_queries = queries
        seen = self.seen.setdefault(kind, [])
        number = self._layer_number(module, seen)
        seen.append(number)
        return Place(kind, number)

    def kind(self, module: nn.Module) -> str:
        """The kind of a module's attention."""
        if module in self._encoder_parts:
            return "encoder"
        if self._attends_elsewhere.get(module, False):
            return "cross"
        return "decoder" if self.is_encoder_decoder else "self"

    def begin(self) -> None:
        """Forget what came by."""
        self.seen, self._last_queries = {}, None

    def _begin(
        self,
        begun: Begun,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if threading.get_ident() == self._thread:
            self.begin()
            begun(module, args, kwargs or {})

    def _wholes(self) -> list[nn.Module]:
        """The model and its parts that may be run by themselves."""
        names = ("get_encoder", "get_decoder") if self.is_encoder_decoder else ()
        found = [self._module, getattr(self._module, "base_model", None)]
        found += [self._part(name) for name in names]
        return list({id(part): part for part in found if isinstance(part, nn.Module)}.values())

    def _part(self, getter: str) -> nn.Module | None:
        get = getattr(self._module, getter, None)
        part = get() if get else None
        return part if isinstance(part, nn.Module) else None

    def _note_sources(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
    ) -> None:
        # Hooks are the module's, so runs in other threads come here too. One that is under way when
        # the hook is removed still calls it, then without kwargs.
        if kwargs is None or threading.get_ident() != self._thread:
            return
        positions = _source_arguments(type(module).forward)
        given = [kwargs.get(name) for name in positions]
        given += [args[i] for i in positions.values() if i < len(args)]
        self._attends_elsewhere[module] = any(value is not None for value in given)

    @staticmethod
    def _layer_number(module: nn.Module, seen: list[int]) -> int:
        """The module's own number; its place in the order of calls where it has none.

        Some models share one module among all layers (ALBERT), so a number that came before says
        nothing.
        """
        number = getattr(module, "layer_idx", None)
        return number if isinstance(number, int) and number not in seen else len(seen)


@cache
def _source_arguments(forward: Callable[..., Any]) -> dict[str, int]:
    """The arguments by which a module gets another sequence, with their positions."""
    names = [name for name in inspect.signature(forward).parameters if name != "self"]
    return {name: i for i, name in enumerate(names) if name in _OTHER_SEQUENCE}

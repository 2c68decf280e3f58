"""The kind and the layer number of each attention call."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import nn

from introspect.changes import Changes
from introspect.hooks.loans import hook_before
from introspect.hooks.unwrapping import models_inside

# An attention module attends to another sequence if it received one of these arguments.
_OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states", "cross_attention_states")


#: Called with the part of a model that begins to run, and its arguments.
Begun = Callable[[nn.Module, tuple[Any, ...], Mapping[str, Any]], None]


class Place(NamedTuple):
    """The place in a model where an attention was computed.

    Args:
        kind: ``self``; for an encoder-decoder ``encoder``, ``decoder`` or ``cross``.
        layer: the model's own number of the layer.
        is_again: whether the layer weights further values with the same queries (DiffLlama).
    """

    kind: str
    layer: int
    is_again: bool = False


def is_encoder_decoder(module: nn.Module) -> bool:
    """Return whether the model reads one text and writes another (T5, BART)."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))


class Numbering:
    """Identifies the attention modules of one run, in the order in which they compute.

    Args:
        module: the model.
    """

    def __init__(self, module: nn.Module) -> None:
        #: The layers seen so far, by kind.
        self.seen: dict[str, list[int]] = {}
        # Keep the tensor, not only its address: another layer's may be allocated at the same place.
        self._last_queries: torch.Tensor | None = None
        self._thread = threading.get_ident()
        self._attends_elsewhere: dict[nn.Module, bool] = {}
        self._module = module
        models = models_inside(module)
        # Around one transformers model there may be a module of the caller's own.
        self._model = models[0] if len(models) == 1 else module
        self.is_encoder_decoder = is_encoder_decoder(self._model)
        encoder = self._part("get_encoder") if self.is_encoder_decoder else None
        self._encoder_parts = set(encoder.modules()) if encoder is not None else set()
        self._hookable = [m for m in module.modules() if _source_arguments(type(m).forward)]

    def attach(self, changes: Changes, *, begun: Begun | None = None) -> None:
        """Record which modules receive another sequence to attend to, as long as the changes last.

        Args:
            changes: what it lasts as long as.
            begun: start over with each run of the model in this thread, and call this with the
                part that is about to run, and its arguments.
        """
        hook_before(changes, self._hookable, self._note_sources)
        if begun is not None:
            hook_before(changes, self._wholes(), partial(self._begin, begun))

    def place(self, module: nn.Module, queries: torch.Tensor) -> Place:
        """Return the place of the attention that is being computed, and count it."""
        kind = self.kind(module)
        if queries is self._last_queries:
            return Place(kind, self.seen[kind][-1], is_again=True)
        self._last_queries = queries
        seen = self.seen.setdefault(kind, [])
        number = self._layer_number(module, seen)
        seen.append(number)
        return Place(kind, number)

    def kind(self, module: nn.Module) -> str:
        """Return the kind of a module's attention."""
        if module in self._encoder_parts:
            return "encoder"
        if self._attends_elsewhere.get(module, False):
            return "cross"
        return "decoder" if self.is_encoder_decoder else "self"

    def begin(self) -> None:
        """Forget the layers seen so far."""
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
        """Return the model and its parts that may be run separately."""
        names = ("get_encoder", "get_decoder") if self.is_encoder_decoder else ()
        parts = [self._module, self._model, getattr(self._model, "base_model", None)]
        parts += [self._part(name) for name in names]
        return list({id(part): part for part in parts if isinstance(part, nn.Module)}.values())

    def _part(self, getter: str) -> nn.Module | None:
        get = getattr(self._model, getter, None)
        part = get() if get else None
        return part if isinstance(part, nn.Module) else None

    def _note_sources(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
    ) -> None:
        # Hooks belong to the module, so runs in other threads call them too. A run that is under
        # way when the hook is removed still calls it, then without kwargs.
        if kwargs is None or threading.get_ident() != self._thread:
            return
        positions = _source_arguments(type(module).forward)
        given = [kwargs.get(name) for name in positions]
        given += [args[i] for i in positions.values() if i < len(args)]
        self._attends_elsewhere[module] = any(value is not None for value in given)

    @staticmethod
    def _layer_number(module: nn.Module, seen: list[int]) -> int:
        """Return the module's own number, or its index in the order of calls if it has none.

        Some models share one module among all layers (ALBERT), so a repeated number carries no
        information.
        """
        number = getattr(module, "layer_idx", None)
        return number if isinstance(number, int) and number not in seen else len(seen)


@cache
def _source_arguments(forward: Callable[..., Any]) -> dict[str, int]:
    """Return the arguments through which a module receives another sequence, with positions."""
    names = [name for name in inspect.signature(forward).parameters if name != "self"]
    return {name: i for i, name in enumerate(names) if name in _OTHER_SEQUENCE}

"""The kind and the layer number of each attention call."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from introspect.changes import Changes, lock
from introspect.hooks.interface import AttentionCall, uses_interface
from introspect.hooks.loans import hook_before
from introspect.hooks.towers import Towers, attends, find_towers, sense_of
from introspect.hooks.unwrapping import models_inside

# An attention module attends to another sequence if it received one of these arguments.
_OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states", "cross_attention_states")
# Where it stands in its tower, if that says so.
_CROSS_PLACE = re.compile("cross_?att|encoder_att|encdec|x_att", re.IGNORECASE)
# One that received this computes the attention of several pictures or windows, one after the other.
_PACKED = ("cu_seqlens",)


#: Called with the part of a model that begins to run, and its arguments.
Begun = Callable[[nn.Module, tuple[Any, ...], Mapping[str, Any]], None]


class Place(NamedTuple):
    """The place in a model where an attention was computed.

    Args:
        kind: ``self``; for an encoder-decoder ``encoder``, ``decoder`` or ``cross``; where pictures
            or sound run through a tower of their own, ``text``, ``vision``, ``text-to-image`` ….
        layer: the model's own number of the layer, in its tower.
        is_again: whether the layer weights further values with the same queries (DiffLlama).
        is_piece: whether it is a further piece of a layer that reads several pictures, or windows
            of one, one after the other (Qwen-VL).
    """

    kind: str
    layer: int
    is_again: bool = False
    is_piece: bool = False


def is_encoder_decoder(module: nn.Module) -> bool:
    """Return whether the model reads one text and writes another (T5, BART)."""
    return bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))


_words_kinds: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


def words_kind(module: nn.Module) -> str:
    """Return the kind of attention over a text that a model without an encoder reads.

    It is ``self``; or, where pictures or sound have a tower beside, the name of that of the words.
    """
    with lock:
        known = _words_kinds.get(module)
    if known is None:
        towers = Numbering(module).towers
        known = "self" if towers is None or towers.main is None else towers.main
        with lock:
            _words_kinds[module] = known
    return known


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
        has_parts = bool(getattr(getattr(self._model, "config", None), "sub_configs", None))
        #: The towers of a model that reads more than text; ``None`` for most models.
        self.towers: Towers | None = find_towers(self._model) if has_parts else None
        self._reader = self._model if self.towers is None else self.towers.reader
        self.is_encoder_decoder = is_encoder_decoder(self._reader)
        encoder = self._part("get_encoder") if self.is_encoder_decoder else None
        self._encoder_parts = set(encoder.modules()) if encoder is not None else set()
        #: Whether the model is the encoder of an encoder-decoder, which runs without its decoder.
        self.is_encoder_alone = encoder is not None and encoder is self._reader
        parts = [m for m in module.modules() if not isinstance(m, torch.jit.ScriptModule)]
        self._hookable = [m for m in parts if _source_arguments(type(m).forward)]
        self._packed = [m for m in parts if _reads_packed(type(m).forward)]
        self._fresh: set[nn.Module] = set()
        self._paths = {} if self.towers is None else self.towers.paths()
        #: How often each tower beside that of the words has run.
        self.runs: dict[str, int] = {}
        # The towers in the order in which they computed, where one follows another.
        self._order: list[str | None] = []

    def attach(self, changes: Changes, *, begun: Begun | None = None) -> None:
        """Record which modules receive another sequence to attend to, as long as the changes last.

        Args:
            changes: what it lasts as long as.
            begun: start over with each run of the model in this thread, and call this with the
                part that is about to run, and its arguments.
        """
        hook_before(changes, self._hookable, self._note_sources)
        if self._packed:
            hook_before(changes, self._packed, self._note_fresh)
        for tower in () if self.towers is None else self.towers.others:
            hook_before(changes, tower.tops[:1], partial(self._note_run, tower.name))
            # Some call what is in a tower, and not the tower.
            inner = [module for module in tower.modules() if attends(module)]
            hook_before(changes, inner, partial(self._note_part, tower.name))
        if begun is not None:
            hook_before(changes, self._wholes(), partial(self._begin, begun))

    def place(self, call: AttentionCall) -> Place:
        """Return the place of the attention that is being computed, and count it."""
        kind = self.kind(call.module, call)
        if call.queries is self._last_queries:
            return Place(kind, self.seen[kind][-1], is_again=True)
        self._last_queries = call.queries
        if self.is_packed(call.module):
            if call.module not in self._fresh and self.seen.get(kind):
                return Place(kind, self.seen[kind][-1], is_piece=True)
            self._fresh.discard(call.module)
        return Place(kind, self.count(call.module, kind))

    def count(self, module: nn.Module, kind: str) -> int:
        """Return the number of the layer that a module is of, and count it."""
        if self.towers is not None and self._order[-1:] != [self._tower(module)]:
            self._order.append(self._tower(module))
        seen = self.seen.setdefault(kind, [])
        number = self._layer_number(module, seen)
        seen.append(number)
        return number

    def is_packed(self, module: nn.Module) -> bool:
        """Return whether a module may read several pictures or windows, one after the other."""
        return _reads_packed(type(module).forward)

    def kind(self, module: nn.Module, call: AttentionCall | None = None) -> str:
        """Return the kind of a module's attention.

        Args:
            module: the attention module.
            call: what it computes, where that is known.
        """
        if call is not None and call.own is not None:
            return "cross" if call.own.is_cross else "self"
        tower = self._tower(module)
        if self.towers is None or (tower is None and self.towers.main is None):
            return self._kind_of_side(module)
        name = tower or str(self.towers.main)
        if tower is not None and self.runs.get(tower, 0) > 1:
            name = f"{name}#{self.runs[tower]}"
        is_cross = self._attends_elsewhere.get(module, False) or _is_cross(module)
        if tower is not None and call is not None:
            is_cross |= call.queries.shape[2] != call.keys.shape[2]
        return f"{name}-to-{self._source(tower)}" if is_cross else name

    def interface_modules(self) -> Iterator[tuple[nn.Module, str]]:
        """Yield the modules of towers that compute attention through the interface, and its kind.

        Whether one attends to another tower is read from its name and its place.
        """
        for module, path in self._paths.items():
            if uses_interface(type(module).forward):
                is_cross = _is_cross(module) or bool(_CROSS_PLACE.search(path))
                is_cross |= "context" in inspect.signature(type(module).forward).parameters
                self._attends_elsewhere[module] = is_cross
                self._order = []
                yield module, self.kind(module)

    def is_main(self, kind: str) -> bool:
        """Return whether a kind is of the tower of the words, or of the only one."""
        towers = self.towers
        if towers is None or towers.main is None:
            return kind in ("self", "encoder", "decoder", "cross")
        return kind == towers.main or kind.startswith(f"{towers.main}-to-")

    def has_rows(self, module: nn.Module) -> bool:
        """Return whether the queries of a module are the words that a model is given.

        In an encoder-decoder they are positions in the decoder, whose tokens attend to its own text
        and to the encoder's.
        """
        return self._tower(module) is None and module not in self._encoder_parts

    def begin(self) -> None:
        """Forget the layers seen so far."""
        self.seen, self._last_queries = {}, None
        self.runs, self._order = {}, []

    def _kind_of_side(self, module: nn.Module) -> str:
        if module in self._encoder_parts:
            return "encoder"
        if self._attends_elsewhere.get(module, False):
            return "cross"
        return "decoder" if self.is_encoder_decoder else "self"

    def _tower(self, module: nn.Module) -> str | None:
        """Return the tower of a module; ``None`` for that of the words, and for a single one."""
        return None if self.towers is None else self.towers.owners.get(module)

    def _source(self, tower: str | None) -> str:
        """Return what the keys of a tower's cross-attention are of: what ran before it."""
        assert self.towers is not None
        if tower is not None and "modal" in tower:  # it stands beside one of the other kind
            return "text" if sense_of(tower) else self.towers.source
        before = [each for each in self._order if each != tower]
        if not before:
            return self.towers.source
        last = before[-1] or "text"
        return "text" if last.startswith("text") else sense_of(last) or self.towers.source

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
        get = getattr(self._reader, getter, None)
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

    def _note_fresh(self, module: nn.Module, *_: Any) -> None:
        if threading.get_ident() == self._thread:
            self._fresh.add(module)

    def _note_run(self, name: str, *_: Any) -> None:
        if threading.get_ident() == self._thread:
            self.runs[name] = self.runs.get(name, 0) + 1

    def _note_part(self, name: str, *_: Any) -> None:
        if threading.get_ident() == self._thread:
            self.runs.setdefault(name, 1)

    def _layer_number(self, module: nn.Module, seen: list[int]) -> int:
        """Return the module's own number, or its index in the order of calls if it has none.

        Some models share one module among all layers (ALBERT), so a repeated number carries no
        information.
        """
        number = getattr(module, "layer_idx", None)
        if self.towers is None:
            return number if isinstance(number, int) and number not in seen else len(seen)
        if not isinstance(number, int):
            # Where only some layers look at another tower, those before them count too.
            numbers = [
                int(name) for name in self._paths.get(module, "").split(".") if name.isdigit()
            ]
            number = numbers[0] if len(numbers) == 1 else None
        return number if number is not None and number not in seen else max(seen, default=-1) + 1


def kind_of_all_runs(kind: str) -> str:
    """Return the kind of a tower whichever of its runs within one run of the model it is.

    Example:
        >>> kind_of_all_runs("vision#2")
        'vision'
    """
    return re.sub(r"#\d+", "", kind)


def _is_cross(module: nn.Module) -> bool:
    """Return whether a module says that it attends to another sequence, whatever it is given.

    While a model writes, the keys may come from a cache alone (Mllama).
    """
    return bool(getattr(module, "is_cross_attention", "CrossAttention" in type(module).__name__))


@cache
def _reads_packed(forward: Callable[..., Any]) -> bool:
    """Return whether a `forward` attends within pictures or windows that lie in one sequence."""
    return uses_interface(forward) and bool(
        set(_PACKED) & set(inspect.signature(forward).parameters)
    )


@cache
def _source_arguments(forward: Callable[..., Any]) -> dict[str, int]:
    """Return the arguments through which a module receives another sequence, with positions."""
    names = [name for name in inspect.signature(forward).parameters if name != "self"]
    return {name: i for i, name in enumerate(names) if name in _OTHER_SEQUENCE}

"""The towers of a model that reads more than text: pictures, sound, or two things at once.

Such a model is made of several: a tower for the pictures, one for the words, sometimes one between.
Each has a layer 0 of its own, so its attention has a kind of its own, named after the part of the
configuration that describes the tower: ``vision``, ``text``, ``qformer``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from introspect.hooks.interface import uses_interface

#: What is in the name of a tower that reads something else than words.
_SENSES = {
    "image": ("vision", "image", "visual", "qformer", "perceiver", "resampler", "backbone", "sam"),
    "video": ("video",),
    "audio": ("audio", "speech", "sound", "acoustic"),
    "protein": ("protein",),
}
_SUFFIXES = re.compile(r"(_config|_model|_tower|_layers?|_transformer|_module)$")
_RENAMED = {"visual": "vision", "image": "vision", "language": "text", "llm": "text"}
# The names of the sides of an encoder-decoder, which are no towers.
_SIDES = ("self", "encoder", "decoder", "cross")


@dataclass(frozen=True, eq=False)
class Tower:
    """A part of a model that attends by itself.

    Args:
        name: the kind of its own attention.
        label: the name of the attribute that holds it.
        tops: the modules that make it up, with all that is in them.
    """

    name: str
    label: str
    tops: tuple[nn.Module, ...]

    def modules(self) -> Iterator[nn.Module]:
        """Yield every module of the tower."""
        for top in self.tops:
            yield from top.modules()


@dataclass(frozen=True, eq=False)
class Towers:
    """The towers of a model.

    Args:
        main: the name of the tower of the words, whose layers are meant where no kind is named;
            ``None`` where the names of an encoder-decoder, or of a model of one text, stay.
        reader: the part that holds the words: an encoder-decoder may be in it.
        others: the other towers.
    """

    main: str | None
    reader: nn.Module
    others: tuple[Tower, ...]
    owners: dict[nn.Module, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for tower in self.others:
            self.owners.update(dict.fromkeys(tower.modules(), tower.name))

    @property
    def names(self) -> list[str]:
        """The names of the towers, that of the words first."""
        return [*([self.main] if self.main else []), *(tower.name for tower in self.others)]

    @property
    def source(self) -> str:
        """Return what the other towers read, where only one thing is: ``image`` or ``audio``."""
        return next((s for tower in self.others if (s := sense_of(tower.name))), "other")

    def paths(self) -> dict[nn.Module, str]:
        """Return the place of each module within its tower."""
        parts = (self.reader, *(top for tower in reversed(self.others) for top in tower.tops))
        return {module: path for part in parts for path, module in part.named_modules()}


def sense_of(name: str) -> str | None:
    """Return what a tower of this name reads, if it is no text.

    Example:
        >>> sense_of("vision"), sense_of("text")
        ('image', None)
    """
    found = (sense for sense, words in _SENSES.items() if any(word in name for word in words))
    return next(found, None)


def find_towers(model: nn.Module) -> Towers | None:
    """Return the towers of a model; ``None`` for one that has a single list of layers.

    Args:
        model: the transformers model.
    """
    towers = _distinct(_towers_in(model))
    if not _are_several(towers):
        return None
    reader = _reader(model, towers)
    others = tuple(each for each in towers if each is not reader and each.name != "self")
    part = reader.tops[0] if reader is not None and len(reader.tops) == 1 else model
    inner = _encoder_decoder_in(part)
    if getattr(model.config, "is_encoder_decoder", False):
        others = tuple(_beside_sides(model, others))
        return Towers(None, inner or model, others) if others else None
    others = tuple(_renamed(each) for each in others)
    main = None if reader is None else reader.name
    return Towers(None if inner else main, inner or part, others)


def _are_several(towers: list[Tower]) -> bool:
    """Return whether towers read different things, and are not the parts of one reader of text."""
    is_of_words = any(tower.name.startswith("text") for tower in towers)
    return len(towers) > 1 and (is_of_words or any(sense_of(each.name) for each in towers))


def _renamed(tower: Tower) -> Tower:
    """Return a tower under a name that is not one of a side of an encoder-decoder."""
    if tower.name not in _SIDES:
        return tower
    sense = sense_of(type(tower.tops[0]).__name__.lower())
    named = {"image": "vision"}.get(sense or "", sense)
    return replace(tower, name=named or f"{tower.name}-tower")


def _towers_in(model: nn.Module) -> list[Tower]:
    """Return the parts of a model that attend, by the configurations that they read."""
    config: Any = vars(model).get("config")
    trunk: set[nn.Module] = set()
    _mark(model, config, trunk)
    found = [
        tower
        for label, top in _beside(model, trunk, "")
        for tower in _taken_apart(Tower(_name(config, label, top), label, (top,)))
    ]
    of_trunk: dict[str, list[nn.Module]] = {}
    beside = {module for tower in found for module in tower.modules()}
    for path, module in model.named_modules():
        if module not in beside and attends(module) and not _has_inner(module):
            of_trunk.setdefault(_list_of(path), []).append(module)
    is_named = any(tower.name.startswith("text") for tower in found)
    if not is_named and of_trunk:
        tops = tuple(module for modules in of_trunk.values() for module in modules)
        return [*found, Tower("text" if _embeddings_of(model) else "self", "", tops)]
    return [*found, *(Tower(_clean(n), n, tuple(tops)) for n, tops in of_trunk.items())]


def _mark(part: nn.Module, config: Any, trunk: set[nn.Module]) -> bool:
    """Collect the modules that read the model's configuration as a whole, and what holds them."""
    inner = [_mark(child, config, trunk) for child in part.children()]
    is_trunk = any(inner) or vars(part).get("config") is config
    if is_trunk:
        trunk.add(part)
    return is_trunk


def _beside(part: nn.Module, trunk: set[nn.Module], label: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield what attends beside the trunk, with the name of the attribute that holds it."""
    for name, child in part.named_children():
        inner = label if name.isdigit() else name
        if child in trunk:
            yield from _beside(child, trunk, inner)
        elif not _is_of_trunk(child) and any(attends(module) for module in child.modules()):
            yield inner, child


def _is_of_trunk(child: nn.Module) -> bool:
    """Return whether these are layers, or one attention, that read no configuration of their own.

    They are the model's own then, and no tower beside.
    """
    is_part = isinstance(child, nn.ModuleList) or attends(child)
    return is_part and all(vars(each).get("config") is None for each in child.modules())


def _has_inner(module: nn.Module) -> bool:
    return any(attends(each) for each in module.modules() if each is not module)


def _taken_apart(tower: Tower) -> list[Tower]:
    """Return the towers of a part that is itself made of several; words in a side have its name."""
    (top,) = tower.tops
    if not getattr(vars(top).get("config"), "sub_configs", None):
        return [tower]
    inner = _towers_in(top)
    if not _are_several(inner):
        return [tower]
    reader = _reader(top, inner)
    if sense_of(tower.name) or getattr(top.config, "is_encoder_decoder", False):
        return [tower]  # a tower of several nets for one picture stays one
    if tower.name not in _SIDES:
        return inner
    return [replace(each, name=tower.name) if each is reader else each for each in inner]


def _name(config: Any, label: str, top: nn.Module) -> str:
    """Return the name of a part: of its configuration within the model's, or of its attribute."""
    held = (vars(module).get("config") for module in top.modules())
    own = next((each for each in held if each is not None), None)
    keys = [key for key in getattr(config, "sub_configs", {}) if getattr(config, key, None) is own]
    if not keys and own is not None:
        alike = getattr(config, "sub_configs", {})
        keys = [key for key in alike if type(getattr(config, key, None)) is type(own)]
    return _clean(keys[0] if len(keys) == 1 else label)


def _clean(name: str) -> str:
    short = _SUFFIXES.sub("", _SUFFIXES.sub("", name)) or name
    return _RENAMED.get(short, short).replace("_to_", "_").replace("_", "-")


def _distinct(towers: list[Tower]) -> list[Tower]:
    """Return the towers under names of which each stands once."""
    names = [tower.name for tower in towers]
    named = [
        replace(tower, name=_clean(tower.label))
        if names.count(tower.name) > 1 and tower.label
        else tower
        for tower in towers
    ]
    taken: list[str] = []
    for tower in named:
        taken.append(tower.name if tower.name not in taken else f"{tower.name}-{len(taken)}")
    return [replace(tower, name=name) for tower, name in zip(named, taken, strict=True)]


def _reader(model: Any, towers: list[Tower]) -> Tower | None:
    """Return the tower of the words: that of their embeddings, or that which is called text."""
    if embeddings := _embeddings_of(model):
        for tower in towers:
            if not sense_of(tower.name) and any(each is embeddings for each in tower.modules()):
                return tower
    return next((tower for tower in towers if tower.name.startswith("text")), None)


def _embeddings_of(model: Any) -> nn.Embedding | None:
    """Return the embeddings of a model's words, if it reads any."""
    try:
        embeddings = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return embeddings if isinstance(embeddings, nn.Embedding) else None


def _beside_sides(model: Any, towers: tuple[Tower, ...]) -> Iterator[Tower]:
    """Yield the towers of an encoder-decoder that are none of its two sides, nor hold them."""
    sides = [getattr(model, name, lambda: None)() for name in ("get_encoder", "get_decoder")]
    inner = {id(side) for side in sides if side is not None and side is not model}
    for tower in towers:
        if tower.name in _SIDES or any(id(each) in inner for each in tower.modules()):
            continue
        within = [side for side in sides if side is not None and side is not model]
        is_inside = any(tower.tops[0] in set(side.modules()) for side in within)
        if not is_inside or sense_of(tower.name):
            yield tower


def _encoder_decoder_in(part: nn.Module) -> nn.Module | None:
    """Return the encoder-decoder that is the tower of the words, if it is one (BLIP-2 with T5)."""
    is_one = getattr(vars(part).get("config"), "is_encoder_decoder", False)
    return part if is_one and hasattr(part, "get_encoder") else None


def _list_of(path: str) -> str:
    """Return the name of the list that a module is in."""
    before = re.split(r"\.\d+(?:\.|$)", path)[0]
    return before.rpartition(".")[2] if before != path else "joint"


def attends(module: nn.Module) -> bool:
    """Return whether a module computes attention, by its code or its name."""
    name = type(module).__name__
    return uses_interface(type(module).forward) or bool(
        re.search("attention|attn", name, re.IGNORECASE)
    )

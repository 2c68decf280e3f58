"""The attentions of a model, found by running it once on a few tokens."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from introspect.changes import lock, scoped
from introspect.errors import CaptureError
from introspect.hooks.arguments import accepted, run_arguments
from introspect.hooks.interface import unedited
from introspect.hooks.layer_index import Numbering, is_encoder_decoder
from introspect.hooks.observation import Observation
from introspect.hooks.products import AttentionProducts
from introspect.hooks.run import products_of_own_output, run_watched, run_whole
from introspect.hooks.running import Sign
from introspect.hooks.unwrapping import attending_module, has_own_attention, taken_by
from introspect.hooks.watchers import WholeWatcher

_NUM_TOKENS = 5
_ALIKE = 1e-5
_HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "attention_heads")
_SHARED_HEADS = ("num_key_value_heads", "num_kv_heads", "n_kv_heads")


@dataclass(frozen=True)
class HeadCount:
    """The number of heads of a layer; several may share one head of keys and values."""

    heads: int
    key_value_heads: int


@dataclass(frozen=True, eq=False)
class AttentionLayout:
    """The attentions of a model.

    Args:
        heads: the number of heads of each attention, by kind and layer.
        products: the position, in the order of a run's products and softmaxes, of each attention
            that bypasses the interface; empty for most models.
        beside: the attentions that a run on a text alone does not compute: of pictures.
        main: the kind of the words' attention, where other towers stand beside.
        modules: which module computes each of those beside.
        signs: by what each attention of a module of one's own is told from the others.
        reads_ahead: whether some token attends to a later one, where the model is a module of one's
            own; then padding that no mask hides would change what is computed.
    """

    heads: Mapping[tuple[str, int], HeadCount]
    products: Mapping[tuple[str, int], AttentionProducts] = field(default_factory=dict)
    beside: frozenset[tuple[str, int]] = frozenset()
    main: str | None = None
    modules: Mapping[tuple[str, int], nn.Module] = field(default_factory=dict)
    signs: Mapping[tuple[str, int], Sign] = field(default_factory=dict)
    reads_ahead: bool = False

    @property
    def heads_of_text(self) -> dict[tuple[str, int], HeadCount]:
        """The number of heads of each attention that a run on a text alone computes."""
        return {place: n for place, n in self.heads.items() if place not in self.beside}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of attention that the model has."""
        return tuple(dict.fromkeys(kind for kind, _ in self.heads))

    def layers(self, kind: str) -> list[int]:
        """Return the layers that have a kind of attention."""
        return [layer for of, layer in self.heads if of == kind]


_known: WeakKeyDictionary[nn.Module, AttentionLayout] = WeakKeyDictionary()


@scoped
def attention_layout(module: nn.Module) -> AttentionLayout:
    """Find the attentions of ``module`` by one run on a few tokens; the result is cached.

    Raises:
        CaptureError: it has no attention that can be observed, or takes inputs of another kind.
    """
    module = attending_module(module)
    with lock:
        layout = _known.get(module)
    if layout is None:
        with unedited():
            layout = _found(module)
        with lock:
            _known[module] = layout
    return layout


def learn_layout(
    module: nn.Module, observation: Observation, attentions: Iterable[torch.Tensor]
) -> None:
    """Keep the attentions that were seen in a module without a transformers model.

    Which inputs such a module takes only its owner knows; a capture shows it.

    Args:
        module: the module.
        observation: what was seen in it.
        attentions: its patterns; none where they were not asked for.
    """
    with lock:
        known = _known.get(module)
    if known is not None and {*known.heads} >= {*observation.own_heads}:
        return
    layout = _own_layout(observation, attentions)
    with lock:
        _known[module] = layout


def _own_layout(observation: Observation, attentions: Iterable[torch.Tensor]) -> AttentionLayout:
    heads = {place: HeadCount(*counts) for place, counts in observation.own_heads.items()}
    above = [bool(layer.triu(1).any()) for layer in attentions]
    ahead = any(above) or not above
    signs = dict(observation.own_signs)
    return AttentionLayout(heads, dict(observation.own_products), signs=signs, reads_ahead=ahead)


def _found(module: nn.Module) -> AttentionLayout:
    numbering = Numbering(module)
    if numbering.towers is None:
        return _of_run(module)
    # Which pictures a model takes only it knows: its other towers are read from its modules.
    all_heads, modules = _read_from_modules(numbering)
    main = numbering.towers.main
    try:
        layout = _of_run(module)
    except CaptureError as error:
        if not all_heads:
            raise CaptureError(
                f"Expected towers of {type(module).__name__} that compute attention through "
                "transformers' attention interface, to intervene in them, but they compute it by "
                "themselves. Their attention can be captured only."
            ) from error
        return AttentionLayout(all_heads, {}, frozenset(all_heads), main, modules)
    if main is not None and layout.products:
        layout = AttentionLayout(_renamed(layout.heads, main), _renamed(layout.products, main))
        return replace(layout, main=main)
    beside = {place: count for place, count in all_heads.items() if place not in layout.heads}
    return replace(
        layout,
        heads={**layout.heads, **beside},
        beside=frozenset(beside),
        main=main,
        modules={place: modules[place] for place in beside},
    )


_Held = TypeVar("_Held")


def _renamed(by_place: Mapping[tuple[str, int], _Held], main: str) -> dict[tuple[str, int], _Held]:
    """Return what is held by place under the name of the tower of the words."""
    return {(main if kind == "self" else kind, n): held for (kind, n), held in by_place.items()}


def _of_run(module: nn.Module) -> AttentionLayout:
    """Return the attentions of a run on a few tokens."""
    arguments = run_arguments(module, few_tokens(module))
    if has_own_attention(module):
        return _of_own_run(module, arguments)
    heads: dict[tuple[str, int], HeadCount] = {}

    def receive(kind: str, layer: int, parts: Mapping[str, torch.Tensor]) -> None:
        heads[kind, layer] = HeadCount(parts["queries"].shape[1], parts["keys"].shape[1])

    observation = Observation(module, None, None, None, receive=receive)
    watcher = WholeWatcher(("queries", "keys"), observation.see)
    run_watched(module, arguments, observation, watcher)
    if not observation.has_seen_nothing:
        return AttentionLayout(heads)
    products = products_of_own_output(module, arguments)
    if not products:
        raise CaptureError(
            f"Expected {type(module).__name__} to compute attention through transformers' "
            "attention interface, or to return it, but it does neither: some architectures have "
            "no attention weights. Choose another model."
        )
    counts = {
        place: HeadCount(head_count.heads, head_count.key_value_heads)
        for place, head_count in products.items()
    }
    return AttentionLayout(counts, products)


def _of_own_run(module: nn.Module, arguments: dict[str, Any]) -> AttentionLayout:
    """Return the attentions of a module of one's own, by a run on a few tokens and one more.

    If the first tokens are read alike with another after them, which is hidden by the mask if the
    module takes one, then so they are with padding.
    """
    seen, longer = (Observation(module, None, None, None) for _ in range(2))
    run_whole(module, arguments, ("attentions",), seen)
    layout = _own_layout(seen, _patterns(seen))
    more = {
        name: torch.cat([given, given[:, :1]], dim=1) if torch.is_tensor(given) else given
        for name, given in arguments.items()
    }
    if "attention_mask" in more:
        more["attention_mask"][:, -1] = 0
    try:
        run_whole(module, more, ("attentions",), longer)
    except CaptureError:
        return replace(layout, reads_ahead=True)
    pairs = zip(_patterns(seen), _patterns(longer), strict=False)
    is_alike = all(
        torch.allclose(one, other[..., : one.shape[-2], : one.shape[-1]], atol=_ALIKE)
        for one, other in pairs
    )
    return replace(layout, reads_ahead=not is_alike)


def _patterns(observation: Observation) -> list[torch.Tensor]:
    return [each for layers in observation.parts["attentions"].values() for each in layers]


def _read_from_modules(
    numbering: Numbering,
) -> tuple[dict[tuple[str, int], HeadCount], dict[tuple[str, int], nn.Module]]:
    """Return the attentions of towers, and what computes each, in the order of the modules."""
    heads: dict[tuple[str, int], HeadCount | None] = {}
    modules: dict[tuple[str, int], nn.Module] = {}
    for module, kind in numbering.interface_modules():
        place = (kind, numbering.count(module, kind))
        modules[place], heads[place] = module, _heads_of(module)
    # A kind of which some heads are not known may be numbered otherwise than here.
    unknown = {kind for (kind, _), count in heads.items() if count is None}
    known = {place: count for place, count in heads.items() if count and place[0] not in unknown}
    return known, {place: modules[place] for place in known}


def _heads_of(module: nn.Module) -> HeadCount | None:
    """Return the number of heads that a module has, as it or its configuration says."""
    heads = _number_of(module, _HEADS)
    if heads is None:
        return None
    groups = getattr(module, "num_key_value_groups", None)
    fewer = heads // groups if isinstance(groups, int) and groups else heads
    return HeadCount(heads, _number_of(module, _SHARED_HEADS) or fewer)


def _number_of(module: nn.Module, names: Sequence[str]) -> int | None:
    """Return the first number of heads that a module or its configuration has."""
    for owner in (module, getattr(module, "config", None)):
        for name in names:
            if isinstance(number := getattr(owner, name, None), int):
                return number
    return None


def few_tokens(module: nn.Module) -> dict[str, Any]:
    """Build small inputs for a text model or a vision model.

    Raises:
        CaptureError: it takes other inputs.
    """
    if has_own_attention(module):
        return _few_ids(module)
    if getattr(module, "main_input_name", "") in ("input_values", "input_features"):
        raise CaptureError(
            f"Expected a model of text or of pictures, to intervene in it, got "
            f"{type(module).__name__}, which reads sound. Its attention can be captured only."
        )
    is_of_pictures = getattr(module, "main_input_name", "input_ids") == "pixel_values"
    pictures = {"pixel_values": torch.zeros(1, *_picture_size(module))} if is_of_pictures else {}
    if is_of_pictures and not is_encoder_decoder(module):
        return dict(pictures)
    try:
        embeddings = getattr(module, "get_input_embeddings", lambda: None)()
    except (NotImplementedError, AttributeError):
        embeddings = None
    size = getattr(embeddings, "num_embeddings", None)
    if not isinstance(size, int):
        raise CaptureError(
            f"Expected a model of text or of pictures, got {type(module).__name__}, whose inputs "
            "are not known. Interventions need to run it once on a few tokens."
        )
    config: Any = getattr(module, "config", None)
    special = {getattr(config, f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    plain = [i for i in range(min(size, 4 * _NUM_TOKENS)) if i not in special] or [0]
    ids = torch.tensor([[plain[i % len(plain)] for i in range(_NUM_TOKENS)]])
    inputs = pictures or {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if is_encoder_decoder(module):
        inputs["decoder_input_ids"] = ids.clone()
    return accepted(module, inputs)


def _few_ids(module: nn.Module) -> dict[str, Any]:
    """Return a few tokens for a module without a transformers model, if it embeds tokens.

    Raises:
        CaptureError: it has no embedding, or its first argument has no name.
    """
    sizes = [part.num_embeddings for part in module.modules() if isinstance(part, nn.Embedding)]
    names = [name for name in inspect.signature(module.forward).parameters if name != "self"]
    names = ["input_ids"] if "input_ids" in names else names
    if not sizes or not names:
        raise CaptureError(
            f"Expected a transformers model, or a module that embeds tokens, got "
            f"{type(module).__name__}, which is none and has no nn.Embedding. Capture it with "
            "inputs of your own, ix.capture(module, inputs): that shows its heads as well."
        )
    ids = torch.arange(_NUM_TOKENS)[None] % max(sizes)
    inputs = {names[0]: ids}
    if "attention_mask" in taken_by(module):
        inputs["attention_mask"] = torch.ones_like(ids)
    return inputs


def _picture_size(module: nn.Module) -> tuple[int, int, int]:
    config: Any = module.config
    config = getattr(config, "vision_config", getattr(config, "encoder", config))
    size = getattr(config, "image_size", None)
    if size is None:
        raise CaptureError(
            f"Expected the size of a picture in the configuration of {type(module).__name__}, to "
            "run it once on one, but it names none. Its attention can be captured only."
        )
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    return getattr(config, "num_channels", 3), height, width

"""One run of a model, and its attention by whichever route it is available."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.hooks.arguments import ran
from introspect.hooks.interface import IMPLEMENTATION, Watcher, not_readable, watching
from introspect.hooks.loans import borrowed_attention, hook_after
from introspect.hooks.observation import OWN_OUTPUTS, AllSeen, Observation, are_weights
from introspect.hooks.own_products import OwnProducts
from introspect.hooks.products import (
    AttentionProducts,
    ProductTrace,
    parts_behind,
    products_behind,
)
from introspect.hooks.rotary import ROTARY_PARTS, noting_rotations
from introspect.hooks.running import Signs
from introspect.hooks.torch_attention import TORCH_ROUTE, watch_torch
from introspect.hooks.towers import attends
from introspect.hooks.unwrapping import has_own_attention, is_adapted, taken_by
from introspect.hooks.watchers import WholeWatcher

INTERFACE_ROUTE = "attention interface"
ROWS_ROUTE = "selected rows beside the model's own implementation"
OUTPUT_ROUTE = "the model's own output"
MODULES_ROUTE = "what its attention modules return"
_OWN_PRODUCTS_ROUTE = "the products around the softmaxes of the module's own code"
_PRODUCTS_ROUTE = "the model's own output, and the products around its softmax"

_PATTERN_DIMENSIONS = 4
_NEARLY = 1e-2


def run_whole(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
) -> tuple[Any, str, list[torch.Tensor]]:
    """Run the model and let the observation see whole patterns, by whichever route is available.

    Returns:
        The model's output, the route, and the differences between weights × values and the heads'
        outputs.
    """
    watcher = WholeWatcher(wanted, observation.see)
    is_before = bool(set(ROTARY_PARTS) & set(wanted))
    with noting_rotations(module) if is_before else nullcontext():
        if has_own_attention(module):
            output, route = _run_own(module, arguments, wanted, observation, watcher)
            return output, route, watcher.output_errors
        output = run_watched(module, arguments, observation, watcher)
    route = INTERFACE_ROUTE
    if observation.unseen_towers:
        # Some towers compute attention by themselves, beside others that do not (BLIP, GIT).
        is_first = observation.has_seen_nothing
        if of_modules := observe_modules(module, arguments, wanted, observation):
            by_modules = f"{', '.join(of_modules)}: {MODULES_ROUTE}"
            route = MODULES_ROUTE if is_first else f"{route}; {by_modules}"
    if observation.has_seen_nothing:
        output, route = observe_own_output(module, arguments, wanted, observation)
    elif missing := observation.missing_kinds:
        # Some models have a custom encoder with an ordinary decoder (PEGASUS-X).
        _, own = observe_own_output(module, arguments, wanted, observation, missing)
        own_kinds = [kind for kind in missing if kind not in observation.missing_kinds]
        route = f"{route}; {', '.join(own_kinds)}: {own}" if own_kinds else route
    observation.check(module)
    return output, route, watcher.output_errors


def _run_own(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
    watcher: WholeWatcher,
) -> tuple[Any, str]:
    """Run a module without a transformers model, and see the attention that it computes itself.

    Raises:
        CaptureError: it computes none by torch's functions, nor by products and a softmax.
    """
    output = run_watched(module, arguments, observation, watcher)
    if not observation.has_seen_nothing:
        observation.check(module)
        if any(weights._version != version for weights, version in watcher.handed_out):
            raise CaptureError(
                f"Expected {type(module).__name__} to leave the weights that nn.MultiheadAttention "
                "gives as they are, but it writes over them. Let it make new tensors of them."
            )
        if "softmax" in observation.functions:
            observation.note = (
                "beside torch's own attention functions it called softmax: attention by products "
                "beside them is not captured"
            )
        return output, TORCH_ROUTE
    output, trace, functions = traced_own(module, arguments)
    for each in trace.attentions(type(module).__name__):
        number = observation.number(each.module, each.kind)
        if each.products is not None:
            steps = each.products
            observation.own_heads[each.kind, number] = steps.heads, steps.key_value_heads
            observation.own_products[each.kind, number] = steps
        if lacking := [name for name in wanted if name not in each.parts]:
            raise _mixed(each.module, lacking)
        parts = {name: each.parts[name] for name in wanted}
        observation.keep(each.kind, number, parts, each.module)
    if observation.has_seen_nothing:
        if trace.unreadable:
            raise not_readable(type(module).__name__, trace.unreadable)
        raise _no_attention(module, functions)
    if trace.unreadable:
        observation.note = (
            f"attention over or within {trace.unreadable}, if there is any, is not captured"
        )
    observation.check(module)
    return output, _OWN_PRODUCTS_ROUTE


def traced_own(
    module: nn.Module, arguments: dict[str, Any]
) -> tuple[Any, OwnProducts, Sequence[str]]:
    """Return the output of a module, its products and softmaxes, and the functions it called."""
    trace = OwnProducts()
    with torch.no_grad(), borrowed_attention(module, IMPLEMENTATION), Changes() as changes:
        mode = watch_torch(changes, module, trace)
        output = ran(module, arguments)
    return output, trace, tuple(mode.functions)


def _mixed(module: nn.Module, lacking: Sequence[str]) -> CaptureError:
    return CaptureError(
        f"Expected the {', '.join(lacking)} of {type(module).__name__} by head, but it does more "
        "than a product, a softmax and a product: it changes weights after the softmax, or weighs "
        "with them twice. Ask for 'attentions' alone."
    )


def _no_attention(module: nn.Module, functions: Sequence[str]) -> CaptureError:
    named = [name for name in functions if not name.startswith("_")]
    scripted = [type(m).__name__ for m in module.modules() if isinstance(m, torch.jit.ScriptModule)]
    hidden = f" Its {scripted[0]} runs as TorchScript, which shows nothing." if scripted else ""
    called = f" It called {', '.join(named[:12])}." if named else ""
    return CaptureError(
        f"Expected {type(module).__name__} to compute attention by scaled_dot_product_attention, "
        "nn.MultiheadAttention, or a product, a softmax over the last dimension and a product, but "
        f"none was found.{called}{hidden} Attention in a kernel of its own, or written otherwise, "
        "cannot be captured."
    )


def run_watched(
    module: nn.Module, arguments: dict[str, Any], observation: Observation, watcher: Watcher
) -> Any:
    """Return the model's output, or ``None`` if the run was stopped because all was seen."""
    try:
        with (
            torch.no_grad(),
            borrowed_attention(module, IMPLEMENTATION),
            Changes() as changes,
            watching(watcher),
        ):
            observation.attach(changes)
            if has_own_attention(module):
                observation.functions = watch_torch(changes, module).functions
            return ran(module, arguments)
    except AllSeen:
        return None


def observe_modules(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
) -> list[str]:
    """Take the attention that the modules of towers not seen so far return when run eagerly.

    The model as a whole may return that of one tower only, or of none.

    Returns:
        The kinds that were seen.

    Raises:
        CaptureError: a part cannot be found by watching the model's products.
    """
    towers = [name for name in observation.unseen_towers if observation.may_have_run(name)]
    modules = [each for each in observation.modules_of(towers) if attends(each)]
    if not any(map(observation.is_meant_tower, towers)):
        return []
    returned: list[tuple[str, int, torch.Tensor]] = []

    def note(part: nn.Module, _: Any, output: Any) -> None:
        weights = _weights_among(output)
        # A module hands on what another within it has returned.
        if weights is not None and not any(weights is one for *_, one in returned):
            returned.append((*observation.place_of(part), weights))

    observation.run_again()
    with ProductTrace() as trace, Changes() as changes:
        hook_after(changes, modules, note)
        observation.attach(changes)
        _run_eagerly(module, arguments)
    name = type(module).__name__
    for kind, number, weights in returned:
        parts = {"attentions": weights}
        if wanted != ("attentions",) and observation.is_kept(kind, number):
            parts = dict(parts_behind(weights, trace, name))
        kept = {part: parts[part] for part in wanted if part in parts}
        observation.keep(kind, number, kept)
    return list(dict.fromkeys(kind for kind, *_ in returned))


def _weights_among(output: Any) -> torch.Tensor | None:
    """Return the pattern among what an attention module returns, if there is one."""
    given = output[1:] if isinstance(output, tuple) else ()
    for tensor in given:
        is_pattern = torch.is_tensor(tensor) and tensor.ndim == _PATTERN_DIMENSIONS
        if is_pattern and are_weights(tensor) and bool((tensor.sum(-1) - 1).abs().max() < _NEARLY):
            return tensor  # type: ignore[no-any-return]
    return None


def observe_own_output(
    module: nn.Module,
    arguments: dict[str, Any],
    wanted: tuple[str, ...],
    observation: Observation,
    kinds: Sequence[str] = tuple(OWN_OUTPUTS),
) -> tuple[Any, str]:
    """Take the attention that the model returns when it runs eagerly, and the parts behind it.

    Returns:
        The model's output, and the route.

    Raises:
        CaptureError: a part cannot be found by watching the model's products.
    """
    if wanted == ("attentions",):
        output = _run_eagerly(module, arguments)
        own = list(own_attention(output, kinds))
        if all(are_weights(weights) for _, _, weights in own):
            for kind, number, weights in own:
                observation.take(kind, number, {"attentions": weights})
            return output, OUTPUT_ROUTE
    with ProductTrace() as trace:
        output = _run_eagerly(module, arguments)
    for kind, number, weights in own_attention(output, kinds):
        parts = parts_behind(weights, trace, type(module).__name__)
        if lacking := [name for name in wanted if name not in parts]:
            raise CaptureError(
                f"Expected the {' and '.join(lacking)} of the {kind} attention of "
                f"{type(module).__name__}, but it is not computed through transformers' attention "
                "interface. Leave them out of `include`."
            )
        observation.take(kind, number, {name: parts[name] for name in wanted})
    return output, _PRODUCTS_ROUTE


def products_of_own_output(
    module: nn.Module, arguments: dict[str, Any]
) -> dict[tuple[str, int], AttentionProducts]:
    """Find the steps of a run that are the model's attentions, by kind and layer.

    Raises:
        CaptureError: they cannot be found by watching the model's products.
    """
    with ProductTrace(Signs(module, by_weights=False)) as trace:
        output = _run_eagerly(module, arguments)
    return {
        (kind, number): products_behind(weights, trace, type(module).__name__)
        for kind, number, weights in own_attention(output, tuple(OWN_OUTPUTS))
    }


def _run_eagerly(module: nn.Module, arguments: dict[str, Any]) -> Any:
    with torch.no_grad(), borrowed_attention(module, "eager"):
        return run_returning_attention(module, arguments)


def run_returning_attention(module: nn.Module, arguments: Mapping[str, Any]) -> Any:
    """Run a model that returns its attention if it is asked to.

    Raises:
        CaptureError: it cannot be asked, or does not run.
    """
    if not returns_attention(module):
        raise CaptureError(
            f"Expected {type(module).__name__} to compute attention through transformers' "
            "attention interface, or to return it when asked with output_attentions=True, but its "
            "forward does neither. Hand over a model that transformers has loaded."
        )
    return ran(module, arguments, output_attentions=True)


def returns_attention(module: nn.Module) -> bool:
    """Return whether a model can be asked for its attention."""
    is_of_transformers = isinstance(module, PreTrainedModel) or is_adapted(module)
    return is_of_transformers or "output_attentions" in taken_by(module)


def own_attention(output: Any, kinds: Sequence[str]) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Yield the kind, the layer and the attention that the model returned."""
    returned = output if hasattr(output, "get") else {}
    for kind in kinds:
        own = next((returned[n] for n in OWN_OUTPUTS[kind] if returned.get(n)), ())
        for number, weights in enumerate(own):
            # Some return local and global attention separately, in a form that is not a pattern.
            if torch.is_tensor(weights) and weights.ndim == _PATTERN_DIMENSIONS:
                yield kind, number, weights

"""One run of a model, with the input and output states of its layers.

The layers are found by what they contain: they are the items of a list of modules, each of which
has the output projection of the attention with the same number. Names are not used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError, ModelError
from introspect.hooks import (
    Captured,
    Projection,
    active_editors,
    capture,
    capture_with_projections,
    find_projections,
    same_output,
    unedited,
)
from introspect.models import Model, Readable
from introspect.records import TokenSequence


@dataclass(frozen=True, eq=False)
class State:
    """A module that ran, with its input and output states.

    Args:
        module: the module.
        given: the input, ``(1, length, size)``; ``None`` where the input was something else.
        result: the output, in the same shape.
    """

    module: nn.Module
    given: torch.Tensor | None
    result: torch.Tensor


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a language model on a text.

    Args:
        model: the model.
        inputs: the inputs of its module.
        tokens: the tokens that the logits have rows for.
        captured: the attention and the outputs of heads.
        projections: the output projection of each kind and layer.
        kinds: the kinds of attention in the layers: ``self``, or ``decoder`` and ``cross``.
        layers: the layers in order, each with its states.
        states: every module that ran, in the order in which they finished.
        logits: ``(length, vocabulary)``, the model's own.
    """

    model: Model
    inputs: Mapping[str, torch.Tensor]
    tokens: TokenSequence
    captured: Captured
    projections: Mapping[tuple[str, int], Projection]
    kinds: tuple[str, ...]
    layers: Sequence[State]
    states: Sequence[State]
    logits: torch.Tensor

    @property
    def unembedding(self) -> nn.Module:
        """The module that computes the logits."""
        found: nn.Module = self.model.module.get_output_embeddings()  # type: ignore[operator]
        return found


def run_noted(model: Model, text: Readable, target: str | None = None) -> Run:
    """Run a model with an LM head, and record its states.

    Args:
        model: the model.
        text: the text that it reads.
        target: the text that an encoder-decoder writes.

    Raises:
        ModelError: it has no LM head.
        CaptureError: its layers cannot be identified, or pass something else on.
        SelectionError: an encoder-decoder has no target.
    """
    if not model.has_unembedding:
        raise ModelError(
            f"Expected a language-model head in {model.name}, whose unembedding turns states into "
            "words, but it has none. Load it with one (lm_head=True), or choose another model."
        )
    plan = model.run_plan(text, target=target, whole=True)
    module, inputs, tokens = plan.module, plan.inputs, plan.tokens
    log = _StateLog(module)
    if active_editors():
        with unedited():
            projections = find_projections(module, inputs)
        with log.open():
            captured = capture(module, inputs, ("attentions", "head_outputs"))
    else:
        with log.open():
            captured, projections = capture_with_projections(module, inputs)
    kinds = model.writing_kinds
    blocks = _blocks(model, {p: f for p, f in projections.items() if p[0] in kinds})
    logits = getattr(captured.output, "logits", None)
    if logits is None or logits.shape[:2] != (1, len(tokens)):
        raise ModelError(
            f"Expected {model.name} to give logits, (1, {len(tokens)}, vocabulary), for its "
            f"{len(tokens)} tokens, got {None if logits is None else tuple(logits.shape)}. Load it "
            "with a language-model head."
        )
    return Run(
        model=model,
        inputs=inputs,
        tokens=tokens,
        captured=captured,
        projections=projections,
        kinds=kinds,
        layers=_chained(blocks, log.states, model.name),
        states=log.states,
        logits=logits[0],
    )


def _blocks(model: Model, projections: Mapping[tuple[str, int], Projection]) -> list[nn.Module]:
    """Return the layers that contain the attentions, in order."""
    for part in model.module.modules():
        # The outermost list: an inner one may hold the parts of a layer.
        if isinstance(part, nn.ModuleList) and all(
            layer < len(part) and found.layer in set(part[layer].modules())
            for (_, layer), found in projections.items()
        ):
            return list(part)
    raise CaptureError(
        f"Expected the layers of {model.name} in one list, each with the attention of its number, "
        "but there is none: it may share a layer among several (ALBERT). Choose another model."
    )


def _chained(blocks: Sequence[nn.Module], states: Sequence[State], name: str) -> list[State]:
    """Return each layer's states, if each layer's input is the output of the one before."""
    by_module: dict[nn.Module, State] = {}
    for state in states:
        by_module.setdefault(state.module, state)
    found = [by_module.get(block) for block in blocks]
    layers = [state for state in found if state is not None and state.given is not None]
    follows = all(
        two.given is not None and torch.equal(one.result, two.given)
        for one, two in pairwise(layers)
    )
    if len(layers) != len(blocks) or not follows:
        raise CaptureError(
            f"Expected each layer of {name} to be given the state that the one before gave, and "
            "nothing between, but it is given something else. Choose another model."
        )
    return layers


class _StateLog:
    """A log of the states that pass through every module, in this thread, while it is open."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._thread = threading.get_ident()
        self.states: list[State] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        """Record what runs within the block."""
        handles = [
            part.register_forward_hook(self._note, with_kwargs=True)
            for part in self._module.modules()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _note(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any
    ) -> None:
        # Hooks belong to the module, so runs in other threads arrive here too.
        given = state_in((*args, *kwargs.values()))
        made = state_in(result if isinstance(result, tuple | list) else (result,))
        if threading.get_ident() == self._thread and made is not None:
            self.states.append(State(module, given, made))


def state_in(values: Sequence[Any]) -> torch.Tensor | None:
    """Return the first tensor if it is a state: floating point, ``(batch, length, size)``."""
    first = next((value for value in values if torch.is_tensor(value)), None)
    is_state = first is not None and first.ndim == 3 and first.is_floating_point()
    return first.detach() if is_state and first is not None else None


@contextmanager
def replaced_result(module: nn.Module, state: torch.Tensor) -> Iterator[None]:
    """Replace the state that a layer passes on, in this thread, within the block."""
    thread = threading.get_ident()

    def replace(_: nn.Module, args: tuple[Any, ...], result: Any) -> Any:
        if threading.get_ident() != thread:
            return result
        return (state, *result[1:]) if isinstance(result, tuple) else state

    handle = module.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def noted_results(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Any]]:
    """Note what modules return, as it is, in this thread, within the block."""
    thread = threading.get_ident()
    results: dict[nn.Module, Any] = {}

    def note(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        if threading.get_ident() == thread:
            results[module] = result

    handles = [module.register_forward_hook(note) for module in modules]
    try:
        yield results
    finally:
        for handle in handles:
            handle.remove()


# Modules keep one ``forward`` for all threads: two blocks that overlap would restore each other's.
_replaying = threading.RLock()


@contextmanager
def replayed_results(results: Mapping[nn.Module, Any]) -> Iterator[None]:
    """Let modules return these results instead of computing, in this thread, within the block."""
    thread = threading.get_ident()

    def replaying(own: Callable[..., Any], result: Any) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            return result if threading.get_ident() == thread else own(*args, **kwargs)

        return forward

    with _replaying:
        before = {module: vars(module).get("forward") for module in results}
        try:
            for module, result in results.items():
                vars(module)["forward"] = replaying(module.forward, result)
            yield
        finally:
            for module, forward in before.items():
                if forward is None:
                    vars(module).pop("forward", None)
                else:
                    vars(module)["forward"] = forward


# An output belongs to the heads unless it is this many times nearer to the rest than to their sum.
_NEARER = 4.0


@dataclass(frozen=True, eq=False)
class Added:
    """The terms that one layer adds to the state, in float64.

    Args:
        layer: its number.
        heads: by kind of attention, ``(num_heads, length, size)``.
        biases: by kind, the output projection's bias, ``(size,)``; absent where it has none.
        feed_forward: ``(length, size)``; ``None`` where the layer has none.
    """

    layer: int
    heads: Mapping[str, torch.Tensor]
    biases: Mapping[str, torch.Tensor]
    feed_forward: torch.Tensor | None


def added_by(run: Run, number: int) -> Added:
    """Return what a layer adds, verified to be the difference between its output and its input.

    Args:
        run: the run.
        number: the number of the layer.

    Raises:
        CaptureError: the layer's output is not the sum.
    """
    layer = run.layers[number]
    assert layer.given is not None, "layers are chained by what they are given"
    heads: dict[str, torch.Tensor] = {}
    biases: dict[str, torch.Tensor] = {}
    total = layer.given[0].double()
    for kind in run.kinds:
        if (kind, number) not in run.projections:
            continue
        projection = run.projections[kind, number]
        place = run.captured.layers[kind].index(number)
        outputs = run.captured.head_outputs[kind][place][0].double()
        heads[kind] = outputs @ projection.by_head.double()
        total = total + heads[kind].sum(0)
        if projection.bias is not None:
            biases[kind] = projection.bias.double()
            total = total + biases[kind]
    rest = layer.result[0].double() - total
    attended = [each.sum(0) + biases.get(kind, 0.0) for kind, each in heads.items()]
    return Added(number, heads, biases, _feed_forward(run, number, rest, attended))


def ends_in_norm(run: Run) -> bool:
    """Return whether a layer's output is a norm's: the sum is normalized, as in BERT."""
    norms = [state for state in run.states if _is_norm(state.module)]
    for layer in run.layers:
        inside = set(layer.module.modules())
        if any(state.module in inside and _same(state.result, layer.result) for state in norms):
            return True
    return False


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _is_norm(module: nn.Module) -> bool:
    """Return whether a module has weights, all of them one-dimensional."""
    own = list(module.parameters())
    return bool(own) and all(each.ndim == 1 for each in own)


def _feed_forward(
    run: Run, number: int, rest: torch.Tensor, attended: list[torch.Tensor]
) -> torch.Tensor | None:
    """Find the module output in the layer that is the rest of the sum, and not the heads'.

    Return ``None`` where the rest is rounding: where no module's output is nearer to it than 0. The
    nearest is taken, not the first that is near enough: a state with a few huge numbers makes the
    tolerance wide, above all in half precision.
    """
    layer = run.layers[number]
    inside = set(layer.module.modules()) - {layer.module}
    found, nearest = None, _distance(rest, torch.zeros_like(rest))
    for state in run.states:
        if state.module not in inside or state.result.shape != layer.result.shape:
            continue
        result = state.result[0].double()
        distance = _distance(result, rest)
        is_of_heads = any(_distance(result, each) <= _NEARER * distance for each in attended)
        if distance < nearest and not is_of_heads:
            found, nearest = result, distance
    if nearest <= _tolerance(layer):
        return found
    why = (
        "a norm or a factor stands between what they output and the state"
        if not ends_in_norm(run)
        else "it normalizes the sum (as BERT does), and so has no residual stream in that sense"
    )
    raise CaptureError(
        f"Expected layer {number} of {run.model.name} to pass on its input state plus "
        f"what its heads and its feed-forward add, but it passes on something else: {why}. Take a "
        "model with the norm before each part (GPT-2, Llama, T5); ix.logit_lens may still do."
    )


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


def _tolerance(layer: State) -> float:
    """Return how far two states of a layer may be apart: the rounding of the layer's output."""
    return same_output(layer.result.dtype) * float(layer.result.abs().max().clamp(min=1))

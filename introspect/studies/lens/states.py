"""One run of a model, with the input and output states of its layers.

The layers are found by what they do: they are the items of a list of modules, each of which is
given the state that the one before gave. Where their heads are asked for, each must also have the
output projection of the attention with the same number. Names are not used.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from weakref import ReferenceType, ref

import torch
from torch import nn

from introspect.changes import Changes
from introspect.errors import CaptureError, ModelError
from introspect.hooks import (
    Captured,
    Projection,
    active_editors,
    borrowed_attention,
    capture,
    capture_with_projections,
    find_projections,
    hook_after,
    hook_before,
    ran,
    run_arguments,
    same_output,
    unedited,
)
from introspect.models import Model, Readable
from introspect.records import Certificate, TokenSequence
from introspect.studies.lens.norms import norm_form


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

    @property
    def keeps_its_shape(self) -> bool:
        """Return whether its output has the shape of its input."""
        return self.given is not None and self.given.shape == self.result.shape


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


def run_noted(
    model: Model, text: Readable, target: str | None = None, *, by_head: bool = True
) -> Run:
    """Run a model with an LM head, and record its states.

    Args:
        model: the model.
        text: the text that it reads.
        target: the text that an encoder-decoder writes.
        by_head: also find the output projections of the heads, and capture what heads give.

    Raises:
        ModelError: it has no LM head.
        CaptureError: its layers cannot be identified, or pass something else on.
        SelectionError: an encoder-decoder has no target.
    """
    if not model.has_unembedding:
        raise ModelError(
            f"Expected a language-model head in {model.name}, whose unembedding turns states into "
            f"words, but it has none. {model.lm_head_advice}, or choose another model."
        )
    plan = model.run_plan(text, target=target, whole=True)
    module, inputs, tokens = plan.module, plan.inputs, plan.tokens
    log = _StateLog(module)
    projections: dict[tuple[str, int], Projection] = {}
    if not by_head:
        captured = _run_alone(module, inputs, log)
    elif active_editors():
        with unedited():
            projections = find_projections(module, inputs)
        with log.open():
            captured = capture(module, inputs, ("attentions", "head_outputs"))
    else:
        with log.open():
            captured, projections = capture_with_projections(module, inputs)
    kinds = model.writing_kinds
    if by_head:
        blocks = _blocks(model, {p: f for p, f in projections.items() if p[0] in kinds})
    else:
        attending = [layer for kind in kinds for layer in captured.layers.get(kind, ())]
        blocks = _list_of_layers(model, log.states, more_than=max(attending, default=0))
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


def _run_alone(module: nn.Module, inputs: Mapping[str, torch.Tensor], log: _StateLog) -> Captured:
    """Run a model whose heads are not asked for, watched like any other if it can be."""
    try:
        with log.open():
            return capture(module, inputs)
    except CaptureError:
        pass  # its states may be read all the same
    with torch.no_grad(), borrowed_attention(module), log.open():
        output = ran(module, run_arguments(module, inputs))
    return Captured({}, {}, output, Certificate(route="none: its attention cannot be captured"))


def _list_of_layers(model: Model, states: Sequence[State], *, more_than: int) -> list[nn.Module]:
    """Return the layers of the part that writes: the last list whose items ran one after another.

    Args:
        model: the model.
        states: what ran, in the order in which it ended.
        more_than: the highest number of a layer that attends.

    Raises:
        CaptureError: there is none.
    """
    ended: dict[nn.Module, list[int]] = {}
    for place, state in enumerate(states):
        ended.setdefault(state.module, []).append(place)
    found: list[nn.Module] = []
    last = -1
    for part in model.module.modules():
        layers = list(part) if isinstance(part, nn.ModuleList) else []
        places = [ended.get(layer, []) for layer in layers]
        # A module that is shared among layers runs more than once (ALBERT).
        if len(layers) <= more_than or any(len(each) != 1 for each in places):
            continue
        noted = [states[place] for (place,) in places]
        # The outermost list comes first: an inner one ends before it, or with it.
        if _follow(noted) and places[-1][0] > last:
            found, last = layers, places[-1][0]
    if found:
        return found
    raise CaptureError(
        f"Expected the layers of {model.name} in one list, each given the state that the one "
        "before gave, but there is none: it may share a layer among several (ALBERT). Choose "
        "another model."
    )


def _follow(layers: Sequence[State]) -> bool:
    """Return whether each layer is given what the one before gave."""
    return all(state.keeps_its_shape for state in layers) and all(
        two.given is not None and torch.equal(one.result, two.given)
        for one, two in pairwise(layers)
    )


def _chained(blocks: Sequence[nn.Module], states: Sequence[State], name: str) -> list[State]:
    """Return each layer's states, if each layer's input is the output of the one before."""
    by_module: dict[nn.Module, State] = {}
    for state in states:
        by_module.setdefault(state.module, state)
    found = [by_module.get(block) for block in blocks]
    layers = [state for state in found if state is not None and state.given is not None]
    if len(layers) != len(blocks) or not _follow(layers):
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
        self._runs = 0
        self._copies: dict[int, tuple[ReferenceType[torch.Tensor], int, torch.Tensor]] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Record the first run within the block: a model may run again to return its attention."""
        self.states, self._runs = [], 0
        with Changes() as changes:
            hook_after(changes, self._module.modules(), self._note, with_kwargs=True)
            hook_before(changes, [self._module], self._begin)
            yield

    def _note(self, module: nn.Module, args: tuple[Any, ...], *rest: Any) -> None:
        # Hooks belong to the module, so runs in other threads arrive here too. A run that is under
        # way when the hook is removed still calls it, then without kwargs.
        if threading.get_ident() != self._thread or self._runs > 1:
            return
        kwargs, result = rest
        made = state_in(result if isinstance(result, tuple | list) else (result,))
        if made is not None:
            given = state_in((*args, *kwargs.values()))
            kept = None if given is None else self._copy(given)
            self.states.append(State(module, kept, self._copy(made)))

    def _begin(self, *_: Any) -> None:
        if threading.get_ident() == self._thread:
            self._runs += 1

    def _copy(self, state: torch.Tensor) -> torch.Tensor:
        """Return a copy of a state, which a model may add to in place; one for all that pass it."""
        known = self._copies.get(id(state))
        if known is not None and known[0]() is state and known[1] == state._version:
            return known[2]
        copied = state.detach().clone()
        self._copies[id(state)] = (ref(state), state._version, copied)
        return copied


def state_in(values: Sequence[Any]) -> torch.Tensor | None:
    """Return the first tensor if it is a state: ``(batch, length, size)``, in floating point.

    Some feed-forwards have all tokens in one row, ``(batch * length, size)`` (OPT, Llama 4).
    """
    first = next((value for value in values if torch.is_tensor(value)), None)
    is_state = first is not None and first.ndim in (2, 3) and first.is_floating_point()
    return first if is_state else None


@contextmanager
def replaced_result(module: nn.Module, state: torch.Tensor) -> Iterator[None]:
    """Replace the state that a layer passes on, in this thread, within the block."""
    thread = threading.get_ident()

    def replace(_: nn.Module, args: tuple[Any, ...], result: Any) -> Any:
        if threading.get_ident() != thread:
            return result
        return (state, *result[1:]) if isinstance(result, tuple) else state

    with Changes() as changes:
        hook_after(changes, [module], replace)
        yield


@contextmanager
def noted_results(modules: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Any]]:
    """Note what modules return, as it is, in this thread, within the block."""
    thread = threading.get_ident()
    results: dict[nn.Module, Any] = {}

    def note(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        if threading.get_ident() == thread:
            results[module] = result

    with Changes() as changes:
        hook_after(changes, modules, note)
        yield results


# An output belongs to the heads unless it is this many times nearer to the rest than to their sum.
_NEARER = 4.0


@dataclass(frozen=True, eq=False)
class Added:
    """The terms that one layer adds to the state, in float64.

    Args:
        layer: its number.
        heads: by kind of attention, ``(num_heads, length, size)``.
        biases: by kind, the output projection's bias, ``(size,)``, or, where a norm follows, what
            it makes of that at each token, ``(length, size)``; absent where there is none.
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
    raw = _of_heads(run, number)
    try:
        return _with_the_rest(run, number, *raw)
    except CaptureError:
        normed = _through_norm(run, number, *raw)
        if normed is None:
            raise
    return _with_the_rest(run, number, *normed)


_ByKind = Mapping[str, torch.Tensor]


def _of_heads(run: Run, number: int) -> tuple[_ByKind, _ByKind]:
    """Return by kind what the heads of a layer bring, and the biases of their projections."""
    heads: dict[str, torch.Tensor] = {}
    biases: dict[str, torch.Tensor] = {}
    for kind in run.kinds:
        if (kind, number) not in run.projections:
            continue
        projection = run.projections[kind, number]
        place = run.captured.layers[kind].index(number)
        outputs = run.captured.head_outputs[kind][place][0].double()
        heads[kind] = outputs @ projection.by_head.double()
        if projection.bias is not None:
            biases[kind] = projection.bias.double()
    return heads, biases


def _with_the_rest(run: Run, number: int, heads: _ByKind, biases: _ByKind) -> Added:
    """Find the feed-forward of a layer, which is what its heads leave of what it adds."""
    layer = run.layers[number]
    assert layer.given is not None, "layers are chained by what they are given"
    attended = [each.sum(0) + biases.get(kind, 0.0) for kind, each in heads.items()]
    rest = layer.result[0].double() - layer.given[0].double()
    for each in attended:
        rest = rest - each
    return Added(number, heads, biases, _feed_forward(run, number, rest, attended))


def _through_norm(
    run: Run, number: int, heads: _ByKind, biases: _ByKind
) -> tuple[_ByKind, _ByKind] | None:
    """Return what heads bring after the norm of their sum, at the run's own scale (Gemma 2).

    ``None`` where no norm of a known form is given that sum.
    """
    new_heads: dict[str, torch.Tensor] = {}
    new_biases: dict[str, torch.Tensor] = {}
    for kind, each in heads.items():
        total = each.sum(0) + biases.get(kind, 0.0)
        norm = norm_of_heads(run, number, total)
        linear = None if norm is None else _linear_norm(norm, total)
        if linear is None:
            return None
        gain, is_centered, shift = linear
        new_heads[kind] = _normed(each, gain, is_centered)
        own = _normed(biases[kind].expand_as(total), gain, is_centered) if kind in biases else 0.0
        if kind in biases or bool(shift.any()):
            new_biases[kind] = own + shift.expand_as(total)
    return new_heads, new_biases


def norm_of_heads(run: Run, number: int, total: torch.Tensor) -> State | None:
    """Return the norm of a layer that is given the sum of what heads bring, if there is one.

    Args:
        run: the run.
        number: the number of the layer.
        total: the sum, with the projection's bias, ``(length, size)``.
    """
    inside = set(run.layers[number].module.modules())
    norms = (each for each in run.states if each.module in inside and _is_norm(each.module))
    return next((norm for norm in norms if _reads(norm, total)), None)


def _reads(norm: State, total: torch.Tensor) -> bool:
    """Return whether a norm is given the sum of what heads bring."""
    if norm.given is None or norm.given[0].shape != total.shape:
        return False
    allowed = same_output(norm.given.dtype) * float(total.abs().max().clamp(min=1))
    return _distance(norm.given[0].double(), total) <= allowed


def _linear_norm(
    norm: State, total: torch.Tensor
) -> tuple[torch.Tensor, bool, torch.Tensor] | None:
    """Return a norm's gain for each token, ``(length, size)``, its centering and its shift."""
    assert norm.given is not None, "it was found by what it is given"
    close = same_output(norm.result.dtype)
    forms = [
        norm_form(norm.module, norm.given[0, i].double(), norm.result[0, i].double(), close)
        for i in range(len(total))
    ]
    found = [form for form in forms if form is not None]
    # In half precision a state whose mean is small looks normalized with it and without it.
    is_centered = sum(form[1] for form in found) * 2 > len(found)
    if len(found) < len(forms):
        return None
    return torch.stack([form[0] for form in found]), is_centered, found[0][2]


def _normed(vectors: torch.Tensor, gain: torch.Tensor, is_centered: bool) -> torch.Tensor:
    centered = vectors - vectors.mean(-1, keepdim=True) if is_centered else vectors
    return centered * gain


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
        if state.module not in inside or not _is_of_size(state.result, layer.result):
            continue
        result = state.result.reshape(layer.result.shape)[0].double()
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


def _is_of_size(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.numel() == other.numel() and one.shape[-1] == other.shape[-1]


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


def _tolerance(layer: State) -> float:
    """Return how far two states of a layer may be apart: the rounding of the layer's output."""
    return same_output(layer.result.dtype) * float(layer.result.abs().max().clamp(min=1))

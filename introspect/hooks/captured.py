"""The results of one captured run, and the certificate that the model computes them itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import transformers
from torch import nn

from introspect.changes import scoped
from introspect.errors import CaptureError
from introspect.hooks.arguments import ran, run_arguments
from introspect.hooks.interface import active_editors
from introspect.hooks.loans import attention_implementation, borrowed_attention
from introspect.hooks.observation import OWN_OUTPUTS, are_weights
from introspect.hooks.run import returns_attention, run_returning_attention
from introspect.hooks.unwrapping import unread_positions, watched_module
from introspect.hooks.watchers import same_output
from introspect.records import Certificate
from introspect.text import quantity

PartByKind = Mapping[str, list[torch.Tensor]]

#: The note of a capture that was held to nothing but itself.
NOT_COMPARED = "not compared with a run of the model as it was loaded"


class TowersByKind(dict[str, Any]):
    """What is held by kind where several towers attend; ``self`` is the tower of the words.

    Args:
        main: the kind of that tower.
        held: what is held.
    """

    def __init__(self, main: str, held: Mapping[str, Any]) -> None:
        super().__init__(held)
        self.main = main

    @staticmethod
    def of(held: Mapping[str, Any], main: str | None) -> Mapping[str, Any]:
        """Return the same with ``self`` as another name of the main kind, if there is one."""
        return held if main is None else TowersByKind(main, held)

    def __missing__(self, kind: str) -> Any:
        if kind == "self" and self.main in self:
            return self[self.main]
        raise KeyError(kind)


@dataclass(frozen=True, eq=False)
class Captured:
    """The results of one run of a model.

    Each part is a mapping from the kind of attention (``self``; or ``encoder``, ``decoder``,
    ``cross``; or, of a model with several towers, ``vision``, ``text``, ``text-to-image`` …) to a
    list over layers. A part that was not requested is empty.

    Args:
        attentions: ``(batch, num_heads, query_len, key_len)``; for selected rows
            ``(batch, num_heads, num_rows, key_len)``.
        layers: the model's own number of each layer.
        output: the model's output; ``None`` if it was stopped after the last requested layer.
        certificate: how the results were captured.
        scores: the input of the softmax, shaped like the attentions.
        queries: ``(batch, num_heads, query_len, head_dim)``, after rotary embedding.
        keys: ``(batch, num_key_value_heads, key_len, head_dim)``, before they are repeated for
            grouped queries.
        values: shaped like the keys, also before they are repeated.
        head_outputs: ``(batch, num_heads, query_len, value_dim)``, before the output projection.
        queries_before_rotary: like the queries, before rotary embedding turns them by position; of
            a layer without it, the queries.
        keys_before_rotary: like the keys, before rotary embedding.
        value_norms: ``(batch, num_heads, key_len)``: the norm of each value after its head's part
            of the output projection (Kobayashi et al. 2020).
        residual_norms: ``(batch, 1, n, n)``: the norm of each key's contribution through all heads,
            the residual and the layer norm (Kobayashi et al. 2021); not for cross-attention.
        contributions: ``(batch, 1, n, n)``: the share of each key in the block's output (Ferrando
            et al. 2022); not for cross-attention.
        gradients: shaped like the attentions, as ``capture_gradients`` returns them.
        integrated_gradients: shaped like the attentions, from ``capture_gradients`` as well.
        visible: ``(batch or 1, 1, query_len, key_len)``, bool: the keys that the mask lets each
            query see, of layers whose mask is known.
        modules: the path, in a module of one's own, of the part that computes each layer.
    """

    attentions: PartByKind
    layers: Mapping[str, list[int]]
    output: Any
    certificate: Certificate
    scores: PartByKind = field(default_factory=dict)
    queries: PartByKind = field(default_factory=dict)
    keys: PartByKind = field(default_factory=dict)
    values: PartByKind = field(default_factory=dict)
    head_outputs: PartByKind = field(default_factory=dict)
    queries_before_rotary: PartByKind = field(default_factory=dict)
    keys_before_rotary: PartByKind = field(default_factory=dict)
    value_norms: PartByKind = field(default_factory=dict)
    residual_norms: PartByKind = field(default_factory=dict)
    contributions: PartByKind = field(default_factory=dict)
    gradients: PartByKind = field(default_factory=dict)
    integrated_gradients: PartByKind = field(default_factory=dict)
    visible: PartByKind = field(default_factory=dict)
    modules: Mapping[str, list[str]] = field(default_factory=dict)

    def __repr__(self) -> str:
        kinds = [
            f"{kind} {len(layers)} × {tuple(layers[0].shape)}"
            for kind, layers in self.attentions.items()
            if layers
        ]
        return f"<{type(self).__name__}: {'; '.join(kinds)}, by {self.certificate.route}>"


def certificate_of(
    module: nn.Module,
    attentions: PartByKind,
    route: str,
    output_errors: Sequence[torch.Tensor] = (),
) -> Certificate:
    """Return a certificate of everything known without another run of the model."""
    parameter = next(module.parameters(), torch.zeros(()))
    return Certificate(
        route=route,
        max_row_sum_error=_max_row_sum_error(attentions) if attentions else None,
        max_head_output_error=largest_of([float(error) for error in output_errors]),
        unused=unread_positions(module),
        attn_implementation=attention_implementation(module),
        dtype=str(parameter.dtype).removeprefix("torch."),
        device=str(parameter.device),
        torch_version=torch.__version__,
        transformers_version=transformers.__version__,
    )


@scoped
def verify(module: nn.Module, inputs: Mapping[str, Any], captured: Captured) -> Certificate:
    """Return the certificate of ``captured`` with its difference from the model's own output.

    The model runs twice more: as it was loaded, to compare its output with that of the capture,
    and eagerly, to compare the attention that it returns itself.

    Raises:
        CaptureError: an intervention is active, so the model's own attention is not available.
    """
    if active_editors():
        raise CaptureError(
            "Expected no intervention while a capture is compared with the model's own attention, "
            "but one is under way. Leave `certify` out, or capture outside of it."
        )
    module = watched_module(module)
    arguments = run_arguments(module, inputs)
    difference, note = None, "the model does not return its attention itself"
    with torch.no_grad():
        if returns_attention(module):
            with borrowed_attention(module, "eager"):
                eager = run_returning_attention(module, arguments)
            difference, note = _attention_difference(captured, eager)
        with borrowed_attention(module):
            plain = ran(module, arguments)
    compared = replace(
        captured.certificate,
        max_difference_from_eager=difference,
        max_output_difference=_largest(_tensors(plain), _tensors(captured.output)),
        note="; ".join(n for n in captured.certificate.note.split("; ") if n != NOT_COMPARED),
    )
    return noted(compared, note)


def held_to_the_model(
    module: nn.Module, arguments: Mapping[str, Any], captured: Captured
) -> Captured:
    """Return a capture with the difference of its output from a run of the model as loaded.

    Raises:
        CaptureError: the output is another one, so the attention is not that of the model.
    """
    with torch.no_grad(), borrowed_attention(module):
        plain = list(_of_text(_tensors(ran(module, arguments)), arguments))
    difference = _largest(iter(plain), _of_text(_tensors(captured.output), arguments))
    if difference is None:
        return captured
    largest = max(1.0, *(float(each.nan_to_num().abs().max()) for each in plain))
    if not difference <= same_output(plain[0].dtype) * largest and not plain[0].isnan().any():
        raise CaptureError(
            f"Expected {type(module).__name__} to give the same when it is watched, but its output "
            f"is {quantity(difference)} away: with these inputs ({', '.join(arguments)}) eager "
            "attention is not what it runs. Give a mask of bool or of numbers to add, and no "
            'other, or load the model with attn_implementation="eager".'
        )
    certificate = replace(captured.certificate, max_output_difference=difference)
    return replace(captured, certificate=certificate)


def noted(certificate: Certificate, note: str) -> Certificate:
    """Return a certificate with another note beside those that it has."""
    notes = (certificate.note, note)
    return replace(certificate, note="; ".join(text for text in notes if text))


def _attention_difference(captured: Captured, eager: Any) -> tuple[float | None, str]:
    has_towers = any(kind not in OWN_OUTPUTS for kind in captured.attentions)
    differences, notes = [], []
    for kind, layers in captured.attentions.items():
        difference, why = _difference_of(kind, layers, captured.layers[kind], eager)
        if difference is None and not has_towers:
            return None, why
        differences += [] if difference is None else [difference]
        notes += [why] if why else []
    # Of several towers a model returns the attention of some, and none of others.
    return largest_of(differences), "; ".join(notes)


def _difference_of(
    kind: str, layers: Sequence[torch.Tensor], numbers: Sequence[int], eager: Any
) -> tuple[float | None, str]:
    """Return how far one kind is from what the model returns, or why that is not known."""
    why = f"the model does not return its {kind} attention itself"
    for own in _returned(kind, eager):
        if len(own) == len(numbers):
            numbers = list(range(len(own)))  # some models return only layers that have attention
        if max(numbers) >= len(own):
            why = "the model returns attention for other layers than were captured"
            continue
        chosen = [own[number] for number in numbers]
        if not all(torch.is_tensor(weights) and are_weights(weights) for weights in chosen):
            why = f"what the model returns as its {kind} attention are no weights"
            continue
        difference = _largest(iter(chosen), iter(layers))
        if difference is not None:
            return difference, ""
        why = "the model returns attention of another shape"
    return None, why


def _returned(kind: str, eager: Any) -> Iterator[Any]:
    """Yield what a model may return as a kind of attention, by itself or for one of its towers."""
    if kind in OWN_OUTPUTS:
        held = (eager, eager.get("language_model_outputs") or {})
        # An encoder that runs alone calls what it returns by no side.
        names = (*OWN_OUTPUTS[kind], *(["attentions"] if kind == "encoder" else []))
        yield from (one[name] for one in held for name in names if one.get(name))
        return
    tower, _, other = kind.partition("-to-")
    is_of_words = tower == "text"
    towers = [f"{tower}_model_output", f"{tower}_outputs"]
    towers += ["language_model_outputs"] if is_of_words else []
    held = (*(eager.get(name) or {} for name in towers), eager if is_of_words else {})
    for one in held:
        fields = ("cross_attentions", "attentions") if other else ("attentions",)
        yield from (one[field] for field in fields if one.get(field))


def _largest(a: Iterator[torch.Tensor], b: Iterator[torch.Tensor]) -> float | None:
    differences = []
    for x, y in zip(a, b, strict=False):
        if x.shape != y.shape:
            return None
        differences.append(float((x.double() - y.double()).abs().max()) if x.numel() else 0.0)
    return largest_of(differences)


def _of_text(
    tensors: Iterator[torch.Tensor], arguments: Mapping[str, Any]
) -> Iterator[torch.Tensor]:
    """Yield results without those of padding, which attends to no key before it.

    For a row without a key each implementation returns something else.
    """
    mask = arguments.get("attention_mask")
    for tensor in tensors:
        is_by_token = torch.is_tensor(mask) and mask.ndim == 2 and tensor.shape[:2] == mask.shape
        yield tensor[mask.bool()] if is_by_token else tensor  # type: ignore[union-attr]


# What a model returns beside its results, or only if it is asked.
_NO_RESULTS = ("attentions", "hidden_states", "past_key_values", "loss")


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    """Yield the model's results, without what a capture adds or leaves out."""
    if torch.is_tensor(output):
        yield output
    if isinstance(output, tuple) and output and torch.is_tensor(output[0]):
        yield output[0]
    if not hasattr(output, "get"):
        return
    first = [name for name in ("last_hidden_state", "logits") if output.get(name) is not None]
    # Two towers have neither: what they make of the picture and the words is compared.
    for name in first or [name for name in output if not name.endswith(_NO_RESULTS)]:
        if torch.is_tensor(value := output[name]) and value.is_floating_point():
            yield value


def largest_of(values: Sequence[float]) -> float | None:
    """Return the largest value, NaN if there is one (``max`` may lose it), or ``None`` if empty."""
    return max(values, key=lambda value: (math.isnan(value), value)) if values else None


def _max_row_sum_error(attentions: PartByKind) -> float:
    errors = [
        float((layer.float().sum(-1) - 1).abs().max())
        for layers in attentions.values()
        for layer in layers
    ]
    return largest_of(errors) or 0.0

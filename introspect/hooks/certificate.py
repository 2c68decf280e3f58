"""Certificates that a capture shows what the model itself computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers
from torch import nn

from introspect.errors import CaptureError
from introspect.hooks.arguments import ran, run_arguments, same_output
from introspect.hooks.bypass import (
    OWN_OUTPUTS,
    are_weights,
    returns_attention,
    run_returning_attention,
)
from introspect.hooks.captured import Captured, PartByKind
from introspect.hooks.interface import active_editors
from introspect.hooks.loans import attention_implementation, borrowed_attention
from introspect.hooks.unwrapping import watched_module
from introspect.records import Certificate

#: The note of a capture that was held to nothing but itself.
NOT_COMPARED = "not compared with a run of the model as it was loaded"


def certificate_of(
    module: nn.Module,
    attentions: PartByKind,
    route: str,
    output_errors: Sequence[torch.Tensor] = (),
) -> Certificate:
    """Return a certificate of everything known without another run of the model."""
    parameter = next(module.parameters())
    return Certificate(
        route=route,
        max_row_sum_error=_max_row_sum_error(attentions) if attentions else None,
        max_head_output_error=largest_of([float(error) for error in output_errors]),
        attn_implementation=attention_implementation(module),
        dtype=str(parameter.dtype).removeprefix("torch."),
        device=str(parameter.device),
        torch_version=torch.__version__,
        transformers_version=transformers.__version__,
    )


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
        note=captured.certificate.note.replace(NOT_COMPARED, "").strip("; "),
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
        plain = list(_tensors(ran(module, arguments)))
    difference = _largest(iter(plain), _tensors(captured.output))
    if difference is None:
        return captured
    largest = max(1.0, *(float(each.nan_to_num().abs().max()) for each in plain))
    if not difference <= same_output(plain[0].dtype) * largest and not plain[0].isnan().any():
        raise CaptureError(
            f"Expected {type(module).__name__} to give the same when it is watched, but its output "
            f"is {difference:.2g} away: with these inputs ({', '.join(arguments)}) eager attention "
            "is not what it runs. Give a mask of bool or of numbers to add, and no other, or load "
            'the model with attn_implementation="eager".'
        )
    certificate = replace(captured.certificate, max_output_difference=difference)
    return replace(captured, certificate=certificate)


def noted(certificate: Certificate, note: str) -> Certificate:
    """Return a certificate with another note beside those that it has."""
    notes = (certificate.note, note)
    return replace(certificate, note="; ".join(text for text in notes if text))


def _attention_difference(captured: Captured, eager: Any) -> tuple[float | None, str]:
    differences = []
    for kind, layers in captured.attentions.items():
        own = next((eager[n] for n in OWN_OUTPUTS[kind] if eager.get(n)), None)
        if own is None:
            return None, f"the model does not return its {kind} attention itself"
        numbers = captured.layers[kind]
        if len(own) == len(numbers):
            numbers = list(range(len(own)))  # some models return only layers that have attention
        if max(numbers) >= len(own):
            return None, "the model returns attention for other layers than were captured"
        chosen = [own[number] for number in numbers]
        if not all(torch.is_tensor(weights) and are_weights(weights) for weights in chosen):
            return None, f"what the model returns as its {kind} attention are no weights"
        difference = _largest(iter(chosen), iter(layers))
        if difference is None:
            return None, "the model returns attention of another shape"
        differences.append(difference)
    return largest_of(differences), ""


def _largest(a: Iterator[torch.Tensor], b: Iterator[torch.Tensor]) -> float | None:
    differences = []
    for x, y in zip(a, b, strict=False):
        if x.shape != y.shape:
            return None
        differences.append(float((x.double() - y.double()).abs().max()) if x.numel() else 0.0)
    return largest_of(differences)


def _tensors(output: Any) -> Iterator[torch.Tensor]:
    """Yield the model's results, without what a capture adds or leaves out."""
    if torch.is_tensor(output):
        yield output
    if isinstance(output, tuple) and output and torch.is_tensor(output[0]):
        yield output[0]
    for name in ("last_hidden_state", "logits"):
        value = output.get(name) if hasattr(output, "get") else None
        if value is not None:
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

"""Running a model once and keeping what its attention modules computed."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import transformers
from torch import nn

from introspect.errors import CaptureError, SelectionError
from introspect.hooks.borrowing import attention_implementation, borrowed_attention
from introspect.hooks.interface import IMPLEMENTATION, watching
from introspect.records import Certificate

__all__ = ["Captured", "capture"]

INTERFACE_ROUTE = "attention interface"
PARTS = ("attentions",)

# An attention module was given the states of another sequence if one of these arguments was.
_OTHER_SEQUENCE = ("key_value_states", "encoder_hidden_states")


@dataclass(frozen=True, eq=False)
class Captured:
    """What one run of a model gave.

    Args:
        attentions: for each kind of attention (``self``; or ``encoder``, ``decoder``, ``cross``),
            a list over layers of ``(batch, num_heads, query_len, key_len)``.
        layers: for each kind, the model's own number of each layer.
        output: what the model returned.
        certificate: how it was captured.
    """

    attentions: Mapping[str, list[torch.Tensor]]
    layers: Mapping[str, list[int]]
    output: Any
    certificate: Certificate


def capture(
    module: nn.Module,
    inputs: Mapping[str, Any],
    include: Sequence[str] = ("attentions",),
    *,
    layers: Sequence[int] | None = None,
) -> Captured:
    """Run ``module`` on ``inputs`` and capture its attention.

    The model's own code runs, whatever implementation it was loaded with; it is put back as it was,
    also after an exception. No gradients, no dropout.

    Args:
        module: any transformers model whose attention passes the attention interface.
        inputs: what the model's ``forward`` takes, a dictionary of tensors.
        include: which parts to keep; this version has ``attentions``.
        layers: keep only these layers, by the model's own numbers.

    Raises:
        CaptureError: the model bypasses the interface, has no weights in memory, or a part is
            asked for that is not captured.
        SelectionError: a layer that the model does not have.
    """
    include = (include,) if isinstance(include, str) else include
    unknown = [part for part in include if part not in PARTS]
    if unknown:
        raise CaptureError(
            f"Expected `include` from {', '.join(PARTS)}, got {', '.join(map(repr, unknown))}. "
            "Leave it out: this version captures no other part."
        )
    if layers is not None and not list(layers):
        raise SelectionError(
            "Expected at least one layer in `layers`, got none. Leave it out to keep all of them."
        )
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    arguments = run_arguments(module, inputs)
    observation = _Observation(module, layers)
    implementation = attention_implementation(module)
    with (
        torch.no_grad(),
        borrowed_attention(module, IMPLEMENTATION),
        observation.hooks(),
        watching(observation.see),
    ):
        output = module(**arguments)
    observation.check(module)
    return Captured(
        attentions=observation.attentions,
        layers=observation.layers,
        output=output,
        certificate=Certificate(
            route=INTERFACE_ROUTE,
            max_row_sum_error=_max_row_sum_error(observation.attentions),
            attn_implementation=implementation,
            dtype=str(next(module.parameters()).dtype).removeprefix("torch."),
            device=str(next(module.parameters()).device),
            torch_version=torch.__version__,
            transformers_version=transformers.__version__,
        ),
    )


def run_arguments(module: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` where the model is, and no cache: one changes the last digits.

    Raises:
        CaptureError: the model has no weights in memory.
    """
    device = _device(module)
    arguments = {k: v.to(device) if torch.is_tensor(v) else v for k, v in inputs.items()}
    if "use_cache" in inspect.signature(module.forward).parameters:
        arguments.setdefault("use_cache", False)
    return arguments


def largest_of(values: Sequence[float]) -> float | None:
    """The largest value, ``None`` without any; NaN where one is, which ``max`` would lose."""
    return max(values, key=lambda value: (math.isnan(value), value)) if values else None


class _Observation:
    """Collects the attention of one run, sorted by kind and numbered by layer."""

    def __init__(self, module: nn.Module, wanted: Sequence[int] | None) -> None:
        self.attentions: dict[str, list[torch.Tensor]] = {}
        self.layers: dict[str, list[int]] = {}
        self._seen: dict[str, list[int]] = {}
        self._wanted = None if wanted is None else set(wanted)
        self._thread = threading.get_ident()
        self._attends_elsewhere: dict[nn.Module, bool] = {}
        self._is_encoder_decoder = bool(
            getattr(getattr(module, "config", None), "is_encoder_decoder", False)
        )
        find_encoder = getattr(module, "get_encoder", None)
        encoder = find_encoder() if self._is_encoder_decoder and find_encoder else None
        self._encoder_parts = set(encoder.modules()) if isinstance(encoder, nn.Module) else set()
        self._hookable = [m for m in module.modules() if _source_arguments(type(m).forward)]

    @contextmanager
    def hooks(self) -> Iterator[None]:
        """Note which modules are given another sequence to attend to, while this is open."""
        handles = [
            part.register_forward_pre_hook(self._note_sources, with_kwargs=True)
            for part in self._hookable
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def see(self, module: nn.Module, weights: torch.Tensor) -> None:
        """Take the attention weights that ``module`` has just computed."""
        kind = self._kind(module)
        number = self._layer_number(module, kind)
        self._seen.setdefault(kind, []).append(number)
        if self._wanted is None or number in self._wanted:
            self.attentions.setdefault(kind, []).append(weights.detach())
            self.layers.setdefault(kind, []).append(number)

    def check(self, module: nn.Module) -> None:
        """Raise where nothing was seen, or a layer that was asked for."""
        name = type(module).__name__
        if not self._seen:
            raise CaptureError(
                f"Expected {name} to compute attention through transformers' attention interface, "
                "but it never did: this architecture bypasses it. Choose a model that does not, "
                "for example BERT, GPT-2, Llama, T5 or BART."
            )
        seen = sorted({number for numbers in self._seen.values() for number in numbers})
        missing = sorted((self._wanted or set()) - set(seen))
        if missing:
            raise SelectionError(
                f"Expected `layers` among {_ranges(seen)} for {name}, got {missing}. "
                "Layers are numbered from 0."
            )

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

    def _kind(self, module: nn.Module) -> str:
        if module in self._encoder_parts:
            return "encoder"
        if self._attends_elsewhere.get(module, False):
            return "cross"
        return "decoder" if self._is_encoder_decoder else "self"

    def _layer_number(self, module: nn.Module, kind: str) -> int:
        """The module's own number; its place in the order of calls where it has none.

        Some models share one module among all layers (ALBERT), so a number that came before says
        nothing.
        """
        seen = self._seen.get(kind, [])
        number = getattr(module, "layer_idx", None)
        return number if isinstance(number, int) and number not in seen else len(seen)


@cache
def _source_arguments(forward: Callable[..., Any]) -> dict[str, int]:
    """The arguments by which a module gets another sequence, with their positions."""
    names = [name for name in inspect.signature(forward).parameters if name != "self"]
    return {name: i for i, name in enumerate(names) if name in _OTHER_SEQUENCE}


def _device(module: nn.Module) -> torch.device:
    parameter = next(module.parameters(), None)
    if parameter is None:
        raise CaptureError(f"Expected a model with weights, but {type(module).__name__} has none.")
    if parameter.device.type == "meta":
        raise CaptureError(
            f"Expected {type(module).__name__} with its weights in memory, but it is on the meta "
            "device. Load the weights first."
        )
    return parameter.device


def _max_row_sum_error(attentions: Mapping[str, list[torch.Tensor]]) -> float:
    errors = [
        float((layer.float().sum(-1) - 1).abs().max())
        for layers in attentions.values()
        for layer in layers
    ]
    return largest_of(errors) or 0.0


def _ranges(numbers: Sequence[int]) -> str:
    if list(numbers) == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}–{numbers[-1]}"
    return ", ".join(map(str, numbers))

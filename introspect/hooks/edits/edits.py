"""Edits of the parts of an attention module, applied at the attention interface.

Queries, keys and values are changed before the model's own function receives them, and the pattern
and the head outputs after it. Whatever no edit touches stays bit-identical to the model's own: a
row of the output is recomputed only where its pattern has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import nn
from transformers import Cache

from introspect.calls import checked_class
from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.hooks.interface import (
    IMPLEMENTATION,
    Attended,
    AttentionCall,
    active_editors,
    edit_by,
)
from introspect.hooks.layer_index import Numbering, kind_of_all_runs
from introspect.hooks.layout import AttentionLayout
from introspect.hooks.loans import borrow_attention
from introspect.hooks.running import out_of_order
from introspect.hooks.torch_attention import watch_torch
from introspect.hooks.unwrapping import has_own_attention
from introspect.hooks.watchers import (
    RowsNotRecomputableError,
    eager_rows,
    not_by_token,
    same_output,
)
from introspect.records import names_of_editable

#: The parts of an attention that can be changed.
EDITABLE = names_of_editable("before", "after")
_INPUTS = names_of_editable("before")

#: Returns which keys are visible to each query, in a shape that broadcasts to ``(batch, num_heads,
#: query_len, key_len)``.
Visible = Callable[[], torch.Tensor]
#: Maps a part, and a function that returns the visible keys, to the part's new value.
Change = Callable[[torch.Tensor, Visible], torch.Tensor]


@checked_class
@dataclass(frozen=True, eq=False)
class Edit:
    """A change of one part of one layer's attention.

    Args:
        kind: ``self``; for an encoder-decoder ``encoder``, ``decoder`` or ``cross``; of a model
            with several towers ``text``, ``vision`` ….
        layer: the model's own number of the layer.
        part: one of ``queries``, ``keys``, ``values``, ``attentions``, ``head_outputs``.
        change: maps the part, in the shape in which it is captured, to another tensor of that
            shape. It also receives the visible keys, and does not modify its inputs.
        by_position: whether the change identifies tokens by their positions in the text. In a run
            that continues from a cache the first query is not the first token, so such a change is
            refused.
    """

    kind: str
    layer: int
    part: str
    change: Change
    by_position: bool = False

    def __call__(self, tensor: torch.Tensor, visible: Visible) -> torch.Tensor:
        """Return the changed part.

        Raises:
            CaptureError: the change altered its shape.
        """
        changed = self.change(tensor, visible)
        if changed.shape != tensor.shape:
            raise CaptureError(
                f"Expected the {self.part} of {self.kind} layer {self.layer} to keep their shape "
                f"{tuple(tensor.shape)}, but the edit made {tuple(changed.shape)} of them. "
                "Give the edit inputs of the same batch and length."
            )
        return changed


def edits_at(
    edits: Sequence[Edit], kind: str, layer: int, part: str | None = None
) -> tuple[Edit, ...]:
    """Return the edits of one kind and layer, and of one part if it is given."""
    return tuple(
        edit
        for edit in edits
        if (edit.kind, edit.layer) == (kind, layer) and part in (None, edit.part)
    )


@dataclass(frozen=True, eq=False)
class _EditedCall(AttentionCall):
    """An attention call whose pattern and head outputs are changed after they are computed."""

    edits: tuple[Edit, ...] = ()

    @property
    def is_edited(self) -> bool:
        """Return whether an intervention changes what is computed."""
        return True

    def eager(self) -> Attended:
        """Compute the attention eagerly, and change it."""
        output, weights = super().eager()
        if self._of("attentions"):
            if weights is None:
                raise _no_weights(self.module)
            mask = self.mask
            output, weights = self._with_patterns(
                output, weights, lambda: _visible(mask, output.dtype, output.device)
            )
        return self._with_outputs(output), weights

    def plain(self) -> Attended:
        """Compute the attention as the model does, and change it."""
        if self.is_eager:
            return self.eager()
        output, weights = super().plain()
        if self._of("attentions"):
            if self.module.training and self.arguments[1].get("dropout"):
                raise CaptureError(
                    f"Expected no dropout of weights, to change those of "
                    f"{type(self.module).__name__}, but the model is in training mode and what it "
                    "runs does not tell which it drops. Call eval(), or load it with "
                    'attn_implementation="eager".'
                )
            row_weights, mask = self._weights_beside()
            output, weights = self._with_patterns(
                output, row_weights, lambda: _visible(mask, output.dtype, output.device)
            )
        return self._with_outputs(output), weights

    def _of(self, part: str) -> list[Edit]:
        return [edit for edit in self.edits if edit.part == part]

    def _weights_beside(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute the pattern for a model whose own function returns none, and the mask."""
        rows = torch.arange(self.queries.shape[2], device=self.queries.device)
        try:
            _, weights, mask = eager_rows(_unedited(self), rows)
        except RowsNotRecomputableError as error:
            raise _no_weights(self.module) from error
        if weights is None:
            raise _no_weights(self.module)
        return weights, mask

    def _with_patterns(
        self, output: torch.Tensor, weights: torch.Tensor, visible: Visible
    ) -> tuple[torch.Tensor, torch.Tensor]:
        changed = weights
        for edit in self._of("attentions"):
            changed = edit(changed, visible)
        is_changed = (changed != weights).any(-1)
        if not is_changed.any():
            return output, changed
        _check_values(self, weights, output, visible)
        new = _weighed(changed, self.values).transpose(1, 2)
        return torch.where(is_changed.transpose(1, 2)[..., None], new, output), changed

    def _with_outputs(self, output: torch.Tensor) -> torch.Tensor:
        edits = self._of("head_outputs")
        by_head = output.transpose(1, 2)
        for edit in edits:
            by_head = edit(by_head, nothing_visible)
        return by_head.transpose(1, 2) if edits else output


def check_run(
    module: nn.Module,
    edits: Sequence[Edit],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> None:
    """Raise an error for a run in which the edits would not have their intended effect.

    Args:
        module: the model that is about to run.
        edits: the edits to make.
        args: the model's positional arguments.
        kwargs: the model's keyword arguments.

    Raises:
        CaptureError: the run continues from a cache, and an edit depends on token positions; or the
            layers will run again in the backward pass, when no edits are active any more.
    """
    name = type(module).__name__
    read = max(0, *(_tokens_read(given) for given in (None, *args, *kwargs.values())))
    if read and any(edit.by_position for edit in edits):
        raise CaptureError(
            f"Expected a run that reads the text from its first token, since the intervention is "
            f"about tokens at certain places, but {name} goes on from a cache of {read} tokens. "
            "Pass use_cache=False, to generate as well."
        )
    if torch.is_grad_enabled() and any(_is_run_again(part) for part in module.modules()):
        raise CaptureError(
            f"Expected {name} to keep what its layers compute, to intervene while gradients are "
            "taken, but gradient checkpointing runs them again when the edits cannot follow. Call "
            "gradient_checkpointing_disable() first."
        )


def _tokens_read(given: Any) -> int:
    """Return the number of tokens that a cache holds, or 0 for anything else."""
    if isinstance(given, Cache):
        return int(given.get_seq_length())
    return 0


def _is_run_again(part: nn.Module) -> bool:
    return part.training and bool(getattr(part, "gradient_checkpointing", False))


class InterfaceEditor:
    """Changes the attention of a model that computes it through the attention interface.

    Args:
        module: the model.
        edits: the edits, in the order in which they are applied.
        layout: the attention layout of the model.
    """

    def __init__(self, module: nn.Module, edits: Sequence[Edit], layout: AttentionLayout) -> None:
        self._module = module
        self._layout = layout
        self._edits = tuple(edits)
        self._parts = set(module.modules())
        self._numbering = Numbering(module)
        #: The number of attentions that were changed.
        self.count = 0
        # The number of tokens of the run that is under way, where it is given tokens.
        self._length: int | None = None

    def attach(self, changes: Changes) -> None:
        """Change the attention of the runs in this thread, as long as the changes last."""
        borrow_attention(changes, self._module, IMPLEMENTATION, keeps_training=True)
        self._numbering.attach(changes, begun=self._begun)
        if has_own_attention(self._module):
            watch_torch(changes, self._module)
        edit_by(changes, self)

    def _begun(self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        # A run that supplies values to another intervention bypasses all editors.
        if self in active_editors():
            check_run(module, self._edits, args, kwargs)
            given = kwargs.get("input_ids", args[0] if args else None)
            if torch.is_tensor(given) and given.ndim == 2:
                self._length = int(given.shape[1])

    def edited(self, call: AttentionCall) -> AttentionCall:
        """Return the call with the edits applied."""
        if call.module not in self._parts:
            return call
        place = self._numbering.place(call)
        kind = kind_of_all_runs(place.kind)
        if self._numbering.towers is not None and kind not in {edit.kind for edit in self._edits}:
            return call
        own = self._layout.modules.get((kind, place.layer), call.module)
        if call.own is not None:
            expected = self._layout.signs.get((kind, place.layer))
            if expected != call.own.sign:
                raise out_of_order(type(self._module).__name__, expected, call.own.sign)
        elif (kind, place.layer) not in self._layout.heads or own is not call.module:
            raise CaptureError(
                f"Expected one run of {type(self._module).__name__} at a time, to tell its layers "
                f"apart, but it computes a {kind} attention beyond those it has: a part of "
                "it runs by itself, or another tower beside. Run the model itself, on inputs of "
                "one sort."
            )
        edits = edits_at(self._edits, kind, place.layer)
        if not edits:
            return call
        if place.is_again:
            raise CaptureError(
                f"Expected one attention in each layer of {type(self._module).__name__}, but it "
                "weighs further values with the same queries. It cannot be intervened in."
            )
        queries = call.queries.shape[2]
        by_position = any(edit.by_position for edit in edits)
        if by_position and self._numbering.is_packed(call.module):
            raise CaptureError(
                f"Expected one picture for each item of the batch, to find a place in it, but "
                f"{type(call.module).__name__} reads several, or windows, in one sequence. "
                "Intervene in whole heads, without places."
            )
        is_placed = kind in ("self", self._layout.main) and by_position
        if is_placed and self._length not in (None, queries):
            raise not_by_token(type(call.module).__name__, queries, self._length or 0)
        self.count += 1
        for edit in edits:
            if edit.part in _INPUTS:
                changed: Any = {edit.part: edit(getattr(call, edit.part), nothing_visible)}
                call = replace(call, **changed)
        after = tuple(edit for edit in edits if edit.part not in _INPUTS)
        return _with_edits(call, after)


def _with_edits(call: AttentionCall, edits: tuple[Edit, ...]) -> AttentionCall:
    earlier = call.edits if isinstance(call, _EditedCall) else ()
    return _EditedCall(**_fields(call), edits=(*earlier, *edits))


def _unedited(call: AttentionCall) -> AttentionCall:
    return AttentionCall(**_fields(call))


def _fields(call: AttentionCall) -> Mapping[str, Any]:
    return {part.name: getattr(call, part.name) for part in fields(AttentionCall)}


def _weighed(weights: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    repeated = values.repeat_interleave(weights.shape[1] // values.shape[1], dim=1)
    return weights.to(values.dtype) @ repeated


def _check_values(
    call: AttentionCall, weights: torch.Tensor, output: torch.Tensor, visible: Visible
) -> None:
    """Raise an error for a model whose output differs from its weights × values."""
    fits = call.values.shape[2] == weights.shape[-1] and not weights.shape[1] % call.values.shape[1]
    fits = fits and call.values.shape[-1] == output.shape[-1]
    expected = _weighed(weights, call.values).transpose(1, 2) if fits else None
    if expected is not None and expected.shape == output.shape:
        # For a row that may attend to no key, as in padding, each kernel returns something else.
        attends = visible().any(-1, keepdim=True).transpose(1, 2)
        difference = (expected - output).abs().masked_fill(~attends, 0).max()
        # Single-precision tolerance even in double: many models compute the softmax in single.
        tolerance = max(same_output(output.dtype), same_output(torch.float32))
        if difference <= tolerance * output.abs().max().clamp(min=1):
            return
    raise CaptureError(
        f"Expected weights × values to be what the heads of {type(call.module).__name__} output, "
        "but it is not. Its pattern cannot be changed; change the outputs of heads instead "
        '(method="zero", "mean" or "resample").'
    )


def _visible(mask: torch.Tensor | None, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return the keys left visible, ``(batch or 1, heads or 1, query_len or 1, key_len or 1)``."""
    if mask is None:
        return torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
    if mask.dtype == torch.bool:
        return mask
    # Hidden keys have the lowest number of the mask's type, or of the type of the computation.
    return mask > max(torch.finfo(each).min for each in (mask.dtype, dtype)) / 2


def nothing_visible() -> torch.Tensor:
    """Raise an error: this part has no visible keys."""
    raise CaptureError("Expected only edits of the pattern to ask which keys are visible.")


def _no_weights(module: nn.Module) -> CaptureError:
    return CaptureError(
        f"Expected the pattern of {type(module).__name__}, to change it, but what the model runs "
        'gives none. Load the model with attn_implementation="eager".'
    )

"""Edits of the attention of a model that bypasses the interface, made on its products.

Watching one run has shown which softmaxes and products belong to an attention; here they are
counted in the same order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from introspect.changes import Changes
from introspect.errors import CaptureError
from introspect.hooks.edits.edits import Edit, check_run, edits_at, nothing_visible
from introspect.hooks.interface import AttentionCall, active_editors, edit_by
from introspect.hooks.layer_index import Numbering, is_encoder_decoder
from introspect.hooks.layout import AttentionLayout
from introspect.hooks.loans import borrow_attention, hook_after, hook_before, push_mode
from introspect.hooks.products import AttentionProducts, Product, Softmax, by_head, step_of
from introspect.hooks.running import Sign, Signs, out_of_order
from introspect.hooks.unwrapping import has_own_attention

# A key whose score is this far below the highest of its row is hidden by a mask.
_MOST_BELOW = 9_000.0


class ProductEditor:
    """Changes the attention of a model that computes it without the attention interface.

    Args:
        module: the model.
        edits: the edits, in the order in which they are applied.
        layout: the attention layout of the model.

    Raises:
        CaptureError: the requested edits are not possible in such a model.
    """

    def __init__(self, module: nn.Module, edits: Sequence[Edit], layout: AttentionLayout) -> None:
        name = type(module).__name__
        if is_encoder_decoder(module):
            raise CaptureError(
                f"Expected an encoder-decoder to compute attention through transformers' attention "
                f"interface, to intervene in it, but {name} computes it by itself."
            )
        if refused := {edit.part for edit in edits} & {"queries", "keys"}:
            raise CaptureError(
                f"Expected edits of values, patterns or outputs of heads, got {sorted(refused)}: "
                f"{name} computes attention by itself, and may use them in several products."
            )
        self._module = module
        self._edits = tuple(edits)
        self._mode = _EditingMode(edits, layout, module)
        self._thread = threading.get_ident()

    @property
    def count(self) -> int:
        """The number of attentions that were changed."""
        return self._mode.count

    def attach(self, changes: Changes) -> None:
        """Change the attention of the runs in this thread, as long as the changes last."""
        hook_before(changes, [self._module], self._begin)
        hook_after(changes, [self._module], self._end, always_call=True)
        towers = Numbering(self._module).towers
        tops = [] if towers is None else [tower.tops[0] for tower in towers.others]
        hook_before(changes, tops, self._refuse_tower)
        borrow_attention(changes, self._module, "eager", keeps_training=True)
        push_mode(changes, self._mode)
        edit_by(changes, self)

    def edited(self, call: AttentionCall) -> AttentionCall:
        """Return the call unchanged: this model does not use the interface."""
        return call

    def _begin(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None = None
    ) -> None:
        # A run that supplies values to another intervention bypasses all editors.
        if threading.get_ident() == self._thread and self in active_editors():
            check_run(module, self._edits, args, kwargs or {})
            self._mode.begin()

    def _refuse_tower(self, tower: nn.Module, *_: Any) -> None:
        if threading.get_ident() == self._thread and self in active_editors():
            raise CaptureError(
                f"Expected a text alone, to intervene in {type(self._module).__name__}, which "
                f"computes attention by itself, but its {type(tower).__name__} runs beside it: "
                "where it attends to the text is counted from the first layer that runs."
            )

    def _end(self, *_: Any) -> None:
        if threading.get_ident() == self._thread:
            self._mode.end()


class _EditingMode(TorchFunctionMode):
    """Counts the softmaxes and products of a run, and changes some of their results."""

    def __init__(self, edits: Sequence[Edit], layout: AttentionLayout, module: nn.Module) -> None:
        super().__init__()
        self._model = type(module).__name__
        self._number: int | None = None  # number of the next step; None outside the model
        self._softmaxes: dict[int, tuple[AttentionProducts, tuple[Edit, ...]]] = {}
        self._weighings: dict[int, tuple[AttentionProducts, tuple[Edit, ...]]] = {}
        self._run: tuple[Sign, ...] = ()
        for (kind, layer), products in layout.products.items():
            self._run = products.run
            patterns = edits_at(edits, kind, layer, "attentions")
            after = (
                *edits_at(edits, kind, layer, "values"),
                *edits_at(edits, kind, layer, "head_outputs"),
            )
            if patterns:
                self._softmaxes[products.softmax] = products, patterns
            if after:
                self._weighings[products.weighing] = products, after
        edited = {*self._softmaxes, *self._weighings}
        self._last = max(edited, default=-1)
        self._modules = {self._run[number].module for number in edited}
        self._signs = Signs(module, by_weights=has_own_attention(module))
        self.count = 0

    def begin(self) -> None:
        """Begin counting at the start of a run."""
        self._number = 0
        self._signs.begin()

    def end(self) -> None:
        """Stop counting at the end of a run."""
        self._number = None

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run ``function``, and change its result if an edit applies to it."""
        result = function(*args, **(kwargs or {}))
        if self._number is None:
            return result
        self._signs.use(function, args, kwargs or {})
        step = step_of(function, args, kwargs or {}, result)
        if step is None:
            return result
        number, self._number = self._number, self._number + 1
        self._check(number, self._signs.sign(type(step).__name__))
        if number in self._softmaxes:
            return self._edited_softmax(step, *self._softmaxes[number])
        if number in self._weighings:
            return self._edited_product(step, *self._weighings[number])
        return result

    def _check(self, number: int, sign: Sign) -> None:
        """Check that a step is the one that was counted in the run that showed the attentions.

        Raises:
            CaptureError: it is another, so that an edit would change the attention of another part,
                or of one of two runs of the part that is meant.
        """
        expected = self._run[number] if number < len(self._run) else None
        if sign != expected and (number <= self._last or sign.module in self._modules):
            raise out_of_order(self._model, expected, sign)

    def _edited_softmax(
        self, step: Any, products: AttentionProducts, edits: Sequence[Edit]
    ) -> torch.Tensor:
        if not isinstance(step, Softmax):
            raise out_of_order(self._model)
        given = self._by_heads(step.given, products.heads)
        weights = self._by_heads(step.result, products.heads)
        for edit in edits:
            weights = edit(weights, lambda: _left_by_mask(given))
        self.count += 1
        return weights.reshape(step.result.shape)

    def _edited_product(
        self, step: Any, products: AttentionProducts, edits: Sequence[Edit]
    ) -> torch.Tensor:
        if not isinstance(step, Product):
            raise out_of_order(self._model)
        weights = self._by_heads(step.left, products.heads)
        batch = weights.shape[0]
        outputs = by_head(step.result, batch, products.heads)
        if outputs.shape[:3] != weights.shape[:3]:
            raise out_of_order(self._model)
        before = values = by_head(step.right, batch, products.heads)
        for edit in edits:
            if edit.part == "values":
                values = edit(values, nothing_visible)
        if not torch.equal(values, before):
            repeated = values.repeat_interleave(products.heads // values.shape[1], dim=1)
            outputs = weights.to(values.dtype) @ repeated
        for edit in edits:
            if edit.part == "head_outputs":
                outputs = edit(outputs, nothing_visible)
        self.count += 1
        return step.as_computed(outputs)

    def _by_heads(self, tensor: torch.Tensor, heads: int) -> torch.Tensor:
        """Reshape a tensor to ``(batch, num_heads, rows, columns)``."""
        if tensor.ndim == 4 and tensor.shape[1] == heads:
            return tensor
        if tensor.ndim == 3 and tensor.shape[0] % heads == 0:
            return tensor.reshape(-1, heads, *tensor.shape[1:])
        raise out_of_order(self._model)


def _left_by_mask(scores: torch.Tensor) -> torch.Tensor:
    """Return which keys the mask leaves visible, judged by the input of the softmax.

    Most models hide a key with the lowest number of the type; some subtract ten thousand from its
    score (OpenAI's GPT), or 1e30 (XLNet), which also gives it a softmax weight of zero.
    """
    highest = scores.amax(-1, keepdim=True)
    return (scores > torch.finfo(scores.dtype).min / 2) & (scores > highest - _MOST_BELOW)

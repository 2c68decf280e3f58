"""Ablate the heads of a model, or scale their outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import torch

from introspect.calls import checked_call
from introspect.errors import CaptureError, SelectionError
from introspect.hooks import Change, Edit, Visible, attention_layout
from introspect.interventions.intervention import Intervention, ModelLike, module_of
from introspect.interventions.references import Inputs, Reference, run_references
from introspect.interventions.targets import (
    HeadsByLayer,
    checked_kind,
    chosen_positions,
    heads_by_layer,
    in_words,
)
from introspect.records import HeadLike, Kind

#: What replaces a head's own output.
#: How the output of an ablated head is replaced.
Ablation = Literal["zero", "mean", "uniform", "resample"]
METHODS: tuple[Ablation, ...] = get_args(Ablation)
#: The methods that take values from other texts.
NEEDS_REFERENCE = ("mean", "resample")


@checked_call
def ablate(
    model: ModelLike,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    method: Ablation = "zero",
    reference: Iterable[Inputs] | Inputs | None = None,
    layers: Sequence[int] | None = None,
    positions: Sequence[int] | None = None,
    kind: Kind | None = None,
    seed: int = 0,
) -> Intervention:
    r"""Ablate heads for the duration of a ``with`` block.

    With :math:`z_i` the output of a head at token :math:`i`, before the output projection:

    - ``zero``: :math:`z_i = 0`. If all heads of a layer are ablated, its attention outputs only
      the bias of its output projection.
    - ``mean``: :math:`z_i` is its mean over all tokens of the reference texts.
    - ``uniform``: the head attends equally to all keys that it may attend to.
    - ``resample``: :math:`z_i` is that of the token at the same position of a reference text; for
      each place in a batch, the seed draws a text among those that are long enough. So it
      depends on how texts are batched.

    Zero is the strongest change and takes the model off its distribution; the others keep the
    constant part of the head's output (Wang et al. 2022, https://arxiv.org/abs/2211.00593,
    appendix).

    Args:
        model: a model of this package, or a transformers module.
        heads: ``(3, 1)``, ``"L3H1"``, ``"L3"`` for a whole layer, or several of these.
        method: one of ``zero``, ``mean``, ``uniform``, ``resample``.
        reference: for ``mean`` and ``resample``: texts, or the inputs of a bare module. They are
            run now, without any intervention.
        layers: whole layers, in addition to the heads; all of them if neither is given.
        positions: only at these tokens; all by default. Generation must then run without a cache
            (``use_cache=False``), as it must under ``resample``.
        kind: of an encoder-decoder ``encoder``, ``decoder`` or ``cross``.
        seed: for ``resample``.

    Raises:
        SelectionError: a head, method or kind that does not exist; a missing reference, or
            one that is not needed.
        CaptureError: the model's attention cannot be changed; or, within the block, a run
            continues from a cache or checkpoints gradients.

    Example:
        >>> import introspect as ix
        >>> model = ix.load("pronoun", lm_head=True)
        >>> with ix.ablate(model, "L1H0"):
        ...     record = model.capture("The fox did not cross the river because it was too wide.")
    """
    module = module_of(model)
    layout = attention_layout(module)
    kind = checked_kind(layout, kind)
    chosen = heads_by_layer(layout, kind, heads, layers)
    ablations = Ablations(
        model, method, reference=reference, layers=list(chosen), kind=kind, seed=seed
    )
    return ablations.of(chosen, positions=positions)


class Ablations:
    """Ablations by one method, which share one run of the reference texts.

    Args:
        model: a model of this package, or a transformers module.
        method: see ``ablate``.
        reference: see ``ablate``.
        layers: the layers that may be ablated; all by default.
        kind: the kind of attention.
        seed: for ``resample``.

    Raises:
        SelectionError: see ``ablate``.
    """

    def __init__(
        self,
        model: ModelLike,
        method: Ablation,
        *,
        reference: Iterable[Inputs] | Inputs | None = None,
        layers: Sequence[int] | None = None,
        kind: Kind | None = None,
        seed: int = 0,
    ) -> None:
        if method not in METHODS:
            raise SelectionError(f"Expected `method` from {', '.join(METHODS)}, got {method!r}.")
        if (reference is not None) != (method in NEEDS_REFERENCE):
            needs = "texts in `reference`" if reference is None else "no `reference`"
            mend = "Give reference=[…]." if reference is None else "Leave it out."
            raise SelectionError(
                f"Expected {needs} for method={method!r}: only {' and '.join(NEEDS_REFERENCE)} "
                f"take something from other texts. {mend}"
            )
        self.layout = attention_layout(module_of(model))
        self.kind = checked_kind(self.layout, kind)
        self._model = model
        self._method = method
        wanted = self.layout.layers(self.kind) if layers is None else layers
        if method == "zero":
            self._changes: dict[int, Change] = dict.fromkeys(wanted, _zero)
        elif method == "uniform":
            self._changes = dict.fromkeys(wanted, _uniform)
        else:
            assert reference is not None
            references = run_references(model, reference, kind=self.kind, layers=wanted)
            self._changes = _means(references) if method == "mean" else _drawn(references, seed)

    def of(self, heads: HeadsByLayer, *, positions: Sequence[int] | None = None) -> Intervention:
        """Return the ablation of some heads."""
        words = f"{in_words(heads, self.layout, self.kind)} ablated ({self._method})"
        part = "attentions" if self._method == "uniform" else "head_outputs"
        is_placed = positions is not None or self._method == "resample"
        edits = _edits(self.kind, part, heads, self._changes, positions, by_position=is_placed)
        return Intervention(self._model, edits, words)


@checked_call
def scale(
    model: ModelLike,
    heads: Iterable[HeadLike] | HeadLike,
    factor: float,
    *,
    positions: Sequence[int] | None = None,
    kind: Kind | None = None,
) -> Intervention:
    """Multiply the outputs of heads; a factor of 1 changes nothing, and 0 ablates them.

    Args:
        model: a model of this package, or a transformers module.
        heads: as ``ablate`` takes them.
        factor: any finite number.
        positions: only at these tokens; all by default.
        kind: of an encoder-decoder ``encoder``, ``decoder`` or ``cross``.

    Raises:
        SelectionError: a head or kind that does not exist, or a factor that is not a finite number.
    """
    if not abs(float(factor)) < float("inf"):
        raise SelectionError(f"Expected a finite number as `factor`, got {factor}.")
    layout = attention_layout(module_of(model))
    kind = checked_kind(layout, kind)
    chosen = heads_by_layer(layout, kind, heads)

    def scaled(outputs: torch.Tensor, _visible: Visible) -> torch.Tensor:
        return outputs * factor

    changes: dict[int, Change] = dict.fromkeys(chosen, scaled)
    is_placed = positions is not None
    edits = _edits(kind, "head_outputs", chosen, changes, positions, by_position=is_placed)
    return Intervention(model, edits, f"{in_words(chosen, layout, kind)} × {factor:g}")


def _edits(
    kind: Kind,
    part: str,
    heads: HeadsByLayer,
    changes: dict[int, Change],
    positions: Sequence[int] | None,
    *,
    by_position: bool,
) -> list[Edit]:
    """Restrict changes of whole layers to the selected heads and positions."""
    return [
        Edit(kind, layer, part, _only(changes[layer], numbers, positions), by_position)
        for layer, numbers in heads.items()
    ]


def _only(change: Change, heads: Sequence[int], positions: Sequence[int] | None) -> Change:
    def changed(tensor: torch.Tensor, visible: Visible) -> torch.Tensor:
        new = change(tensor, visible)
        result = tensor.clone()
        if positions is None:
            result[:, heads] = new[:, heads]
        else:
            rows = chosen_positions(positions, tensor.shape[2])
            index = torch.tensor(list(heads))[:, None]
            result[:, index, rows] = new[:, index, rows]
        return result

    return changed


def _zero(outputs: torch.Tensor, _visible: Visible) -> torch.Tensor:
    return torch.zeros_like(outputs)


def _uniform(weights: torch.Tensor, visible: Visible) -> torch.Tensor:
    """Attend equally to all visible keys; a query that sees none keeps its weights."""
    seen = visible().expand_as(weights).to(weights.dtype)
    count = seen.sum(-1, keepdim=True)
    return torch.where(count > 0, seen / count.clamp(min=1), weights)


def _means(references: Sequence[Reference]) -> dict[int, Change]:
    """Return by layer the change to the mean over all tokens of all references."""

    def constant(mean: torch.Tensor) -> Change:
        def changed(outputs: torch.Tensor, _visible: Visible) -> torch.Tensor:
            return mean.to(outputs)[None, :, None].expand_as(outputs)

        return changed

    return {
        layer: constant(torch.cat([one.parts[layer] for one in references], dim=1).mean(1))
        for layer in references[0].parts
    }


def _drawn(references: Sequence[Reference], seed: int) -> dict[int, Change]:
    """Return by layer the change to a reference's output at the same position, one per item."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(references), generator=generator).tolist()

    def taken(layer: int) -> Change:
        def changed(outputs: torch.Tensor, _visible: Visible) -> torch.Tensor:
            batch, _, length = outputs.shape[:3]
            long = [number for number in order if references[number].length >= length]
            if not long:
                longest = max(one.length for one in references)
                raise CaptureError(
                    f"Expected a reference of at least {length} tokens to resample from, but the "
                    f"longest has {longest}. Give longer texts in `reference`."
                )
            chosen = [references[long[item % len(long)]] for item in range(batch)]
            return torch.stack([one.parts[layer][:, :length] for one in chosen]).to(outputs)

        return changed

    return {layer: taken(layer) for layer in references[0].parts}

"""Patch activations of one run of a model into another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch

from introspect.calls import checked_call
from introspect.errors import CaptureError, SelectionError
from introspect.hooks import (
    EDITABLE,
    AttentionLayout,
    Captured,
    Change,
    Edit,
    HeadCount,
    Visible,
    attention_layout,
)
from introspect.interventions.intervention import Intervention, ModelLike, module_of
from introspect.interventions.references import Inputs, run_source
from introspect.interventions.targets import (
    HeadsByLayer,
    checked_kind,
    chosen_positions,
    heads_by_layer,
    in_words,
)
from introspect.records import HeadLike, Kind

_SHARED = ("keys", "values")


@checked_call
def patch(
    model: ModelLike,
    source: Inputs | Captured,
    heads: Iterable[HeadLike] | HeadLike | None = None,
    *,
    part: str = "head_outputs",
    layers: Sequence[int] | None = None,
    positions: Sequence[int] | Mapping[int, int] | None = None,
    kind: Kind | None = None,
) -> Intervention:
    """Patch what heads compute on another input into the runs within a ``with`` block.

    Source: activation patching, or interchange intervention (Vig et al. 2020,
    https://arxiv.org/abs/2004.12265; Geiger et al. 2021, https://arxiv.org/abs/2106.02997).

    Args:
        model: a model of this package, or a transformers module.
        source: the other input: a text, what a module's ``forward`` takes, or the result of
            ``ix.capture`` with this part. It is run now, without any intervention.
            Its batch is that of the runs to come, or 1.
        heads: as ``ablate`` takes them; all heads of ``layers``, or all, by default.
        part: ``queries``, ``keys``, ``values``, ``attentions`` (the pattern) or ``head_outputs``.
        layers: whole layers, in addition to the heads.
        positions: only at these tokens: queries, or keys for ``keys`` and ``values``. A mapping
            gives for each the source token to take. By default all, for inputs of one length.
        kind: of an encoder-decoder ``encoder``, ``decoder`` or ``cross``.

    Raises:
        SelectionError: a head, part or kind that does not exist, or one head alone of several that
            share keys and values.
        CaptureError: within the block, if the lengths do not match, or the run continues from a
            cache (pass ``use_cache=False``).

    Example:
        >>> import introspect as ix
        >>> model = ix.load("pronoun", lm_head=True)
        >>> wide = "The fox did not cross the river because it was too wide."
        >>> with ix.patch(model, wide, "L1H0"):
        ...     record = model.capture(wide.replace("wide", "tired"))
    """
    if part not in EDITABLE:
        raise SelectionError(f"Expected `part` from {', '.join(EDITABLE)}, got {part!r}.")
    layout = attention_layout(module_of(model))
    kind = checked_kind(layout, kind)
    chosen = heads_by_layer(layout, kind, heads, layers)
    rows = {layer: _rows_of(part, layer, chosen, layout, kind) for layer in chosen}
    tensors = run_source(model, source, part, kind, list(chosen))
    edits = []
    for layer, numbers in rows.items():
        if layer not in tensors:
            raise SelectionError(
                f"Expected the {part} of {kind} layer {layer} in `source`, but it has layers "
                f"{sorted(tensors)}. Capture it with include=({part!r},)."
            )
        change = patched(tensors[layer], numbers, positions)
        edits.append(Edit(kind, layer, part, change, by_position=True))
    return Intervention(model, edits, f"{part} of {in_words(chosen, layout, kind)} patched")


def _rows_of(
    part: str, layer: int, heads: HeadsByLayer, layout: AttentionLayout, kind: Kind
) -> list[int]:
    """Return the rows of heads in a part: keys and values have fewer where heads share them."""
    numbers = heads[layer]
    count = layout.heads[kind, layer]
    if part not in _SHARED or count.heads == count.key_value_heads:
        return numbers
    return _shared_rows(part, layer, numbers, count)


def _shared_rows(part: str, layer: int, heads: Sequence[int], count: HeadCount) -> list[int]:
    sharing = count.heads // count.key_value_heads
    rows = sorted({head // sharing for head in heads})
    meant = {head for row in rows for head in range(row * sharing, (row + 1) * sharing)}
    if missing := sorted(meant - set(heads)):
        raise SelectionError(
            f"Expected all heads that share {part} in layer {layer}, but {missing} are not among "
            f"{list(heads)}: each {sharing} heads in a row share theirs."
        )
    return rows


def patched(
    source: torch.Tensor,
    rows: Sequence[int],
    positions: Sequence[int] | Mapping[int, int] | None = None,
) -> Change:
    """Return the change that inserts ``source``, ``(batch or 1, num_heads, …)``, in some rows."""

    def changed(tensor: torch.Tensor, _visible: Visible) -> torch.Tensor:
        given = source.to(tensor)
        if given.shape[0] not in (1, tensor.shape[0]):
            raise _unlike(given, tensor)
        given = given.expand(tensor.shape[0], *given.shape[1:])
        result = tensor.clone()
        if positions is None:
            if given.shape != tensor.shape:
                raise _unlike(given, tensor)
            result[:, rows] = given[:, rows]
            return result
        pairs = positions if isinstance(positions, Mapping) else {each: each for each in positions}
        to = chosen_positions(list(pairs), tensor.shape[2])
        of = chosen_positions(list(pairs.values()), given.shape[2], "positions of the source")
        if (given.shape[1], given.shape[3]) != (tensor.shape[1], tensor.shape[3]):
            raise _unlike(given, tensor)
        index = torch.tensor(list(rows), device=tensor.device)[:, None]
        result[:, index, to] = given[:, index, of]
        return result

    return changed


def _unlike(source: torch.Tensor, tensor: torch.Tensor) -> CaptureError:
    return CaptureError(
        f"Expected the source to have the shape of the run it is put into, {tuple(tensor.shape)} "
        f"as (batch, num_heads, …), got {tuple(source.shape)}. Give inputs of one length, or say "
        "with `positions` which tokens take what."
    )

"""The map from a layer's state to the values of each head, found by what it gives in a run."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from introspect.errors import CaptureError
from introspect.hooks import held_rows
from introspect.studies.lens.norms import norm_form
from introspect.studies.lens.states import Run, State

#: The largest difference between a value and the number that a module gave, in units of the larger
#: of 1 and the largest value.
SAME_VALUE = 1e-5
# So many columns of values are compared at a time with those of a module, at so many tokens.
_COLUMNS, _TOKENS = 256, 32


def value_map(run: Run, kind: str, number: int) -> torch.Tensor:
    """Return the weights by which a layer turns its state into values, ``W_V`` of each head.

    A module of the layer is looked for whose output holds the values that the attention was given:
    each number of each value in one of its columns, in whatever order (queries, keys and values may
    come from one module). It must be a linear map of the layer's state, or of its norm, whose
    weights and centering are then part of the map. The bias is not, nor the scale of the norm,
    which is positive and differs from token to token.

    Args:
        run: the run.
        kind: the kind of attention.
        number: the number of the layer.

    Returns:
        ``(num_key_value_heads, size, value_dim)``, float64.

    Raises:
        CaptureError: no module gives the values, or it reads something else than the state.
    """
    layer = run.layers[number]
    assert layer.given is not None, "layers are chained by what they are given"
    values = run.captured.values[kind][run.captured.layers[kind].index(number)][0]
    size, why = layer.given.shape[-1], "no module of it gives them as they are"
    for state, columns in _holding(run, layer, values):
        given = _flat(state.given)
        if given is None or given.shape[-1] != size:
            why = f"its {type(state.module).__name__} makes them of something else than the state"
            continue
        rows = held_rows(state.module, given, _flat(state.result))
        if rows is None:
            why = f"its {type(state.module).__name__} does more than multiply with its weights"
            continue
        read = read_from_state(run, layer.given, given)
        if read is None:
            why = "what they are made of is neither the layer's state nor a norm of it"
            continue
        gain, is_centered = read
        found = gain[:, None] * rows.double()[:, columns]
        found = found - found.mean(0) if is_centered else found
        return found.reshape(size, values.shape[0], values.shape[-1]).transpose(0, 1)
    raise CaptureError(
        f"Expected the values of layer {number} of {run.model.name} as a linear map of its state, "
        f"but {why}."
    )


def read_from_state(
    run: Run, state: torch.Tensor, given: torch.Tensor
) -> tuple[torch.Tensor, bool] | None:
    """Return the norm between a state and what a module is given, as a gain and its centering.

    Args:
        run: the run.
        state: ``(1, length, size)``.
        given: ``(length, size)``: the state itself, or what a norm makes of it.

    Returns:
        The gain ``(size,)`` in float64, up to a positive factor, and whether the mean is
        subtracted; ``None`` where there is something else between them.
    """
    if torch.equal(given, state[0]):
        return torch.ones_like(given[0], dtype=torch.float64), False
    for other in run.states:
        is_between = other.given is not None and torch.equal(other.given, state)
        if is_between and torch.equal(other.result.reshape(-1), given.reshape(-1)):
            found = form_of(other)
            if found is not None:
                return found
    return None


def form_of(norm: State) -> tuple[torch.Tensor, bool] | None:
    """Return the gain of a norm at its last token, and its centering; ``None`` if it is none."""
    assert norm.given is not None, "it was found by what it is given"
    given, normed = norm.given[0, -1].double(), norm.result[0, -1].double()
    found = norm_form(norm.module, given, normed, SAME_VALUE if _is_exact(norm) else 1e-2)
    return None if found is None else found[:2]


def _is_exact(norm: State) -> bool:
    return norm.result.dtype in (torch.float32, torch.float64)


def _holding(run: Run, layer: State, values: torch.Tensor) -> Iterator[tuple[State, torch.Tensor]]:
    """Yield the modules of a layer whose output holds values, and which of its columns they are."""
    inside = set(layer.module.modules()) - {layer.module}
    length = values.shape[1]
    wanted = values.transpose(1, 2).reshape(-1, length).double()
    for state in run.states:
        flat = _flat(state.result) if state.module in inside else None
        if flat is None or len(flat) != length:
            continue
        columns = _columns_of(wanted[:, :_TOKENS], flat[:_TOKENS].T.double())
        if columns is not None:
            yield state, columns


def _columns_of(wanted: torch.Tensor, columns: torch.Tensor) -> torch.Tensor | None:
    """Return the number of the column that each wanted one is; ``None`` if one is missing."""
    allowed = SAME_VALUE * max(1.0, float(wanted.abs().max()))
    found = []
    # The first alone tells most modules apart.
    for some in (wanted[:1], *torch.split(wanted[1:], _COLUMNS)):
        nearest = torch.cdist(some, columns, p=float("inf")).min(1)
        if not bool((nearest.values <= allowed).all()):
            return None
        found.append(nearest.indices)
    return torch.cat(found)


def _flat(state: torch.Tensor | None) -> torch.Tensor:
    """Return a state of one text as ``(length, size)``."""
    assert state is not None
    return state.reshape(-1, state.shape[-1])

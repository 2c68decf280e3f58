"""The block around an attention module: the residual added to its output, and the norm after it.

Blocks differ in where they normalize. In BERT the norm comes after the sum (``norm(x + heads)``,
post-norm); in GPT-2, Llama and T5 it comes before the heads, and the block's output is
``x + heads(norm(x))`` (pre-norm). A real run shows which it is: the input of the next norm, minus
the output of the output projection, must be a state that the attention reads, or one whose norm it
reads. The sum over keys is then checked against the block's output. If either check fails, an error
says which, and no number is returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.functional import block_vectors, brought_by_head, contributions, linearized_norm
from introspect.hooks.downstream.projection import (
    BEHIND_NORMS,
    LinearLog,
    Projection,
    SeenLayer,
    held_projection,
    refused,
)
from introspect.hooks.offloaded import own_parameter
from introspect.hooks.watchers import same_attention
from introspect.records import names_of_parts
from introspect.text import quantity

#: The parts that are derived from a block as a sum over its keys.
BLOCK_PARTS = names_of_parts("block")

# A layer has one vector for each pair of tokens; this many numbers are computed at a time.
_MOST_NUMBERS = 1 << 22
_EPSILONS = ("eps", "variance_epsilon", "epsilon")


class BlockLog(LinearLog):
    """Also records the input and output of each norm."""

    def notes(self, part: nn.Module) -> bool:
        """Return whether a part of the model is a linear layer or a norm."""
        return super().notes(part) or _is_norm(part)


def _is_norm(part: nn.Module) -> bool:
    is_leaf = next(part.children(), None) is None
    return is_leaf and "norm" in type(part).__name__.lower()


@dataclass(frozen=True, eq=False)
class Block:
    """One attention block of one run.

    Args:
        projection: the output projection of its heads.
        attentions: ``(batch, num_heads, n, n)``.
        values: ``(batch, num_key_value_heads, n, head_dim)``.
        residual: the state added to the heads' contributions, ``(batch, n, hidden_size)``.
        given: the sum of the two, with the same shape.
        output: the block's output: the sum, or its norm.
        norm: the norm after the sum; ``None`` if there is none (pre-norm).
        is_centered: whether that norm subtracts the mean.
    """

    projection: Projection
    attentions: torch.Tensor
    values: torch.Tensor
    residual: torch.Tensor
    given: torch.Tensor
    output: torch.Tensor
    norm: nn.Module | None = None
    is_centered: bool = True

    def parts(self) -> tuple[dict[str, torch.Tensor], float]:
        """Compute norms and contributions, each ``(batch, 1, n, n)``, and the error of the sums.

        The error is the largest difference between the sum over keys, with the biases, and the
        block's output.
        """
        shape = (self.attentions.shape[0], 1, *self.attentions.shape[2:])
        tensors = {name: self.attentions.new_empty(shape) for name in BLOCK_PARTS}
        largest = 0.0
        for item in range(shape[0]):
            for rows, vectors in self._vectors(item):
                output = self.output[item, rows].double()
                rest = vectors.sum(1) + self._biases(item, rows)
                largest = max(largest, float((rest - output).abs().max()))
                tensors["residual_norms"][item, 0, rows] = torch.linalg.vector_norm(
                    vectors, dim=-1
                ).to(self.attentions.dtype)
                tensors["contributions"][item, 0, rows] = contributions(vectors, output).to(
                    self.attentions.dtype
                )
        return tensors, largest

    def _vectors(self, item: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield slices of rows, and each key's contribution to them after the block's norm."""
        brought = brought_by_head(self.values[item], self.projection.by_head)
        n = self.attentions.shape[-1]
        some = max(1, _MOST_NUMBERS // (n * brought.shape[-1]))
        for first in range(0, n, some):
            rows = slice(first, min(first + some, n))
            vectors = block_vectors(
                self.attentions[item, :, rows], brought, self.residual[item, rows], first
            )
            yield rows, self._normed(vectors, item, rows)

    def _normed(self, vectors: torch.Tensor, item: int, rows: slice) -> torch.Tensor:
        if self.norm is None:
            return vectors
        return _linearized(self.norm, vectors, self.given[item, rows], is_centered=self.is_centered)

    def _biases(self, item: int, rows: slice) -> torch.Tensor:
        """Return what belongs to no key: the biases of the projection and of the norm."""
        size = self.output.shape[-1]
        bias = self.projection.bias
        own = self.output.new_zeros(size) if bias is None else bias
        own = own.double().expand(self.output[item, rows].shape)
        return self._normed(own, item, rows) + _bias_of(self.norm)


def find_block(
    log: BlockLog,
    projection: Projection,
    projected: SeenLayer,
    parts: Mapping[str, torch.Tensor],
    model: str,
) -> Block:
    """Find the block around the attention that has this output projection.

    Args:
        log: what the linear layers and norms computed in that run.
        projection: the output projection.
        projected: its run.
        parts: ``attentions``, ``values`` and ``head_outputs`` of the layer.
        model: the model's name, for errors.

    Raises:
        CaptureError: the state added to the heads, or the norm after it, is not of a known form.
    """
    attentions = parts["attentions"]
    batch, _, length, _ = attentions.shape
    brought = projected.output.reshape(batch, length, -1)
    later = (seen for seen in log.seen if seen.order > projected.order)
    behind = next((seen for seen in later if _is_like(seen, brought)), None)
    if behind is None:
        raise _refused(model, "no norm follows that is given a state of its size")
    given = behind.given.reshape(brought.shape)
    # What torch has computed without calling it is followed by the module that did.
    earlier = [seen for seen in log.seen if seen.order <= projected.order + 1]
    earlier = [seen for seen in earlier if seen.layer is not projected.layer]
    residual, is_normed_before = _residual(earlier, given, brought, model)
    block = Block(
        projection=projection,
        attentions=attentions,
        values=parts["values"],
        residual=residual,
        given=given,
        output=given,
    )
    if is_normed_before:
        return block
    output = behind.result.reshape(brought.shape)
    is_centered = _centring(behind.layer, given, output, model)
    return replace(block, output=output, norm=behind.layer, is_centered=is_centered)


def hold(block: Block, model: str) -> tuple[dict[str, torch.Tensor], float]:
    """Compute the parts of a block, and check them against its output.

    Raises:
        CaptureError: the sum over its keys differs from the output.
    """
    parts, error = block.parts()
    if not error <= _tolerance(block.output):
        raise _refused(model, f"the sum over its keys is {quantity(error)} away from what it gives")
    return parts, error


def _residual(
    seen: list[SeenLayer], given: torch.Tensor, brought: torch.Tensor, model: str
) -> tuple[torch.Tensor, bool]:
    """Find the state that was added to the heads' contributions, and whether they read its norm."""
    added = given.double() - brought.double()
    tolerance = _tolerance(given)

    def is_added(state: torch.Tensor) -> bool:
        if state.numel() != added.numel() or state.shape[-1] != added.shape[-1]:
            return False
        return bool((state.reshape(added.shape) - added).abs().max() <= tolerance)

    read: list[torch.Tensor] = []
    for layer in reversed(seen):
        if not _is_norm(layer.layer):
            if is_added(layer.given):
                return layer.given.reshape(added.shape), False
            read.append(layer.given)
        elif is_added(layer.given) and any(_is_equal(layer.result, state) for state in read):
            return layer.given.reshape(added.shape), True
    raise _refused(
        model,
        "what the next norm is given, less what its heads bring, is neither a state that its "
        "attention reads nor one of which it reads the norm: its feed-forward layer may run beside "
        "the attention, a norm or scale lie between, or the batch not be the first dimension",
    )


def _centring(norm: nn.Module, given: torch.Tensor, output: torch.Tensor, model: str) -> bool:
    """Return whether a norm is a layer norm (centered), not a root-mean-square norm, by its output.

    Raises:
        CaptureError: it is neither of the two.
    """
    if getattr(norm, "weight", None) is not None:
        flat = given.flatten(0, 1)
        errors = {}
        for is_centered in (True, False):
            expected = _linearized(norm, flat, flat, is_centered=is_centered) + _bias_of(norm)
            errors[is_centered] = float((expected - output.flatten(0, 1)).abs().max())
        # Choose the closer one: in half precision both may be within the tolerance.
        is_centered = errors[True] <= errors[False]
        if errors[is_centered] <= _tolerance(output):
            return is_centered
    raise _refused(
        model, f"its {type(norm).__name__} is neither a layer norm nor a root-mean-square norm"
    )


def _linearized(
    norm: nn.Module, vectors: torch.Tensor, given: torch.Tensor, *, is_centered: bool
) -> torch.Tensor:
    weight = own_parameter(norm, "weight")
    assert weight is not None, "a norm without a weight is of no known form"
    epsilon = next((getattr(norm, name) for name in _EPSILONS if hasattr(norm, name)), 0.0)
    if epsilon is None:  # the default of torch's own RMSNorm
        epsilon = torch.finfo(given.dtype).eps
    return linearized_norm(vectors, given, weight, epsilon=float(epsilon), is_centered=is_centered)


def _bias_of(norm: nn.Module | None) -> torch.Tensor | float:
    bias = None if norm is None else own_parameter(norm, "bias")
    return 0.0 if bias is None else bias.double()


def _is_like(seen: SeenLayer, state: torch.Tensor) -> bool:
    """Return whether a layer is a norm whose input has the size of a state."""
    is_of_size = seen.given.numel() == state.numel() and seen.given.shape[-1] == state.shape[-1]
    return _is_norm(seen.layer) and is_of_size


def _is_equal(state: torch.Tensor, other: torch.Tensor) -> bool:
    return state.numel() == other.numel() and torch.equal(state.flatten(), other.flatten())


def _tolerance(like: torch.Tensor) -> float:
    """Return the largest difference allowed between a sum and the run's value."""
    return same_attention(like.dtype) * max(1.0, float(like.abs().max()))


class _UnprovedError(CaptureError):
    """A block is not of a known form; ``why`` says what it is instead."""

    def __init__(self, message: str, why: str = "") -> None:
        super().__init__(message)
        self.why = why


def _refused(model: str, why: str) -> CaptureError:
    return _UnprovedError(
        f"Expected the attention block of {model} as a sum over its keys, but {why}. Leave "
        f"{' and '.join(map(repr, BLOCK_PARTS))} out of `include`; 'value_norms' may still be had.",
        why,
    )


(NORMS,) = names_of_parts("projection")
#: Parts that no attention module computes.
DERIVED = names_of_parts("projection", "block")

PartByKind = Mapping[str, Sequence[torch.Tensor]]


def held_projections(
    log: BlockLog, behind: Mapping[str, PartByKind], model: str
) -> dict[str, list[tuple[Projection, SeenLayer]]]:
    """Find the output projection of each layer and its run, by kind.

    Args:
        log: what the linear layers computed in that run.
        behind: ``attentions``, ``values`` and ``head_outputs`` of the run.
        model: the model's name, for errors.

    Raises:
        CaptureError: a layer has none, or does more than multiply by its weights, or its attention
            gives something else on.
    """
    return {
        kind: [_held_to_block(log, layer, model) for layer in _layers(behind, kind)]
        for kind in behind["attentions"]
    }


def _held_to_block(
    log: BlockLog, parts: Mapping[str, torch.Tensor], model: str
) -> tuple[Projection, SeenLayer]:
    """Find the output projection of one layer, and check that nothing is added beside it.

    Its output is what the attention around it outputs, or, less the state that was added, what the
    next norm is given.
    """
    projection, projected = held_projection(log, parts, model)
    beside = log.beside(projected, parts["head_outputs"])
    around = log.around(projected, *beside)
    if around is None or (not beside and _is_of_library(around.layer)):
        return projection, projected
    if _is_equal(around.result, projected.output):
        return projection, projected
    try:
        find_block(log, projection, projected, parts, model)
    except _UnprovedError as error:
        raise refused(
            model,
            f"what its {type(around.layer).__name__} passes on is not the output of its "
            f"{type(projection.layer).__name__}, as by an adapter beside it, and {error.why}",
        ) from error
    return projection, projected


def _is_of_library(part: nn.Module) -> bool:
    """Return whether a module runs code that is known, and adds nothing to a projection."""
    is_patched = "forward" in vars(part) and not hasattr(part, "_hf_hook")
    is_known = type(part).__module__.startswith("transformers.") or (
        type(part) is nn.MultiheadAttention
    )
    return is_known and not is_patched


class DerivedParts:
    """The derived parts of one run, by name and kind.

    Args:
        log: what the linear layers and norms computed in that run.
        behind: ``attentions``, ``values`` and ``head_outputs`` of the run.
        wanted: the requested parts, from ``DERIVED``.
        model: the model's name, for errors.

    Raises:
        CaptureError: a part cannot be verified for this model; the message says why.
    """

    def __init__(
        self, log: BlockLog, behind: Mapping[str, PartByKind], wanted: Sequence[str], model: str
    ) -> None:
        self.parts: dict[str, dict[str, list[torch.Tensor]]] = {name: {} for name in wanted}
        #: For each block, the difference between the sum over its keys and its output.
        self.errors: list[float] = []
        for kind, projections in held_projections(log, behind, model).items():
            for (projection, projected), layer in zip(
                projections, _layers(behind, kind), strict=True
            ):
                if NORMS in wanted:
                    self._take(kind, {NORMS: projection.norms(layer["values"])})
                # The residual added to cross-attention belongs to none of the other text's tokens.
                is_cross = kind == "cross" or "-to-" in kind
                if not is_cross and set(wanted) & set(BLOCK_PARTS):
                    tensors, error = hold(
                        find_block(log, projection, projected, layer, model), model
                    )
                    self._take(kind, tensors)
                    self.errors.append(error)

    def _take(self, kind: str, tensors: Mapping[str, torch.Tensor]) -> None:
        for name in self.parts.keys() & tensors.keys():
            self.parts[name].setdefault(kind, []).append(tensors[name])


def _layers(behind: Mapping[str, PartByKind], kind: str) -> list[dict[str, torch.Tensor]]:
    """Return the parts of each layer of a kind."""
    columns = zip(*(behind[part][kind] for part in BEHIND_NORMS), strict=True)
    return [dict(zip(BEHIND_NORMS, layer, strict=True)) for layer in columns]

"""The block around an attention module: what is added to its output, and the norm behind that.

Blocks differ in where they normalise. In BERT the norm comes after the sum (``norm(x + heads)``,
post-norm); in GPT-2, Llama and T5 it comes before the heads read, and the block gives
``x + heads(norm(x))`` (pre-norm). Which one it is, is found in a real run: what the next norm is
given, less what the output projection gave, must be a state that the attention reads, or one of
which it reads the norm. The sum over keys is then held to what the block gave. Where one of these
does not hold there is an error that says which, and no number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from introspect.errors import CaptureError
from introspect.functional.alti import contributions
from introspect.functional.blocks import block_vectors, brought_by_head, linearised_norm
from introspect.hooks.following.projection import LinearLog, Projection, SeenLayer

__all__ = ["BLOCK_PARTS", "Block", "BlockLog", "find_block", "hold"]

#: What follows from a block as a sum over its keys.
BLOCK_PARTS = ("residual_norms", "contributions")

# How far a sum may be from what the run gave, in units of the largest.
_SAME = {torch.float32: 1e-5, torch.float64: 1e-10}
_SAME_HALF = 3e-2
# Of the vectors of a layer, one for each pair of tokens, so many numbers are made at a time.
_MOST_NUMBERS = 1 << 22
_EPSILONS = ("eps", "variance_epsilon", "epsilon")


class BlockLog(LinearLog):
    """Also notes what each norm is given and gives."""

    def notes(self, part: nn.Module) -> bool:
        """Whether a part of the model is a linear layer or a norm."""
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
        residual: what is added to what the heads bring, ``(batch, n, hidden_size)``.
        given: the sum of the two, shaped alike.
        output: what the block gives: the sum, or the norm of it.
        norm: the norm behind the sum; ``None`` where there is none (pre-norm).
        is_centred: whether that norm takes the mean off.
    """

    projection: Projection
    attentions: torch.Tensor
    values: torch.Tensor
    residual: torch.Tensor
    given: torch.Tensor
    output: torch.Tensor
    norm: nn.Module | None = None
    is_centred: bool = True

    def parts(self) -> tuple[dict[str, torch.Tensor], float]:
        """Norms and contributions, each ``(batch, 1, n, n)``, and the error of the sums.

        The error is the largest difference between the sum over keys, with the biases, and what
        the block gave.
        """
        shape = (self.attentions.shape[0], 1, *self.attentions.shape[2:])
        found = {name: self.attentions.new_empty(shape) for name in BLOCK_PARTS}
        largest = 0.0
        for item in range(shape[0]):
            for rows, vectors in self._vectors(item):
                output = self.output[item, rows].double()
                rest = vectors.sum(1) + self._biases(item, rows)
                largest = max(largest, float((rest - output).abs().max()))
                found["residual_norms"][item, 0, rows] = torch.linalg.vector_norm(
                    vectors, dim=-1
                ).to(self.attentions.dtype)
                found["contributions"][item, 0, rows] = contributions(vectors, output).to(
                    self.attentions.dtype
                )
        return found, largest

    def _vectors(self, item: int) -> Iterator[tuple[slice, torch.Tensor]]:
        """What each key brings to some rows, as the block's norm lets it through."""
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
        return _linearised(self.norm, vectors, self.given[item, rows], is_centred=self.is_centred)

    def _biases(self, item: int, rows: slice) -> torch.Tensor:
        """What belongs to no key: the bias of the projection, and that of the norm."""
        size = self.output.shape[-1]
        bias = self.projection.layer.bias
        own = self.output.new_zeros(size) if bias is None else bias.detach()
        own = own.double().expand(self.output[item, rows].shape)
        return self._normed(own, item, rows) + _bias_of(self.norm)


def find_block(
    log: BlockLog, projection: Projection, parts: Mapping[str, torch.Tensor], model: str
) -> Block:
    """The block around the attention whose output projection was found.

    Args:
        log: what the linear layers and norms did in that run.
        projection: the output projection.
        parts: ``attentions``, ``values`` and ``head_outputs`` of the layer.
        model: its name, for errors.

    Raises:
        CaptureError: what is added to the heads, or the norm behind, is none that is known.
    """
    place = log.place_of(parts["head_outputs"])
    assert place is not None, "the projection was found in this log"
    attentions = parts["attentions"]
    batch, _, length, _ = attentions.shape
    brought = log.seen[place].result.reshape(batch, length, -1)
    behind = next((s for s in log.seen[place + 1 :] if _is_like(s, brought)), None)
    if behind is None:
        raise _refused(model, "no norm follows that is given a state of its size")
    given = behind.given.reshape(brought.shape)
    residual, is_normed_before = _residual(log.seen[:place], given, brought, model)
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
    is_centred = _centring(behind.layer, given, output, model)
    return replace(block, output=output, norm=behind.layer, is_centred=is_centred)


def hold(block: Block, model: str) -> tuple[dict[str, torch.Tensor], float]:
    """The parts of a block, held to what it gave.

    Raises:
        CaptureError: the sum over its keys is something else.
    """
    parts, error = block.parts()
    if not error <= _tolerance(block.output):
        raise _refused(model, f"the sum over its keys is {error:.2g} away from what it gives")
    return parts, error


def _residual(
    seen: list[SeenLayer], given: torch.Tensor, brought: torch.Tensor, model: str
) -> tuple[torch.Tensor, bool]:
    """The state that was added to what the heads brought, and whether they read a norm of it."""
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
        "the attention, or a norm or scale lie between",
    )


def _centring(norm: nn.Module, given: torch.Tensor, output: torch.Tensor, model: str) -> bool:
    """Whether a norm is a layer norm (centred) or a root-mean-square norm, by what it gave."""
    if getattr(norm, "weight", None) is not None:
        flat = given.flatten(0, 1)
        errors = {}
        for is_centred in (True, False):
            expected = _linearised(norm, flat, flat, is_centred=is_centred) + _bias_of(norm)
            errors[is_centred] = float((expected - output.flatten(0, 1)).abs().max())
        # The nearer one: in half precision both may be near enough.
        is_centred = errors[True] <= errors[False]
        if errors[is_centred] <= _tolerance(output):
            return is_centred
    raise _refused(
        model, f"its {type(norm).__name__} is neither a layer norm nor a root-mean-square norm"
    )


def _linearised(
    norm: nn.Module, vectors: torch.Tensor, given: torch.Tensor, *, is_centred: bool
) -> torch.Tensor:
    weight: Any = norm.weight
    epsilon = next((getattr(norm, name) for name in _EPSILONS if hasattr(norm, name)), 0.0)
    if epsilon is None:  # as torch's own RMSNorm has it
        epsilon = torch.finfo(given.dtype).eps
    return linearised_norm(
        vectors, given, weight.detach(), epsilon=float(epsilon), is_centred=is_centred
    )


def _bias_of(norm: nn.Module | None) -> torch.Tensor | float:
    bias: Any = getattr(norm, "bias", None)
    return 0.0 if bias is None else bias.detach().double()


def _is_like(seen: SeenLayer, state: torch.Tensor) -> bool:
    """Whether a norm was given something of the size of a state."""
    is_of_size = seen.given.numel() == state.numel() and seen.given.shape[-1] == state.shape[-1]
    return _is_norm(seen.layer) and is_of_size


def _is_equal(state: torch.Tensor, other: torch.Tensor) -> bool:
    return state.numel() == other.numel() and torch.equal(state.flatten(), other.flatten())


def _tolerance(like: torch.Tensor) -> float:
    largest = max(1.0, float(like.abs().max()))
    return _SAME.get(like.dtype, _SAME_HALF) * largest


def _refused(model: str, why: str) -> CaptureError:
    return CaptureError(
        f"Expected the attention block of {model} as a sum over its keys, but {why}. Leave "
        f"{' and '.join(map(repr, BLOCK_PARTS))} out of `include`; 'value_norms' may still be had."
    )

"""The division of texts into batches of like length, within limits of size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from introspect.errors import SelectionError

# Error messages of a device without memory left; torch has its own class only for accelerators.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class BatchLimits:
    """Limits on the size of a batch, padding included.

    Args:
        texts: the most texts.
        tokens: the most tokens, in all texts together.
        weights: the most attention weights of one layer.

    Raises:
        SelectionError: a limit is below 1.
    """

    texts: int = 64
    tokens: int = 4_096
    weights: int = 32_000_000

    def __post_init__(self) -> None:
        for name in ("texts", "tokens", "weights"):
            if getattr(self, name) < 1:
                raise SelectionError(
                    f"Expected at least 1 as the limit of {name} in a batch, got "
                    f"{getattr(self, name)}."
                )

    def allow(self, count: int, length: int, num_heads: int) -> bool:
        """Return whether ``count`` texts padded to ``length`` may run together; one always may."""
        return count == 1 or (
            count <= self.texts
            and count * length <= self.tokens
            and count * num_heads * length**2 <= self.weights
        )


def length_batches(
    lengths: Sequence[int], limits: BatchLimits, *, num_heads: int, alike: bool = False
) -> Iterator[list[int]]:
    """Yield the indices of texts that run together, short texts first.

    Args:
        lengths: the number of tokens of each text.
        limits: the limits on a batch.
        num_heads: the number of heads of a layer.
        alike: batch only texts of the same length, for models that take no mask.

    Example:
        >>> list(length_batches([5, 9, 5, 8], BatchLimits(texts=2), num_heads=1))
        [[0, 2], [3, 1]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        length = lengths[index]
        is_alike = not alike or not batch or lengths[batch[0]] == length
        if batch and not (is_alike and limits.allow(len(batch) + 1, length, num_heads)):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _OUT_OF_MEMORY)


def num_heads_of(module: nn.Module) -> int:
    """Return the heads per layer from the configuration, or 16; only batch sizes depend on it."""
    config: Any = getattr(module, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    return int(getattr(config, "num_attention_heads", 0) or 16)

"""How attention was captured, and how far it is from the model's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Certificate", "Head", "PatchGrid"]


@dataclass(frozen=True)
class Certificate:
    """How attention was captured, and how far it is from the model's own.

    Args:
        route: the way it was observed.
        max_row_sum_error: the largest distance of a row's sum from 1.
        max_head_output_error: the largest absolute difference between weights × values and
            the head's output, checked at the last query of each head, or at the requested rows;
            ``None`` where the values were not captured.
        max_difference_from_eager: the largest absolute difference from the attention that the
            model itself returns when it runs eagerly; ``None`` where that was not computed.
        max_output_difference: the largest absolute difference between the model's output with and
            without the capture; ``None`` where that was not computed.
        max_decomposition_error: the largest absolute difference between an attention block as a sum
            over its keys and its output; ``None`` where it was not decomposed.
        gradient_of: what was differentiated, in words; ``None`` without gradients.
        gradient_of_value: the value of that quantity.
        max_completeness_error: of integrated gradients, the largest absolute difference between
            their sum over a layer and the change that the layer's attention makes.
        note: why a figure is missing, if any is.
        attn_implementation: the implementation that the model runs without a capture.
    """

    route: str
    max_row_sum_error: float | None = None
    max_head_output_error: float | None = None
    max_difference_from_eager: float | None = None
    max_output_difference: float | None = None
    max_decomposition_error: float | None = None
    gradient_of: str | None = None
    gradient_of_value: float | None = None
    max_completeness_error: float | None = None
    note: str = ""
    attn_implementation: str | None = None
    model: str | None = None
    revision: str | None = None
    tokenizer: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    torch_version: str = ""
    transformers_version: str = ""


class Head(NamedTuple):
    """One attention head; ``str`` returns the short name.

    Example:
        >>> str(Head(3, 1))
        'L3H1'
    """

    layer: int
    head: int

    def __str__(self) -> str:
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True)
class PatchGrid:
    """Positions in an image of the tokens of a vision model.

    Args:
        rows: how many patches the image was cut into from top to bottom.
        columns: how many from left to right.
        first: the index of the first patch among the tokens; the others follow, row by row.
        patch: height and width of a patch in pixels; ``None`` where that is not known.

    Example:
        >>> PatchGrid(rows=2, columns=3, first=1).index(1, 0)
        4
    """

    rows: int
    columns: int
    first: int = 0
    patch: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.rows * self.columns

    def index(self, row: int, column: int) -> int:
        """Return the index of a patch among the tokens."""
        return self.first + row * self.columns + column

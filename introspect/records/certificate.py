"""How attention was captured, and how far it is from the model's own."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Certificate"]


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

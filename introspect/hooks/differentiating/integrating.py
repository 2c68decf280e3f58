"""Integrated gradients of a layer's attention, by Captum."""

from __future__ import annotations

from collections.abc import Callable

import torch

from introspect.errors import MissingExtraError

__all__ = ["STEPS", "integrated"]

#: Points of the integral, where none are named.
STEPS = 32


def integrated(
    result: Callable[[torch.Tensor], torch.Tensor], weights: torch.Tensor, *, steps: int = STEPS
) -> tuple[torch.Tensor, float]:
    r"""How much of a result each weight of a layer brings, from no attention up to all of it.

    .. math:: A \odot \int_0^1 \frac{\partial F(\alpha A)}{\partial A} \, d\alpha

    All heads of the layer grow together, while other layers compute what they would then compute.
    The integral is Gauss–Legendre's with ``steps`` points.

    Args:
        result: gives the number *F* from the layer's weights.
        weights: the layer's own, ``(batch, num_heads, query_len, key_len)``.
        steps: points of the integral.

    Returns:
        Shaped like the weights, of either sign; and how far its sum is from
        :math:`F(A) - F(0)`, which it would equal with infinitely many points.

    Raises:
        MissingExtraError: Captum is not installed.

    Source: Hao et al. 2021, "Self-Attention Attribution: Interpreting Information Interactions
    Inside Transformer", equation 3; Sundararajan et al. 2017, "Axiomatic Attribution for Deep
    Networks", for the sum.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise MissingExtraError("captum", "captum", "Integrated gradients") from error
    # One run a step: a function of the output need not know of batches.
    method = IntegratedGradients(lambda given: result(given).reshape(1), multiply_by_inputs=True)
    attribution, delta = method.attribute(
        weights,
        baselines=torch.zeros_like(weights),
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=1,
        return_convergence_delta=True,
    )
    return attribution.detach(), float(delta.abs().max())

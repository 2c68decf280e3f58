"""Integrated gradients of a layer's attention, computed with Captum."""

from __future__ import annotations

from collections.abc import Callable

import torch

from introspect.errors import MissingExtraError

__all__ = ["STEPS", "integrated"]

#: The default number of points of the integral.
STEPS = 32


def integrated(
    result: Callable[[torch.Tensor], torch.Tensor], weights: torch.Tensor, *, steps: int = STEPS
) -> tuple[torch.Tensor, float]:
    r"""Compute how much each weight of a layer contributes to a result, from no attention to all.

    .. math:: A \odot \int_0^1 \frac{\partial F(\alpha A)}{\partial A} \, d\alpha

    All heads of the layer are scaled together, and the other layers are recomputed accordingly.
    The integral uses Gauss–Legendre quadrature with ``steps`` points.

    Args:
        result: computes the number *F* from the layer's weights.
        weights: the layer's own weights, ``(batch, num_heads, query_len, key_len)``.
        steps: the number of points of the integral.

    Returns:
        The attribution, shaped like the weights and of either sign; and the difference of its sum
        from :math:`F(A) - F(0)`, which it would equal with infinitely many points.

    Raises:
        MissingExtraError: captum is not installed.

    Source: Hao et al. 2021, "Self-Attention Attribution: Interpreting Information Interactions
    Inside Transformer", equation 3; Sundararajan et al. 2017, "Axiomatic Attribution for Deep
    Networks", for the sum.
    """
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise MissingExtraError("captum", "captum", "Integrated gradients") from error
    # One run per step, so that a function of the output need not handle batches.
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

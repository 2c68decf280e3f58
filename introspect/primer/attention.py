"""Attention from first principles: one line per step, with formulas and shapes.

The code is written to be read. Each function returns the scores and the weights beside the output,
and the tests compare each with what torch computes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from introspect.errors import InputError


class Attended(NamedTuple):
    """The output of one step of attention, with everything that it was computed from.

    Attributes:
        output: ``(..., query_len, value_dim)``: for each query the weighted sum of the values.
        weights: ``(..., query_len, key_len)``: each row sums to 1.
        scores: ``(..., query_len, key_len)``: the input of the softmax; ``-inf`` where masked.
        query: ``(..., query_len, key_dim)``.
        key: ``(..., key_len, key_dim)``.
        value: ``(..., key_len, value_dim)``.
    """

    output: torch.Tensor
    weights: torch.Tensor
    scores: torch.Tensor
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor


class Heads(NamedTuple):
    """The output of multi-head attention.

    Attributes:
        output: ``(..., query_len, model_dim)``: the heads joined and projected.
        heads: the attention of each head, with a head dimension before the tokens:
            ``heads.weights`` is ``(..., num_heads, query_len, key_len)``.
    """

    output: torch.Tensor
    heads: Attended


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> Attended:
    r"""Compute scaled dot-product attention: match, weigh, sum.

    .. math:: \mathrm{softmax}\left(\frac{Q K^\top}{\sqrt{d_k}}\right) V

    1. *Match*: each query is compared with each key by a dot product, which is divided by
       :math:`\sqrt{d_k}`, so that it does not grow with the number of dimensions.
    2. *Weigh*: the softmax turns a row of scores into positive weights that sum to 1.
    3. *Sum*: each value is multiplied by its weight, and all are added up.

    Args:
        query: ``(..., query_len, key_dim)``: what each token looks for.
        key: ``(..., key_len, key_dim)``: what each token offers to be found by.
        value: ``(..., key_len, value_dim)``: what each token passes on when it is attended to.
        mask: ``(..., query_len, key_len)``, bool: true where a query may attend.

    Raises:
        InputError: the shapes do not fit, or a query may attend to nothing.

    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.2.1.

    Example:
        >>> one = torch.tensor([[1.0, 0.0]])
        >>> attend(one, torch.eye(2) * 2, torch.tensor([[10.0], [20.0]])).weights
        tensor([[0.8044, 0.1956]])
    """
    _check_shapes(query, key, value)
    scores = query @ key.transpose(-2, -1) / math.sqrt(key.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~_checked_mask(mask), -torch.inf)
    weights = scores.softmax(dim=-1)
    return Attended(weights @ value, weights, scores, query, key, value)


def causal_mask(length: int) -> torch.Tensor:
    """Return which tokens each token may attend to in a text that is written left to right.

    Args:
        length: the number of tokens.

    Returns:
        ``(length, length)``, bool: true for the token itself and those before it.

    Example:
        >>> causal_mask(3).int()
        tensor([[1, 0, 0],
                [1, 1, 0],
                [1, 1, 1]], dtype=torch.int32)
    """
    return torch.ones(length, length, dtype=torch.bool).tril()


def plain_attention(tokens: torch.Tensor, mask: torch.Tensor | None = None) -> Attended:
    r"""Compute attention with nothing to learn: tokens attend by plain dot products.

    .. math:: \mathrm{softmax}\left(\frac{X X^\top}{\sqrt{d}}\right) X

    Query, key and value are the token itself, so tokens attend to those they resemble, above all to
    themselves, and the weights are only as good as the vectors.

    Args:
        tokens: ``(..., length, dim)``.
        mask: as in ``attend``.

    Example:
        >>> plain_attention(torch.eye(2)).weights
        tensor([[0.6698, 0.3302],
                [0.3302, 0.6698]])
    """
    return attend(tokens, tokens, tokens, mask)


def self_attention(
    tokens: torch.Tensor,
    w_query: torch.Tensor,
    w_key: torch.Tensor,
    w_value: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> Attended:
    r"""Compute attention of a sequence over itself, with three learned matrices.

    .. math:: Q = X W_q,\quad K = X W_k,\quad V = X W_v

    Args:
        tokens: ``(..., length, dim)``.
        w_query: ``(dim, key_dim)``.
        w_key: ``(dim, key_dim)``.
        w_value: ``(dim, value_dim)``.
        mask: as in ``attend``.

    Source: Vaswani et al. 2017, section 3.2.
    """
    return cross_attention(tokens, tokens, w_query, w_key, w_value, mask)


def cross_attention(
    tokens: torch.Tensor,
    others: torch.Tensor,
    w_query: torch.Tensor,
    w_key: torch.Tensor,
    w_value: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> Attended:
    r"""Compute attention of one sequence over another, as a translation attends to its source.

    .. math:: Q = X W_q,\quad K = Y W_k,\quad V = Y W_v

    Args:
        tokens: ``(..., query_len, dim)``: the tokens that attend.
        others: ``(..., key_len, other_dim)``: the tokens attended to.
        w_query: ``(dim, key_dim)``.
        w_key: ``(other_dim, key_dim)``.
        w_value: ``(other_dim, value_dim)``.
        mask: as in ``attend``.

    Source: Vaswani et al. 2017, section 3.2.3.
    """
    return attend(tokens @ w_query, others @ w_key, others @ w_value, mask)


def multi_head_attention(
    tokens: torch.Tensor,
    w_query: torch.Tensor,
    w_key: torch.Tensor,
    w_value: torch.Tensor,
    w_out: torch.Tensor,
    *,
    num_heads: int,
    others: torch.Tensor | None = None,
    mask: torch.Tensor | None = None,
) -> Heads:
    r"""Compute attention with several heads side by side, each in dimensions of its own.

    .. math:: [\mathrm{head}_1; \dots; \mathrm{head}_h]\, W_o, \quad
        \mathrm{head}_i = \mathrm{attend}(X W_q^i, Y W_k^i, Y W_v^i)

    1. *Split*: queries, keys and values are cut into ``num_heads`` pieces.
    2. *Attend*: each head attends by itself, so each may attend to other tokens.
    3. *Join and project*: the outputs are put side by side again, and ``w_out`` mixes them.

    Args:
        tokens: ``(..., query_len, dim)``: the tokens that attend.
        w_query: ``(dim, model_dim)``.
        w_key: ``(dim, model_dim)``.
        w_value: ``(dim, model_dim)``.
        w_out: ``(model_dim, dim)``.
        num_heads: the number of heads, which divides ``model_dim``.
        others: ``(..., key_len, dim)``: the tokens attended to; ``tokens`` themselves by default.
        mask: ``(query_len, key_len)``, bool; the same for all heads.

    Raises:
        InputError: the heads cannot be cut evenly, or a shape does not fit.

    Source: Vaswani et al. 2017, section 3.2.2.
    """
    others = tokens if others is None else others
    heads = attend(
        split_heads(tokens @ w_query, num_heads),
        split_heads(others @ w_key, num_heads),
        split_heads(others @ w_value, num_heads),
        mask,
    )
    return Heads(join_heads(heads.output) @ w_out, heads)


def split_heads(vectors: torch.Tensor, num_heads: int) -> torch.Tensor:
    """Cut each vector into one piece for each head.

    Args:
        vectors: ``(..., length, model_dim)``.
        num_heads: the number of heads.

    Returns:
        ``(..., num_heads, length, model_dim / num_heads)``.

    Raises:
        InputError: the vectors cannot be cut evenly.

    Example:
        >>> split_heads(torch.tensor([[1, 2, 3, 4]]), 2).tolist()
        [[[1, 2]], [[3, 4]]]
    """
    model_dim = vectors.shape[-1]
    if num_heads < 1 or model_dim % num_heads:
        raise InputError(
            f"Expected `num_heads` to divide the {model_dim} dimensions of the vectors, got "
            f"{num_heads}. Choose a divisor."
        )
    pieces = vectors.reshape(*vectors.shape[:-1], num_heads, model_dim // num_heads)
    return pieces.transpose(-3, -2)


def join_heads(pieces: torch.Tensor) -> torch.Tensor:
    """Put the pieces of all heads side by side again: undo ``split_heads``.

    Args:
        pieces: ``(..., num_heads, length, head_dim)``.

    Returns:
        ``(..., length, num_heads * head_dim)``.
    """
    return pieces.transpose(-3, -2).flatten(-2)


def _check_shapes(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
    shapes = [tuple(part.shape) for part in (query, key, value)]
    if min(map(len, shapes)) < 2:
        raise InputError(
            "Expected query, key and value as (..., length, dim), got "
            f"{', '.join(map(str, shapes))}. Give one vector a token, in rows."
        )
    if query.shape[-1] != key.shape[-1]:
        raise InputError(
            f"Expected queries and keys of one size, since they are compared, got "
            f"{query.shape[-1]} and {key.shape[-1]}. Project both to the same size."
        )
    if key.shape[-2] != value.shape[-2]:
        raise InputError(
            f"Expected a value for each key, got {key.shape[-2]} keys and {value.shape[-2]} "
            "values. Make both from the same tokens."
        )


def _checked_mask(mask: torch.Tensor) -> torch.Tensor:
    if mask.dtype != torch.bool:
        raise InputError(
            f"Expected a mask of bool, true where a query may attend, got {mask.dtype}. Compare "
            "or convert it with mask.bool()."
        )
    if not mask.any(dim=-1).all():
        raise InputError(
            "Expected a mask that lets every query attend to some key, got a row without any. Let "
            "a token at least attend to itself."
        )
    return mask

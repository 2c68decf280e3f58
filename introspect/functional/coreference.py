"""Score how a head treats the candidates of a case: attention weights, credit and margin.

Rules 2, 3 and 5 of the methods (see docs/methods.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

__all__ = [
    "FLOOR",
    "MENTION_OPTIONS",
    "Mention",
    "best_of",
    "credit",
    "margin",
    "mention_weights",
    "reachable",
]

#: A head whose total weight on all candidates is below this value gives no evidence.
FLOOR = 1e-6

Mention = Literal["mean", "sum", "max", "last"]
MENTION_OPTIONS: tuple[Mention, ...] = ("mean", "sum", "max", "last")

Words = Sequence[Sequence[int]]


def mention_weights(
    attentions: torch.Tensor, sources: Words, targets: Words, *, mention: Mention = "mean"
) -> torch.Tensor:
    r"""Compute the attention from one mention to another, for every layer and head.

    .. math:: w(S, T) = \operatorname*{mean}_{s \in S,\, t \in T}
              \frac{1}{|s|} \sum_{i \in s} \sum_{j \in t} \alpha_{ij}

    The attention from word to word is the sum over the target's pieces and the mean over the
    source's. ``mention`` then combines all pairs of words: by their ``mean``, ``sum`` or ``max``,
    or by using only the ``last`` word of each mention, the head word of an English noun phrase.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``, rows summing to 1.
        sources: words of the mention that attends, each a list of query indices.
        targets: words of the mention that is attended to, each a list of key indices.
        mention: how pairs of words are combined into one number.

    Returns:
        ``(num_layers, num_heads)`` in float64, from 0 to 1 (``sum``: to the number of source
        words).

    Example:
        >>> pattern = torch.tensor([[[[0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]]]])
        >>> mention_weights(pattern, sources=[[1, 2]], targets=[[0, 1]])
        tensor([[0.6500]], dtype=torch.float64)
    """
    pattern = attentions.double()
    if mention == "last":
        sources, targets = sources[-1:], targets[-1:]
    pairs = torch.stack(
        [
            pattern[..., list(source), :][..., list(target)].sum(-1).mean(-1)
            for source in sources
            for target in targets
        ]
    )
    if mention == "sum":
        return pairs.sum(0)
    if mention == "max":
        return pairs.amax(0)
    return pairs.mean(0)


def reachable(attentions: torch.Tensor, sources: Words, targets: Words) -> torch.Tensor:
    """Check whether the mask lets any source piece attend to any target piece, for every layer.

    A mask is the same for all heads of a layer and produces weights of exactly 0, so if every head
    of a layer has exactly 0 everywhere between the two mentions, the layer cannot attend there.

    Returns:
        ``(num_layers,)``, bool.
    """
    rows = [i for word in sources for i in word]
    columns = [j for word in targets for j in word]
    block = attentions[:, :, rows, :][..., columns]
    return (block != 0).flatten(1).any(dim=1)


def credit(
    weights: torch.Tensor,
    antecedents: Sequence[bool] | torch.Tensor,
    *,
    floor: float = FLOOR,
) -> torch.Tensor:
    """Compute the credit of a head for choosing an antecedent among the candidates.

    The credit is 1 if the only maximum is an antecedent, the antecedents' share of the tie if the
    maximum is tied, and 0 otherwise. If all candidates together get less than ``floor``, they are
    all tied.

    Args:
        weights: ``(num_candidates, ...)``.
        antecedents: which candidates the pronoun refers to, ``(num_candidates,)``; or for many
            cases at once, ``(num_candidates, num_cases)``, with weights
            ``(num_candidates, num_cases, ...)``.
        floor: the total weight of all candidates below which they give no evidence.

    Returns:
        ``(...)`` in float64, from 0 to 1.

    Example:
        >>> credit(torch.tensor([[0.7, 0.2, 0.3, 0.0], [0.1, 0.4, 0.3, 0.0]]), [True, False])
        tensor([1.0000, 0.0000, 0.5000, 0.5000], dtype=torch.float64)
    """
    w = weights.double()
    is_best = w == w.amax(0, keepdim=True)
    is_best = is_best | (w.sum(0, keepdim=True) < floor)
    gold = _beside(antecedents, w)
    return (is_best & gold).sum(0).double() / is_best.sum(0).double()


def margin(
    weights: torch.Tensor,
    antecedents: Sequence[bool] | torch.Tensor,
    *,
    floor: float = FLOOR,
) -> torch.Tensor:
    r"""Compute how clearly a head prefers the antecedent to the best distractor.

    .. math:: \frac{a_\text{gold}}{a_\text{gold} + a_\text{distractor}} - \frac{1}{2}

    Args:
        weights: ``(num_candidates, ...)``.
        antecedents: as for ``credit``; at least one candidate, but not all of them.
        floor: the total weight of all candidates below which they give no evidence.

    Returns:
        ``(...)`` in float64, from -0.5 to 0.5; NaN where the candidates together get less than
        ``floor``.

    Example:
        >>> margin(torch.tensor([[0.6, 0.0], [0.2, 0.0]]), [True, False])
        tensor([0.2500,    nan], dtype=torch.float64)
    """
    w = weights.double()
    best_gold, best_distractor = best_of(w, antecedents), best_of(w, antecedents, distractors=True)
    ratio = best_gold / (best_gold + best_distractor) - 0.5
    return torch.where(w.sum(0) < floor, torch.full_like(ratio, torch.nan), ratio)


def best_of(
    weights: torch.Tensor,
    antecedents: Sequence[bool] | torch.Tensor,
    *,
    distractors: bool = False,
) -> torch.Tensor:
    """Return the largest weight of an antecedent, or of a distractor; NaN where there is none.

    Example:
        >>> best_of(torch.tensor([[0.6, 0.1], [0.2, 0.3], [0.1, 0.2]]), [True, False, False])
        tensor([0.6000, 0.1000], dtype=torch.float64)
    """
    w = weights.double()
    chosen = _beside(antecedents, w) ^ distractors
    largest = w.masked_fill(~chosen, -torch.inf).amax(0)
    return largest.masked_fill(largest == -torch.inf, torch.nan)


def _beside(antecedents: Sequence[bool] | torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return which candidates are antecedents, with as many dimensions as the weights."""
    gold = torch.as_tensor(antecedents, dtype=torch.bool, device=weights.device)
    return gold[(...,) + (None,) * (weights.ndim - gold.ndim)]

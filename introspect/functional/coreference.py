"""How much a head gives to the right candidate: weights, credit and margin of a case.

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

#: Below this weight on all candidates together a head gives no evidence.
FLOOR = 1e-6

Mention = Literal["mean", "sum", "max", "last"]
MENTION_OPTIONS: tuple[Mention, ...] = ("mean", "sum", "max", "last")

Words = Sequence[Sequence[int]]


def mention_weights(
    attentions: torch.Tensor, sources: Words, targets: Words, *, mention: Mention = "mean"
) -> torch.Tensor:
    r"""Attention from one mention to another, for every layer and head.

    .. math:: w(S, T) = \operatorname*{mean}_{s \in S,\, t \in T}
              \frac{1}{|s|} \sum_{i \in s} \sum_{j \in t} \alpha_{ij}

    From word to word: the sum over the target's pieces, the mean over the source's. Then over all
    pairs of words by ``mention``: their ``mean``, ``sum``, ``max``, or only the ``last`` word of
    each mention, the head word of an English noun phrase.

    Args:
        attentions: ``(num_layers, num_heads, query_len, key_len)``, rows summing to 1.
        sources: words of the mention that attends, each a list of query indices.
        targets: words of the mention attended to, each a list of key indices.
        mention: how pairs of words become one number.

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
    """Whether the mask lets any source piece attend to any target piece, for every layer.

    A mask is the same for all heads of a layer and gives weights of exactly 0, so a layer in which
    every head has exactly 0 everywhere between the two mentions is one that cannot look there.

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
    """Whether a head chooses an antecedent among the candidates.

    1 if the only maximum is an antecedent, the antecedents' share of the tie if it is tied, else 0.
    Where all candidates together get less than ``floor``, a tie among all of them.

    Args:
        weights: ``(num_candidates, ...)``.
        antecedents: which candidates the pronoun refers to, ``(num_candidates,)``; or of many
            cases at once, ``(num_candidates, num_cases)``, with weights
            ``(num_candidates, num_cases, ...)``.
        floor: below this, all candidates together are no evidence.

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
    r"""How clearly a head prefers the antecedent to the best distractor.

    .. math:: \frac{a_\text{gold}}{a_\text{gold} + a_\text{distractor}} - \frac{1}{2}

    Args:
        weights: ``(num_candidates, ...)``.
        antecedents: as for ``credit``; at least one, and not all.
        floor: below this, all candidates together are no evidence.

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
    """The largest weight of an antecedent, or of a distractor; NaN where there is none.

    Example:
        >>> best_of(torch.tensor([[0.6, 0.1], [0.2, 0.3], [0.1, 0.2]]), [True, False, False])
        tensor([0.6000, 0.1000], dtype=torch.float64)
    """
    w = weights.double()
    chosen = _beside(antecedents, w) ^ distractors
    largest = w.masked_fill(~chosen, -torch.inf).amax(0)
    return largest.masked_fill(largest == -torch.inf, torch.nan)


def _beside(antecedents: Sequence[bool] | torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Which candidates are antecedents, with a dimension for each of the weights'."""
    gold = torch.as_tensor(antecedents, dtype=torch.bool, device=weights.device)
    return gold[(...,) + (None,) * (weights.ndim - gold.ndim)]

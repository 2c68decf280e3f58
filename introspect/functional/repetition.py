"""Scores of heads on repeated sequences: duplicate-token and induction scores.

Where a sequence is repeated, a token in the second repetition can attend to its earlier
occurrence. A duplicate-token head attends to the token itself there, and an induction head to the
one that followed it, which predicts the next token.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from introspect.errors import SelectionError


def pair_mass(
    attentions: torch.Tensor,
    queries: Sequence[int],
    keys: Sequence[int],
    visible: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the mean attention over pairs of a query and a key.

    Args:
        attentions: ``(..., query_len, key_len)``.
        queries: the position of the query of each pair.
        keys: the position of the key of each pair.
        visible: ``(query_len, key_len)``, bool: pairs that it hides do not count.

    Returns:
        ``(...)``, float64, from 0 to 1; NaN without a pair.

    Raises:
        SelectionError: the numbers of queries and keys differ.

    Example:
        >>> pair_mass(torch.tensor([[0.9, 0.1], [0.3, 0.7]]), [0, 1], [0, 0])
        tensor(0.6000, dtype=torch.float64)
    """
    rows, columns = list(queries), list(keys)
    if len(rows) != len(columns):
        raise SelectionError(
            f"Expected a key for each query, got {len(rows)} queries and {len(columns)} keys. "
            "Give them in pairs."
        )
    if visible is not None:
        seen = [bool(visible[pair]) for pair in zip(rows, columns, strict=True)]
        rows, columns = (
            [p for p, s in zip(side, seen, strict=True) if s] for side in (rows, columns)
        )
    return attentions[..., rows, columns].double().mean(-1)


def second_time(start: int, period: int) -> range:
    """Return the positions in the second repetition whose next token is known: all but the last.

    Args:
        start: where the second repetition begins.
        period: the number of repeated tokens; the first repetition ends just before the second.

    Example:
        >>> second_time(4, 3)
        range(4, 6)
    """
    return range(start, start + period - 1)


def prefix_matching(
    attentions: torch.Tensor, start: int, period: int, visible: torch.Tensor | None = None
) -> torch.Tensor:
    r"""Compute the induction score: attention to the token after the query's earlier occurrence.

    .. math:: \frac{1}{p - 1} \sum_{i = s}^{s + p - 2} \alpha_{i,\, i - p + 1}

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads", where it is called
    prefix-matching.

    Args:
        attentions: ``(..., length, length)`` over repeated tokens.
        start: where the second repetition begins, :math:`s`.
        period: the number of repeated tokens, :math:`p`.
        visible: ``(length, length)``, bool: pairs that it hides do not count.

    Returns:
        ``(...)``, float64, from 0 to 1; NaN where nothing is visible.

    Example:
        >>> pattern = torch.zeros(4, 4)  # of the tokens a b a b
        >>> pattern[2, 1] = 1.0  # the second a attends to the b that followed the first
        >>> prefix_matching(pattern, start=2, period=2), duplicate_matching(pattern, 2, 2)
        (tensor(1., dtype=torch.float64), tensor(0., dtype=torch.float64))
    """
    queries = second_time(start, period)
    return pair_mass(attentions, queries, [i - period + 1 for i in queries], visible)


def duplicate_matching(
    attentions: torch.Tensor, start: int, period: int, visible: torch.Tensor | None = None
) -> torch.Tensor:
    r"""Compute the duplicate-token score: attention to the earlier occurrence of the query itself.

    .. math:: \frac{1}{p - 1} \sum_{i = s}^{s + p - 2} \alpha_{i,\, i - p}

    Source: Wang et al. 2022, "Interpretability in the Wild", section 3 (duplicate token heads).

    Args:
        attentions: ``(..., length, length)`` over repeated tokens.
        start: where the second repetition begins, :math:`s`.
        period: the number of repeated tokens, :math:`p`.
        visible: ``(length, length)``, bool: pairs that it hides do not count.

    Returns:
        ``(...)``, float64, from 0 to 1; NaN where nothing is visible.
    """
    queries = second_time(start, period)
    return pair_mass(attentions, queries, [i - period for i in queries], visible)

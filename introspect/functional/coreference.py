"""Score how a head treats the candidates of a case: attention weights, credit and margin.

Rules 2, 3 and 5 of the methods (see docs/methods.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from introspect.errors import SelectionError
from introspect.functional.masks import FLOOR

Mention = Literal["mean", "sum", "max", "last"]
MENTION_OPTIONS: tuple[Mention, ...] = ("mean", "sum", "max", "last")


def checked_mention(mention: str) -> None:
    """Raise a ``SelectionError`` unless the way to combine word pairs is known."""
    if mention not in MENTION_OPTIONS:
        raise SelectionError(
            f"Expected `mention` as one of {', '.join(MENTION_OPTIONS)}, got {mention!r}."
        )


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


Span = tuple[int, int]


def chance(antecedents: Sequence[bool]) -> float:
    """Return the expected credit of a random choice: the share of candidates that are antecedents.

    Example:
        >>> chance([True, False])
        0.5
    """
    return sum(antecedents) / len(antecedents)


def nearest_preceding(
    pronoun: Span, candidates: Sequence[Span], antecedents: Sequence[bool]
) -> float:
    """Return the credit of choosing the candidate that ends closest before the pronoun.

    If none precedes the pronoun, the choice is the one that starts closest after it.

    Example:
        >>> nearest_preceding((43, 45), [(4, 10), (28, 34)], [True, False])
        0.0
    """
    before = [(pronoun[0] - end, i) for i, (_, end) in enumerate(candidates) if end <= pronoun[0]]
    after = [(start - pronoun[1], i) for i, (start, _) in enumerate(candidates)]
    return _credit_of_nearest(before or after, antecedents)


def first_mentioned(candidates: Sequence[Span], antecedents: Sequence[bool]) -> float:
    """Return the credit of choosing the candidate that comes first in the text.

    Example:
        >>> first_mentioned([(4, 10), (28, 34)], [True, False])
        1.0
    """
    return _credit_of_nearest([(start, i) for i, (start, _) in enumerate(candidates)], antecedents)


def smallest(values: Sequence[float], antecedents: Sequence[bool]) -> float:
    """Return the credit of choosing the candidate with the smallest value; ties share it.

    Example:
        >>> smallest([1, 2], [False, True]), smallest([2, 2], [False, True])
        (0.0, 0.5)
    """
    least = min(values)
    chosen = [
        is_right for value, is_right in zip(values, antecedents, strict=True) if value == least
    ]
    return sum(chosen) / len(chosen)


def closest_to_offsets(
    distances: Sequence[Sequence[int]],
    antecedents: Sequence[Sequence[bool]],
    offsets: Sequence[int],
) -> npt.NDArray[np.float64]:
    """Compute the credit of choosing the candidate whose distance is closest to a fixed one.

    Args:
        distances: for each case, how many words each candidate is after the pronoun; negative
            before it.
        antecedents: for each case, which candidates the pronoun refers to.
        offsets: the fixed distances.

    Returns:
        ``(num_cases, num_offsets)``, from 0 to 1; candidates at the same distance share the credit.

    Example:
        >>> closest_to_offsets([[-8, -3]], [[True, False]], [-4, -7])
        array([[0., 1.]])
    """
    shape = len(distances), max(map(len, distances))
    places = np.zeros(shape, dtype=np.int64)
    is_right, is_there = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for row, (own, right) in enumerate(zip(distances, antecedents, strict=True)):
        places[row, : len(own)], is_right[row, : len(own)] = own, right
        is_there[row, : len(own)] = True
    accuracies = np.empty((len(distances), len(offsets)))
    for column, offset in enumerate(offsets):
        apart = np.where(is_there, np.abs(places - offset), np.iinfo(np.int64).max)
        chosen = apart == apart.min(1, keepdims=True)
        accuracies[:, column] = (chosen & is_right).sum(1) / chosen.sum(1)
    return accuracies


def _credit_of_nearest(distances: list[tuple[int, int]], antecedents: Sequence[bool]) -> float:
    """Return the antecedents' share among the candidates at the smallest distance."""
    smallest = min(distance for distance, _ in distances)
    chosen = [antecedents[i] for distance, i in distances if distance == smallest]
    return sum(chosen) / len(chosen)


@dataclass(frozen=True, eq=False)
class MentionWords:
    """The words of all mentions of each text of a batch, as matrices.

    Args:
        words: the words of each text, each a list of token indices.
        length: the number of tokens in a row of the padded batch.
    """

    words: tuple[tuple[tuple[int, ...], ...], ...]
    length: int

    @cached_property
    def rows(self) -> torch.Tensor:
        """The pieces of each text's words, ``(batch, num_rows)``; padded with the first piece."""
        pieces = [sorted({i for word in words for i in word}) for words in self.words]
        most = max(map(len, pieces))
        return torch.tensor([each + each[:1] * (most - len(each)) for each in pieces])

    @cached_property
    def of_keys(self) -> torch.Tensor:
        """1 where a key is a piece of a word: ``(batch, num_words, length)``, float64."""
        return self._membership(
            self.length, [{i: i for w in words for i in w} for words in self.words]
        )

    @cached_property
    def of_rows(self) -> torch.Tensor:
        """1 where a row is a piece of a word: ``(batch, num_words, num_rows)``, float64."""
        places = [
            {piece: row for row, piece in reversed(list(enumerate(r)))} for r in self.rows.tolist()
        ]
        return self._membership(self.rows.shape[1], places)

    @cached_property
    def sizes(self) -> torch.Tensor:
        """The number of pieces of each word, ``(batch, num_words)``; 1 for padding words."""
        return self.of_rows.sum(-1).clamp(min=1)

    def _membership(self, length: int, places: Sequence[dict[int, int]]) -> torch.Tensor:
        most = max(map(len, self.words))
        matrix = torch.zeros(len(self.words), most, length, dtype=torch.float64)
        for text, words in enumerate(self.words):
            for word, pieces in enumerate(words):
                matrix[text, word, [places[text][piece] for piece in pieces]] = 1
        return matrix


def mention_shares(
    attentions: torch.Tensor, words: Sequence[Sequence[int]], mention: Sequence[int]
) -> torch.Tensor:
    r"""Compute the share of its attention that each word gives a mention.

    .. math:: S_{sm} = \frac{1}{|s|} \sum_{i \in s} \sum_{j \in m} \alpha_{ij}

    This is a share, unlike the weight by which candidates are compared, which is a mean over the
    mention's words.

    Args:
        attentions: ``(..., query_len, key_len)``.
        words: the query indices of each word.
        mention: the key indices of all words of the mention together.

    Returns:
        ``(..., num_words)`` in float64, from 0 to 1; NaN for a word with a row that is not finite.

    Example:
        >>> mention_shares(torch.tensor([[0.3, 0.6, 0.1], [0.5, 0.3, 0.2]]), [[0], [1]], [0, 1])
        tensor([0.9000, 0.8000], dtype=torch.float64)
    """
    shares = attentions[..., list(mention)].double().sum(-1)
    shares = shares.masked_fill(~attentions.sum(-1).isfinite(), torch.nan)
    means = [shares[..., list(word)].mean(-1) for word in words]
    return torch.stack(means, -1) if means else shares[..., :0]


def word_attention(rows: torch.Tensor, words: MentionWords) -> torch.Tensor:
    r"""Compute the attention from word to word.

    .. math:: T_{st} = \frac{1}{|s|} \sum_{i \in s} \sum_{j \in t} \alpha_{ij}

    Args:
        rows: ``(batch, num_heads, num_rows, length)``: the rows ``words.rows`` of one layer.
        words: the words of the batch.

    Returns:
        ``(batch, num_heads, num_words, num_words)`` in float64.
    """
    of_keys = words.of_keys.to(rows.device).mT
    of_rows = words.of_rows.to(rows.device)
    weights = of_rows[:, None] @ (rows.double() @ of_keys[:, None])
    return weights / words.sizes.to(rows.device)[:, None, :, None]


def words_in_sight(visible: torch.Tensor, words: MentionWords) -> torch.Tensor:
    """Return whether the mask lets a word attend to another, with any piece to any piece.

    A weight of 0 says nothing: it may be one that half precision rounds down.

    Args:
        visible: ``(batch, num_rows, length)``, bool: the keys that the rows ``words.rows`` see.
        words: the words of the batch.

    Returns:
        ``(batch, num_words, num_words)``, bool.
    """
    of_keys = words.of_keys.to(visible.device).mT
    return (words.of_rows.to(visible.device) @ visible.double() @ of_keys) > 0

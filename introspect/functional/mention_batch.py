"""Attention between the words of mentions, for a whole padded batch of texts.

The numbers are those of ``functional.coreference.mention_weights``, for one layer and many texts:
sums of a few float32 weights are exact in float64, so the order of addition does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

__all__ = ["MentionWords", "word_attention"]

Words = Sequence[Sequence[int]]


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


def word_attention(rows: torch.Tensor, words: MentionWords) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Compute the attention from word to word, and whether the mask lets one attend to the other.

    .. math:: T_{st} = \frac{1}{|s|} \sum_{i \in s} \sum_{j \in t} \alpha_{ij}

    Args:
        rows: ``(batch, num_heads, num_rows, length)``: the rows ``words.rows`` of one layer.
        words: the words of the batch.

    Returns:
        ``(batch, num_heads, num_words, num_words)`` in float64; and ``(batch, num_words,
        num_words)``, bool: whether any head gives any weight there.
    """
    of_keys = words.of_keys.to(rows.device).mT
    of_rows = words.of_rows.to(rows.device)
    weights = of_rows[:, None] @ (rows.double() @ of_keys[:, None])
    seen = (rows != 0).any(1).double()
    reachable = (of_rows @ seen @ of_keys) > 0
    return weights / words.sizes.to(rows.device)[:, None, :, None], reachable

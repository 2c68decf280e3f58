"""Random tokens, some of which occur twice, for finding induction heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from introspect.errors import ModelError, SelectionError
from introspect.models import Model
from introspect.models.encoding import length_limit

__all__ = ["Repeats", "random_repeats"]

_TRIES = 16


@dataclass(frozen=True, eq=False)
class Repeats:
    """Sequences of one length, each with a block of tokens that occurs twice in a row.

    Args:
        ids: ``(num_sequences, length)``, with the special tokens that the tokenizer puts around a
            text.
        first: the position of the first random token.
        stop: the position after the last one.
        starts: for each sequence, the position where the second occurrence begins.
        periods: for each sequence, the number of tokens that occur twice.
    """

    ids: torch.Tensor
    first: int
    stop: int
    starts: tuple[int, ...]
    periods: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def length(self) -> int:
        """The number of tokens of each sequence, including special ones."""
        return self.ids.shape[1]


def random_repeats(
    model: Model,
    num_sequences: int = 32,
    *,
    prefix: tuple[int, int] = (0, 16),
    period: tuple[int, int] = (8, 22),
    seed: int = 0,
) -> Repeats:
    """Draw random tokens that occur twice, at a different position and distance in each sequence.

    Each sequence is a random prefix, a block, the same block again, and as many further random
    tokens as make all sequences equally long. Outside the block no token occurs twice. A head that
    relies on positions, because it only learned where the repetition was in training, finds the
    repetition in few sequences or none.

    Args:
        model: the model whose vocabulary and special tokens are used.
        num_sequences: the number of sequences.
        prefix: the fewest and most tokens before the block.
        period: the fewest and most tokens of the block.
        seed: the random seed of the draw.

    Raises:
        SelectionError: the numbers make no sequence, or none that the model can read.
        ModelError: the model does not read tokens.
    """
    if not (num_sequences >= 2 and 0 <= prefix[0] <= prefix[1] and 2 <= period[0] <= period[1]):
        raise SelectionError(
            "Expected at least two sequences, `prefix` as fewest and most tokens from 0 up, and "
            f"`period` from 2 up, got {num_sequences}, {prefix} and {period}."
        )
    ordinary = _ordinary_ids(model)
    before, after = _special_ids(model, ordinary)
    size = prefix[1] + 2 * period[1]
    length = len(before) + size + len(after)
    limit = length_limit(model.module, model.tokenizer)
    if limit is not None and length > limit:
        raise SelectionError(
            f"Expected sequences of at most {limit} tokens for {model.name}, got {length}: "
            f"{prefix[1]} before, twice {period[1]}, and {length - size} special ones. Make "
            "`prefix` or `period` smaller."
        )
    if len(ordinary) < size - period[0]:
        raise SelectionError(
            f"Expected a vocabulary of at least {size - period[0]} tokens that are not special, "
            f"so that none comes twice by chance, got {len(ordinary)} for {model.name}. Make "
            "`prefix` or `period` smaller."
        )
    random = np.random.default_rng(seed)
    rows, starts, periods = [], [], []
    for _ in range(num_sequences):
        ahead = int(random.integers(prefix[0], prefix[1] + 1))
        block = int(random.integers(period[0], period[1] + 1))
        drawn = random.choice(ordinary, size - block, replace=False).tolist()
        body = drawn[: ahead + block] + drawn[ahead:]
        rows.append([*before, *body, *after])
        starts.append(len(before) + ahead + block)
        periods.append(block)
    return Repeats(
        torch.tensor(rows), len(before), len(before) + size, tuple(starts), tuple(periods)
    )


def _ordinary_ids(model: Model) -> list[int]:
    """Return the vocabulary without special tokens."""
    try:
        embeddings: Any = model.module.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        embeddings = None
    count = getattr(embeddings, "num_embeddings", None)
    if count is None:
        raise ModelError(
            f"Expected {model.name} to have an embedding for each token, to read random tokens, "
            "but it has none. Choose another model."
        )
    tokenizer = model.tokenizer
    special = set(tokenizer.all_special_ids)
    special |= {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return [i for i in range(min(count, len(tokenizer))) if i not in special]


def _special_ids(model: Model, ordinary: list[int]) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer puts before and after a text."""
    tokenizer = model.tokenizer
    # Some entries cannot be a text of their own, such as half of a character.
    texts = ["a", *(tokenizer.decode(ordinary[i : i + 8]) for i in range(_TRIES))]
    with model.tokenizing():
        for text in texts:
            encoding = tokenizer(text, return_special_tokens_mask=True)
            ids, mask = encoding["input_ids"], encoding["special_tokens_mask"]
            if 0 in mask:
                start, end = mask.index(0), len(mask) - mask[::-1].index(0)
                return ids[:start], ids[end:]
    raise ModelError(
        f"Expected the tokenizer of {model.name} to make tokens of a text, but it makes none of "
        f"{texts[0]!r} and others. Check that it belongs to the model."
    )

"""Alignment in time: where in a sound each of a row of tokens begins."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

# Steps of a path: both go on, the token goes on, the frame goes on.
_BOTH, _TOKEN, _FRAME = 0, 1, 2


def token_starts(weights: torch.Tensor, *, width: int = 7) -> list[int]:
    """Return the frame in which each token begins, by the attention of some heads to the frames.

    The weights of each head are standardized over the tokens, their median is taken over some
    frames, and the heads' mean is followed by the path through tokens and frames, neither ever
    going back, on which the sum is largest: dynamic time warping, as Whisper's authors do it for
    the times of words.

    Args:
        weights: ``(num_heads, num_tokens, num_frames)``.
        width: the number of frames that a median is taken over; odd.

    Returns:
        A frame for each token, ascending.

    Source: Radford et al. 2022, and the word timestamps of openai-whisper.

    Example:
        >>> weights = torch.tensor([[[0.9, 0.1, 0.0, 0.0], [0.1, 0.0, 0.8, 0.1]]])
        >>> token_starts(weights, width=1)
        [0, 2]
    """
    spread = weights.std(-2, keepdim=True, unbiased=False)
    standard = ((weights - weights.mean(-2, keepdim=True)) / spread).nan_to_num(0.0, 0.0, 0.0)
    mean = medians(standard, width).mean(0)
    return _jumps(_path(-mean.double().numpy()), mean.shape[0])


def medians(values: torch.Tensor, width: int) -> torch.Tensor:
    """Return the median over some neighbors along the last dimension; ends are mirrored.

    Example:
        >>> medians(torch.tensor([[1.0, 9.0, 2.0, 3.0]]), 3)
        tensor([[9., 2., 3., 2.]])
    """
    pad = width // 2
    if values.shape[-1] <= pad:  # too few to mirror
        return values
    flat = values.reshape(1, -1, values.shape[-1])
    mirrored = torch.nn.functional.pad(flat, (pad, pad), mode="reflect")
    return mirrored.unfold(-1, width, 1).sort(-1).values[..., pad].reshape(values.shape)


def _path(costs: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the cheapest path from the first token and frame to the last ones."""
    tokens, frames = costs.shape
    total = np.full((tokens + 1, frames + 1), np.inf)
    total[0, 0] = 0
    steps = np.full((tokens + 1, frames + 1), _FRAME)
    steps[1:, 0] = _TOKEN
    for frame in range(1, frames + 1):
        for token in range(1, tokens + 1):
            both = total[token - 1, frame - 1]
            down, right = total[token - 1, frame], total[token, frame - 1]
            if both < down and both < right:
                best, step = both, _BOTH
            elif down < both and down < right:
                best, step = down, _TOKEN
            else:
                best, step = right, _FRAME
            total[token, frame] = costs[token - 1, frame - 1] + best
            steps[token, frame] = step
    return _traced(steps)


def _traced(steps: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    token, frame = (size - 1 for size in steps.shape)
    path = []
    while token > 0 or frame > 0:
        path.append((token - 1, frame - 1))
        step = steps[token, frame]
        token -= step in (_BOTH, _TOKEN)
        frame -= step in (_BOTH, _FRAME)
    return path[::-1]


def _jumps(path: list[tuple[int, int]], tokens: int) -> list[int]:
    """Return the first frame of each token on a path."""
    first: dict[int, int] = {}
    for token, frame in path:
        first.setdefault(token, frame)
    return [first[token] for token in range(tokens)]

"""Coin flips of many heads on many cases."""

from __future__ import annotations

import numpy as np


def two_candidates(credits: np.ndarray) -> np.ndarray:
    return np.stack([credits, 1 - credits])


def coin_flips(cases: int, heads: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (cases, heads)).astype(float)


def pairs(cases: int) -> list[int]:
    return [case // 2 for case in range(cases)]

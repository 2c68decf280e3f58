"""The interface of what can be measured with and without a head: a margin for each case."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from introspect.causal.metrics import Metric
from introspect.models import Model

__all__ = ["Asked", "Floats", "accuracy_of", "credit_of"]

Floats = npt.NDArray[np.float64]


class Asked(Protocol):
    """A model with questions whose right answers are known."""

    @property
    def model(self) -> Model:
        """The model that is asked."""
        ...

    @property
    def metric(self) -> Metric:
        """The way its answer is read."""
        ...

    @property
    def names(self) -> list[str]:
        """A name for each case."""
        ...

    @property
    def groups(self) -> list[str]:
        """The group of each case; cases of one group are never separated."""
        ...

    @property
    def texts(self) -> list[str]:
        """The texts that are asked about, each once."""
        ...

    @property
    def read_texts(self) -> list[str]:
        """The texts that the model reads for them, each once."""
        ...

    def margins(self) -> Floats:
        """Return the margin of the right answer over the best other one, ``(num_cases,)``.

        The model is asked anew, with the changes in force at that moment.
        """
        ...


def accuracy_of(margins: Floats) -> float:
    """Return how often the right answer is ahead; a tie counts half.

    Example:
        >>> accuracy_of(np.array([0.5, -1.0, 0.0, 2.0]))
        0.625
    """
    return float(credit_of(margins).mean())


def credit_of(margins: Floats) -> Floats:
    """Return for each case 1 where the right answer is ahead, a half for a tie, else 0."""
    credit: Floats = np.where(margins > 0, 1.0, np.where(margins == 0, 0.5, 0.0))
    return credit

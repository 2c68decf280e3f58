"""How often each vocabulary entry is a query or a key of a head, kept for entries that occur."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from introspect.studies.analyzer import Integers

# Vocabulary entries get this many numbers within a head; larger ids do not occur.
ENTRIES = 1 << 32


@dataclass
class EntryCounts:
    """Counts by code, sorted; a code is a head's number times ``ENTRIES`` plus a vocabulary id.

    What is added waits until there is as much of it as is counted, so that adding stays cheap.

    Args:
        codes: the codes.
        counts: how often each occurred.
    """

    codes: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    _waiting: list[tuple[Integers, Integers]] = field(default_factory=list)
    _num_waiting: int = 0

    def add(self, codes: Integers, counts: Integers | None = None) -> None:
        """Add codes, each once or as often as ``counts`` says."""
        number = np.ones(len(codes), np.int64) if counts is None else counts
        self._waiting.append((codes, number))
        self._num_waiting += len(codes)
        if self._num_waiting > max(1 << 16, len(self.codes)):
            self._settle()

    def merge(self, other: EntryCounts) -> None:
        """Add the counts of other texts."""
        self.add(*other.settled())

    def settled(self) -> tuple[Integers, Integers]:
        """Return all codes, in order, with their counts."""
        self._settle()
        return self.codes, self.counts

    def of(self, head: int) -> dict[int, int]:
        """Return the counts of one head by vocabulary id.

        Example:
            >>> counts = EntryCounts()
            >>> counts.add(np.array([7, ENTRIES + 7, 7]))
            >>> counts.of(0), counts.of(1)
            ({7: 2}, {7: 1})
        """
        codes, counts = self.settled()
        start, stop = np.searchsorted(codes, (head * ENTRIES, (head + 1) * ENTRIES))
        ids = (codes[start:stop] - head * ENTRIES).tolist()
        return dict(zip(ids, counts[start:stop].tolist(), strict=True))

    def _settle(self) -> None:
        if not self._waiting:
            return
        codes = np.concatenate([self.codes, *(codes for codes, _ in self._waiting)])
        counts = np.concatenate([self.counts, *(counts for _, counts in self._waiting)])
        self._waiting, self._num_waiting = [], 0
        self.codes, index = np.unique(codes, return_inverse=True)
        self.counts = np.bincount(index, weights=counts).astype(np.int64)

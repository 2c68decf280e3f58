"""The vocabulary entries that a head attends from and to more than they occur."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pandas as pd

from introspect.studies.atlas.analyzer import AtlasSums
from introspect.studies.atlas.entries import EntryCounts

#: Entries that occur less often, or that the head uses less often, are left out.
FEWEST = 5
#: A lift must be so many standard errors above 0.
_SURE = 2.0
#: The most entries of a head and a side.
MOST = 15

TOKEN_COLUMNS = ("layer", "head", "side", "rank", "id", "token", "count", "n", "lift")


def tokens_table(sums: AtlasSums, label: Callable[[int], str]) -> pd.DataFrame:
    r"""Return the entries with the largest lift of each head, as keys and as queries.

    An entry counts where it gives, or gets, the largest weight of a row outside special tokens, if
    that is at least 0.3. The lift is the smoothed log odds ratio, in nats, against how often the
    entry occurs; only entries whose lift is two standard errors above 0 are listed:

    .. math:: \log\frac{c + ½}{C - c + ½} - \log\frac{n + ½}{N - n + ½}

    Args:
        sums: what was collected.
        label: returns the entry with a vocabulary id.
    """
    corpus = sums.entries.of(0)
    total = sum(corpus.values())
    rows = [
        (layer, head, side, rank, entry, label(entry), count, corpus[entry], lift)
        for place, layer in enumerate(sums.layers)
        for head in range(sums.num_heads)
        for side, counts in (("key", sums.keys), ("query", sums.queries))
        for rank, (entry, count, lift) in enumerate(
            _largest(counts, place * sums.num_heads + head, corpus, total), start=1
        )
    ]
    return pd.DataFrame(rows, columns=list(TOKEN_COLUMNS))


def _largest(
    counts: EntryCounts, head: int, corpus: dict[int, int], total: int
) -> list[tuple[int, int, float]]:
    own = counts.of(head)
    number = sum(own.values())
    found = list(_lifts(own, number, corpus, total))
    found.sort(key=lambda each: (-each[2], each[0]))
    return found[:MOST]


def _lifts(
    own: dict[int, int], number: int, corpus: dict[int, int], total: int
) -> Iterator[tuple[int, int, float]]:
    for entry, count in own.items():
        n = corpus.get(entry, 0)
        if min(count, n) < FEWEST:
            continue
        cells = [count + 0.5, number - count + 0.5, n + 0.5, total - n + 0.5]
        lift = math.log(cells[0] / cells[1]) - math.log(cells[2] / cells[3])
        if lift > _SURE * math.sqrt(sum(1 / cell for cell in cells)):
            yield entry, count, lift

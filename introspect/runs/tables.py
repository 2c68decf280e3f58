"""Results gathered from finished shards, keeping only what the claims need in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from introspect.data import Reject, reject_from_json
from introspect.errors import OutputError
from introspect.io import replacing, write_lines
from introspect.runs.saved_attention import INDEX
from introspect.runs.shard import by_analyzer
from introspect.runs.store import Counts, ShardEntry, ShardStore
from introspect.studies.coreference import EVERY_DIRECTION, CoreferenceAnalyzer, ScoredCase
from introspect.studies.registry import find_analyzer

_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("id", _TEXT), ("group", _TEXT), ("layer", pa.int64()), ("head", pa.int64()),
        ("direction", _TEXT), ("antecedent_weight", pa.float64()),
        ("distractor_weight", pa.float64()), ("credit", pa.float64()),
        ("removed_mass", pa.float64()),
    ]
)  # fmt: skip
_FIGURES = ("antecedent_weight", "distractor_weight", "credit", "removed_mass")
_NAMES = ["id", "group", "layer", "head", "direction"]


@dataclass
class Gathered:
    """The combined results of all shards.

    Args:
        analyzers: the analyzers of texts by name, with all their results; none of cases.
        cases: the analyzer of cases, if there was one.
        scored: the same cases in the form that the tables are made from.
        first_rejects: some of the rejects, as lines of JSON.
        saved: where the patterns of each text are, as lines of JSON.
        counts: how many rows there are of each kind, and how they ran.
    """

    analyzers: dict[str, Any] = field(default_factory=dict)
    cases: CoreferenceAnalyzer | None = None
    scored: list[ScoredCase] = field(default_factory=list)
    first_rejects: list[str] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    def rejects(self, most: int | None = None) -> tuple[Reject, ...]:
        """Return the first rows without a result."""
        return tuple(map(reject_from_json, self.first_rejects[:most]))


# A report counts reasons; it does not need a million of them.
_KEPT_REJECTS = 100_000


def gather(
    store: ShardStore, entries: Sequence[ShardEntry], folder: Path | None = None
) -> Gathered:
    """Read all shards in their order.

    Args:
        store: the store of the shards.
        entries: the manifest entries of the shards.
        folder: where to write ``rejects.jsonl`` and ``cases.parquet`` in the process; by default
            they are not written.

    Raises:
        OutputError: a shard is damaged, or a table cannot be written.
    """
    gathered = Gathered()
    if folder is None:
        for _ in _lines(gathered, store, entries, None):
            pass
    else:
        path = folder / "cases.parquet"
        with replacing(path) as place, closing(_CaseTable(path, place)) as table:
            write_lines(folder / "rejects.jsonl", _lines(gathered, store, entries, table))
    return gathered


def _lines(
    gathered: Gathered, store: ShardStore, entries: Sequence[ShardEntry], table: _CaseTable | None
) -> Iterator[str]:
    """Take in each shard, and yield its rejects as lines."""
    for entry in entries:
        arrays, lines = store.read(entry)
        gathered.counts = gathered.counts.plus(entry)
        gathered.first_rejects += lines[: _KEPT_REJECTS - len(gathered.first_rejects)]
        for name, state in by_analyzer(arrays).items():
            if name == "attention":
                gathered.saved += state[INDEX].tobytes().decode().splitlines()
                continue
            kind = find_analyzer(name)
            analyzer = kind.make.from_state(state)
            if kind.takes == "cases":
                gathered.cases = _merged(gathered.cases, analyzer)
                gathered.scored += (scored := analyzer.scored)
                if table is not None:
                    table.add(scored)
            else:
                gathered.analyzers[name] = _merged(gathered.analyzers.get(name), analyzer)
        yield from lines


def _merged(total: Any, analyzer: Any) -> Any:
    """Return the total with what another analyzer has collected."""
    if total is None:
        return analyzer
    total.merge(analyzer)
    return total


class _CaseTable:
    """A writer of the rows of cases as they come; without rows it makes no file."""

    def __init__(self, path: Path, temporary: Path) -> None:
        self._path = path
        self._temporary = temporary
        self._writer: pq.ParquetWriter | None = None

    def close(self) -> None:
        """Write the remaining rows and the index at the end of the file."""
        if self._writer is not None:
            self._writer.close()

    def add(self, cases: Sequence[ScoredCase]) -> None:
        """Add the rows of some cases, as one group of rows."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._temporary, _SCHEMA, compression="zstd", use_dictionary=_NAMES
            )
        try:
            self._writer.write_table(_rows(cases))
        except OSError as error:
            raise OutputError(
                f"Expected to write {str(self._path)!r}, but the system refused: {error}. What is "
                "done is kept; free some space and run the same command to go on."
            ) from error


def _rows(cases: Sequence[ScoredCase]) -> pa.Table:
    directions, layers, heads = cases[0].margin.shape
    size = directions * layers * heads
    each = np.repeat(np.arange(len(cases), dtype=np.int32), size)
    direction = np.tile(
        np.repeat(np.arange(directions, dtype=np.int32), layers * heads), len(cases)
    )

    def named(indices: Any, names: Sequence[str]) -> pa.DictionaryArray:
        # Each name once: with repeated names, the bytes of the file differ each time.
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        of_each = np.array([numbers[name] for name in names], dtype=np.int32)
        return pa.DictionaryArray.from_arrays(of_each[indices], pa.array(numbers, pa.string()))

    columns = {
        "id": named(each, [case.name for case in cases]),
        "group": named(each, [case.group for case in cases]),
        "layer": np.tile(np.repeat(cases[0].layers, heads), directions * len(cases)),
        "head": np.tile(np.arange(heads), directions * layers * len(cases)),
        "direction": named(direction, EVERY_DIRECTION),
    }
    for name in _FIGURES:
        columns[name] = np.concatenate([getattr(case, name).ravel() for case in cases])
    return pa.table(columns, schema=_SCHEMA)

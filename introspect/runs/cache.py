"""A cache of results, so that sentences shared by two sets are not run again."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from introspect.errors import OutputError
from introspect.io import check_destination

#: The entries of a plan that a result depends on besides its text.
_IDENTITY = (
    "model", "revision", "config", "tokenizer", "dtype", "device", "threads", "analyzers",
    "mention", "weights", "last_position", "segment", "layers", "code", "torch", "transformers",
)  # fmt: skip
# What SQLite keeps beside a database, and would take for its own.
_BESIDE = ("-wal", "-shm", "-journal")
_SECONDS_TO_WAIT = 60
_AT_ONCE = 500
_DIGEST_BYTES = hashlib.sha256().digest_size
# The size of a result itself, without its digest; the column need not say what it is.
_SIZE = f"MAX(COALESCE(LENGTH(value), 0) - {_DIGEST_BYTES}, 0)"


@dataclass(frozen=True)
class CacheOptions:
    """The place and size of the cache.

    Args:
        path: the file.
        bytes: the most bytes kept; the least recently used results are dropped first.
        identity: the digest of the model and all options; see ``identity_of``.
    """

    path: str
    bytes: int = 2 << 30
    identity: str = ""


def identity_of(plan: Mapping[str, Any]) -> str:
    """Return a digest of everything that a result depends on besides its text."""
    named = {name: plan.get(name) for name in _IDENTITY}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


class Cache:
    """A file of results; several processes may use it at once.

    A text's result comes from the batch that it first ran in, and differs from that of another
    batch by rounding (about 1e-7 in a weight).
    """

    def __init__(self, options: CacheOptions) -> None:
        self._options = options
        self._path = check_destination(options.path)
        self._check_own()
        with self._opened() as base:
            base.execute("PRAGMA journal_mode=WAL")
            base.execute(
                "CREATE TABLE IF NOT EXISTS results "
                "(key BLOB PRIMARY KEY, value BLOB, size INTEGER, used REAL) WITHOUT ROWID"
            )
            base.execute("CREATE INDEX IF NOT EXISTS by_use ON results (used)")

    def key(self, content: str) -> bytes:
        """Return the cache key of a text with this content."""
        return hashlib.sha256(f"{self._options.identity}\0{content}".encode()).digest()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the results that the cache has, by key."""
        results: dict[bytes, bytes] = {}
        with self._opened() as base:
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = base.execute(
                    f"SELECT key, value FROM results WHERE key IN ({marks})", some
                ).fetchall()
                results |= {key: content for key, value in rows if (content := _checked(value))}
                base.execute(
                    f"UPDATE results SET used = ? WHERE key IN ({marks})", [time.time(), *some]
                )
        return results

    def put(self, results: Mapping[bytes, bytes]) -> None:
        """Store results, and drop the least recently used ones if there are too many."""
        now = time.time()
        sealed = {key: _sealed(value) for key, value in results.items()}
        rows = [(key, value, len(value), now) for key, value in sealed.items()]
        with self._opened() as base:
            base.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", rows)
            (total,) = base.execute(f"SELECT SUM({_SIZE}) FROM results").fetchone()
            oldest = base.execute(f"SELECT key, {_SIZE} FROM results ORDER BY used")
            leaving = []
            for key, size in oldest:
                if (total or 0) <= self._options.bytes:
                    break
                leaving.append((key,))
                total -= size
            oldest.close()
            base.executemany("DELETE FROM results WHERE key = ?", leaving)

    def _check_own(self) -> None:
        """Raise if the file is there and no cache, or if the database beside it is another's.

        Raises:
            OutputError: it is.
        """
        is_new = not self._path.exists() or not self._path.stat().st_size
        if is_new:
            beside = [self._path.with_name(self._path.name + end) for end in _BESIDE]
            foreign = next((path for path in beside if os.path.lexists(path)), None)
        else:
            foreign = None if self._tables() in ([], ["results"]) else self._path
        if foreign is not None:
            raise OutputError(
                f"Expected a cache at {str(self._path)!r}, new or of an earlier probe, but "
                f"{foreign.name!r} is something else. Name another file, or leave the cache out."
            )

    def _tables(self) -> list[str] | None:
        """Return the names of the tables, read without a change; ``None`` of no database."""
        # Without a log of another process, this file alone is read, and none is made beside it.
        is_alone = not os.path.lexists(f"{self._path}{_BESIDE[0]}")
        options = "mode=ro&immutable=1" if is_alone else "mode=ro"
        try:
            base = sqlite3.connect(f"{self._path.as_uri()}?{options}", uri=True)
            try:
                rows = base.execute("SELECT name FROM sqlite_master WHERE type != 'index'")
                tables = sorted(name for (name,) in rows)
                if tables == ["results"]:
                    base.execute("SELECT key, value, size, used FROM results LIMIT 0")
            finally:
                base.close()
        except sqlite3.Error:
            return None
        return tables

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            base = sqlite3.connect(self._path, timeout=_SECONDS_TO_WAIT)
            try:
                with base:
                    yield base
            finally:
                base.close()
        except sqlite3.Error as error:
            raise OutputError(
                f"Expected a cache at {str(self._path)!r}, but: {error}. Name another file, or "
                "leave the cache out."
            ) from error


def _sealed(value: bytes) -> bytes:
    """Return a result with its digest before it."""
    return hashlib.sha256(value).digest() + value


def _checked(value: Any) -> bytes | None:
    """Return a result without its digest; ``None`` where it is not what was stored."""
    if not isinstance(value, bytes):
        return None
    digest, content = value[:_DIGEST_BYTES], value[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None

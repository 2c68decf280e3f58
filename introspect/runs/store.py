"""Finished shards on disk, each complete or absent, and a manifest of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from introspect.data import Reject, reject_to_json
from introspect.errors import OutputError
from introspect.io import (
    Arrays,
    from_plain,
    pack,
    regular,
    sealed,
    unpack,
    unsealed,
    unwritable,
    work_files,
    write_atomically,
)

_REJECTS = "rejects"
_MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What there is in a shard, or in several.

    Args:
        read: rows in it.
        rows: texts with a result.
        rejected: rows without a result.
        tokens: tokens of the rows with a result.
        kept: rows whose results the cache had.
        backoffs: how often a batch was divided for lack of memory.
        largest_error: the largest difference between weights × values and the heads' outputs.
        routes: how attention was obtained.
    """

    read: int = 0
    rows: int = 0
    rejected: int = 0
    tokens: int = 0
    kept: int = 0
    backoffs: int = 0
    largest_error: float | None = None
    routes: tuple[str, ...] = ()

    def plus(self, other: Counts) -> Counts:
        """Return the counts of both together."""
        errors = [one.largest_error for one in (self, other) if one.largest_error is not None]
        return Counts(
            **{name: getattr(self, name) + getattr(other, name) for name in _ADDED},
            largest_error=max(errors, default=None),
            routes=tuple(dict.fromkeys((*self.routes, *other.routes))),
        )


_ADDED = ("read", "rows", "rejected", "tokens", "kept", "backoffs")


@dataclass(frozen=True)
class ShardEntry(Counts):
    """A line of the manifest: a shard that is done, with what there is in it.

    Args:
        shard: its number.
        content: the digest of its rows.
        sha256: the SHA-256 of its file.
        size: the size of its file in bytes.
    """

    shard: int
    content: str
    sha256: str
    size: int

    @property
    def file(self) -> str:
        """The name of its file, which depends on its content."""
        return f"{self.shard:06d}-{self.content[:12]}.safetensors"


class ShardStore:
    """The folder ``shards/`` of a probe.

    A file is written beside its place, synced, and renamed; then the manifest gets a line, which
    is synced too. Every shard in the manifest is therefore on disk, and one that a stop left
    unfinished is in neither.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: dict[int, ShardEntry] | None = None

    @property
    def entries(self) -> dict[int, ShardEntry]:
        """The entries of the manifest, by shard number."""
        if self._entries is None:
            self._entries = {entry.shard: entry for entry in self._read_manifest()}
        return self._entries

    def create(self) -> None:
        """Make the folder.

        Raises:
            OutputError: the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error, "write in") from error

    def done(self, shard: int, content: str) -> ShardEntry | None:
        """Return the entry of a complete shard, or ``None`` if the shard has to run."""
        entry = self.entries.get(shard)
        return entry if entry and entry.content == content and self._is_whole(entry) else None

    def write(
        self,
        shard: int,
        content: str,
        arrays: Mapping[str, npt.NDArray[Any]],
        rejects: tuple[Reject, ...],
        counts: Counts,
    ) -> ShardEntry:
        """Write a shard's file; ``record`` then adds it to the manifest.

        Raises:
            OutputError: the file cannot be written; no partial file is left.
        """
        lines = "\n".join(map(reject_to_json, rejects)).encode()
        payload = pack({**arrays, _REJECTS: np.frombuffer(lines, dtype=np.uint8)})
        digest = hashlib.sha256(payload).hexdigest()
        entry = ShardEntry(shard, content, digest, len(payload), **asdict(counts))
        write_atomically(self.folder / entry.file, payload, durable=True)
        return entry

    def record(self, entry: ShardEntry) -> None:
        """Add a line to the manifest.

        Raises:
            OutputError: the line cannot be written.
        """
        line = sealed(asdict(entry)).encode() + b"\n"
        try:
            with (self.folder / _MANIFEST).open("ab") as stream:
                # This line must not be joined to one that a stop has cut short.
                stream.write(line if self._ends_with_line(stream) else b"\n" + line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(
                f"Expected to write {str(self.folder / _MANIFEST)!r}, but the system refused: "
                f"{error.strerror or error}. What is done is kept; run the same command to go on."
            ) from error
        self.entries[entry.shard] = entry

    def read(self, entry: ShardEntry) -> tuple[Arrays, list[str]]:
        """Return the arrays of a shard and its rejects as lines of JSON.

        Raises:
            OutputError: the file is damaged.
        """
        try:
            payload = Path(regular(self.folder / entry.file)).read_bytes()
            if hashlib.sha256(payload).hexdigest() != entry.sha256:
                raise ValueError("its digest is not that of the manifest")
            arrays = unpack(payload)
        except (OSError, ValueError, SafetensorError) as error:
            raise OutputError(
                f"Expected the finished shard {entry.file}, but it cannot be read: {error}. "
                "Run the same command again: it makes this shard anew."
            ) from error
        rejects = arrays.pop(_REJECTS).tobytes().decode()
        # Not by `splitlines`, which also divides at the line separators of a text.
        return arrays, rejects.split("\n") if rejects else []

    def prune(self, count: int) -> None:
        """Remove the files of shards beyond the first ``count``.

        Raises:
            OutputError: a file cannot be removed.
        """
        kept = {entry.file for entry in self.entries.values() if entry.shard < count}
        try:
            for path in list(work_files(self.folder)):
                if path.name not in (*kept, _MANIFEST):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error, "write in") from error

    def _is_whole(self, entry: ShardEntry) -> bool:
        try:
            with Path(regular(self.folder / entry.file)).open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == entry.sha256
        except OSError:
            return False

    def _read_manifest(self) -> Iterator[ShardEntry]:
        try:
            lines = Path(regular(self.folder / _MANIFEST)).read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        except OSError as error:
            raise unwritable(self.folder / _MANIFEST, error, "read") from error
        for line in lines:
            try:
                yield from_plain(ShardEntry, unsealed(line))
            except ValueError:
                continue  # a line cut short by a stop, or damaged: its shard runs again

    def _ends_with_line(self, stream: Any) -> bool:
        if not stream.tell():
            return True
        with (self.folder / _MANIFEST).open("rb") as reader:
            reader.seek(-1, os.SEEK_END)
            return reader.read(1) == b"\n"

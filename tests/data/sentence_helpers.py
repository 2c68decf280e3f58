"""What the tests of plain sentences share: writing each format, and standard input made up."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from introspect.data import PlainSentence, Reject

CODECS = {".gz": "gzip", ".zst": "zstd"}


def packed(content: bytes, codec: str) -> bytes:
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, codec) as stream:
        stream.write(content)
    return target.getvalue().to_pybytes()


def as_txt(texts: Sequence[str]) -> bytes:
    return "".join(text + "\n" for text in texts).encode()


def as_csv(texts: Sequence[str]) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerows([("label", "text"), *((str(i), text) for i, text in enumerate(texts))])
    return target.getvalue().encode()


def as_tsv(texts: Sequence[str]) -> bytes:
    rows = ["label\ttext\n", *(f"{i}\t{text}\n" for i, text in enumerate(texts))]
    return "".join(rows).encode()


def as_jsonl(texts: Sequence[str]) -> bytes:
    rows = [json.dumps({"label": i, "text": text}) for i, text in enumerate(texts)]
    return as_txt(rows)


def as_parquet(texts: Sequence[str | None]) -> bytes:
    target = pa.BufferOutputStream()
    pq.write_table(pa.table({"label": range(len(texts)), "text": pa.array(texts, "str")}), target)
    return target.getvalue().to_pybytes()


WRITERS: dict[str, Callable[[Sequence[str]], bytes]] = {
    "txt": as_txt,
    "csv": as_csv,
    "tsv": as_tsv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
}
# Parquet is compressed inside.
FILES = [(f, ending) for f in WRITERS for ending in ("", *CODECS) if f != "parquet" or not ending]
#: How many lines stand before the first sentence.
LINES_BEFORE = {"csv": 1, "tsv": 1}


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def split(outcomes: Iterable[PlainSentence | Reject]) -> tuple[list[PlainSentence], list[Reject]]:
    found = list(outcomes)
    return (
        [one for one in found if isinstance(one, PlainSentence)],
        [one for one in found if isinstance(one, Reject)],
    )


def texts(outcomes: Iterable[PlainSentence | Reject]) -> list[str]:
    """The texts of sentences among which there is no reject."""
    sentences, rejects = split(outcomes)
    assert rejects == []
    return [sentence.text for sentence in sentences]


class Counted(io.RawIOBase):
    """A stream that knows how far it was read."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = b""
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        self._rest = self._rest or next(self._blocks, b"")
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        self.taken += size
        return size


def as_stdin(monkeypatch, content: bytes | io.RawIOBase) -> None:
    raw = Counted([content]) if isinstance(content, bytes) else content
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8"))

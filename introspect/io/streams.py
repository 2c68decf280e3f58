"""Open a plain file, a gzip or zstd file, or standard input to read it, one buffer at a time.

UTF-16 and UTF-32 that begin with a byte order mark are read as UTF-8.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any, BinaryIO, cast

from introspect.errors import InputError
from introspect.io.trees import regular

#: The name that stands for standard input.
STDIN = "-"
_ENDINGS = {".gz": "gzip", ".zst": "zstd"}
# The first bytes of such files. Neither can begin a UTF-8 text.
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BUFFER = 1 << 16
# Byte order marks, the longer ones first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Never occurs in UTF-8: it shows how far a buffer was filled when compressed data was truncated.
_UNFILLED = b"\xff"


class Stream(io.BufferedReader):
    """A stream of bytes that ends where its data is damaged, and then says so."""

    @property
    def damage(self) -> str | None:
        """Return what is wrong with the data, in a sentence; ``None`` if nothing is so far."""
        return getattr(self.raw, "damage", None)


def is_stdin(path: str | os.PathLike[str]) -> bool:
    """Return whether a path names standard input."""
    return str(path) == STDIN


def codec_of(name: str) -> str | None:
    """Return ``gzip`` or ``zstd`` by the ending of a file's name.

    Example:
        >>> codec_of("cases.jsonl.gz"), codec_of("CASES.TXT.ZST"), codec_of("cases.jsonl")
        ('gzip', 'zstd', None)
    """
    return _ENDINGS.get(Path(name).suffix.lower())


def opened(path: str | os.PathLike[str]) -> Stream:
    """Open a file, or standard input for ``-``, and decompress it if it is compressed.

    Compression is recognized by the ending (``.gz``, ``.zst``) or else by the first bytes.

    Raises:
        InputError: it is missing or cannot be read.
    """
    try:
        source = stdin().opened() if is_stdin(path) else io.FileIO(regular(path))
        plain = Stream(source, _BUFFER)
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        return unpacked(plain, codec_of(str(path)))
    except OSError as error:
        plain.close()
        raise _unreadable(path, error) from error


def _unreadable(path: str | os.PathLike[str], error: OSError) -> InputError:
    return InputError(
        f"Expected a file to read at {str(path)!r}, but: {error.strerror or error}. Check the name."
    )


def unpacked(packed: Stream, codec: str | None = None) -> Stream:
    """Return the stream itself, or a stream of its contents if it is compressed.

    Args:
        packed: the stream.
        codec: ``gzip`` or ``zstd``; by default, recognized by the first bytes.
    """
    codec = codec or _codec_by(packed.peek(4))
    return packed if codec is None else Stream(_Unpacked(packed, codec), _BUFFER)


def as_utf8(stream: Stream) -> Stream:
    """Return a stream of text in UTF-8, whatever the encoding that its byte order mark names."""
    beginning = stream.peek(4)
    for mark, encoding in _MARKS.items():
        if beginning.startswith(mark):
            stream.read(len(mark))
            return Stream(_Recoded(stream, encoding), _BUFFER)
    return stream


class StandardInput:
    """What has come from standard input so far, and will: it is read from its start any time.

    Args:
        source: the stream, which is read no further than is asked for, and never closed.
    """

    def __init__(self, source: BinaryIO) -> None:
        self.source = source
        # It is read for as long as this object is.
        self._kept = tempfile.TemporaryFile(prefix="introspect-")  # noqa: SIM115
        weakref.finalize(self, self._kept.close)
        self._size = 0
        self._lock = threading.Lock()

    def read_at(self, place: int, count: int) -> bytes:
        """Return bytes from a place on; fewer only where the stream ends."""
        with self._lock:
            if (missing := place + count - self._size) > 0:
                # Waits for all of it: a pipe may yield too few bytes to recognize a format by.
                block = self.source.read(missing)
                self._kept.seek(self._size)
                self._kept.write(block)
                self._size += len(block)
            self._kept.seek(place)
            return self._kept.read(count)

    def opened(self) -> io.RawIOBase:
        """Return a stream of it from its start."""
        return _Borrowed(self)


# The one that was read last: a program may be given another.
_standard: list[StandardInput] = []


def stdin() -> StandardInput:
    """Return standard input.

    Raises:
        InputError: there is none, or a part of it is gone.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("Expected to read standard input, but it is closed. Name a file.")
    source = sys.stdin.buffer
    if not (_standard and _standard[0].source is source):
        if read := _already_read(source):
            raise InputError(
                f"Expected standard input from its beginning, but {read} bytes of it have been "
                "read already, and would be missing. Name the file, or do not read sys.stdin "
                "before."
            )
        _standard[:] = [StandardInput(source)]
    return _standard[0]


def _already_read(source: BinaryIO) -> int:
    """Return how many bytes of a stream have been read; of a pipe that is not known, and is 0."""
    try:
        return source.tell() if source.seekable() else 0
    except (OSError, ValueError):
        return 0


def is_packed(beginning: bytes) -> bool:
    """Return whether data with these first bytes would be decompressed, whatever its file name."""
    return _codec_by(beginning) is not None


def _codec_by(beginning: bytes) -> str | None:
    return next((codec for magic, codec in _MAGIC.items() if beginning.startswith(magic)), None)


class _Borrowed(io.RawIOBase):
    """Standard input from its start, which must not be closed here."""

    def __init__(self, standard: StandardInput) -> None:
        self._standard = standard
        self._place = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._standard.read_at(self._place, len(buffer))
        buffer[: len(block)] = block
        self._place += len(block)
        return len(block)


class _Unpacked(io.RawIOBase):
    """The contents of compressed data, up to any damage."""

    damage: str | None = None

    def __init__(self, packed: Stream, codec: str) -> None:
        import pyarrow as pa

        self._packed, self._codec = packed, codec
        self._stream = pa.CompressedInputStream(pa.PythonFile(packed, mode="r"), codec)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.damage:
            return 0
        buffer[:] = _UNFILLED * len(buffer)
        try:
            return cast(int, self._stream.readinto(buffer))
        except OSError as error:
            self.damage = (
                f"The {self._codec} data is truncated or damaged here ({error}); only what comes "
                "before could be read. Get the file again."
            )
            # The stream wrote what it had before it failed, without saying how much.
            return len(bytes(buffer).rstrip(_UNFILLED))

    def close(self) -> None:
        if not self.closed:
            self._packed.close()
        super().close()


class _Recoded(io.RawIOBase):
    """Text of another encoding as UTF-8, up to any damage."""

    def __init__(self, stream: Stream, encoding: str) -> None:
        self._source, self._encoding = stream, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = b""
        self._damage: str | None = None

    @property
    def damage(self) -> str | None:
        return self._damage or self._source.damage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready and not self._damage:
            block = self._source.read1(_BUFFER)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                self._damage = (
                    f"Expected {self._encoding.upper()}, as the file's first bytes say, but the "
                    f"data is truncated or damaged here ({error.reason}). Save the file as UTF-8."
                )
                text = error.object[: error.start].decode(self._encoding)
            self._ready = text.encode()
            if not block:
                break
        part, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()

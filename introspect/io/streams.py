"""Open a plain file, a gzip or zstd file, or standard input to read it, one buffer at a time."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, cast

from introspect.errors import InputError

#: The name that stands for standard input.
STDIN = "-"
_ENDINGS = {".gz": "gzip", ".zst": "zstd"}
# The first bytes of such files. Neither can begin a UTF-8 text.
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_BUFFER = 1 << 16
# Never occurs in UTF-8: it shows how far a buffer was filled when compressed data was truncated.
_UNFILLED = b"\xff"


class Stream(io.BufferedReader):
    """A stream of bytes that ends where compressed data is damaged, and then says so."""

    @property
    def damage(self) -> str | None:
        """What is wrong with the compressed data, in a sentence; ``None`` if nothing is so far."""
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
        plain = Stream(_Borrowed(stdin()) if is_stdin(path) else io.FileIO(path), _BUFFER)
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


def stdin() -> BinaryIO:
    """Return standard input as bytes.

    Raises:
        InputError: there is none.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("Expected to read standard input, but it is closed. Name a file.")
    return sys.stdin.buffer


def is_packed(beginning: bytes) -> bool:
    """Return whether data with these first bytes would be decompressed, whatever its file name."""
    return _codec_by(beginning) is not None


def _codec_by(beginning: bytes) -> str | None:
    return next((codec for magic, codec in _MAGIC.items() if beginning.startswith(magic)), None)


class _Borrowed(io.RawIOBase):
    """Standard input, which must not be closed here."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Waits for a full buffer: a pipe may yield too few bytes to recognize the format by.
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
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

"""Inputs: files, folders, globs, standard input, and data sets, with their names and formats."""

from __future__ import annotations

import atexit
import glob
import hashlib
import io
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from introspect.data.huggingface import HUGGINGFACE, PREFIX, data_files, is_saved, short_name
from introspect.errors import InputError
from introspect.io import PathLike, Stream, codec_of, is_stdin, opened, stdin, unpacked
from introspect.text import shortened

#: Formats of files, each also its ending. All but Parquet may be followed by ``.gz`` or ``.zst``.
FORMATS = ("txt", "csv", "tsv", "jsonl", "parquet", "conllu")

Inputs = PathLike | Sequence[PathLike]

_STREAM_NAME = "stdin"
_PARQUET_MAGIC = b"PAR1"
_HEAD = 1 << 12


@dataclass(frozen=True)
class Input:
    """A file or data set to read.

    Args:
        source: the name the caller gave; for a file of a folder, the folder's name and its own.
        name: the name in its sentences' ids, the same on every machine: a file's own name, or
            within a folder or glob its relative path.
        format: one of ``FORMATS``, ``"hf"``, or empty where the ending of a file that was found
            in a folder or by a glob says nothing.
    """

    source: str
    name: str
    format: str


def find_inputs(inputs: Inputs, *, format: str | None = None) -> list[Input]:
    """Return the files of all inputs, in the order given; those of a folder or glob are sorted.

    Hidden files are skipped. Files of the same name are distinguished by their folders.

    Args:
        inputs: a file, a folder, a glob, ``-`` for standard input, ``hf:NAME`` with or without
            ``:SPLIT`` or ``:CONFIG:SPLIT`` for a data set, a folder that ``save_to_disk`` made;
            or several of these.
        format: of all files, whatever their endings.

    Raises:
        InputError: a file is missing, a folder is empty, or a glob matches nothing; an ending is
            unknown; a file is named twice.
    """
    given = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    if not given:
        raise InputError("Expected something to read, got nothing. Name a file.")
    if format is not None and format not in FORMATS:
        raise InputError(f"Expected a format out of {', '.join(FORMATS)}, got {format!r}.")
    inputs_read = [item for one in given for item in _found(str(one), format)]
    places = Counter(_place(item) for item in inputs_read)
    if twice := [place for place, times in places.items() if times > 1]:
        raise InputError(f"Expected each input once, but {twice[0]!r} is named several times.")
    return _told_apart(inputs_read)


def find_files(inputs: Inputs, *, format: str | None = None) -> list[Input]:
    """Return what ``find_inputs`` does, if all of it can be read several times.

    Raises:
        InputError: as ``find_inputs``; or there is standard input, which can be read only once.
    """
    found = find_inputs(inputs, format=format)
    if any(is_stdin(item.source) for item in found):
        raise InputError(
            "Expected files, got standard input, which can be read only once. Give the file that "
            "spooled_stdin() makes of it."
        )
    return found


def _found(given: str, format: str | None) -> Iterator[Input]:
    path = Path(given)
    if is_stdin(given):
        yield Input(given, _STREAM_NAME, format or _format_of_bytes(_beginning_of_stdin()))
    elif given.startswith(PREFIX) or is_saved(path):
        yield Input(given, short_name(given), HUGGINGFACE)
    elif os.path.isdir(given):
        yield from _several(given, path, list(_files_below(path)), format)
    elif os.path.exists(given):
        yield Input(given, path.name, _known(path, format))
    elif glob.has_magic(given):
        # A set: ** finds a file once for every path to it.
        files = {Path(name) for name in glob.glob(given, recursive=True) if os.path.isfile(name)}
        root = _fixed_part(path)
        yield from _several(given, root, [file.relative_to(root) for file in files], format)
    else:
        raise InputError(
            f"Expected a file to read at {given!r}, but there is none. Check the name."
        )


def _several(given: str, root: Path, places: list[Path], format: str | None) -> list[Input]:
    """Return the files of a folder or glob; a stray one is an input too, rejected by name."""
    names = sorted(place.as_posix() for place in places)
    if not names:
        raise InputError(
            f"Expected files at {given!r}, but there are none. Check the name, and put a glob in "
            "quotes so that the shell leaves it as it is."
        )
    files = [
        Input(str(root / name), name, format or _format_by_ending(root / name) or "")
        for name in names
    ]
    if not any(item.format for item in files):
        raise _unknown_ending(files[0].source)
    return files


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield (Path(folder) / name).relative_to(root)


def _fixed_part(path: Path) -> Path:
    """Return the folders of a glob before its first wildcard."""
    parts = path.parts[:-1]
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _place(item: Input) -> str:
    return os.path.abspath(item.source) if _is_path(item) else item.source


def _is_path(item: Input) -> bool:
    return not is_stdin(item.source) and not item.source.startswith(PREFIX)


def _told_apart(named: list[Input]) -> list[Input]:
    """Return the inputs with as many folders before repeated names as distinguish them."""
    while twice := {name for name, n in Counter(item.name for item in named).items() if n > 1}:
        longer = [replace(i, name=_with_folder(i)) if i.name in twice else i for i in named]
        if longer == named:
            raise InputError(
                f"Expected data sets that differ in name, got {min(twice)!r} twice. "
                "Rename a folder."
            )
        named = longer
    return named


def _with_folder(item: Input) -> str:
    if not _is_path(item):
        return item.name
    parts = Path(os.path.abspath(item.source)).parts
    return "/".join(parts[-len(Path(item.name).parts) - 1 :])


# --- formats ----------------------------------------------------------------------------------


def _known(path: Path, format: str | None) -> str:
    known = format or _format_by_ending(path)
    if known is None:
        raise _unknown_ending(str(path))
    return known


def _format_by_ending(path: Path) -> str | None:
    if path.name == _STREAM_NAME:
        return _format_of_bytes(_beginning(path))
    is_packed = codec_of(path.name) is not None
    ending = Path(path.stem if is_packed else path.name).suffix.lower().removeprefix(".")
    return ending if ending in FORMATS and not (is_packed and ending == "parquet") else None


def _unknown_ending(source: str) -> InputError:
    endings = ", ".join(f".{name}" for name in FORMATS)
    return InputError(
        f"Expected a file that ends in {endings} (all but .parquet also with .gz or .zst after "
        f"it), got {shortened(source, 200)!r}. Rename it, or say what it is with format=…"
    )


def _format_of_bytes(beginning: bytes) -> str:
    """Return the format of unnamed data: Parquet by its mark, JSON by its brace, else text."""
    if beginning.startswith(_PARQUET_MAGIC):
        return "parquet"
    is_json = beginning.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    return "jsonl" if is_json else "txt"


def _beginning(path: Path) -> bytes:
    with opened(path) as stream:
        return stream.peek(_HEAD)


def _beginning_of_stdin() -> bytes:
    """Return as much of standard input as can be peeked at."""
    source = stdin()
    if not isinstance(source, io.BufferedReader):
        return b""
    return unpacked(Stream(io.BytesIO(source.peek(_HEAD)))).peek(_HEAD)


# --- standard input ---------------------------------------------------------------------------


def spooled_stdin() -> Path:
    """Copy standard input unchanged to a temporary file, so that it can be read several times.

    The file is named ``stdin``, without an ending: its format is recognized by its first bytes, and
    its sentences have the same ids as those of ``-``. It is removed when Python exits.

    Raises:
        InputError: standard input is closed, or there is no space for the file.
    """
    source = stdin()
    folder = Path(tempfile.mkdtemp(prefix="introspect-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / _STREAM_NAME
    try:
        with path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"Expected to copy standard input to {str(path)!r}, but: {error.strerror or error}. "
            "Free some space, or name a roomier folder in the environment variable TMPDIR."
        ) from error
    return path


_BLOCK = 1 << 20


class Fingerprint(TypedDict):
    """A file's name as in the ids of its sentences, its size, and the digest of its bytes."""

    name: str
    bytes: int
    sha256: str


def fingerprint(inputs: Inputs, *, format: str | None = None) -> list[Fingerprint]:
    """Return the fingerprint of each file as stored, in reading order.

    Data sets are represented by the files that hold their rows.

    Raises:
        InputError: as ``find_files``.
        MissingExtraError: a data set is named, and the package ``datasets`` is not installed.
    """
    fingerprints = []
    for item in find_files(inputs, format=format):
        if item.format == HUGGINGFACE:
            files = data_files(item.source)
            fingerprints += [_of_file(file, f"{item.name}/{file.name}") for file in files]
        else:
            fingerprints.append(_of_file(Path(item.source), item.name))
    return fingerprints


def _of_file(path: Path, name: str) -> Fingerprint:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(
            f"Expected a file to read at {str(path)!r}, but: {error.strerror or error}. "
            "Check the name."
        ) from error
    return {"name": name, "bytes": size, "sha256": digest.hexdigest()}

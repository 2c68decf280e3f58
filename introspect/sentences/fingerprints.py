"""Fingerprints of the inputs: the size and SHA-256 of each file."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypedDict

from introspect.cases.opening import is_stdin
from introspect.errors import InputError
from introspect.sentences.huggingface import HUGGINGFACE, data_files
from introspect.sentences.inputs import Inputs, find_inputs

__all__ = ["Fingerprint", "fingerprint"]

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
        InputError: as ``find_inputs``; or the input is standard input, which can be read only once.
        MissingExtraError: a data set is named, and the package ``datasets`` is not installed.
    """
    found = []
    for item in find_inputs(inputs, format=format):
        if is_stdin(item.source):
            raise InputError(
                "Expected files, got standard input, which can be read only once. Give the file "
                "that spooled_stdin() makes of it."
            )
        if item.format == HUGGINGFACE:
            files = data_files(item.source)
            found += [_of_file(file, f"{item.name}/{file.name}") for file in files]
        else:
            found.append(_of_file(Path(item.source), item.name))
    return found


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

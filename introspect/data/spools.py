"""Standard input and what is in memory, as temporary files that can be read several times."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from introspect.data.jsonl import case_to_json
from introspect.errors import InputError
from introspect.io import StandardInput, stdin, write_lines
from introspect.text import CorefCase

_STDIN = "stdin"
# What was copied last, and its file.
_copied: list[tuple[StandardInput, Path]] = []


def spooled_stdin() -> Path:
    """Copy standard input unchanged to a temporary file, so that it can be read several times.

    The file is named ``stdin``, without an ending: its format is recognized by its first bytes. A
    second call returns the same file. It is removed when Python exits.

    Raises:
        InputError: standard input is closed, or there is no space for the file.
    """
    source = stdin()
    if _copied and _copied[0][0] is source and _copied[0][1].exists():
        return _copied[0][1]
    path = _folder() / _STDIN
    try:
        with path.open("wb") as target:
            shutil.copyfileobj(source.opened(), target, 1 << 20)
    except OSError as error:
        shutil.rmtree(path.parent, ignore_errors=True)
        raise InputError(
            f"Expected to copy standard input to {str(path)!r}, but: {error.strerror or error}. "
            "Free some space, or name a roomier folder in the environment variable TMPDIR."
        ) from error
    if not path.stat().st_size:
        raise InputError(
            "Expected something to read on standard input, got nothing: it is empty, or has been "
            "read before. Name a file, or pipe into the command."
        )
    _copied[:] = [(source, path)]
    return path


def spooled_objects(name: str, objects: Iterable[Any]) -> Path:
    """Write cases, or objects that JSON can express, to a temporary file, one a line.

    Args:
        name: the name of the file.
        objects: cases, or the values of rows by column; a missing number is null.

    Raises:
        InputError: an object cannot be expressed in JSON.
    """
    return write_lines(_folder() / name, map(_line, objects))


def _line(given: Any) -> str:
    if isinstance(given, CorefCase):
        return case_to_json(given)
    values = {str(key): _plain(value) for key, value in given.items()}
    try:
        line = json.dumps(values, ensure_ascii=False, allow_nan=False, default=str)
        # Half a character is escaped, so that its row is rejected when it is read.
        return line if line.isascii() or _is_unicode(line) else json.dumps(values, default=str)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Expected rows of texts, numbers and lists, but: {error}. Give only the columns to be "
            "read."
        ) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Return a value of NumPy or pandas as one of Python; NaN and NaT as ``None``."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, tuple | set):
        value = list(value)
    if value is None or (not isinstance(value, str | list | dict) and value != value):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="introspect-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder

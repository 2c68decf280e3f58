"""Inputs: files, folders, globs, data sets, standard input and lists, with names and formats."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from introspect.data.foreign import is_winograd, kind_by_ending, winograd
from introspect.data.huggingface import HUGGINGFACE, PREFIX, data_files, is_saved, short_name
from introspect.data.published import form_of
from introspect.data.spools import spooled_objects, spooled_stdin
from introspect.errors import InputError
from introspect.io import (
    PathLike,
    Tree,
    as_utf8,
    codec_of,
    is_stdin,
    kind_of_file,
    opened,
    regular,
    state_of_files,
    tree_of,
)
from introspect.text import CorefCase, listed, shortened, whole

if TYPE_CHECKING:
    import pandas as pd

    #: Paths; or what is in memory: a list of texts or of cases, or a DataFrame.
    Inputs: TypeAlias = PathLike | Sequence[PathLike] | Sequence[CorefCase] | pd.DataFrame
else:
    Inputs = Any

#: Formats of files, each also its ending. All but ``parquet`` and ``xlsx`` may be followed by
#: ``.gz`` or ``.zst``.
FORMATS = ("txt", "csv", "tsv", "jsonl", "json", "parquet", "xlsx", "conllu")
_ALSO = {"ndjson": "jsonl", "tab": "tsv", "text": "txt", "xlsm": "xlsx", "pq": "parquet"}
_PACKED_INSIDE = ("parquet", "xlsx")
_MARKS = {b"PAR1": "parquet", b"PK\x03\x04": "xlsx"}
_HEAD = 1 << 12
_ANY_DEPTH = "**"


@dataclass(frozen=True)
class Input:
    """A file or data set to read.

    Args:
        source: the name the caller gave; for a file of a folder, the folder's name and its own.
        name: the name in its sentences' ids, the same on every machine: a file's own name, or
            within a folder or glob its relative path.
        format: one of ``FORMATS``, ``"hf"``, or empty where the ending of a file that was found
            in a folder or by a glob says nothing.
        path: the place of its bytes: the source, or a temporary file for standard input and lists.
    """

    source: str
    name: str
    format: str
    path: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            object.__setattr__(self, "path", self.source)


def find_inputs(inputs: Inputs, *, format: str | None = None) -> list[Input]:
    """Return the files of all inputs, in the order given; those of a folder or glob are sorted.

    Hidden files are skipped. Files of the same name are distinguished by their folders. What is in
    memory is written to a temporary file, one object a line.

    Args:
        inputs: a file, a folder, a glob, ``-`` for standard input, ``hf:NAME`` with or without
            ``:SPLIT`` or ``:CONFIG:SPLIT`` for a data set, a folder that ``save_to_disk`` made;
            or several of these; or a list of texts, a list of cases, a list of rows as
            dictionaries, or a DataFrame.
        format: of all files, whatever their endings.

    Raises:
        InputError: a file is missing, a folder is empty, or a glob matches nothing; an ending is
            unknown; a file is named twice; a list is of different things.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"Expected a format out of {', '.join(FORMATS)}, got {format!r}.")
    if hasattr(inputs, "to_dict") and hasattr(inputs, "columns"):
        names = [str(name) for name in inputs.columns]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(
                f"Expected each column of the DataFrame once, but {twice[0]!r} is there "
                f"{names.count(twice[0])} times. Rename one."
            )
        return [_spooled("table", inputs.to_dict("records"), "the DataFrame")]
    if isinstance(inputs, CorefCase):
        inputs = [inputs]
    given = [inputs] if isinstance(inputs, str | os.PathLike) else _listed(inputs)
    if not given:
        raise InputError("Expected something to read, got nothing. Name a file.")
    if all(isinstance(one, CorefCase) for one in given):
        return [_spooled("cases", given, "the list of cases")]
    if all(isinstance(one, dict) for one in given):
        return [_spooled("table", given, "the list of rows")]
    if not isinstance(inputs, str | os.PathLike) and _are_texts(given):
        return [_spooled("texts", [{"text": text} for text in given], "the list of texts")]
    inputs_read = [item for one in given for item in _found(os.fspath(one), format)]
    for item in inputs_read:
        _check_name(item.source)
    places = Counter(_place(item) for item in inputs_read)
    if twice := [place for place, times in places.items() if times > 1]:
        raise InputError(f"Expected each input once, but {twice[0]!r} is named several times.")
    return _told_apart(inputs_read)


def _listed(inputs: Any) -> list[Any]:
    """Return several inputs as a list of one kind.

    Raises:
        InputError: they are none, or of several kinds.
    """
    wanted = "a path, a list of texts, a list of cases, or a DataFrame with column=…"
    if isinstance(inputs, bytes | dict) or not isinstance(inputs, Iterable):
        raise InputError(f"Expected {wanted}, got {type(inputs).__name__}.")
    given = list(inputs)
    kinds = {
        "paths or texts" if isinstance(one, str | os.PathLike) else type(one).__name__
        for one in given
    }
    if len(kinds) > 1 or kinds - {"paths or texts", CorefCase.__name__, "dict"}:
        raise InputError(f"Expected {wanted}, got a list of {listed(sorted(kinds))}.")
    return given


def _are_texts(given: Sequence[Any]) -> bool:
    """Return whether a list holds texts: strings of which none names a file or looks like one."""
    return all(isinstance(one, str) and not _is_there(one) for one in given) and not any(
        " " not in one.strip() and (_format_by_ending(Path(one)) or "/" in one or "\\" in one)
        for one in given
    )


def _is_there(given: str) -> bool:
    if "\0" in given or "\n" in given:
        return False
    if is_stdin(given) or given.startswith(PREFIX):
        return True
    try:
        return os.path.exists(given) or (glob.has_magic(given) and bool(glob.glob(given)))
    except (OSError, ValueError):
        return False


def _spooled(name: str, objects: Iterable[Any], source: str) -> Input:
    return Input(source, name, "jsonl", str(spooled_objects(name, objects)))


def _found(given: str, format: str | None) -> Iterator[Input]:
    path = Path(given)
    if is_stdin(given):
        spooled = spooled_stdin()
        yield Input(given, spooled.name, format or _format_of_bytes(spooled), str(spooled))
    elif given.startswith(PREFIX) or is_saved(path):
        yield Input(given, short_name(given), HUGGINGFACE)
    elif os.path.isdir(given):
        yield from _several(given, path, _files_below(path), format)
    elif os.path.exists(given):
        _check_regular(given)
        yield Input(given, path.name, _known(path, format))
    elif glob.has_magic(given):
        root = _fixed_part(path)
        yield from _several(given, root, _matching(given, root), format)
    else:
        text = " For a text, give a list: [text]." if " " in given.strip() else ""
        raise InputError(
            f"Expected a file to read at {given!r}, but there is none. Check the name.{text}"
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


def _files_below(root: Path) -> list[Path]:
    """Return the files in a folder and below, as paths within it.

    Raises:
        InputError: a part of it may not be read, or something in it is no file.
    """
    tree = tree_of(root)
    _check_readable(root, tree)
    if tree.others:
        _check_regular(str(root / tree.others[0]))
    return [path for path in tree.files if not path.name.startswith("~$")]


def _matching(given: str, root: Path) -> list[Path]:
    """Return the files that a glob matches, as paths within the folder before its first wildcard.

    Raises:
        InputError: a folder in which it searches may not be read, or a match is no file.
    """
    if _ANY_DEPTH in Path(given).parts:
        _check_readable(root, tree_of(root))
    # Where a link leads to a folder above, ** finds a file again at every depth.
    places: dict[tuple[str, str], Path] = {}
    names = glob.glob(given, recursive=True)
    for name in sorted(names, key=lambda name: (name.count(os.sep), name)):
        if os.path.isdir(name) or _is_endless(name):
            continue
        _check_regular(name)
        folder, file = os.path.split(name)
        places.setdefault((os.path.realpath(folder), file), Path(name))
    return [path.relative_to(root) for path in places.values()]


def _is_endless(name: str) -> bool:
    """Return whether a name leads through more links than the system follows."""
    try:
        os.stat(name)
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _check_readable(root: Path, tree: Tree) -> None:
    if tree.unreadable:
        raise InputError(
            f"Expected to read all of {str(root)!r}, but the folder "
            f"{str(root / tree.unreadable[0])!r} may not be read, and its files would be missing. "
            "Change who may read it, or name the files."
        )


def _check_regular(path: str) -> None:
    """Raise unless a path is of a file that can be read several times.

    Raises:
        InputError: it is a FIFO, a device or a socket, or a link that leads nowhere.
    """
    try:
        kind = kind_of_file(path)
    except OSError as error:
        raise InputError(
            f"Expected a file to read at {path!r}, but: {error.strerror or error}. Remove it, or "
            "name the files to read."
        ) from error
    if kind is not None:
        raise InputError(
            f"Expected a file to read at {path!r}, got {kind}, which cannot be read twice. Name a "
            "file; what a program writes is read from standard input: program | introspect … -"
        )


def _check_name(path: str) -> None:
    """Raise unless a name can be written down, as the ids of rows and the report do.

    Raises:
        InputError: it is not UTF-8.
    """
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"Expected a file name in UTF-8, got {os.fsencode(path)!r}. Rename the file or folder."
        ) from error


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
        form = form_of(path) if path.is_file() and not kind_by_ending(path) else None
        raise published(str(path), form) if form else _unknown_ending(str(path))
    return known


def published(source: str, form: str) -> InputError:
    """Return the error of a file that is to be converted to cases first."""
    return InputError(
        f"Expected cases or sentences in {source!r}, got coreference data as {form!r} has it. "
        f"Convert it first: introspect cases {form} {shlex.quote(source)} --out cases.jsonl; or "
        "say which plain sentences to read with column=… or format=… (--column, --format)."
    )


def _format_by_ending(path: Path) -> str | None:
    is_packed = codec_of(path.name) is not None
    ending = Path(path.stem if is_packed else path.name).suffix.lower().removeprefix(".")
    ending = _ALSO.get(ending, ending)
    return ending if ending in FORMATS and not (is_packed and ending in _PACKED_INSIDE) else None


def _unknown_ending(source: str) -> InputError:
    if known := kind_by_ending(source):
        what, how = winograd() if source.endswith(".xml") and is_winograd(source) else known
        return InputError(
            f"Expected text or a table in {shortened(source, 200)!r}, got {what}. {how}"
        )
    endings = ", ".join(f".{name}" for name in FORMATS)
    packed = listed(f".{name}" for name in _PACKED_INSIDE)
    return InputError(
        f"Expected a file that ends in {endings} (all but {packed} also with .gz or .zst after "
        f"it), got {shortened(source, 200)!r}. Rename it, or say what it is with "
        "format=… (--format); save a table as CSV UTF-8."
    )


def _format_of_bytes(path: Path) -> str:
    """Return the format of unnamed data: by its mark, JSON by its brace or bracket, else text."""
    with as_utf8(opened(path)) as stream:
        beginning = stream.peek(_HEAD)
    if known := next((name for mark, name in _MARKS.items() if beginning.startswith(mark)), None):
        return known
    first = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return {b"{": "jsonl", b"[": "json"}.get(first, "txt")


# --- fingerprints -----------------------------------------------------------------------------

_BLOCK = 1 << 20


class Fingerprint(TypedDict):
    """A file's name as in the ids of its sentences, its size, and the digest of its bytes."""

    name: str
    bytes: int
    sha256: str


def fingerprint(files: Iterable[Input]) -> list[Fingerprint]:
    """Return the fingerprint of each file as stored, in reading order.

    Data sets are represented by the files that hold their rows.

    Args:
        files: what ``find_inputs`` found.

    Raises:
        InputError: a file cannot be read.
        MissingExtraError: a data set is named, and the package ``datasets`` is not installed.
    """
    fingerprints = []
    for item in files:
        if item.format == HUGGINGFACE:
            parts = data_files(item.source)
            fingerprints += [_of_file(part, f"{item.name}/{part.name}") for part in parts]
        else:
            fingerprints.append(_of_file(Path(item.path), item.name))
    return fingerprints


def state_of_inputs(files: Iterable[Input]) -> tuple[object, ...]:
    """Return the size and the time of change of each file: other ones are another input.

    Args:
        files: what ``find_inputs`` found.

    Raises:
        InputError: a file is gone.
    """
    paths: list[Path] = []
    for item in files:
        is_set = item.format == HUGGINGFACE
        paths += data_files(item.source) if is_set else [Path(item.path)]
    try:
        return state_of_files(paths)
    except OSError as error:
        raise InputError(
            f"Expected a file to read at {str(error.filename)!r}, but: {error.strerror}. Check the "
            "name."
        ) from error


def check_unchanged(files: Iterable[Input], begun: Sequence[Mapping[str, Any]]) -> None:
    """Raise unless files are what they were when their fingerprints were taken.

    Args:
        files: what ``find_inputs`` found.
        begun: their fingerprints.

    Raises:
        InputError: one has grown or was changed while it was read.
    """
    for now, before in zip(fingerprint(files), begun, strict=True):
        if dict(now) != dict(before):
            sizes = f"{whole(before['bytes'])} → {whole(now['bytes'])} bytes"
            change = "its content" if now["bytes"] == before["bytes"] else sizes
            raise InputError(
                f"Expected {now['name']!r} to stay as it is while it is read, but it has changed "
                f"({change}): no table would be of one file. Wait until it is written, or copy it, "
                "and start again."
            )


def _of_file(path: Path, name: str) -> Fingerprint:
    digest, size = hashlib.sha256(), 0
    try:
        with Path(regular(path)).open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(
            f"Expected a file to read at {str(path)!r}, but: {error.strerror or error}. "
            "Check the name."
        ) from error
    return {"name": name, "bytes": size, "sha256": digest.hexdigest()}

"""The folder that a run writes: whose it is, what may be replaced in it, and how results come in.

``run.json`` is its manifest: it names the files that the run has written. No other file is ever
replaced or removed, whatever its name.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from introspect.errors import OutputError
from introspect.io.destinations import (
    PASSING,
    PathLike,
    check_apart,
    check_own,
    check_writable,
    holding,
    is_half,
    is_held,
    kind_of,
    locked_by,
    resolved,
    unwritable,
)
from introspect.io.files import put, write_atomically
from introspect.io.plain import object_from

#: The file with the plan that the folder was begun with, and the manifest of what a run writes.
PLAN = "run.json"
#: The folder of finished shards, and within it that of a model with random weights.
SHARDS = "shards"
RANDOM = "random-weights"
#: The folder of saved attention.
ATTENTION = "attention"
_LOCK = ".lock"
# Results that are complete; a run that is stopped while they are put in place leaves some of them.
_FINISHED = f"{PASSING}finished"
# Files of an earlier run on their way out. What is in here has left its name to others.
_RETIRED = f"{PASSING}retired"
# Files that file managers leave wherever they look.
_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")
# What runs write in the folders within theirs: shards, batches of saved attention, and indexes.
_WORK = re.compile(
    r"\d{6}-[0-9a-f]{12}\.safetensors|\d{6}-\d{5,}\.safetensors|manifest\.jsonl|index\.jsonl"
)
# The files of a probe by version 0.1.0, whose manifest does not name them.
_OF_0_1_0 = (
    "heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "summary.json", "report.html",
    "rejects.jsonl", "roles.parquet", "roles.csv", "similarity.parquet", "similarity.csv",
    "clusters.csv", "syntax.parquet", "syntax.csv", "heads.html", SHARDS, ATTENTION,
)  # fmt: skip

#: How a run writes: its results at its end, or its work as it goes, so that it can be resumed.
Way = Literal["replace", "resume"]


# --- what a folder holds ----------------------------------------------------------------------


def check_folder(
    out: PathLike, kind: str, way: Way, *, overwrite: bool, inputs: Iterable[PathLike] = ()
) -> Path:
    """Return the place of a folder to write: it is absent, empty, or of an earlier run alone.

    Args:
        out: the folder.
        kind: the kind of run: ``probe``, ``causal`` or ``heads``.
        way: how the run writes; only one that writes as it goes resumes an earlier run.
        overwrite: whether an earlier run may be replaced.
        inputs: what the run reads.

    Raises:
        OutputError: it is something else, holds files of others or an input, or an earlier run
            that is neither resumed nor replaced.
    """
    folder = resolved(out)
    _check_place(folder)
    names = _names(folder)
    if not names:
        return folder
    own = _own_names(folder, kind, overwrite=overwrite)
    if PLAN not in own:
        raise OutputError(
            f"Expected an empty folder, but {str(folder)!r} holds {names[0]!r}, which is not of a "
            f"{kind} run. Name another folder."
        )
    if foreign := [name for name in names if name not in own]:
        raise OutputError(
            f"Expected an empty folder or that of a {kind} run alone, but {str(folder)!r} holds "
            f"{foreign[0]!r}. Move it elsewhere, or name another folder."
        )
    check_apart(folder, inputs)
    for name in names:
        _check_entry(folder / name)
    if way == "replace" and not overwrite:
        raise OutputError(
            f"Expected an empty folder, but {str(folder)!r} holds an earlier run. Add --overwrite "
            "to replace it, or name another folder."
        )
    return folder


def _check_place(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        mode = os.lstat(folder).st_mode
        what = "a file" if stat.S_ISREG(mode) else kind_of(mode)
        raise OutputError(
            f"Expected a folder for --out, but {str(folder)!r} is {what}. Name another place."
        )
    above = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not above.is_dir():
        raise OutputError(
            f"Expected a folder to make {folder.name!r} in, but {str(above)!r} is a file. Name "
            "another place."
        )
    check_writable(above)


def _names(folder: Path) -> list[str]:
    """Return the names in a folder, without what writes leave for a while, and litter."""
    try:
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
    except OSError as error:
        raise unwritable(folder, error, "read") from error
    passing = (_LOCK, _FINISHED, _RETIRED, *_LITTER)
    return [name for name in names if name not in passing and not is_half(name)]


def _own_names(folder: Path, kind: str, *, overwrite: bool) -> set[str]:
    """Return the names in a folder that manifests of this kind of run give; none without one."""
    names: set[str] = set()
    for place in (folder, folder / _FINISHED):
        run = read_run(place)
        if run is not None and _kind_of(run) == kind and (not overwrite or _version_of(run)):
            names |= _files_of(run)
    return names - _retired(folder)


def _retired(folder: Path) -> set[str]:
    """Return the names of a folder that a stopped run has retired files from."""
    places = (folder / _RETIRED, folder / _FINISHED / _RETIRED)
    return {name for place in places if place.is_dir() for name in os.listdir(place)}


def _kind_of(run: dict[str, Any]) -> str:
    return str(run["plan"].get("kind", "probe"))


def _version_of(run: dict[str, Any]) -> str | None:
    """Return the version of introspect that wrote a run; ``None`` if it does not say so."""
    version = run.get("introspect") or run["plan"].get("introspect")
    return version if isinstance(version, str) else None


def _files_of(run: dict[str, Any]) -> set[str]:
    files = run.get("files")
    if not isinstance(files, list):
        files = _OF_0_1_0 if _version_of(run) == "0.1.0" else ()
    # A name that is a path would lead out of the folder.
    return {PLAN, *(name for name in files if isinstance(name, str) and Path(name).name == name)}


def _check_entry(path: Path) -> None:
    """Raise unless a file that the manifest names is regular, or a folder of work.

    Raises:
        OutputError: it is a link, a FIFO, … that the run did not make.
    """
    mode = os.lstat(path).st_mode
    if not (stat.S_ISDIR(mode) and path.name in (SHARDS, RANDOM, ATTENTION)):
        if stat.S_ISLNK(mode):
            raise OutputError(
                f"Expected what a run has written, but {str(path)!r} is a link. Move it elsewhere, "
                "or name another folder."
            )
        check_own(path)
        return
    for inside in path.iterdir():
        if _is_work(inside):
            _check_entry(inside)


def _is_work(path: Path) -> bool:
    """Return whether something in a folder of work has the name of what a run writes there."""
    return _WORK.fullmatch(path.name) is not None or path.name == RANDOM


def work_files(folder: Path) -> Iterator[Path]:
    """Yield the files of work in a folder, and none of others.

    Raises:
        OSError: the folder cannot be read.
    """
    yield from (path for path in folder.iterdir() if _WORK.fullmatch(path.name))


def check_version(folder: Path, run: dict[str, Any], version: str) -> None:
    """Check that this version of the package wrote a run that is to be resumed.

    Raises:
        OutputError: another version did.
    """
    written = _version_of(run)
    if written != version:
        again = "Add --overwrite to start again, or name" if written else "Name"
        raise OutputError(
            f"Expected a run of introspect {version} in {str(folder)!r}, but introspect "
            f"{written or 'of an unknown version'} wrote it, and its results cannot be continued. "
            f"{again} another folder."
        )


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return the content of ``run.json``, or ``None`` if there is no such file.

    Raises:
        OutputError: the file is damaged, or of something else.
    """
    path = folder / PLAN
    try:
        if not os.path.lexists(path):
            return None
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise TypeError("it is no regular file")
        run = object_from(path.read_text(encoding="utf-8"))
        if not isinstance(run["plan"], dict):
            raise TypeError("its plan is not an object")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutputError(
            f"Expected the plan of a run in {str(path)!r}, but it cannot be read: {error}. Without "
            "it nobody knows what is of a run here: name another folder, or remove this one "
            "yourself."
        ) from error
    return run


def write_run(
    folder: Path, plan: dict[str, Any], files: Iterable[str], *, command: str | None, version: str
) -> None:
    """Write ``run.json``.

    Args:
        folder: the folder of the run, or that of its results before they are put in place.
        plan: what its results depend on.
        files: the names of the files and folders of the run.
        command: the command line.
        version: the version of this package.

    Raises:
        OutputError: it cannot be written.
    """
    run = {
        "plan": plan,
        "command": command,
        "introspect": version,
        "files": sorted({*files, PLAN}),
    }
    content = json.dumps(run, ensure_ascii=False, indent=2) + "\n"
    write_atomically(folder / PLAN, content, durable=True)


# --- holding a folder -------------------------------------------------------------------------


@contextmanager
def claimed_folder(
    out: PathLike, kind: str, way: Way, *, overwrite: bool, inputs: Iterable[PathLike] = ()
) -> Iterator[Path]:
    """Check a folder, make it, and keep every other run out of it for the block.

    Results that an earlier run had finished are put in place, and remains of interrupted writes are
    removed. A folder that was made and is empty at the end is removed.

    Args:
        out: the folder.
        kind: the kind of run.
        way: how the run writes.
        overwrite: whether an earlier run may be replaced.
        inputs: what the run reads.

    Raises:
        OutputError: as for ``check_folder``, or another run is at work there.
    """
    inputs = list(inputs)
    folder = check_folder(out, kind, way, overwrite=overwrite, inputs=inputs)
    if is_held(folder):
        yield folder
        return
    made = _make(folder)
    try:
        with locked(folder), holding(folder):
            _go_on(folder)
            check_folder(folder, kind, way, overwrite=overwrite, inputs=inputs)
            yield folder
    finally:
        with suppress(OSError):
            for place in made:
                place.rmdir()


def locked(folder: Path) -> AbstractContextManager[None]:
    """Return the block for which every other run is kept out of a folder that is there.

    Raises:
        OutputError: another run is at work there, or the lock cannot be made.
    """
    return locked_by(folder / _LOCK, folder)


def _make(folder: Path) -> list[Path]:
    """Make a folder with those above it; return the new ones, the innermost first."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error, "write in") from error
    return new


def _go_on(folder: Path) -> None:
    """Do what stopped runs have left to do in a folder that is held.

    Raises:
        OutputError: the folder cannot be written, or a file of others is in the way of a result.
    """
    _put_in_place(folder)
    if os.path.lexists(folder / _RETIRED):
        remove_run(folder)
    places = (folder, folder / SHARDS, folder / SHARDS / RANDOM, folder / ATTENTION)
    with _writing_in(folder):
        for path in [path for place in places if place.is_dir() for path in place.iterdir()]:
            if is_half(path.name):
                _remove_half(path)


@contextmanager
def _writing_in(folder: Path) -> Iterator[None]:
    """Turn a refusal of the system into an error that says where."""
    try:
        yield
    except OutputError:
        raise  # The error already says what was wrong.
    except OSError as error:
        raise unwritable(folder, error, "write in") from error


def _remove_half(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_run(folder: Path) -> dict[str, int]:
    """Remove what the manifest of a folder names, and nothing else. The folder is held.

    Returns:
        The permissions of the files, for those that take their place.

    Raises:
        OutputError: a file cannot be removed.
    """
    retired = folder / _RETIRED
    modes: dict[str, int] = {}
    with _writing_in(folder):
        if (run := read_run(folder)) is not None:
            _retire(folder, _files_of(run), retired)
        if os.path.lexists(retired):
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in retired.iterdir()}
            shutil.rmtree(retired)
    return modes


def _retire(folder: Path, names: Iterable[str], retired: Path) -> None:
    """Move files of a run to a folder that is to be removed, and remove its folders of work.

    A name that is there already was left by a run that was stopped: a file that has it by now is
    another's.
    """
    retired.mkdir(exist_ok=True)
    # The plan goes last: without it, files left by a stop would belong to no run.
    for name in sorted(names, key=lambda name: (name == PLAN, name)):
        path = folder / name
        if name in (SHARDS, ATTENTION):
            _remove_work(path)
        elif os.path.lexists(path) and not os.path.lexists(retired / name):
            path.rename(retired / name)


def _remove_work(folder: Path) -> None:
    """Remove what a run has written to a folder of work, and the folder if it is empty then."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in list(folder.iterdir()):
        if path.name == RANDOM:
            _remove_work(path)
        elif is_half(path.name) or _is_work(path):
            path.unlink()
    with suppress(OSError):
        folder.rmdir()  # not if it holds files of others


# --- results ----------------------------------------------------------------------------------


@contextmanager
def results_of(folder: Path, modes: Mapping[str, int] = MappingProxyType({})) -> Iterator[Path]:
    """Yield a folder to write results and ``run.json`` to, which are put in place together.

    They replace what the manifest names by then. A stop before leaves everything as it was; after
    a stop while they are put in place, the next run puts the others there. What has come into the
    folder meanwhile stays.

    Args:
        folder: the folder, which is held.
        modes: permissions of results by name, as ``remove_run`` returned them.

    Raises:
        OutputError: a file of others has the name of a result, or the folder cannot be written.
    """
    place = folder / f"{PASSING}{secrets.token_hex(4)}.part"
    try:
        with _writing_in(folder):
            place.mkdir()
            yield place
            for path in place.iterdir():
                if path.name in modes:
                    path.chmod(modes[path.name])
            place.rename(folder / _FINISHED)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    _put_in_place(folder)


def _put_in_place(folder: Path) -> None:
    """Move finished results to where they belong, the manifest last.

    Raises:
        OutputError: the folder cannot be written, or a file of others has the name of a result.
    """
    finished = folder / _FINISHED
    with _writing_in(folder):
        if (new := read_run(finished)) is not None:
            names = set(os.listdir(finished)) - {_RETIRED}
            old = _files_of(read_run(folder) or {"plan": {}, "files": []}) - _retired(folder)
            for name in sorted(names):
                _check_free(folder / name, finished / name, is_own=name in old)
            _retire(folder, old - _files_of(new), finished / _RETIRED)
            for name in sorted(names, key=lambda name: (name == PLAN, name)):
                _put_result(finished / name, folder / name, is_own=name in old)
        if os.path.lexists(finished):
            shutil.rmtree(finished)


def _check_free(path: Path, result: Path, *, is_own: bool) -> None:
    """Raise if a file of others has the name of a result."""
    if not os.path.lexists(path) or os.path.samestat(os.lstat(path), os.lstat(result)):
        return
    if not is_own:
        raise OutputError(
            f"Expected no {path.name!r} of others in {str(path.parent)!r}, but it came there "
            "during the run and is left as it is. Move it elsewhere: the results are kept, and the "
            "next run here puts them in place first."
        )
    _check_entry(path)


def _put_result(result: Path, path: Path, *, is_own: bool) -> None:
    """Give a result its name, but not that of a file of others that came at this very moment."""
    _check_free(path, result, is_own=is_own)
    if os.path.lexists(path) and is_own:
        put(result, path)
        return
    try:
        with suppress(FileExistsError):
            path.hardlink_to(result)  # which, unlike a new name, replaces nothing
    except OSError:
        # The file system has no such links.
        _check_free(path, result, is_own=is_own)
        result.replace(path)
        return
    _check_free(path, result, is_own=is_own)
    result.unlink()

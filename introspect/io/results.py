"""Results of a run, put in place together, and the removal of an earlier run.

Either is completed by the next run if a stop interrupts it, and spares every file of others.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from introspect.errors import OutputError
from introspect.io.destinations import PASSING, check_own, is_half, shown, unwritable
from introspect.io.files import put
from introspect.io.manifest import (
    ATTENTION,
    CARDS,
    PLAN,
    SHARDS,
    files_of,
    is_inner,
    is_work,
    read_run,
)

# Results that are complete; a run that is stopped while they are put in place leaves some of them.
FINISHED = f"{PASSING}finished"
# Files of an earlier run on their way out. What is in here has left its name to others.
RETIRED = f"{PASSING}retired"


def retired_names(folder: Path) -> set[str]:
    """Return the names of a folder that a stopped run has retired files from."""
    places = (folder / RETIRED, folder / FINISHED / RETIRED)
    return {name for place in places if place.is_dir() for name in os.listdir(place)}


def check_entry(path: Path) -> None:
    """Raise unless a file that the manifest names is regular, or a folder of work.

    Raises:
        OutputError: it is a link, a FIFO, … that the run did not make.
    """
    mode = os.lstat(path).st_mode
    is_of_work = path.name in (SHARDS, ATTENTION, CARDS) or is_inner(path.name)
    if not (stat.S_ISDIR(mode) and is_of_work):
        if stat.S_ISLNK(mode):
            raise OutputError(
                f"Expected what a run has written, but {shown(path)!r} is a link. Move it "
                "elsewhere, or name another folder."
            )
        check_own(path)
        return
    for inside in path.iterdir():
        if is_work(inside):
            check_entry(inside)


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Turn a refusal of the system into an error that says where."""
    try:
        yield
    except OutputError:
        raise  # The error already says what was wrong.
    except OSError as error:
        raise unwritable(folder, error, "write in") from error


def remove_run(folder: Path) -> dict[str, int]:
    """Remove what the manifest of a folder names, and nothing else. The folder is held.

    Returns:
        The permissions of the files, for those that take their place.

    Raises:
        OutputError: a file cannot be removed.
    """
    retired = folder / RETIRED
    modes: dict[str, int] = {}
    with writing_in(folder):
        if (run := read_run(folder)) is not None:
            _retire(folder, files_of(run), retired)
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
        if name in (SHARDS, ATTENTION, CARDS):
            _remove_work(path)
        elif os.path.lexists(path) and not os.path.lexists(retired / name):
            path.rename(retired / name)


def _remove_work(folder: Path) -> None:
    """Remove what a run has written to a folder of work, and the folder if it is empty then."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in list(folder.iterdir()):
        if is_inner(path.name):
            _remove_work(path)
        elif is_half(path.name) or is_work(path):
            path.unlink()
    with suppress(OSError):
        folder.rmdir()  # not if it holds files of others


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
        with writing_in(folder):
            place.mkdir()
            yield place
            for path in place.iterdir():
                if path.name in modes:
                    path.chmod(modes[path.name])
            place.rename(folder / FINISHED)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    put_in_place(folder)


def put_in_place(folder: Path) -> None:
    """Move finished results to where they belong, the manifest last.

    Raises:
        OutputError: the folder cannot be written, or a file of others has the name of a result.
    """
    finished = folder / FINISHED
    with writing_in(folder):
        if (new := read_run(finished)) is not None:
            names = set(os.listdir(finished)) - {RETIRED}
            old = files_of(read_run(folder) or {"plan": {}, "files": []}) - retired_names(folder)
            for name in sorted(names):
                _check_free(folder / name, finished / name, is_own=name in old)
            _retire(folder, old - files_of(new), finished / RETIRED)
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
    check_entry(path)


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

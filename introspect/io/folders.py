"""The folder that a run writes: whose it is, and who may write to it.

``run.json`` is its manifest: it names the files that the run has written. No other file is ever
replaced or removed, whatever its name.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Literal

from introspect.errors import OutputError
from introspect.io.destinations import (
    PathLike,
    check_apart,
    check_writable,
    holding,
    is_half,
    is_held,
    kind_of,
    locked_by,
    resolved,
    shown,
    unwritable,
)
from introspect.io.manifest import (
    ATTENTION,
    PLAN,
    SHARDS,
    files_of,
    is_inner,
    kind_of_run,
    read_run,
    version_of,
)
from introspect.io.results import (
    FINISHED,
    RETIRED,
    check_entry,
    put_in_place,
    remove_run,
    retired_names,
    writing_in,
)

_LOCK = ".lock"
# Files that file managers leave wherever they look.
_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")
#: How a run writes: its results at its end, or its work as it goes, so that it can be resumed.
Way = Literal["replace", "resume"]


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
            f"Expected an empty folder, but {shown(folder)!r} holds {names[0]!r}, which is not of "
            f"{_article(kind)} {kind} run. Name another folder."
        )
    if foreign := [name for name in names if name not in own]:
        raise OutputError(
            f"Expected an empty folder or that of {_article(kind)} {kind} run alone, but "
            f"{shown(folder)!r} holds "
            f"{foreign[0]!r}. Move it elsewhere, or name another folder."
        )
    check_apart(folder, inputs)
    for name in names:
        check_entry(folder / name)
    # What a stopped run had finished is put in place before anything is said about it.
    if way == "replace" and not overwrite and not os.path.lexists(folder / FINISHED):
        raise OutputError(
            f"Expected an empty folder, but {shown(folder)!r} holds an earlier run. Add "
            "--overwrite to replace it, or name another folder."
        )
    return folder


def _article(kind: str) -> str:
    return "an" if kind[0] in "aeiou" else "a"


def _check_place(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        mode = os.lstat(folder).st_mode
        what = "a file" if stat.S_ISREG(mode) else kind_of(mode)
        raise OutputError(
            f"Expected a folder for --out, but {shown(folder)!r} is {what}. Name another place."
        )
    above = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not above.is_dir():
        raise OutputError(
            f"Expected a folder to make {folder.name!r} in, but {shown(above)!r} is a file. Name "
            "another place."
        )
    check_writable(above)


def _names(folder: Path) -> list[str]:
    """Return the names in a folder, without what writes leave for a while, and litter."""
    try:
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
    except OSError as error:
        raise unwritable(folder, error, "read") from error
    passing = (_LOCK, FINISHED, RETIRED, *_LITTER)
    return [name for name in names if name not in passing and not is_half(name)]


def _own_names(folder: Path, kind: str, *, overwrite: bool) -> set[str]:
    """Return the names in a folder that manifests of this kind of run give; none without one."""
    names: set[str] = set()
    for place in (folder, folder / FINISHED):
        run = read_run(place)
        if run is not None and kind_of_run(run) == kind and (not overwrite or version_of(run)):
            names |= files_of(run)
    return names - retired_names(folder)


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
    put_in_place(folder)
    if os.path.lexists(folder / RETIRED):
        remove_run(folder)
    shards = folder / SHARDS
    with writing_in(folder):
        drawn = [place for place in shards.glob("*") if is_inner(place.name)]
        places = (folder, shards, *drawn, folder / ATTENTION)
        for path in [path for place in places if place.is_dir() for path in place.iterdir()]:
            if is_half(path.name):
                _remove_half(path)


def _remove_half(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

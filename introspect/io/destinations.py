"""The one rule for every place that is written.

1. Links are resolved first: what they lead to is written, and the link stays.
2. A destination is new, or a regular file or folder of one's own. Devices, FIFOs, sockets, files of
   other users and files that are protected against writing are refused.
3. What a run reads is never written.
4. A destination is locked from the start of a run to its end.

``files`` writes single files by this rule; ``folders``, ``manifest`` and ``results`` see to the
folders of runs.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from introspect.errors import OutputError

PathLike = str | os.PathLike[str]

#: The name that stands for standard output, for what can be written there.
STDOUT = "-"
#: How the names of files begin that are there only while something is written.
PASSING = ".introspect-"
_HALF = ".part"
_LOCK = ".lock"
_KINDS = {
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link that leads nowhere",
}  # fmt: skip
# Names of a process's own open files, which are no places of a file system.
_OPEN_FILES = ("/dev/fd/", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/proc/")
_MOST_LINKS = 40

# The destinations that this thread, or task, holds.
_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())


def as_path(path: PathLike) -> Path:
    """Return a name of a file or folder as a path.

    Raises:
        OutputError: it is something else.
    """
    try:
        return Path(path)
    except TypeError as error:
        raise OutputError(
            f"Expected a file name, as a string or a path, got {type(path).__name__}."
        ) from error


def resolved(path: PathLike) -> Path:
    """Return the place that a path leads to, with all links resolved.

    Raises:
        OutputError: it is standard output, an open file of a process, or a circle of links.
    """
    given = as_path(path)
    if str(given) == STDOUT:
        raise OutputError(
            "Expected a file or folder to write, got '-', which is standard output. Only "
            "`introspect cases` writes there. Name a file or folder."
        )
    try:
        if any(str(step).startswith(_OPEN_FILES) for step in _steps(given)):
            raise OutputError(
                f"Expected a file or folder to write, but {str(given)!r} is an open file of a "
                "process. Name a file or folder."
            )
        return Path(os.path.realpath(given))
    except (OSError, ValueError) as error:
        if isinstance(error, OutputError):
            raise
        raise unwritable(given, error) from error


def shown(path: Path) -> str:
    """Return a place as a person would name it: from the folder where they are, if it is there."""
    here = Path(os.path.realpath(os.curdir))
    return str(path.relative_to(here) if here in path.parents else path)


def _steps(path: Path) -> Iterator[Path]:
    """Yield a path and what each link leads to."""
    step = Path(os.path.abspath(path))
    yield step
    for _ in range(_MOST_LINKS):
        if not step.is_symlink():
            return
        step = Path(os.path.abspath(step.parent / os.readlink(step)))
        yield step
    raise OutputError(
        f"Expected a file or folder to write, but {str(path)!r} is a link that leads in a circle. "
        "Remove it, or name another place."
    )


def check_destination(path: PathLike, *, inputs: Iterable[PathLike] = ()) -> Path:
    """Return the place of a file that may be written: new, or a regular file of one's own.

    Args:
        path: the file.
        inputs: what the run reads.

    Raises:
        OutputError: the folder is missing, is not a folder, or cannot be written; or what is at
            ``path`` may not be replaced, or is an input.
    """
    target = resolved(path)
    _check_parent(target, as_path(path))
    if stat.S_ISDIR(_mode_of(target)):
        raise OutputError(
            f"Expected a file name, but {str(path)!r} is a folder. Name a file inside it."
        )
    check_own(target)
    check_apart(target, inputs)
    return target


def _check_parent(target: Path, given: Path) -> None:
    folder = target.parent
    if not stat.S_ISDIR(_mode_of(folder)):
        what = "is not a folder" if os.path.lexists(folder) else "does not exist"
        raise OutputError(
            f"Expected an existing folder for {given.name!r}, but {shown(folder)!r} {what}. "
            "Create it first, or name another place."
        )
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Raise unless files can be made in a folder.

    Raises:
        OutputError: they cannot.
    """
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"Expected to write in {shown(folder)!r}, but it is read-only for you. "
            "Name a place you may write to."
        )


def _mode_of(place: Path) -> int:
    """Return the kind and permissions of what is at a resolved place; 0 for nothing."""
    try:
        return os.lstat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (OSError, ValueError) as error:  # The name is too long, or the folder may not be read.
        raise unwritable(place, error) from error


def check_own(place: Path) -> None:
    """Raise unless there is nothing at a resolved place, or a regular file that may be replaced.

    Raises:
        OutputError: it is of another kind, belongs to another user, or is write-protected.
    """
    mode = _mode_of(place)
    if not mode:
        return
    if not stat.S_ISREG(mode):
        raise OutputError(
            f"Expected a new or regular file to write, but {shown(place)!r} is {kind_of(mode)}. "
            "Name another file."
        )
    if not _is_of_this_user(place):
        raise OutputError(
            f"Expected a new file or one of your own to write, but {shown(place)!r} belongs to "
            "another user. Name another file."
        )
    if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise OutputError(
            f"Expected a file that may be replaced, but {shown(place)!r} is write-protected "
            "(read-only). Lift the protection, or name another file."
        )


def kind_of(mode: int) -> str:
    """Return in words what a file of this mode is, for one that is not regular."""
    return "a folder" if stat.S_ISDIR(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def _is_of_this_user(place: Path) -> bool:
    owner = os.lstat(place).st_uid
    return owner == _me() or owner == _owner_of_new_files(place.parent)


def _me() -> int:
    """Return the number of the user; on Windows 0, as of all files."""
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _owner_of_new_files(folder: Path) -> int:
    """Return the user whom a file belongs to that is made in a folder.

    On what is mounted from elsewhere, this may be another than the one who makes it.
    """
    try:
        with tempfile.TemporaryFile(prefix=PASSING, suffix=_HALF, dir=folder) as file:
            return os.fstat(file.fileno()).st_uid
    except OSError as error:
        raise unwritable(folder, error, "write in") from error


def check_apart(target: Path, inputs: Iterable[PathLike]) -> None:
    """Raise if a resolved destination is one of the inputs, or a folder that holds one.

    Raises:
        OutputError: it is, or does.
    """
    for given in inputs:
        place = Path(os.path.realpath(given))
        if target == place or _is_same_file(target, place):
            raise OutputError(
                f"Expected to write {target.name!r} beside the files that are read, but it is one "
                "of them. Choose another name with --out."
            )
        if target in place.parents:
            raise OutputError(
                f"Expected a folder apart from what is read, but {str(target)!r} holds the input "
                f"{place.name!r}. Name another folder."
            )


def _is_same_file(one: Path, other: Path) -> bool:
    """Return whether two names are of one file, which may have several."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


# --- locks ------------------------------------------------------------------------------------


@contextmanager
def claimed_file(path: PathLike, *, inputs: Iterable[PathLike] = ()) -> Iterator[Path]:
    """Check the place of a file, and keep every other writer away from it for the block.

    What interrupted writes of the same file have left is removed.

    Args:
        path: the file.
        inputs: what the run reads.

    Raises:
        OutputError: as for ``check_destination``, or another run is writing the file.
    """
    target = check_destination(path, inputs=inputs)
    if is_held(target):
        yield target
        return
    with locked_by(target.with_name(f"{_passing_name(target)}{_LOCK}"), target), holding(target):
        with suppress(OSError):
            for half in target.parent.glob(f"{_passing_name(target)}-*{_HALF}"):
                half.unlink(missing_ok=True)
        yield target


def half_of(target: Path, token: str) -> Path:
    """Return the name of a file beside a resolved target for what is not yet whole.

    It is short whatever the target's name is.
    """
    return target.with_name(f"{_passing_name(target)}-{token}{_HALF}")


def _passing_name(target: Path) -> str:
    return PASSING + hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]


def is_half(name: str) -> bool:
    """Return whether a name is that of an interrupted write of this package."""
    return name.startswith(PASSING) and name.endswith(_HALF)


def is_held(target: Path) -> bool:
    """Return whether this thread, or task, holds a resolved destination."""
    return target in _held.get()


@contextmanager
def holding(target: Path) -> Iterator[None]:
    """Note that this thread, or task, holds a resolved destination for the block.

    What it calls to write there is then not kept out by its own lock.
    """
    _held.set(_held.get() | {target})
    try:
        yield
    finally:
        _held.set(_held.get() - {target})


@contextmanager
def locked_by(path: Path, target: Path) -> Iterator[None]:
    """Hold a lock for the block; it ends with the process.

    Args:
        path: the file that is the lock.
        target: what it locks, for the message.

    Raises:
        OutputError: another run holds it, or it cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0)
    try:
        _check_lock(path, lock)
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"Expected a place that no other run writes to, but one is at work in {str(target)!r}. "
            "Wait for it, or name another place."
        ) from error
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise unwritable(target.parent, error, "write in") from error
    try:
        yield
    finally:
        # On a disk that has become read-only the file stays; without a holder it locks nothing.
        # Windows removes no file that is open, and Unix none that another run may hold meanwhile.
        if os.name == "posix":
            with suppress(OSError):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            lock.release()
        if os.name != "posix":
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _check_lock(path: Path, lock: object) -> None:
    """Raise if a file that is no lock has the name of one: locking might empty it."""
    from filelock import SoftFileLock

    if not os.path.lexists(path):
        return
    found = os.lstat(path)
    # Where a system has no locks, the file says who holds it.
    if not stat.S_ISREG(found.st_mode) or (found.st_size and not isinstance(lock, SoftFileLock)):
        raise OutputError(
            f"Expected no file of others at {str(path)!r}, where a run keeps its lock. Move it "
            "away, or name another place."
        )


def unwritable(place: Path, error: OSError | ValueError, write: str = "write") -> OutputError:
    """Return the error for a file that cannot be written, or a folder to ``write in``."""
    return OutputError(
        f"Expected to {write} {shown(place)!r}, but the system refused: "
        f"{getattr(error, 'strerror', None) or error}. Name a place you may write to."
    )

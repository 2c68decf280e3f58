"""What lies in a folder and below: each file once, and what cannot be read as one."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a FIFO (a named pipe)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


@dataclass(frozen=True)
class Tree:
    """What lies in a folder and below.

    Args:
        files: its regular files, as paths within it, sorted.
        unreadable: the folders in it that may not be read.
        others: what is no regular file, such as a FIFO or a device, and links that lead nowhere.
    """

    files: tuple[Path, ...]
    unreadable: tuple[Path, ...]
    others: tuple[Path, ...]


def tree_of(root: Path, *, hidden: bool = False) -> Tree:
    """Return what lies in a folder and below; links are followed, each folder once.

    Args:
        root: the folder.
        hidden: whether files and folders whose names begin with a dot count too.
    """
    files: list[Path] = []
    unreadable: list[Path] = []
    others: list[Path] = []
    # A link may lead to a folder that is here already, or above.
    seen: set[tuple[int, int]] = set()
    todo = [root]
    while todo:
        folder = todo.pop(0)
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            unreadable.append(folder.relative_to(root))
            continue
        for entry in entries:
            if entry.name.startswith(".") and not hidden:
                continue
            if entry.is_dir():
                todo.append(Path(entry.path))
            else:
                kept = files if entry.is_file() else others
                kept.append(Path(entry.path).relative_to(root))
    return Tree(tuple(sorted(files)), tuple(sorted(unreadable)), tuple(sorted(others)))


def kind_of_file(path: str | os.PathLike[str]) -> str | None:
    """Return what stands at a path where it is no regular file, in words; else ``None``.

    Raises:
        OSError: there is nothing, or it may not be examined.

    Example:
        >>> kind_of_file(os.devnull)
        'a device'
    """
    mode = os.stat(path).st_mode
    return next((words for is_kind, words in _KINDS if is_kind(mode)), None)


def regular(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return a path as it is if a regular file stands there.

    Opening anything else may wait forever, or read what is gone when it is read again.

    Raises:
        OSError: there is nothing, or something else.
    """
    if (kind := kind_of_file(path)) is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", os.fspath(path))
    return path


def state_of_files(paths: list[Path]) -> tuple[tuple[str, int, int, int], ...]:
    """Return name, size, time of change and identity of files: other ones are another state.

    Raises:
        OSError: a file is gone or may not be examined.
    """
    states = [(path, path.stat()) for path in sorted(paths)]
    return tuple((str(path), s.st_size, s.st_mtime_ns, s.st_ino) for path, s in states)

"""Write files atomically, so that a half-written one is never seen."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from introspect.errors import OutputError
from introspect.io.destinations import (
    PathLike,
    as_path,
    check_destination,
    check_own,
    claimed_file,
    half_of,
    unwritable,
)


def save_file(path: PathLike, content: str | bytes) -> Path:
    """Write ``content`` to a file that the user names, and that nobody else is writing.

    Args:
        path: the file.
        content: all of it; text is written as UTF-8.

    Returns:
        The path as it was given.

    Raises:
        OutputError: the folder is missing, or the file may not be written.
    """
    with claimed_file(path) as target:
        write_atomically(target, content)
    return Path(path)


def write_atomically(path: PathLike, content: str | bytes, *, durable: bool = False) -> Path:
    """Write ``content`` to ``path``: first to a temporary file beside it, then renamed.

    A reader sees the old file or the new one, never a part; a failure leaves the old file as it
    was and no temporary file behind. Text is written as UTF-8.

    Args:
        path: the file.
        content: all of it.
        durable: return only once the file would survive a power loss.

    Raises:
        OutputError: the folder is missing, or the file may not be written.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path, durable=durable) as temporary, _created(temporary, path) as stream:
        stream.write(data)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())
    return Path(path)


def _created(path: Path, target: PathLike) -> BinaryIO:
    """Open a new file to write, with the permissions that the system gives to new files.

    What is to replace a file may be private as that file is: for now, nobody else may read it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    mode = 0o600 if os.path.exists(target) else 0o666
    return os.fdopen(os.open(path, flags, mode), "wb")


def write_lines(path: PathLike, lines: Iterable[str]) -> Path:
    """Write lines as they arrive to a temporary file beside ``path``, then rename it.

    Only one line is held at a time. A failure, including one in the iterable, leaves the old file
    as it was.

    Raises:
        OutputError: the folder is missing, or the file may not be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("x", encoding="utf-8", newline="\n") as stream,
    ):
        for line in lines:
            stream.write(line + "\n")
    return Path(path)


@contextmanager
def replacing(path: PathLike, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` for others to write; it replaces ``path`` on success.

    If nothing was written to it, ``path`` stays as it is.

    Args:
        path: the file.
        durable: return only once the new name would survive a power loss.

    Raises:
        OutputError: the folder is missing, or the file may not be written.
    """
    target = check_destination(path)
    temporary = half_of(target, secrets.token_hex(4))
    try:
        yield temporary
        if temporary.exists():
            put(temporary, target)
            if durable:
                _sync_folder(target.parent)
    except OutputError:
        raise  # The error already says what was wrong.
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def put(new: Path, target: Path) -> None:
    """Rename a file to a resolved target, whose permissions and group it takes over.

    Raises:
        OutputError: what is there by now may not be replaced.
        OSError: the system refuses.
    """
    check_own(target)
    with suppress(FileNotFoundError):
        old = target.stat()
        if hasattr(os, "chown"):
            # The group of another folder's files may be one that this user is not in.
            with suppress(OSError):
                os.chown(new, -1, old.st_gid)
        new.chmod(stat.S_IMODE(old.st_mode))
    new.replace(target)


#: What a view is written as: a page, or a picture of what it shows first.
VIEW_ENDINGS = (".html", ".svg", ".png", ".pdf")
PAGE_ENDINGS = (".html", ".htm")


def check_view_file(path: PathLike) -> Path:
    """Return ``path`` if a view can be written there as what its name says.

    Raises:
        OutputError: it does not end as a page or picture does, or may not be written.
    """
    given = as_path(path)
    if given.suffix.lower() not in (*VIEW_ENDINGS, *PAGE_ENDINGS) and not _is_folder(given):
        example = given.with_suffix("").name or "view"
        raise OutputError(
            f"Expected a file name that ends in .html, .svg, .png or .pdf, got {given.name!r}. "
            f"Name the page {example + '.html'!r}, or a picture {example + '.svg'!r}."
        )
    check_destination(given)
    return given


def check_page_file(path: PathLike) -> Path:
    """Return ``path`` if a report can be written there, which is a page.

    Raises:
        OutputError: it does not end in ``.html``, or may not be written.
    """
    given = as_path(path)
    ending = given.suffix.lower()
    if ending not in PAGE_ENDINGS and not _is_folder(given):
        page = given.with_suffix(".html").name if given.name else "report.html"
        further = {
            ".pdf": ", open it in a browser and print it",
            ".svg": "; a view of its own is a picture: view.save('head.svg')",
            ".png": "; a view of its own is a picture: view.save('head.png')",
        }
        raise OutputError(
            f"Expected a file name that ends in .html, since a report is a page, got "
            f"{given.name!r}. Save it as {page!r}{further.get(ending, '')}."
        )
    check_destination(given)
    return given


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder, which ``check_destination`` says better."""
    return os.path.isdir(path)  # unlike `Path.is_dir`, it answers a name that is too long


# What file systems answer that sync files, but no folders.
_UNSYNCED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power loss, if the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise
    finally:
        os.close(handle)

"""Write files atomically, so that a half-written one is never seen."""

from __future__ import annotations

import errno
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from introspect.errors import OutputError


def write_atomically(
    path: str | os.PathLike[str], content: str | bytes, *, durable: bool = False
) -> Path:
    """Write ``content`` to ``path``: first to a temporary file beside it, then renamed.

    A reader sees the old file or the new one, never a part; a failure leaves the old file as it
    was and no temporary file behind. Text is written as UTF-8.

    Args:
        path: the file.
        content: all of it.
        durable: return only once the file would survive a power loss.

    Raises:
        OutputError: the folder is missing, is not a folder, or cannot be written.
    """
    target = check_destination(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
    except OSError as error:
        raise unwritable(target, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.chmod(_default_mode())
        temporary.replace(target)
        if durable:
            _sync_folder(target.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(target, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return target


def write_lines(path: str | os.PathLike[str], lines: Iterable[str]) -> Path:
    """Write lines as they arrive to a temporary file beside ``path``, then rename it.

    Only one line is held at a time. A failure, including one in the iterable, leaves the old file
    as it was.

    Raises:
        OutputError: the folder is missing or cannot be written.
    """
    with (
        replacing(path) as temporary,
        temporary.open("x", encoding="utf-8", newline="\n") as stream,
    ):
        for line in lines:
            stream.write(line + "\n")
    return Path(path)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary file beside ``path`` for others to write; it replaces ``path`` on success.

    If nothing was written to it, ``path`` stays as it is.

    Raises:
        OutputError: the folder is missing or cannot be written.
    """
    target = check_destination(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        if temporary.exists():
            temporary.replace(target)
    except OutputError:
        raise  # The error already says what was wrong.
    except OSError as error:
        raise unwritable(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def check_destination(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` if a file can be written there.

    Raises:
        OutputError: the folder is missing, is not a folder, or cannot be written.
    """
    target = _as_path(path)
    folder = target.parent
    try:
        is_folder_there, is_folder_itself = folder.is_dir(), target.is_dir()
    except OSError as error:  # The name is too long, or the folder may not be read.
        raise unwritable(target, error) from error
    if not is_folder_there:
        what = "is not a folder" if folder.exists() else "does not exist"
        raise OutputError(
            f"Expected an existing folder for {target.name!r}, but {str(folder)!r} {what}. "
            "Create it first, or name another place."
        )
    if is_folder_itself:
        raise OutputError(
            f"Expected a file name, but {str(target)!r} is a folder. Name a file inside it."
        )
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"Expected to write in {str(folder)!r}, but it is read-only for you. "
            "Name a place you may write to."
        )
    return target


def _as_path(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path)
    except TypeError as error:
        raise OutputError(
            f"Expected a file name, as a string or a path, got {type(path).__name__}."
        ) from error


#: What a view is written as: a page, or a picture of what it shows first.
VIEW_ENDINGS = (".html", ".svg", ".png", ".pdf")
_PAGE_ENDINGS = (".html", ".htm")


def check_view_file(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` if a view can be written there as what its name says.

    Raises:
        OutputError: it does not end as a page or picture does, or cannot be written.
    """
    target = _as_path(path)
    # Unlike `Path.is_dir`, it answers a name that is too long.
    if os.path.isdir(target):
        return check_destination(target)  # says that it is a folder
    if target.suffix.lower() not in (*VIEW_ENDINGS, *_PAGE_ENDINGS):
        example = target.with_suffix("").name or "view"
        raise OutputError(
            f"Expected a file name that ends in .html, .svg, .png or .pdf, got {target.name!r}. "
            f"Name the page {example + '.html'!r}, or a picture {example + '.svg'!r}."
        )
    return check_destination(target)


def check_page_file(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` if a report can be written there, which is a page.

    Raises:
        OutputError: it does not end in ``.html``, or cannot be written.
    """
    target = _as_path(path)
    # Unlike `Path.is_dir`, it answers a name that is too long.
    if os.path.isdir(target):
        return check_destination(target)  # says that it is a folder
    ending = target.suffix.lower()
    if ending not in _PAGE_ENDINGS:
        page = target.with_suffix(".html").name if target.name else "report.html"
        further = {
            ".pdf": ", open it in a browser and print it",
            ".svg": "; a view of its own is a picture: view.save('head.svg')",
            ".png": "; a view of its own is a picture: view.save('head.png')",
        }
        raise OutputError(
            f"Expected a file name that ends in .html, since a report is a page, got "
            f"{target.name!r}. Save it as {page!r}{further.get(ending, '')}."
        )
    return check_destination(target)


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


def unwritable(place: Path, error: OSError, write: str = "write") -> OutputError:
    """Return the error for a file that cannot be written, or a folder to ``write in``."""
    return OutputError(
        f"Expected to {write} {str(place)!r}, but the system refused: "
        f"{error.strerror or error}. Name a place you may write to."
    )


def _default_mode() -> int:
    # mkstemp makes files for their owner only; a report is an ordinary file and obeys the umask,
    # which can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask

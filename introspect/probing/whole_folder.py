"""Folders that appear only when they are complete."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from introspect.errors import OutputError
from introspect.probing.folder import PLAN, read_plan

__all__ = ["check_folder", "replacing_folder"]


def check_folder(out: str | os.PathLike[str], kind: str, *, fresh: bool) -> Path:
    """Return the path of a folder to write: it is absent, empty, or from an earlier run.

    Args:
        out: the folder.
        kind: the kind of run, as named in the folder's plan.
        fresh: whether an earlier run may be replaced.

    Raises:
        OutputError: it is something else, or from an earlier run that may not be replaced.
    """
    folder = Path(out).absolute()
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"Expected a folder for --out, but {str(folder)!r} is a file.")
    above = next(parent for parent in folder.parents if parent.exists())
    if not above.is_dir():
        raise OutputError(
            f"Expected a folder to make {folder.name!r} in, but {str(above)!r} is a file."
        )
    if not os.access(above, os.W_OK):
        raise OutputError(
            f"Expected to write in {str(above)!r}, but it is read-only for you. Name a place you "
            "may write to."
        )
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not there:
        return folder
    is_ours = PLAN in there and (read_plan(folder) or {}).get("kind") == kind
    if not is_ours:
        raise OutputError(
            f"Expected an empty folder, but {str(folder)!r} holds {there[0]!r}, which is not of a "
            f"{kind} run. Name another folder."
        )
    if not fresh:
        raise OutputError(
            f"Expected an empty folder, but {str(folder)!r} holds an earlier run. Add --fresh to "
            "put the new one in its place, or name another folder."
        )
    return folder


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder beside ``folder`` to write to, which replaces it if all goes well."""
    _clear_abandoned(folder)
    place = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    old = place.with_suffix(".old")
    try:
        place.mkdir(parents=True)
        yield place
        if folder.exists():
            folder.rename(old)
        place.rename(folder)
    except OSError as error:
        raise OutputError(
            f"Expected to write {str(folder)!r}, but the system refused: "
            f"{error.strerror or error}. Name a place you may write to."
        ) from error
    finally:
        with suppress(OSError):
            # If stopped between the two renames, restore the old folder.
            if old.exists() and not folder.exists():
                old.rename(folder)
        for left in (place, old):
            shutil.rmtree(left, ignore_errors=True)


def _clear_abandoned(folder: Path) -> None:
    """Remove the partial folders that killed runs left beside ``folder``."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        process = left.name.removeprefix(f".{folder.name}.").split(".")[0]
        if process.isdigit() and not _is_running(int(process)):
            shutil.rmtree(left, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's process
    return True

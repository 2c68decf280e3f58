"""The folder that a probe writes, and the lock that lets only one probe write to it."""

from __future__ import annotations

import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from introspect.errors import OutputError
from introspect.io.files import write_atomically

__all__ = [
    "FILES",
    "PLAN",
    "SHARDS",
    "check_folder",
    "clean",
    "held",
    "open_folder",
    "read_plan",
    "replacing_folder",
    "write_plan",
]

#: The plan that the folder was begun with.
PLAN = "run.json"
#: The folder of finished shards.
SHARDS = "shards"
#: The files and folders that a probe of cases writes.
FILES = (
    "heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "summary.json", "report.html",
    "rejects.jsonl", PLAN, SHARDS,
)  # fmt: skip
_LOCK = ".lock"
# Tables and pages of other analyzers.
_OTHERS = (
    "roles.parquet", "roles.csv", "similarity.parquet", "similarity.csv", "clusters.csv",
    "syntax.parquet", "syntax.csv", "patterns.parquet", "patterns.csv", "heads.html", "attention",
    _LOCK,
)  # fmt: skip


def open_folder(folder: Path) -> None:
    """Make the folder and its parents, or check that an existing one belongs to a probe.

    Raises:
        OutputError: it is a file, it cannot be written, or it holds files not from a probe.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"Expected a folder for --out, but {str(folder)!r} is a file.")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    kept = [name for name in there if name != _LOCK and not _is_half(name)]
    # Without a plan it is not a probe's folder, whatever names it holds.
    is_ours = PLAN in kept
    foreign = [name for name in kept if not is_ours or name not in (*FILES, *_OTHERS)]
    if foreign:
        raise OutputError(
            f"Expected an empty folder or a probe's, but {str(folder)!r} holds {foreign[0]!r}. "
            "Name another folder."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from error


def clean(folder: Path, *, fresh: bool) -> None:
    """Remove the remains of an interrupted write or, with ``fresh``, everything from a probe.

    Raises:
        OutputError: a file cannot be removed.
    """
    try:
        # Remove the plan last: without it, files left by a stop would belong to no probe.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == PLAN):
            if _is_half(path.name) or (fresh and path.name != _LOCK):
                _remove(path)
    except OSError as error:
        raise _refused(folder, error) from error


def _is_half(name: str) -> bool:
    """Return whether a file name is that of an interrupted write."""
    return name.startswith(".") and name.endswith(".part")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def read_plan(folder: Path) -> dict[str, Any] | None:
    """Return the plan that the folder was begun with, or ``None`` if it has none.

    Raises:
        OutputError: the plan is damaged.
    """
    try:
        plan: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))["plan"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"Expected the plan of a probe in {str(folder / PLAN)!r}, but it cannot be read: "
            f"{error}. Add --fresh to start over, or name another folder."
        ) from error
    return plan


def write_plan(folder: Path, plan: dict[str, Any], **others: Any) -> None:
    """Write the plan that the folder is begun with, before anything else.

    Raises:
        OutputError: the plan cannot be written.
    """
    content = json.dumps({"plan": plan, **others}, ensure_ascii=False, indent=2) + "\n"
    write_atomically(folder / PLAN, content, durable=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock the folder against every other probe; the lock ends if the process dies.

    Raises:
        OutputError: another probe is writing there.
    """
    import fcntl

    path = folder / _LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _refused(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The previous holder may have removed the file since it was opened.
        if not path.exists() or os.fstat(handle).st_ino != path.stat().st_ino:
            raise BlockingIOError
    except BlockingIOError as error:
        os.close(handle)
        raise OutputError(
            f"Expected a folder that no other probe writes in, but one is at work in "
            f"{str(folder)!r}. Wait for it, or name another folder."
        ) from error
    try:
        yield
    finally:
        # On a disk that has become read-only the file stays; without a holder it locks nothing.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        os.close(handle)


def _refused(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"Expected to write in {str(folder)!r}, but the system refused: "
        f"{error.strerror or error}. Name a place you may write to."
    )


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

"""The folder that a run writes: whose it is, who may write to it, and what may be replaced."""

from __future__ import annotations

import glob
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from introspect.errors import OutputError
from introspect.io.files import unwritable, write_atomically
from introspect.io.plain import object_from
from introspect.io.trees import regular

#: The file with the plan that the folder was begun with, and the manifest of what a run writes.
PLAN = "run.json"
#: The folder of finished shards.
SHARDS = "shards"
#: The files and folders that a probe of cases writes.
FILES = (
    "heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "summary.json", "report.html",
    "rejects.jsonl", PLAN, SHARDS,
)  # fmt: skip
# What runs wrote whose manifest is damaged, or of a version that did not write one.
_WITHOUT_MANIFEST = {
    "probe": (
        *FILES, "roles.parquet", "roles.csv", "similarity.parquet", "similarity.csv",
        "clusters.csv", "syntax.parquet", "syntax.csv", "patterns.parquet", "patterns.csv",
        "heads.html", "attention",
    ),
    "causal": (
        "effects.parquet", "effects.csv", "case_effects.parquet", "mediation.csv", "smallest.csv",
        "summary.json", "report.html", "rejects.jsonl", PLAN,
    ),
    "heads": (
        "heads.parquet", "heads.csv", "patterns.csv", "importance.csv", "summary.json",
        "report.html", PLAN,
    ),
}  # fmt: skip
_LOCK = ".lock"
# Files that file managers leave wherever they look.
_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")

#: How a run writes: as a whole at its end, or in place, so that it can be resumed.
Way = Literal["replace", "resume"]


def check_folder(out: str | os.PathLike[str], kind: str, way: Way, *, overwrite: bool) -> Path:
    """Return the path of a folder to write: it is absent, empty, or of an earlier run.

    Args:
        out: the folder.
        kind: the kind of run: ``probe``, ``causal`` or ``heads``.
        way: how the run writes; only one that writes in place resumes an earlier run.
        overwrite: whether an earlier run may be replaced.

    Raises:
        OutputError: it is something else, holds files of others, or an earlier run that is neither
            resumed nor replaced.
    """
    folder = Path(out).absolute()
    _check_place(folder)
    names = _names(folder)
    if not names:
        return folder
    run = _read_damaged(folder)
    if PLAN not in names or (run and _kind_of(run) != kind):
        raise OutputError(
            f"Expected an empty folder, but {str(folder)!r} holds {names[0]!r}, which is not of a "
            f"{kind} run. Name another folder."
        )
    foreign = [name for name in names if name not in _files_of(run, kind)]
    if foreign:
        raise OutputError(
            f"Expected an empty folder or that of a {kind} run alone, but {str(folder)!r} holds "
            f"{foreign[0]!r}. Name another folder."
        )
    if way == "replace" and not overwrite:
        raise OutputError(
            f"Expected an empty folder, but {str(folder)!r} holds an earlier run. Add --overwrite "
            "to replace it, or name another folder."
        )
    return folder


def check_version(folder: Path, run: dict[str, Any], version: str) -> None:
    """Check that this version of the package wrote a run that is to be resumed.

    Raises:
        OutputError: another version did.
    """
    written = run.get("introspect") or run["plan"].get("introspect")
    if written != version:
        raise OutputError(
            f"Expected a run of introspect {version} in {str(folder)!r}, but introspect "
            f"{written or 'of an unknown version'} wrote it, and its results cannot be continued. "
            "Add --overwrite to start again, or name another folder."
        )


def _check_place(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(
            f"Expected a folder for --out, but {str(folder)!r} is a file. Name another place."
        )
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not above.is_dir():
        raise OutputError(
            f"Expected a folder to make {folder.name!r} in, but {str(above)!r} is a file. Name "
            "another place."
        )
    if not os.access(above, os.W_OK):
        raise OutputError(
            f"Expected to write in {str(above)!r}, but it is read-only for you. Name a place you "
            "may write to."
        )


def _names(folder: Path) -> list[str]:
    """Return the names in a folder, without remains of interrupted writes and litter."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in names if name not in (_LOCK, *_LITTER) and not _is_half(name)]


def _is_half(name: str) -> bool:
    """Return whether a file name is that of an interrupted write."""
    return name.startswith(".") and name.endswith(".part")


def _kind_of(run: dict[str, Any]) -> str:
    return str(run["plan"].get("kind", "probe"))


def _files_of(run: dict[str, Any], kind: str) -> tuple[str, ...]:
    """Return the names in a folder that its manifest says are of the run."""
    files = run.get("files")
    if not isinstance(files, list):
        return _WITHOUT_MANIFEST[kind]
    return (PLAN, *(name for name in files if isinstance(name, str)))


def _read_damaged(folder: Path) -> dict[str, Any]:
    """Read the run of a folder; one that is damaged is empty."""
    try:
        return read_run(folder) or {}
    except OutputError:
        return {}


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return the content of ``run.json``, or ``None`` if there is no such file.

    Raises:
        OutputError: the file is damaged.
    """
    try:
        run = object_from(Path(regular(folder / PLAN)).read_text(encoding="utf-8"))
        if not isinstance(run["plan"], dict):
            raise TypeError("its plan is not an object")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"Expected the plan of a run in {str(folder / PLAN)!r}, but it cannot be read: "
            f"{error}. Add --overwrite to start again, or name another folder."
        ) from error
    return run


def write_run(
    folder: Path, plan: dict[str, Any], files: Iterable[str], *, command: str | None, version: str
) -> None:
    """Write ``run.json``.

    Args:
        folder: the folder of the run.
        plan: what its results depend on.
        files: the names of the files and folders that the run writes there.
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


def clean(folder: Path, kind: str, *, overwrite: bool) -> None:
    """Remove the remains of interrupted writes or, with ``overwrite``, all files of the run.

    Raises:
        OutputError: a file cannot be removed.
    """
    files = _files_of(_read_damaged(folder), kind) if overwrite else ()
    try:
        # Remove the plan last: without it, files left by a stop would belong to no run.
        for path in sorted(folder.iterdir(), key=lambda path: path.name == PLAN):
            if _is_half(path.name) or path.name in files:
                _remove(path)
    except OSError as error:
        raise unwritable(folder, error, "write in") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, way: Way = "resume") -> Iterator[None]:
    """Keep every other run out of a folder; the lock ends with the process.

    Args:
        folder: the folder; made if a run writes in place.
        way: how the run writes. The lock is a file in the folder, or beside one that is replaced.

    Raises:
        OutputError: another run is writing there, or the lock cannot be made.
    """
    from filelock import FileLock, Timeout

    path = folder / _LOCK if way == "resume" else folder.with_name(f".{folder.name}{_LOCK}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"Expected a folder that no other run writes in, but one is at work in "
            f"{str(folder)!r}. Wait for it, or name another folder."
        ) from error
    except OSError as error:
        raise unwritable(folder, error, "write in") from error
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


@contextmanager
def replacing_folder(folder: Path, kind: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield a folder beside a locked one to write to, which replaces it if all goes well.

    Args:
        folder: the folder, held with ``locked(folder, "replace")``.
        kind: the kind of run.
        overwrite: whether an earlier run may be replaced.

    Raises:
        OutputError: as for ``check_folder``, or the folder cannot be written.
    """
    _clear_abandoned(folder)
    place = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    old = place.with_suffix(".old")
    try:
        place.mkdir()
        yield place
        check_folder(folder, kind, "replace", overwrite=overwrite)
        if folder.exists():
            folder.rename(old)
        place.rename(folder)
    except OSError as error:
        raise unwritable(folder, error, "write in") from error
    finally:
        with suppress(OSError):
            # If stopped between the two renames, restore the old folder.
            if old.exists() and not folder.exists():
                old.rename(folder)
        for left in (place, old):
            shutil.rmtree(left, ignore_errors=True)


def _clear_abandoned(folder: Path) -> None:
    """Remove the partial folders that killed runs left beside ``folder``, which is locked."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        shutil.rmtree(left, ignore_errors=True)

"""The folder that a probe leaves: whole, or not there."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from introspect.errors import OutputError

__all__ = ["FILES", "check_folder", "filled_folder"]

#: What a finished probe leaves.
FILES = (
    "heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "summary.json", "report.html",
    "rejects.jsonl", "run.json",
)  # fmt: skip


def check_folder(folder: Path, *, fresh: bool) -> None:
    """Refuse a folder that holds something already, before the model's work.

    Raises:
        OutputError: it is a file, its parent is missing, or it holds what is not a probe's, or a
            finished probe while ``fresh`` is off.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"Expected a folder for --out, but {str(folder)!r} is a file.")
    if not folder.absolute().parent.is_dir():
        raise OutputError(
            f"Expected an existing folder for {folder.name!r}, but {str(folder.parent)!r} does not "
            "exist. Create it first, or name another place."
        )
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if foreign := [name for name in there if name not in FILES]:
        raise OutputError(
            f"Expected an empty folder or a probe's, but {str(folder)!r} holds {foreign[0]!r}. "
            "Name another folder."
        )
    if there and not fresh:
        raise OutputError(
            f"Expected an empty folder, but {str(folder)!r} holds a finished probe. Name another "
            "folder, or add --fresh to write it anew."
        )


@contextmanager
def filled_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside this one, which takes its place when all went well.

    Raises:
        OutputError: it cannot be written.
    """
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    old = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old")
    try:
        temporary.mkdir()
        yield temporary
        if folder.exists():
            folder.rename(old)
        temporary.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise OutputError(
            f"Expected to write {str(folder)!r}, but the system refused: "
            f"{error.strerror or error}. Name a place you may write to."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)

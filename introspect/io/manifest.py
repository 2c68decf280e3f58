"""The manifest of a folder that a run writes: what the run is, and which files are its own."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from introspect.errors import OutputError
from introspect.io.destinations import shown
from introspect.io.files import write_atomically
from introspect.io.plain import object_from

#: The file with the plan that the folder was begun with, and the manifest of what a run writes.
PLAN = "run.json"
#: The folder of finished shards, and within it those of models with random weights, by seed, and
#: of the cases that an atlas stands beside.
SHARDS = "shards"
#: The folder of shards of cases, within that of an atlas.
OF_CASES = "cases"
_INNER = re.compile(rf"random-weights-\d+|{OF_CASES}")
#: The folder of saved attention.
ATTENTION = "attention"
#: The folder of an atlas with a page for each head.
CARDS = "heads"
# What runs write in the folders within theirs: shards, batches of saved attention, indexes, pages.
_WORK = re.compile(
    r"\d{6}-[0-9a-f]{12}\.safetensors|\d{6}-\d{5,}\.safetensors|manifest\.jsonl|index\.jsonl"
    r"|L\d+H\d+\.html"
)
# What runs write in their own folders. A manifest that names something else was not written by one.
_RESULT = re.compile(r"[a-z][a-z_]*\.(parquet|csv|jsonl?|html)|" + f"{SHARDS}|{ATTENTION}|{CARDS}")
# The files of a probe by version 0.1.0, whose manifest does not name them.
_OF_0_1_0 = (
    "heads.parquet", "heads.csv", "cases.parquet", "baselines.csv", "summary.json", "report.html",
    "rejects.jsonl", "roles.parquet", "roles.csv", "similarity.parquet", "similarity.csv",
    "clusters.csv", "syntax.parquet", "syntax.csv", "heads.html", SHARDS, ATTENTION,
)  # fmt: skip


def kind_of_run(run: dict[str, Any]) -> str:
    """Return the kind of a run: ``probe``, ``causal``, ``heads`` or ``atlas``."""
    return str(run["plan"].get("kind", "probe"))


def version_of(run: dict[str, Any]) -> str | None:
    """Return the version of introspect that wrote a run; ``None`` if it does not say so."""
    version = run.get("introspect") or run["plan"].get("introspect")
    return version if isinstance(version, str) else None


def files_of(run: dict[str, Any]) -> set[str]:
    """Return the names of a run's files and folders, among them that of the manifest."""
    files = run.get("files")
    if not isinstance(files, list):
        files = _OF_0_1_0 if version_of(run) == "0.1.0" else ()
    # A name that is a path would lead out of the folder.
    return {PLAN, *(name for name in files if isinstance(name, str) and _RESULT.fullmatch(name))}


def random_folder(seed: int) -> str:
    """Return the name of the folder of shards of a model with random weights."""
    return f"random-weights-{seed}"


def is_inner(name: str) -> bool:
    """Return whether a name is that of a folder of shards within that of others."""
    return _INNER.fullmatch(name) is not None


def is_work(path: Path) -> bool:
    """Return whether something in a folder of work has the name of what a run writes there."""
    return _WORK.fullmatch(path.name) is not None or is_inner(path.name)


def work_files(folder: Path) -> Iterator[Path]:
    """Yield the files of work in a folder, and none of others.

    Raises:
        OSError: the folder cannot be read.
    """
    yield from (path for path in folder.iterdir() if _WORK.fullmatch(path.name))


def check_version(folder: Path, run: dict[str, Any], version: str) -> None:
    """Check that this version of the package wrote a run that is to be resumed.

    Raises:
        OutputError: another version did.
    """
    written = version_of(run)
    if written != version:
        again = "Add --overwrite to start again, or name" if written else "Name"
        raise OutputError(
            f"Expected a run of introspect {version} in {shown(folder)!r}, but introspect "
            f"{written or 'of an unknown version'} wrote it, and its results cannot be continued. "
            f"{again} another folder."
        )


def read_run(folder: Path) -> dict[str, Any] | None:
    """Return the content of ``run.json``, or ``None`` if there is no such file.

    Raises:
        OutputError: the file is damaged, or of something else.
    """
    path = folder / PLAN
    try:
        if not os.path.lexists(path):
            return None
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise TypeError("it is no regular file")
        run = object_from(path.read_text(encoding="utf-8"))
        if not isinstance(run["plan"], dict):
            raise TypeError("its plan is not an object")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutputError(
            f"Expected the plan of a run in {shown(path)!r}, but it cannot be read: {error}. "
            "Without it nobody knows which files here are of a run, and none is removed: name "
            f"another folder, or remove {shown(folder)!r} yourself."
        ) from error
    return run


def write_run(
    folder: Path, plan: dict[str, Any], files: Iterable[str], *, command: str | None, version: str
) -> None:
    """Write ``run.json``.

    Args:
        folder: the folder of the run, or that of its results before they are put in place.
        plan: what its results depend on.
        files: the names of the files and folders of the run.
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

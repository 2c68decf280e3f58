"""Stops at any moment of a writer, and what else happens to a folder: for tests of sequences."""

from __future__ import annotations

import errno
import functools
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import introspect as ix
from introspect.data import convert, grammar_cases, write_jsonl
from introspect.runs import HeadOptions, causal_folder, heads_folder
from introspect.runs import causal as causal_run
from introspect.runs import heads as heads_run
from introspect.runs import outcome as probe_outcome
from tests.runs import sets

#: What changes a disk, by its name in ``os``.
CHANGES = ("open", "replace", "rename", "link", "unlink", "remove", "rmdir", "mkdir", "chmod")
#: Names that files of others have, many of them as runs give them.
FOREIGN = (
    "notes.txt", "report.html", "heads.csv", "mediation.csv", "effects.csv", "rejects.jsonl",
    "patterns.csv", "cases.parquet", ".mine.part", ".report.html.0a1b2c3d.part", "run.json.bak",
    "ok.rejects.jsonl", "shards/mine.txt", "shards/mine.safetensors", "attention/mine.safetensors",
)  # fmt: skip


class StopError(BaseException):
    """Raised where a process is stopped: no code of the package catches it."""


@dataclass
class Moment:
    """What happens at the so-manieth change to a folder of files.

    Args:
        root: the folder; changes elsewhere are not counted.
        number: the number of the change, from 0.
        event: what happens then.
        is_death: whether nothing is changed any more from then on, as of a process that is killed.
    """

    root: Path
    number: int
    event: Callable[[], None]
    is_death: bool
    count: int = 0
    is_dead: bool = False

    def before_change(self, path: Any) -> None:
        if not str(path).startswith(str(self.root)):
            return
        if self.is_dead:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.count += 1
        if self.count == self.number + 1:
            self.is_dead = self.is_death
            self.event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count every change that Python makes within the block."""
        with pytest.MonkeyPatch.context() as patched:
            for name in CHANGES:
                patched.setattr(os, name, self._watched(getattr(os, name)))
            patched.setattr("pathlib.io.open", self._watched(io.open))
            yield

    def _watched(self, change: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(change)
        def watched(path: Any, *arguments: Any, **named: Any) -> Any:
            if not _is_reading(change, arguments):
                self.before_change(path)
            return change(path, *arguments, **named)

        return watched


def _is_reading(change: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    """Return whether a call of ``io.open`` or ``os.open`` only reads."""
    if change.__name__ != "open":
        return False
    how = arguments[0] if arguments else "r"
    return "r" in how if isinstance(how, str) else how & 3 == os.O_RDONLY


def stop() -> None:
    raise StopError


# --- what writes ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Writer:
    """A command that writes, in two variants whose results differ.

    Args:
        write: writes a variant to a place; the last argument says whether to overwrite.
        out: the name of the place.
        tables: what must be the same whatever has happened: all files with these endings.
        is_folder: whether the place is a folder.
    """

    write: Callable[[Path, Path, int, bool], object]
    out: str
    tables: tuple[str, ...] = (".csv", ".parquet", ".jsonl")
    is_folder: bool = True

    def results(self, place: Path) -> dict[str, bytes]:
        """Return the tables of a place by name."""
        files = place.iterdir() if self.is_folder else place.parent.iterdir()
        return {path.name: path.read_bytes() for path in files if path.suffix in self.tables}


def inputs(folder: Path) -> Path:
    """Write what is read to a folder."""
    write_jsonl(folder / "own.jsonl", sets.cases()[:3])
    write_jsonl(folder / "grammar.jsonl", grammar_cases(6, "en", seed=1000))
    rows = ["text,pronoun,antecedent,distractor", "The dog chased the cat as it ran.,it,dog,cat"]
    for variant, more in enumerate(([], ["No pronoun.,it,dog,cat"])):
        (folder / f"{variant}.csv").write_text("\n".join([*rows, *more]) + "\n")
    return folder


def probe(given: Path, out: Path, variant: int, overwrite: bool) -> None:
    call = {**sets.CALL, "shard_rows": 2, "mention": ("mean", "max")[variant]}
    ix.probe(sets.model(), given / "own.jsonl", out, overwrite=overwrite, **call)


def causal(given: Path, out: Path, variant: int, overwrite: bool) -> None:
    more: dict[str, Any] = {"share": None, "minimal_pairs": False} if variant else {}
    causal_folder(_pronoun(), given / "grammar.jsonl", out, overwrite=overwrite, **more)


def heads(given: Path, out: Path, variant: int, overwrite: bool) -> None:
    texts = [case.text for case in grammar_cases(2, "en")] if variant else None
    options = HeadOptions(num_sequences=2, prefix=(0, 2), period=(4, 6))
    heads_folder(_pronoun(), out, texts, options=options, overwrite=overwrite)


def cases(given: Path, out: Path, variant: int, overwrite: bool) -> None:
    convert("csv", [given / f"{variant}.csv"], out)


WRITERS = {
    "probe": Writer(probe, "run"),
    "causal": Writer(causal, "run"),
    "heads": Writer(heads, "run"),
    "cases": Writer(cases, "ok.jsonl", is_folder=False),
}


@functools.cache
def _pronoun() -> Any:
    return ix.load("pronoun", lm_head=True)


def study_once(patched: pytest.MonkeyPatch) -> None:
    """Let each study run once, since what is tested is how its results are written."""
    sets.leave_out_the_long(patched.setattr)
    for module, names in (
        (causal_run, ("causal_study", "causal_report")),
        (heads_run, ("head_study", "head_report")),
        (probe_outcome, ("set_report",)),
    ):
        for name in names:
            patched.setattr(module, name, _once(getattr(module, name)))


def _once(made: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def once(*arguments: Any, **named: Any) -> Any:
        # What differs between variants; of a probe, nothing that is looked at.
        key = repr([named.get(name) for name in ("share", "minimal_pairs", "texts")])
        key += repr([each for each in arguments if isinstance(each, list)])
        key += str([id(each) for each in arguments if type(each).__name__.endswith("Study")])
        if key not in known:
            known[key] = made(*arguments, **named)
        return known[key]

    return once

"""Sequences of writing, stopping, foreign files, resuming and overwriting lose nothing."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from introspect.errors import OutputError
from tests.writes.sequences import (
    FOREIGN,
    WRITERS,
    Moment,
    StopError,
    Writer,
    inputs,
    stop,
    study_once,
)

#: A run: its variant, whether it overwrites, and what happens after what share of its changes of
#: the folder, in thousandths.
RUNS = st.tuples(
    st.just("run"),
    st.integers(0, 1),
    st.booleans(),
    st.sampled_from(["kill", "interrupt", "kill", "nothing", *FOREIGN[:4]]),
    st.integers(0, 999),
)
STEPS = st.one_of(
    RUNS,
    RUNS,
    st.tuples(st.just("foreign"), st.sampled_from(FOREIGN)),
    RUNS,
    st.tuples(st.just("away")),
    st.tuples(st.just("away")),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        study_once(patched)
        yield inputs(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    """The tables and names of each writer and variant, and how often it changes the disk."""

    def results(name: str, variant: int) -> tuple[dict[str, bytes], list[str], int]:
        writer = WRITERS[name]
        place = tmp_path_factory.mktemp("undisturbed") / writer.out
        moment = Moment(place.parent, -1, stop, is_death=False)
        with moment.watching():
            writer.write(folder, place, variant, False)
        return writer.results(place), listing(place.parent), moment.count

    return {(name, variant): results(name, variant) for name in WRITERS for variant in (0, 1)}


def listing(root: Path) -> list[str]:
    """Every file and folder, without shards, whose names say what they hold."""
    paths = (path.relative_to(root).as_posix() for path in root.rglob("*"))
    return sorted(path for path in paths if "/shards/0" not in path)


class Place:
    """Where a writer writes, and the files of others there.

    Args:
        root: a folder of its own.
        writer: what writes to it.
        given: the folder of what is read.
        changes: how often the writer changes the disk.
    """

    def __init__(self, root: Path, writer: Writer, given: Path, changes: int) -> None:
        self.root, self.writer, self.given, self.changes = root, writer, given, changes
        self.out = root / writer.out
        self.foreign: dict[Path, bytes] = {}
        self.made: list[Path] = []

    def put_foreign(self, name: str) -> None:
        """Write a file of others, unless one is there or it would be in no folder."""
        path = self.out / name if self.writer.is_folder else self.root / name
        if self.writer.is_folder and not self.out.is_dir():
            self.out.mkdir()
            self.made.append(self.out)
        if path.exists() or path.parent.name == "run.json":
            return
        if not path.parent.exists():
            path.parent.mkdir()
            self.made.append(path.parent)
        self.foreign[path] = f"mine: {name}".encode()
        path.write_bytes(self.foreign[path])
        path.chmod(0o640)

    def take_away(self) -> None:
        """Move all files of others elsewhere, with the folders that were made for them."""
        for path in self.foreign:
            path.unlink()
        self.foreign = {}
        for path in reversed(self.made):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        self.made = []

    def check_foreign(self) -> None:
        """Every byte and permission of others is as it was."""
        assert {path: path.read_bytes() for path in self.foreign} == self.foreign
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o640 for path in self.foreign)

    def run(self, variant: int, overwrite: bool, event: str, share: int) -> str:
        """Write; return whether it was finished, refused or stopped."""
        happens = stop if event in ("kill", "interrupt") else lambda: self.put_foreign(event)
        number = -1 if event == "nothing" else share * self.changes // 1000
        moment = Moment(self.root, number, happens, is_death=event == "kill")
        try:
            with moment.watching():
                self.writer.write(self.given, self.out, variant, overwrite)
        except StopError:
            return "stopped"
        except OutputError:
            return "stopped" if moment.is_dead else "refused"
        return "stopped" if moment.is_dead else "finished"


OUTCOMES: Counter[str] = Counter()


def run_sequence(place: Place, steps: list[Any], expected: Any) -> None:
    for step in steps:
        if step[0] == "foreign":
            place.put_foreign(step[1])
        elif step[0] == "away":
            place.take_away()
        else:
            outcome = place.run(*step[1:])
            OUTCOMES[outcome] += 1
            if outcome == "finished":
                results = place.writer.results(place.out)
                of_others = {path.name for path in place.foreign}
                assert {k: v for k, v in results.items() if k not in of_others} == expected(step[1])
        place.check_foreign()
    place.take_away()


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_of_others_changes_and_every_table_is_the_undisturbed_one(
    name, folder, undisturbed, tmp_path_factory
):
    check(name, folder, undisturbed, tmp_path_factory, examples=8)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_300_sequences(name, folder, undisturbed, tmp_path_factory):
    check(name, folder, undisturbed, tmp_path_factory, examples=75)


def check(name, folder, undisturbed, tmp_path_factory, *, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEPS, min_size=2, max_size=6), st.integers(0, 1))
    def sequence(steps, last):
        results, names, changes = undisturbed[name, last]
        place = Place(tmp_path_factory.mktemp("place"), WRITERS[name], folder, changes)
        run_sequence(place, steps, lambda variant: undisturbed[name, variant][0])
        # Whatever has happened: once files of others are elsewhere, a run finishes.
        assert place.run(last, True, "nothing", 0) == "finished"
        assert place.writer.results(place.out) == results
        assert listing(place.root) == names

    sequence()

"""A run over a corpus: from a claimed folder through finished shards to results put in place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from introspect.data import InputSet, check_unchanged, state_of_inputs
from introspect.errors import InputError, SelectionError
from introspect.io import (
    ATTENTION,
    CARDS,
    SHARDS,
    claimed_folder,
    read_run,
    results_of,
    write_run,
)
from introspect.models import Model, load_text
from introspect.progress import ProgressLike, Stages, following
from introspect.runs.jobs import ENGINES, Job, Work
from introspect.runs.plan import Plan, begin_run
from introspect.runs.ray_engine import RayOptions
from introspect.runs.rows import ProbeRow, Shard, check_readable, name_of, no_result, read_rows
from introspect.runs.store import ShardStore
from introspect.runs.tables import Gathered, gather
from introspect.runs.worker import Worker
from introspect.studies.runner import default_lanes

#: Rows per shard: the most that a stop can lose, and the unit that is sorted by length.
SHARD_ROWS = 1_024

Result = TypeVar("Result")


@dataclass(frozen=True)
class Manner:
    """How a run is done, apart from what is asked.

    Args:
        engine: ``serial`` or ``ray``.
        shard_rows: rows per shard.
        threads: batches that run at once; by default one per processor.
        ray: options for the actors of Ray.
        overwrite: start again, even if the folder holds another run.
        command: the command line.

    Raises:
        SelectionError: the engine is unknown, or a number is below 1.
    """

    engine: str = "serial"
    shard_rows: int = SHARD_ROWS
    threads: int | None = None
    ray: RayOptions = field(default_factory=RayOptions)
    overwrite: bool = False
    command: str | None = None

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise SelectionError(
                f"Expected the engine {' or '.join(ENGINES)}, got {self.engine!r}."
            )
        if self.threads is not None and self.threads < 1:
            raise SelectionError(f"Expected at least 1 thread, got {self.threads}.")
        if self.shard_rows < 1:
            raise SelectionError(f"Expected at least 1 row in a shard, got {self.shard_rows}.")


@dataclass
class CorpusRun:
    """A run in a folder that is held.

    Args:
        folder: the folder.
        inputs: the corpus.
        model: the model.
        manner: how the run is done.
        tell: who is told of its progress.
    """

    folder: Path
    inputs: InputSet
    model: Model
    manner: Manner
    tell: Stages
    _state: tuple[object, ...] = field(init=False)
    _plan: Plan = field(init=False)
    _modes: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._state = state_of_inputs(self.inputs.files)

    @property
    def lanes(self) -> int:
        """Return how many batches run at once."""
        return self.manner.threads or default_lanes(self.model)

    def begin(self, plan: Plan, work: Sequence[str]) -> None:
        """Write the plan, or check it against the one that the folder was begun with.

        Args:
            plan: everything that the results depend on.
            work: the names of the folders within that are written as the run goes.

        Raises:
            OutputError: the folder was begun with another plan or version, or cannot be written.
        """
        self.tell.announce(self.inputs.words)
        manner = self.manner
        self._plan = plan
        self._modes = begin_run(
            self.folder, plan, work, overwrite=manner.overwrite, command=manner.command
        )

    def work(
        self, worker: Worker, stage: str, shards: str = SHARDS, inputs: InputSet | None = None
    ) -> Work:
        """Run the shards that are not done yet.

        Args:
            worker: the model with its options.
            stage: the name of this work in its progress.
            shards: the folder for the shards, within that of the run.
            inputs: what is read beside the corpus; by default the corpus.

        Raises:
            ProbeInterruptedError: the user stopped the run between two shards.
        """
        manner = self.manner
        rest = manner.shard_rows, manner.engine, manner.ray, self.tell
        job = Job(worker, inputs or self.inputs, *rest)
        return job.work(ShardStore(self.folder / shards), stage)

    def finish(
        self, worker: Worker, work: Work, stage: str, write: Callable[[FinishedRun], Result]
    ) -> Result:
        """Gather finished shards, and put what is written from them in place together.

        Args:
            worker: the model with its options.
            work: the finished shards.
            stage: the name of this in the progress.
            write: writes all results to ``place``, and returns what the caller is to have.

        Raises:
            InputError: the corpus has changed, or no row has a result; the rejected ones are
                written.
            OutputError: a result cannot be written or put in place.
        """
        # What was read has to be what the plan says, to the last byte.
        if state_of_inputs(self.inputs.files) != self._state:
            check_unchanged(self.inputs.files, self._plan["input"])
        self.tell(stage, 0)
        began = time.perf_counter()
        results = []
        with results_of(self.folder, self._modes) as place:
            gathered = gather(work.store, work.entries, place)
            if gathered.counts.rows:
                finished = FinishedRun(
                    self.folder, place, self.inputs, worker, gathered, work, self.manner.command,
                    began,
                )  # fmt: skip
                results.append(write(finished))
            _name_results(self.folder, place)
        if not results:
            first = next(iter(gathered.rejects(1)), None)
            raise no_result(self.inputs, gathered.counts.rejected, first, "rejects.jsonl")
        return results[0]


@contextmanager
def corpus_run(
    kind: str,
    out: str | os.PathLike[str],
    inputs: InputSet,
    model: Model | str,
    manner: Manner,
    progress: ProgressLike,
    beside: Sequence[InputSet] = (),
    *,
    lm_head: bool = False,
) -> Iterator[CorpusRun]:
    """Hold the folder of a run, load its model, and yield the run to be begun.

    ``beside`` are further inputs that it reads; ``lm_head`` is as for ``load``.

    Raises:
        InputError: the corpus cannot be read.
        OutputError: the folder belongs to another run or to none, or cannot be written to.
    """
    places = [place for each in (inputs, *beside) for place in each.places]
    claim = claimed_folder(out, kind, "resume", overwrite=manner.overwrite, inputs=places)
    with claim as folder, following(progress) as tell:
        check_readable(inputs)
        yield CorpusRun(folder, inputs, load_text(model, lm_head=lm_head), manner, tell)


@dataclass(frozen=True)
class FinishedRun:
    """What a finished run knows.

    Args:
        folder: its folder.
        place: where results are until all of them are written.
        inputs: the corpus.
        worker: the model with its options.
        gathered: the combined results of all shards.
        work: the finished shards.
        command: the command line.
        began: when gathering began, by ``perf_counter``.
    """

    folder: Path
    place: Path
    inputs: InputSet
    worker: Worker
    gathered: Gathered
    work: Work
    command: str | None
    began: float

    @property
    def name(self) -> str:
        """The name of the corpus."""
        return name_of(self.inputs)

    @property
    def read(self) -> tuple[str, ...]:
        """Return what was read, in sentences."""
        return tuple(self.inputs.words)

    @property
    def timings(self) -> dict[str, float]:
        """The duration of each part so far in seconds, and the number of rows run this time."""
        work = self.work
        return {
            "model": work.seconds,
            "gathering": time.perf_counter() - self.began,
            "rows_run": work.rows_run,
            "rows_per_second": work.rows_run / max(work.seconds, 1e-9),
        }

    @cached_property
    def sample(self) -> str:
        """The first text with a result, as the model read it, to capture and certify."""
        kinds = ("memory", "not_finite")
        rejects = self.gathered.rejects()
        without = {(each.source, each.line) for each in rejects if each.kind in kinds}
        for row in read_rows(self.inputs):
            if isinstance(row, ProbeRow) and (row.source, row.line) not in without:
                for part in self.worker.prepare(Shard.of(0, [row])).rows:
                    return part.text
        raise InputError("Expected a row with a result, got none.")


def _name_results(folder: Path, place: Path) -> None:
    """Write the manifest once more, with the results that are about to be put in place."""
    run = read_run(folder)
    assert run is not None, "results without a plan"
    work = [name for name in (SHARDS, ATTENTION, CARDS) if name in run["files"]]
    files = [*work, *(path.name for path in place.iterdir())]
    write_run(place, run["plan"], files, command=run["command"], version=run["introspect"])

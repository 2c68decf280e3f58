"""Begins a probe, and kills or stops its process at a given moment: a program for tests of stops.

It reads lines of JSON, ``[moment, input, folder, options]`` for a probe and ``[stop, arguments,
file]`` for the command line, whose words go to ``file.out`` and ``file.err``. It answers each with
the exit status of a process of its own, which it forks before torch has begun any thread.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import introspect as ix
from introspect import cli
from introspect.io import files, results
from introspect.runs import jobs, outcome, plan, shard
from introspect.runs import outcome as finishing
from introspect.runs import tables as gathering
from introspect.runs.store import ShardStore
from introspect.runs.worker import Worker
from tests.runs import sets


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at(time: int, replaced: Callable[..., Any], instead: Callable[..., Any] = _die) -> Any:
    """The same function, that does something else the so-manieth time."""
    calls = 0

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return (instead if calls == time else replaced)(*arguments, **named)

    return counted


def _torn(store: ShardStore, entry: Any) -> None:
    with (store.folder / "manifest.jsonl").open("ab") as stream:
        stream.write(json.dumps(vars(entry)).encode()[:70])
    _die()


def _set(owner: Any, name: str, time: int, instead: Callable[..., Any] = _die) -> None:
    setattr(owner, name, _at(time, getattr(owner, name), instead))


def _interrupt_in_the_second_shard(times: int, number: int = signal.SIGINT) -> None:
    """Ctrl-C or another signal so many times, while the second shard runs."""
    run_shard = shard.run_shard

    def interrupted(*arguments: Any) -> Any:
        for _ in range(times):
            signal.raise_signal(number)
        return run_shard(*arguments)

    _set(shard, "run_shard", 2, interrupted)


#: How each moment is come by. A shard's file is the only one that is written durably, but the plan.
MOMENTS: dict[str, Callable[[], None]] = {
    "before the plan": lambda: _set(plan, "write_run", 1),
    "in a shard": lambda: _set(Worker, "attend", 4),
    "before a rename": lambda: _set(Path, "replace", 4),
    "after a rename": lambda: _set(files, "_sync_folder", 4),
    "before a line of the manifest": lambda: _set(ShardStore, "record", 3),
    "in a line of the manifest": lambda: _set(ShardStore, "record", 3, _torn),
    "between two models": lambda: _set(jobs.Work, "__init__", 1),
    "in the table of cases": lambda: _set(gathering, "_rows", 2),
    "before the tables": lambda: _set(finishing, "write_outcome", 1),
    "between the tables": lambda: _set(outcome, "_write_csv", 1),
    "before the report": lambda: _set(outcome, "set_report", 1),
    "before the summary": lambda: _set(outcome, "as_json", 1),
    "while starting over": lambda: _set(results, "_remove_work", 1),
    "of random weights": lambda: _set(Worker, "attend", 8),
}
#: How a person stops the command.
STOPS: dict[str, Callable[[], None]] = {
    "Ctrl-C": lambda: _interrupt_in_the_second_shard(1),
    "Ctrl-C twice": lambda: _interrupt_in_the_second_shard(2),
    "SIGTERM": lambda: _interrupt_in_the_second_shard(1, signal.SIGTERM),
}


def _command(arguments: list[str], shown: str) -> None:
    """Run the command line as a process of its own does, with small shards."""
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{shown}.{name}", os.O_WRONLY | os.O_CREAT), stream)
    sys.argv = ["introspect", *arguments]
    sets.divide_small(setattr)
    cli.program()


def _child(moment: str, *call: Any) -> None:
    if moment in STOPS:
        STOPS[moment]()
        _command(*call)
    MOMENTS[moment]()
    given, out, options = call
    ix.probe(sets.model(), given, out, **sets.CALL, **options)
    os._exit(0)


def main() -> None:
    sets.leave_out_the_long(setattr)
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            _child(*json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()

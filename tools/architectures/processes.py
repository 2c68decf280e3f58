"""Run all types, each in its own process with limits on time and memory."""

from __future__ import annotations

import collections
import gc
import multiprocessing
import multiprocessing.connection
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from examining import examine
from rows import Row

SECONDS = 60
#: Memory a type may take beyond what all share, so that huge defaults do not exhaust it.
BYTES = 4 << 30


def examine_all(names: Iterable[str], workers: int = 2) -> list[Row]:
    """Return the rows of these types, whatever happens to their processes."""
    torch.set_num_threads(1)  # also because a fork of a process with threads may hang
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    examine("llama", text=True)  # here, so that what every type imports is imported once
    gc.freeze()  # a child that looks through what it inherits would copy it
    context = multiprocessing.get_context("fork")
    waiting = collections.deque(names)
    order = list(waiting)
    running: dict[Any, tuple[str, Any, float]] = {}
    rows: dict[str, Row] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            name = waiting.popleft()
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(name, sender))
            process.start()
            sender.close()
            running[receiver] = (name, process, time.monotonic() + SECONDS)
        soonest = min(deadline for _, _, deadline in running.values())
        pause = max(0.0, soonest - time.monotonic())
        ready = multiprocessing.connection.wait(list(running), pause)
        late = [r for r, (_, _, deadline) in running.items() if deadline <= time.monotonic()]
        for receiver in {*ready, *late}:
            name, process, _ = running.pop(receiver)
            rows[name] = _received(name, receiver, receiver in ready)
            process.kill()
            process.join()
    return [rows[name] for name in order]


def _child(name: str, sender: Any) -> None:
    """Examine one type, and send its row."""
    _limit_memory()
    sys.stdout = sys.stderr = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115
    sender.send(examine(name, text=True))
    sender.close()


def _received(name: str, receiver: Any, is_ready: bool) -> Row:
    if not is_ready:
        return Row(name, "not built", reason=f"took over {SECONDS} s")
    try:
        return receiver.recv()  # type: ignore[no-any-return]
    except EOFError:
        return Row(name, "not built", reason="its process ended without a result")


def _limit_memory() -> None:
    """Keep a type with huge defaults from exhausting the machine's memory."""
    taken = Path("/proc/self/statm")
    if taken.exists():
        import resource  # not on every system

        size = int(taken.read_text(encoding="utf-8").split()[0]) * resource.getpagesize() + BYTES
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

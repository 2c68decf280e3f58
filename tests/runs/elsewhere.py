"""Probes as on a system that has no locks, processors or processes of Unix: a program for a test.

It is given the input and the folder, stops a probe after its first shard, and resumes it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

UNIX_MODULES = ("fcntl", "resource")
UNIX_FUNCTIONS = (
    "O_DIRECTORY", "fork", "getuid", "geteuid", "process_cpu_count", "sched_getaffinity",
)  # fmt: skip


def hide(names: tuple[str, ...]) -> None:
    """Let the import of modules fail from now on."""
    for name in names:
        sys.modules[name] = None  # type: ignore[assignment]


# filelock takes what there is as it is imported; the other libraries are those of this system.
hide(UNIX_MODULES)
import filelock  # noqa: E402

for name in UNIX_MODULES:
    del sys.modules[name]
import transformers.modeling_utils  # noqa: E402, F401

hide(UNIX_MODULES)


def main() -> None:
    given, out = sys.argv[1:]
    import introspect as ix
    from introspect.runs import ProbeInterruptedError
    from tests.runs import sets

    assert issubclass(filelock.FileLock, filelock.SoftFileLock)
    model = sets.model()
    for name in UNIX_FUNCTIONS:
        if hasattr(os, name):
            delattr(os, name)
    sets.leave_out_the_long(setattr)

    def stop(stage: str, done: int, total: int | None) -> None:
        if done:
            signal.raise_signal(signal.SIGINT)

    try:
        ix.probe(model, given, out, progress=stop, **sets.CALL)
    except ProbeInterruptedError as error:
        print(error)
    print((Path(out) / "shards" / "manifest.jsonl").read_text(encoding="utf-8").count("\n"))
    print(ix.probe(model, given, out, **sets.CALL).num_rejected)


if __name__ == "__main__":
    main()

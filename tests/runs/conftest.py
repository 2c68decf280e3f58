"""What the tests of probing share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runs import sets

ROOT = Path(__file__).resolve().parents[2]

# Programs that tests start; to import them would change this process.
collect_ignore = ["elsewhere.py", "killed.py", "poison.py"]


def subprocess_environment() -> dict[str, str]:
    one = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, "PYTHONPATH": str(ROOT), **one}


@pytest.fixture(scope="session")
def in_a_process():
    """Runs what ``killed`` is asked for in a process of its own; one start of Python for all."""
    command = [sys.executable, "-m", "tests.runs.killed"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=subprocess_environment(), **pipes) as process:

        def run(*asked: object) -> int:
            """The exit status."""
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def lean():
    """Probes without what takes most of their time in small sets, and changes no table."""
    with pytest.MonkeyPatch.context() as patched:
        sets.leave_out_the_long(patched.setattr)
        yield

"""What a person sees of work in stages: a line for each in a log, a bar on a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from introspect.progress import LOOKING, SMALLEST, Stage, watching_stages

ALIKE = Stage("searching the smallest set of heads", "{:,} in all")


def test_a_log_gets_one_line_for_each_stage():
    log = io.StringIO()
    with watching_stages(log) as told:
        for number in range(1235):
            told(SMALLEST, number, 1234)
        told(LOOKING, 0, None)
        told(ALIKE, 0, 0)
    assert log.getvalue().splitlines() == [
        "introspect: searching the smallest set of heads, at most 1,234 runs",
        "introspect: scoring where heads look",
        "introspect: searching the smallest set of heads, 0 in all",
    ]


def shown_by_terminal(work) -> str:
    """What a terminal is sent until it is closed."""
    master, slave = pty.openpty()

    def everything() -> str:
        pieces = []
        # Linux says "input/output error" once the other side is closed and all of it was read.
        with contextlib.suppress(OSError):
            while piece := os.read(master, 1 << 16):
                pieces.append(piece)
        return b"".join(pieces).decode()

    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(everything)
        with os.fdopen(slave, "w") as terminal:
            work(terminal)
        found = shown.result(timeout=60)
    os.close(master)
    return found


def test_a_terminal_gets_a_bar_that_begins_anew_with_each_stage(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")

    def work(terminal):
        with watching_stages(terminal) as told:
            for number in range(6):
                told(ALIKE, number, 5)
            told(LOOKING, 0, None)
            for number in range(4):
                told(SMALLEST, number, 7)

    sent = shown_by_terminal(work)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent)
    # The last state is always drawn before the bar is taken away; what is on between is by time.
    assert re.search(r"searching the smallest set of heads .*3/7 ", plain), plain
    assert "introspect:" not in plain
    assert sent.endswith("\x1b[2K"), repr(sent[-40:])  # the bar's line is empty again


def test_a_bar_goes_away_with_an_error(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")

    def work(terminal):
        with pytest.raises(ValueError, match="mine"), watching_stages(terminal) as told:
            told(SMALLEST, 1, 2)
            raise ValueError("mine")

    assert "\x1b[?25h" in shown_by_terminal(work)  # the cursor is back

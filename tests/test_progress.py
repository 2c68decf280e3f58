"""What is told of long work: lines in a log, a bar on a terminal, a function, and the logger."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

import introspect as ix
from introspect.errors import SelectionError
from introspect.progress import Stages, following

pty = pytest.importorskip("pty", reason="there are no terminals of this kind on Windows")

WIDGET = "application/vnd.jupyter.widget-view+json"
ABLATING, SCORING, SEARCHING = "ablating each head", "scoring attention", "searching"


def worked(progress, stream=None) -> None:
    """Work of three stages, of which the total of one is unknown."""
    with following(progress, stream) as tell:
        for number in range(1235):
            tell(ABLATING, number, 1234, note="3 rejected" if number > 5 else "")
        tell(SCORING, 0)
        tell(SEARCHING, 0, 0)


def without_times(text: str) -> list[str]:
    return re.sub(r"[\d,]+\.\d s|[\d,]+\.\d a second", "…", text).splitlines()


def test_a_log_gets_a_line_as_each_stage_begins_and_ends():
    log = io.StringIO()
    worked(True, log)
    assert without_times(log.getvalue()) == [
        "introspect: ablating each head: 0 of 1,234",
        "introspect: ablating each head: 1,234 of 1,234 done in …, …, 3 rejected",
        "introspect: scoring attention",
        "introspect: scoring attention: done in …",
        "introspect: searching: 0 of 0",
        "introspect: searching: 0 of 0 done in …, …",
    ]


@pytest.mark.parametrize("progress", [None, False, True, lambda *each: None])
def test_the_logger_hears_each_stage_whoever_else_does(progress, caplog):
    with caplog.at_level(logging.INFO, logger="introspect"):
        worked(progress, io.StringIO())
    assert {record.name for record in caplog.records} == {"introspect"}
    assert {record.levelno for record in caplog.records} == {logging.INFO}
    said = without_times("\n".join(record.getMessage() for record in caplog.records))
    assert said[:3] == [
        "ablating each head: 0 of 1,234",
        "ablating each head: 1,234 of 1,234 done in …, …, 3 rejected",
        "scoring attention",
    ]
    assert len(said) == 6


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_written_unless_it_is_asked_for(progress, capsys):
    worked(progress)
    assert capsys.readouterr() == ("", "")


def test_a_function_receives_stage_done_and_total():
    told = []
    worked(lambda stage, done, total: told.append((stage, done, total)))
    assert told[:2] == [(ABLATING, 0, 1234), (ABLATING, 1, 1234)]
    assert told[-3:] == [(ABLATING, 1234, 1234), (SCORING, 0, None), (SEARCHING, 0, 0)]


def test_a_part_of_longer_work_tells_its_stages_once(caplog):
    log = io.StringIO()
    with caplog.at_level(logging.INFO, logger="introspect"), following(True, log) as tell:
        assert isinstance(tell, Stages)
        tell(ABLATING, 0, 1)
        with following(tell) as inner:
            assert inner is tell
            inner(ABLATING, 1, 1)
    assert len(log.getvalue().splitlines()) == len(caplog.records) == 2


def test_work_that_fails_says_where_it_stopped():
    log = io.StringIO()
    with pytest.raises(KeyboardInterrupt), following(True, log) as tell:
        tell(ABLATING, 2, 5)
        raise KeyboardInterrupt
    assert without_times(log.getvalue())[1] == (
        "introspect: ablating each head: 2 of 5 stopped in …, …"
    )


def test_what_is_neither_a_switch_nor_a_function_is_refused():
    with pytest.raises(SelectionError, match=r"`progress` as True, False or a function.*'yes'"):
        ix.detect_heads("induction", num_sequences=2, progress="yes")


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
        with following(True, terminal) as tell:
            for number in range(6):
                tell(ABLATING, number, 5)
            tell(SCORING, 0)
            for number in range(4):
                tell("searching [bold] heads", number, 7, note="3 rejected")

    sent = shown_by_terminal(work)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent)
    # The last state of each stage is always drawn; what is on between is by time.
    assert re.search(r"ablating each head .*5/5 ", plain), plain
    assert re.search(r"scoring attention .*0/\?", plain), plain
    assert re.search(r"searching \[bold\] heads .*3/7 .*3 rejected", plain), plain
    assert "introspect:" not in plain
    assert sent.endswith("\x1b[2K"), repr(sent[-40:])  # the bar's line is empty again


def test_a_bar_goes_away_with_an_error(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")

    def work(terminal):
        with pytest.raises(ValueError, match="mine"), following(True, terminal) as tell:
            tell(SEARCHING, 1, 2)
            raise ValueError("mine")

    assert "\x1b[?25h" in shown_by_terminal(work)  # the cursor is back


def test_a_notebook_gets_a_bar():
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    pytest.importorskip("ipywidgets", reason="ipywidgets is not installed")
    source = (
        "from introspect.progress import following\n"
        "with following(True) as tell:\n"
        "    tell('ablating each head', 1, 2)"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = notebook.cells[0].outputs
    assert any(WIDGET in each.get("data", {}) for each in outputs)
    assert not any("introspect:" in str(each) for each in outputs)


def test_what_an_earlier_run_did_is_no_work_of_this_one(caplog):
    with caplog.at_level("INFO", logger="introspect"), following(None) as tell:
        tell("probing rows", 12, 12)
    assert caplog.messages[-1] == "probing rows: 12 of 12 done before"

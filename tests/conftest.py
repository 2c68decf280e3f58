"""Fixtures that several folders share: a browser, and pages opened in it without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _missing(what: str) -> None:
    """A missing browser is a failure in CI; on a user's machine a skip that says why."""
    message = f"{what} is missing: the tests of the pages need it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        _missing("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("the Python package playwright")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(_FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def rules_broken() -> Callable[[Any], list[str]]:
    """The rules of accessibility that a page breaks; skips where they cannot be checked."""
    name = "tests.views.test_accessibility"
    return pytest.importorskip(name, reason="axe-playwright-python is missing").violations


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a page from its HTML or its file, with the network off.

    At the end the console must be clean, and nothing but the file itself asked for.
    """
    opened: list[Any] = []
    complaints: list[str] = []

    def open_(source: str | Path, *, width: int = 1280, path_hash: str = "") -> Any:
        if isinstance(source, str):
            file = tmp_path / f"page-{len(opened)}.html"
            file.write_text(source, encoding="utf-8")
        else:
            file = source
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        page = context.new_page()
        page.set_default_timeout(10_000)
        address = file.resolve().as_uri() + path_hash

        def note_request(request: Any) -> None:
            is_own = request.url == file.resolve().as_uri() or request.url.startswith(
                ("blob:", "data:")
            )
            if not is_own:
                complaints.append(f"request: {request.url}")

        page.on("request", note_request)
        page.on("console", lambda message: complaints.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (complaints.append("dialog"), dialog.dismiss()))
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        assert page.get_attribute("html", "data-ready") == "true", page.inner_text("main")
        opened.append(context)
        return page

    yield open_
    for context in opened:
        context.close()
    assert complaints == []

"""Fixtures that several folders share: a browser, and pages opened in it without a network."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tabs import Tab, Tabs

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

# A worker holds millions of objects that live to its end. To look through them again and again
# takes a fifth of its time: what is there after the collection of tests is not looked at, and the
# rest less often.
gc.disable()


def pytest_collection_finish() -> None:
    """Begin to collect what the tests leave, without what was imported for them."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with slow tests first: a worker that begins one last leaves the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def _missing(what: str) -> None:
    """A missing browser is a failure in CI; on a user's machine a skip that says why."""
    message = f"{what} is missing: the tests of the pages need it"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    # First the one without windows: the same engine for three quarters of the processor's time.
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    executable = next(filter(None, map(shutil.which, names)), None)
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


@pytest.fixture(scope="session")
def tabs(browser: Any) -> Iterator[Tabs]:
    """The tabs that the tests of a session use one after the other."""
    kept = Tabs(browser)
    yield kept
    kept.close()


@pytest.fixture
def open_page(tabs: Tabs) -> Iterator[Callable[..., Any]]:
    """Open a page from its HTML or its file, with the network off, in a tab without a past.

    A second page in one test opens beside the first and shares nothing with it. At the end the
    console must be clean, and nothing but the file itself asked for.
    """
    opened: list[tuple[Tab, bool]] = []

    def open_(
        source: str | Path, *, width: int = 1280, path_hash: str = "", new: bool = False
    ) -> Any:
        tab = tabs.take(new=new)
        opened.append((tab, new))
        tab.open(source, width=width, path_hash=path_hash)
        return tab.page

    yield open_
    complaints: list[str] = []
    for tab, new in reversed(opened):
        complaints += tabs.give_back(tab, again=not new)
    assert complaints == []

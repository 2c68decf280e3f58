"""Tabs that many tests use one after the other, each as if it were new."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What a page hears about its surroundings when nobody has said otherwise.
_MEDIA = {
    "media": "null",
    "color_scheme": "light",
    "reduced_motion": "no-preference",
    "forced_colors": "none",
}
_HEIGHT = 900
#: What a person may still hold down when a test ends.
_KEYS = ("Shift", "Control", "Alt", "Meta")


class Tab:
    """One page in a context of its own, without a network; it notes what no page may do.

    A new context costs more than most tests do. So a tab is used again once `leave` has cleared
    everything that the next page could see. All its pages have one address: what Chromium has
    compiled, Plotly above all, it finds again by the address alone.
    """

    def __init__(self, browser: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tab-")
        self._file = Path(self._folder.name).resolve() / "page.html"
        self._address = self._file.as_uri()
        self.context = browser.new_context(
            viewport={"width": 1280, "height": _HEIGHT}, offline=True
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        # Chromium holds back repeated downloads of one context, so such a tab is not used again.
        self._has_downloaded = False
        self._listen()

    def open(self, source: str | Path, *, width: int, path_hash: str) -> None:
        """Go to a copy of a page, and wait until its script has run."""
        if isinstance(source, str):
            self._file.write_text(source, encoding="utf-8")
        else:
            shutil.copyfile(source, self._file)
        self.complaints.clear()
        self.page.set_viewport_size({"width": width, "height": _HEIGHT})
        self.page.goto(self._address + path_hash)
        self.page.wait_for_selector("html[data-ready]")
        ready = self.page.get_attribute("html", "data-ready")
        assert ready == "true", self.page.inner_text("main")

    def leave(self) -> list[str]:
        """Forget the page and what a test did to the tab; what the page did that none may do."""
        page = self.page
        if page.url.startswith("file:"):
            page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); name = ''; }")
        page.goto("about:blank")
        for key in _KEYS:
            page.keyboard.up(key)
        page.mouse.up()
        page.emulate_media(**_MEDIA)
        page.mouse.move(0, 0)
        self.context.clear_cookies()
        return list(self.complaints)

    @property
    def is_usable(self) -> bool:
        """Whether the page is still there, and no other was opened beside it."""
        is_alone = not self.page.is_closed() and self.context.pages == [self.page]
        return is_alone and not self._has_downloaded

    def close(self) -> None:
        self.context.close()
        self._folder.cleanup()

    def _listen(self) -> None:
        def on(event: str, note: Callable[[Any], str | None]) -> None:
            def listen(given: Any) -> None:
                complaint = note(given)
                if complaint is not None:
                    self.complaints.append(complaint)

            self.page.on(event, listen)

        def note_download(_: Any) -> None:
            self._has_downloaded = True

        self.page.on("download", note_download)
        on("request", self._of_request)
        on("console", lambda message: f"console: {message.text}")
        on("pageerror", lambda error: f"error: {error}")
        on("dialog", lambda dialog: (dialog.dismiss(), "dialog")[1])

    def _of_request(self, request: Any) -> str | None:
        own = request.url == self._address or request.url.startswith(("blob:", "data:"))
        return None if own else f"request: {request.url}"


class Tabs:
    """The tabs of a session: a test gets the first that it does not use yet."""

    #: As many are kept for the next test; what a test opens beyond is closed after it.
    _KEPT = 3

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._free: list[Tab] = []

    def take(self, *, new: bool = False) -> Tab:
        return self._free.pop(0) if self._free and not new else Tab(self._browser)

    def give_back(self, tab: Tab, *, again: bool = True) -> list[str]:
        """Clear a tab for the next test, or close it; what its page did that none may do."""
        complaints = list(tab.complaints) if tab.page.is_closed() else tab.leave()
        if again and tab.is_usable and len(self._free) < self._KEPT:
            self._free.insert(0, tab)
        else:
            tab.close()
        return complaints

    def close(self) -> None:
        for tab in self._free:
            tab.close()

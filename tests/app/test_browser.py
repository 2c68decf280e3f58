"""The app in Chromium, as a person uses it: started as a process, typed in, looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from introspect.app.uploads import SAMPLE

pytestmark = pytest.mark.browser

TEXT = "The animal didn't cross the street because it was too tired."


@pytest.fixture
def visit(browser: Any, served: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of the app. At the end nothing but the app's server was asked for anything."""
    contexts: list[Any] = []
    foreign: list[str] = []
    dialogs: list[str] = []

    def visit_(path: str = "", *, width: int = 1280) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        own = (served.url, f"ws://127.0.0.1:{served.port}", "blob:", "data:", "about:")

        def note(request: Any) -> None:
            if not request.url.startswith(own):
                foreign.append(request.url)

        page.on("request", note)
        page.on("websocket", note)
        page.on("pageerror", lambda error: dialogs.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(f"{served.url}/{path}")
        return page

    yield visit_
    for context in contexts:
        context.close()
    assert foreign == [] and dialogs == []


def frame(page: Any, title: str) -> Any:
    """What is in the frame of a view, once it is interactive."""
    found = page.frame_locator(f'iframe[title="{title}"]')
    found.locator('html[data-ready="true"]').wait_for(state="attached")
    return found


def read(page: Any, text: str) -> None:
    field = page.get_by_label("Text", exact=True)
    field.fill(text)
    field.press("Control+Enter")


def choose(page: Any, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def row_of(view: Any, query: int) -> str:
    view.locator(f"[data-side=query][data-token-index='{query}']").hover()
    return str(view.locator(".reading").inner_text())


def test_type_choose_see_and_take_the_report_home(visit, open_page, tmp_path):
    page = visit()
    frame(page, "Heat map")
    read(page, "It rained.")
    page.get_by_text("5 × 5 tokens").wait_for()
    choose(page, "Layer", "0")
    read(page, TEXT)
    page.get_by_text("16 × 16 tokens").wait_for()
    choose(page, "Layer", "3")
    choose(page, "Head", "1")
    view = frame(page, "Heat map")
    view.get_by_text("Showing L3H1").wait_for()
    assert "“it” gives most to: “animal” 0.68" in row_of(view, 10)
    # The controls of the view itself work too: it is the same page as everywhere.
    view.locator("select[name=head]").select_option("0")
    view.get_by_text("Showing L3H0").wait_for()

    page.get_by_role("link", name="A pronoun").click()
    page.get_by_role(
        "heading", name="L3H1 (0.68) and L5H11 (0.67) point from it to animal."
    ).wait_for()
    assert "0.68" in frame(page, "Coreference view").locator("main").inner_text()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download the report").click()
    saved = tmp_path / "report.html"
    download.value.save_as(saved)
    offline = open_page(saved)
    assert "L3H1 (0.68) and L5H11 (0.67) point from it to animal." in offline.inner_text("main")
    assert "introspect app" in offline.inner_text("main")

    # Back again: what was typed and chosen is still there.
    page.get_by_role("link", name="One text").click()
    frame(page, "Heat map").get_by_text("Showing L3H1").wait_for()
    assert page.get_by_label("Text", exact=True).input_value() == TEXT


def test_the_keyboard_alone_types_chooses_and_changes_the_page(visit):
    page = visit()
    frame(page, "Heat map")

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("e => document.activeElement.matches(e)", name):
                return
        pytest.fail(f"no way to {name} with the Tab key")

    tab_to("textarea")
    page.keyboard.press("Control+A")
    page.keyboard.type("It rained.")
    page.keyboard.press("Control+Enter")
    page.get_by_text("5 × 5 tokens").wait_for()
    tab_to("[role=radio]")
    page.keyboard.press("Space")
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    page.get_by_role("checkbox", name=re.compile("By word")).wait_for(state="attached")


HOSTILE = "<img src=x onerror=alert(1)> ![x](http://127.0.0.1:9/x.png) :smile: $x$"


def test_hostile_words_are_text_everywhere(visit):
    page = visit()
    frame(page, "Heat map")
    read(page, f"</script><script>alert(1)</script> {HOSTILE}")
    view = frame(page, "Heat map")
    view.get_by_role("heading", name="<script>alert(1)</script>").wait_for()
    choose(page, "Model", "another …")
    field = page.get_by_label("Hub id or folder")
    field.fill(HOSTILE)
    field.press("Enter")
    message = page.get_by_role("alert").filter(has_text="onerror")
    message.wait_for()
    assert HOSTILE in message.inner_text().replace("\u2060", "")
    assert page.locator("[role=alert] img, [role=alert] .katex").count() == 0
    choose(page, "Model", "minilm")
    frame(page, "Heat map")


def test_a_file_is_uploaded_and_probed(visit, open_page, tmp_path):
    page = visit("sets")
    upload = page.locator("input[type=file]")
    large = tmp_path / "large.jsonl"
    large.write_bytes(b"x" * (2 << 20) + b"x")
    upload.set_input_files(large)
    page.get_by_text("File must be 2.0MB or smaller").wait_for()

    cases = tmp_path / "cases.csv"
    cases.write_text(f"{SAMPLE}No pronoun.,it,a,b,9\n")
    upload.set_input_files(cases)
    page.get_by_role("button", name="Probe", exact=True).click()
    page.get_by_text("1 row(s) gave no result").wait_for()
    frame(page, "Report")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the report").click()
    saved = tmp_path / "report.html"
    download.value.save_as(saved)
    assert "nothing is claimed of any head" in open_page(saved).inner_text("main")


# Parts that can only be seen by scrolling sideways; the tables are made for that.
CUT_OFF = """() => [...document.querySelectorAll("[data-testid=stMain], [data-testid=stMain] *")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .filter((e) => /auto|scroll/.test(getComputedStyle(e).overflowX))
  .filter((e) => !e.closest("[data-testid=stDataFrame]") && e.tagName !== "TEXTAREA")
  .map((e) => e.outerHTML.slice(0, 120))"""


def test_a_narrow_window_does_not_scroll_sideways(visit):
    page = visit(width=800)
    for name in ("One text", "A pronoun", "Compare", "A set of cases"):
        page.get_by_role("link", name=name).click()
        page.get_by_role("heading", name=name, level=1).wait_for()
        page.get_by_text("not why the model decides. What is typed").wait_for()
        assert page.evaluate(CUT_OFF) == [], name

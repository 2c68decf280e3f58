"""The app in Chromium: one journey as a person goes, and one for what only a browser shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from introspect.app.uploads import SAMPLE

pytest.importorskip("playwright.sync_api", reason="playwright is missing")

pytestmark = pytest.mark.browser

TEXT = "The animal didn't cross the street because it was too tired."


@pytest.fixture(scope="module")
def visitor(browser: Any) -> Iterator[Any]:
    """One context for all: what Streamlit's own page is made of is read and compiled once."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def visit(visitor: Any, served: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of the app. At the end nothing but the app's server was asked for anything."""
    pages: list[Any] = []
    foreign: list[str] = []
    dialogs: list[str] = []

    def visit_(path: str = "", *, width: int = 1280, dark: bool = False) -> Any:
        page = visitor.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.set_default_timeout(60_000)
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
    for page in pages:
        page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        page.close()
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


def fits(page: Any, title: str) -> None:
    """Wait until a frame is as tall as what is in it: nothing cut, and no gap left."""
    view = frame(page, title)
    page.wait_for_function(
        """title => {
          const frame = document.querySelector(`iframe[title="${title}"]`);
          const inside = frame.contentDocument;
          const gap = frame.clientHeight - inside.body.getBoundingClientRect().height;
          return gap >= 0 && gap < 3 && inside.documentElement.scrollHeight <= frame.clientHeight;
        }""",
        arg=title,
    )
    assert view.locator("main").bounding_box()["height"] > 300


# Parts that can only be seen by scrolling sideways; the tables are made for that.
CUT_OFF = """() => [...document.querySelectorAll("[data-testid=stMain], [data-testid=stMain] *")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1)
  .filter((e) => /auto|scroll/.test(getComputedStyle(e).overflowX))
  .filter((e) => !e.closest("[data-testid=stDataFrame]") && e.tagName !== "TEXTAREA")
  .map((e) => e.outerHTML.slice(0, 120))"""


# Of words with what is behind them, as WCAG 2 has it.
CONTRAST = """selector => [...document.querySelectorAll(selector)].map((found) => {
  const channels = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const over = (one, two) => one.rgb.map((c, i) => c * one.alpha + two[i] * (1 - one.alpha));
  const light = (rgb) => rgb
    .map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const line = [];
  for (let part = found; part; part = part.parentElement) line.unshift(getComputedStyle(part));
  const white = [255, 255, 255];
  const ground = line.reduce((below, s) => over(channels(s.backgroundColor), below), white);
  const ink = channels(line.at(-1).color);
  ink.alpha *= line.reduce((all, s) => all * Number(s.opacity), 1);
  const [dark, bright] = [light(over(ink, ground)), light(ground)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
})"""


# Of the ground of the app: 0 to 255.
BRIGHTNESS = """Math.max(...getComputedStyle(document.querySelector("[data-testid=stApp]"))
  .backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number))"""


def readable(page: Any) -> None:
    """Wait until what is chosen and what is remarked can be read."""
    for selector in ("[role=radio]", "[data-testid=stCaptionContainer] p"):
        # Not before the page's own styles are there.
        page.wait_for_function(
            f"selector => {{ const all = ({CONTRAST})(selector);"
            " return all.length >= 2 && Math.min(...all) >= 4.5; }",
            arg=selector,
        )


def tab_to(page: Any, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("e => document.activeElement.matches(e)", name):
            return
    pytest.fail(f"no way to {name} with the Tab key")


@pytest.fixture
def take_home(open_page: Any, tmp_path: Path) -> Callable[[Any, str], Any]:
    """What a button downloads, opened without the app."""

    def take(page: Any, button: str) -> Any:
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        saved = tmp_path / f"{button} {len(list(tmp_path.iterdir()))}.html"
        download.value.save_as(saved)
        assert "setSize" not in saved.read_text(encoding="utf-8")
        return open_page(saved)

    return take


HOSTILE = "<img src=x onerror=alert(1)> ![x](http://127.0.0.1:9/x.png) :smile: $x$"


@pytest.mark.slow
def test_a_person_goes_through_the_pages(visit, take_home, tmp_path):
    page = visit()
    by_the_keyboard_alone(page)
    view = through_one_text(page)
    through_a_pronoun(page, take_home)
    # Back again: what was typed and chosen is still there.
    page.get_by_role("link", name="One text").click()
    view.get_by_text("Showing L3H1").wait_for()
    assert page.get_by_label("Text", exact=True).input_value() == TEXT
    through_a_set(page, take_home, tmp_path)
    through_heads_by_the_keyboard(page, take_home)


def by_the_keyboard_alone(page: Any) -> None:
    frame(page, "Heat map")
    tab_to(page, "textarea")
    page.keyboard.press("Control+A")
    page.keyboard.type("It rained.")
    page.keyboard.press("Control+Enter")
    page.get_by_text("5 × 5 tokens").wait_for()
    tab_to(page, "[role=radio]")
    page.keyboard.press("Space")
    page.locator("[data-testid=stDataFrame]").first.wait_for()
    page.get_by_role("checkbox", name=re.compile("By word")).wait_for(state="attached")


def through_one_text(page: Any) -> Any:
    page.get_by_role("radio", name="Heat map", exact=True).click()
    frame(page, "Heat map")
    read(page, TEXT)
    page.get_by_text("16 × 16 tokens").wait_for()
    view = frame(page, "Heat map")
    view.get_by_text("Showing L3H1").wait_for()
    for part in ("words", "strip"):
        assert view.locator(f"[data-element={part}]").bounding_box()["y"] < 250
    assert "“it” gives most to: “animal” 0.68" in row_of(view, 10)
    # The controls of the view itself work too: it is the same page as everywhere.
    view.locator("select[name=head]").select_option("0")
    view.get_by_text("Showing L3H0").wait_for()
    what_is_chosen_is_kept(page, view)
    return view


def what_is_chosen_is_kept(page: Any, view: Any) -> None:
    """By another view of the text, and by a reload; and the text and the view by the address."""
    view.locator("[data-element=strip] [data-layer='5'][data-head='11']").click()
    page.wait_for_function("() => location.hash.startsWith('#L5H11')")
    page.get_by_role("radio", name="Head view", exact=True).click()
    again = frame(page, "Head view")
    again.locator("html[data-selection^='L5H11']").wait_for(state="attached")
    page.reload()
    again = frame(page, "Head view")
    again.locator("html[data-selection^='L5H11']").wait_for(state="attached")
    assert "view=Head+view" in page.url and "#L5H11" in page.url
    page.get_by_role("radio", name="Heat map", exact=True).click()
    view.locator("[data-element=strip] [data-layer='3'][data-head='1']").click()


def through_a_pronoun(page: Any, take_home: Callable[[Any, str], Any]) -> None:
    finding = "L3H1 points from it to animal: 0.68 of its attention; the other words give it 0.11."
    page.get_by_role("link", name="A pronoun").click()
    page.get_by_role("heading", name=finding).wait_for()
    assert "0.68" in frame(page, "Coreference view").locator("main").inner_text()
    report = take_home(page, "Download the report").inner_text("main")
    assert finding in report and "introspect app" in report


def through_a_set(page: Any, take_home: Callable[[Any, str], Any], tmp_path: Path) -> None:
    page.get_by_role("link", name="A set of cases").click()
    upload = page.locator("input[type=file]")
    large = tmp_path / "large.jsonl"
    large.write_bytes(b"x" * (2 << 20) + b"x")
    upload.set_input_files(large)
    page.get_by_text("File must be 2.0MB or smaller").wait_for()
    cases = tmp_path / "cases.csv"
    cases.write_text(f"{SAMPLE}No pronoun.,it,a,b,9\n", encoding="utf-8")
    upload.set_input_files(cases)
    page.get_by_role("button", name="Probe", exact=True).click()
    page.get_by_text("Rows without a result: 1").wait_for()
    frame(page, "Report")
    report = take_home(page, "Download the report")
    assert "nothing is claimed of any head" in report.inner_text("main")


def through_heads_by_the_keyboard(page: Any, take_home: Callable[[Any, str], Any]) -> None:
    page.get_by_role("link", name="Ablate heads").click()
    frame(page, "Compare view")
    choose(page, "Model", "pronoun")
    page.get_by_role("heading", name="L1H0 ablated (zero)").wait_for()
    page.get_by_role("combobox", name=re.compile("Heads")).focus()
    page.keyboard.press("Backspace")
    page.get_by_text("Choose a head, such as L3H1").wait_for()
    page.keyboard.type("L0H0")
    page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="L0H0 ablated (zero)").wait_for()
    page.get_by_text("The attention of L1H0 changes most").wait_for()
    fits(page, "Compare view")
    page.get_by_role("radio", name="Attention before and after").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.get_by_text(re.compile("Before, the model predicts “fox”")).wait_for()
    page.get_by_role("radio", name="Effect of each head").click()
    fits(page, "Causal view")
    assert "L1H0" in frame(page, "Causal view").locator("main").inner_text()
    page.locator(".stDownloadButton", has_text="Download this view").wait_for()
    assert take_home(page, "Download this view").locator("[data-view=causal]").count() == 1


@pytest.mark.slow
def test_what_only_a_browser_shows(visit):
    page = visit(width=800, dark=True)
    frame(page, "Heat map")
    page.wait_for_function(f"() => ({BRIGHTNESS}) < 128")
    readable(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"() => ({BRIGHTNESS}) > 128")
    readable(page)
    nothing_scrolls_sideways(page)
    hostile_words_are_text(page)
    a_frame_is_as_tall_as_its_page(page)


def nothing_scrolls_sideways(page: Any) -> None:
    """In a narrow window, on any page."""
    for name in ("A pronoun", "Ablate heads", "Compare", "A set of cases", "One text"):
        link = page.get_by_role("link", name=name, exact=True)
        if not link.is_visible():  # there is no room for all of them beside each other
            page.get_by_role("button", name=re.compile(r"\d+ more")).click()
            link = page.get_by_role("menuitem", name=name)
        link.click()
        page.get_by_role("heading", name=name, level=1).wait_for()
        page.get_by_text("not why the model decides. What is typed").wait_for()
        assert page.evaluate(CUT_OFF) == [], name


def hostile_words_are_text(page: Any) -> None:
    """In the page of a view, and in what the app says."""
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


def a_frame_is_as_tall_as_its_page(page: Any) -> None:
    """Whatever happens in it, and whatever becomes of its width."""
    read(page, TEXT)
    page.get_by_text("16 × 16 tokens").wait_for()
    fits(page, "Heat map")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("radio", name="Head view", exact=True).click()
    fits(page, "Head view")
    tall = page.locator("iframe").bounding_box()["height"]
    read(page, "It rained.")
    page.get_by_text("5 × 5 tokens").wait_for()
    page.wait_for_function("h => document.querySelector('iframe').clientHeight < h - 150", arg=tall)
    fits(page, "Head view")
    page.set_viewport_size({"width": 800, "height": 900})
    fits(page, "Head view")
    page.get_by_role("link", name="A pronoun").click()
    page.get_by_text("Choose the pronoun and at least one candidate").wait_for()
    words = page.get_by_test_id("stSidebar")
    words.get_by_text("It", exact=True).click()
    # Exactly, since the page's own description has "pronoun: its antecedent".
    words.get_by_text("Pronoun: It", exact=True).wait_for()
    words.get_by_role("radio", name="Refers to", exact=True).click()
    words.get_by_text("rained", exact=True).click()
    words.get_by_text("Refers to: rained").wait_for()
    fits(page, "Coreference view")
    short = page.locator("iframe").bounding_box()["height"]
    frame(page, "Coreference view").get_by_role("button", name="Show all 72 heads").click()
    page.wait_for_function(
        "h => document.querySelector('iframe').clientHeight > h + 900", arg=short
    )
    fits(page, "Coreference view")

"""A tab that was used before is as good as a new one, and what a page may not do is seen."""

from __future__ import annotations

import pytest

from tests.tabs import Tab

pytestmark = pytest.mark.browser

PAGE = '<!doctype html><html data-ready="true"><main>{}</main></html>'
SURROUNDINGS = """() => ({
  stored: [localStorage.length, sessionStorage.length, document.cookie, window.name],
  width: innerWidth,
  dark: matchMedia("(prefers-color-scheme: dark)").matches,
  still: matchMedia("(prefers-reduced-motion: reduce)").matches,
  print: matchMedia("print").matches,
  pointed: document.querySelector("main:hover, button:hover") !== null,
})"""


@pytest.fixture
def tab(browser):
    made = Tab(browser)
    yield made
    made.close()


@pytest.fixture
def opened(tab):
    def open_(body: str, *, width: int = 1280) -> None:
        tab.open(PAGE.format(body), width=width, path_hash="")

    return open_


def test_the_next_page_sees_nothing_of_the_last(tab, opened):
    big = '<button style="position: fixed; inset: 9px">A</button>'
    opened(big)
    first = tab.page.evaluate(SURROUNDINGS)
    assert first["stored"] == [0, 0, "", ""] and not first["pointed"]
    tab.leave()
    opened(big, width=600)
    page = tab.page
    page.evaluate("localStorage.a = sessionStorage.a = window.name = 'a'")
    page.emulate_media(media="print", color_scheme="dark", reduced_motion="reduce")
    page.mouse.move(300, 300)
    page.mouse.down()
    page.keyboard.down("Shift")
    changed = page.evaluate(SURROUNDINGS)
    assert changed["stored"] == [1, 1, "", "a"] and changed["width"] == 600
    assert changed["dark"] and changed["still"] and changed["print"] and changed["pointed"]
    assert tab.leave() == []
    opened("<p style='margin-top: 99px'>b</p>")
    assert page.evaluate(SURROUNDINGS) == first
    page.evaluate("addEventListener('keydown', (event) => { window.shifted = event.shiftKey; })")
    page.keyboard.press("a")
    assert page.evaluate("window.shifted") is False


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("console.log('said')", "console: said"),
        ("throw new Error('broken')", "error: broken"),
        ("alert('hello')", "dialog"),
        ("new Image().src = 'other.png'", "request: "),
    ],
)
def test_what_a_page_may_not_do_is_noted_once(tab, opened, script, complaint):
    opened(f"<script>{script}</script>")
    tab.page.wait_for_timeout(50)
    assert any(complaint in noted for noted in tab.leave())
    opened("")
    assert tab.leave() == []


def test_a_second_page_is_beside_the_first_and_shares_nothing(open_page, tmp_path):
    first, second = open_page(PAGE.format("1")), open_page(PAGE.format("2"))
    assert (first.inner_text("main"), second.inner_text("main")) == ("1", "2")
    first.evaluate("localStorage.a = 1")
    assert second.evaluate("localStorage.length") == 0

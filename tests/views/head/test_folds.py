"""The page of a head view of a long text: what folds, what opens it, and what stays in sight."""

from __future__ import annotations

import pytest
import torch

from introspect.records import AttentionRecord
from introspect.views import head_view
from tests.views.head.helpers import number_beside, token

LONG = 300
#: The only strong line between words.
QUERY, KEY = 200, 40


@pytest.fixture(scope="module")
def record() -> AttentionRecord:
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(2, 2, LONG, LONG, generator=generator).softmax(-1)
    weights[0, 1, QUERY] = 0.0
    weights[0, 1, QUERY, [KEY, 0]] = torch.tensor([0.75, 0.25])
    return AttentionRecord.from_tensors(weights, [f"word{index}" for index in range(LONG)])


@pytest.fixture(scope="module")
def source(record) -> str:
    return head_view(record, head="L0H1").to_html()


def rows(page, side: str) -> list[str]:
    return page.locator(f".tokens.{side} button").all_inner_texts()


@pytest.mark.browser
def test_a_long_text_folds_to_the_tokens_of_its_strongest_lines(open_page, source):
    page = open_page(source)
    assert f"word{QUERY}" in rows(page, "query") and f"word{KEY}" in rows(page, "key")
    for side in ("query", "key"):
        assert len(rows(page, side)) <= 44
        named = [name for name in rows(page, side) if name.startswith("word")]
        folded = [int(name.split()[1]) for name in rows(page, side) if name.startswith("…")]
        assert len(named) + sum(folded) == LONG
    assert page.locator('section[data-view="head"]').bounding_box()["height"] < 1600
    assert "strongest lines" in page.inner_text('[data-view="head"] .reading')


@pytest.mark.browser
def test_pointing_shows_the_rows_with_weight_and_moves_nothing_under_the_pointer(open_page, source):
    page = open_page(source)
    before = rows(page, "query")
    token(page, "query", QUERY).hover()
    assert [name for name in rows(page, "key") if name.startswith("word")] == [
        "word0",
        f"word{KEY}",
    ]
    assert number_beside(page, "key", KEY) == "0.75"
    assert rows(page, "query") == before
    name = token(page, "key", KEY).get_attribute("aria-label")
    assert name == f"key {KEY}: word{KEY}, 0.75"
    page.mouse.move(0, 0)
    page.wait_for_function("() => !document.querySelector('.token.focal')")
    assert token(page, "key", KEY).get_attribute("aria-label") == f"key {KEY}: word{KEY}"


@pytest.mark.browser
def test_a_fold_opens_and_closes_again(open_page, source):
    page = open_page(source)
    folded = rows(page, "key")
    place = next(at for at, name in enumerate(folded) if name.startswith("…"))
    button = page.locator(".tokens.key button").nth(place)
    assert button.get_attribute("aria-expanded") == "false"
    count = int(folded[place].split()[1])
    button.click()
    opened = rows(page, "key")
    assert opened[place] == f"fold {count} tokens"
    assert all(name.startswith("word") for name in opened[place + 1 : place + 1 + count])
    page.locator(".tokens.key button").nth(place).click()
    assert rows(page, "key") == folded


@pytest.mark.browser
def test_a_search_gives_a_row_to_what_it_finds(open_page, source):
    page = open_page(source)
    page.fill('[name="search"]', "word123")
    assert page.locator(".token.found").all_inner_texts() == ["word123", "word123"]
    page.press('[name="search"]', "Enter")
    assert page.evaluate("document.activeElement.textContent") == "word123"


@pytest.mark.browser
def test_tab_enters_each_side_once(open_page, source):
    page = open_page(source)
    for side in ("query", "key"):
        stops = page.locator(f'.tokens.{side} button[tabindex="0"]')
        assert stops.count() == 1
        assert page.locator(f".tokens.{side} button:not([tabindex])").count() == 0
    token(page, "query", QUERY).focus()
    page.keyboard.press("Shift+ArrowDown")
    assert page.evaluate("document.activeElement.closest('.tokens.query') !== null")
    assert page.locator('.tokens.query button[tabindex="0"]').count() == 1


@pytest.mark.browser
def test_the_other_side_stays_in_sight(open_page, source):
    page = open_page(source)
    token(page, "query", QUERY).click()
    page.locator(".tokens.query .fold").last.click()
    page.mouse.move(2, 2)
    page.locator(".tokens.query .token").last.scroll_into_view_if_needed()
    page.wait_for_timeout(100)
    box = token(page, "key", KEY).bounding_box()
    assert 0 <= box["y"] <= 900
    middle = box["y"] + box["height"] / 2 - page.locator(".head-view > .lines").bounding_box()["y"]
    drawn = page.evaluate("document.querySelector('.lines').data.flatMap(({ y }) => [...y])")
    assert min(abs(y - middle) for y in drawn) < 2

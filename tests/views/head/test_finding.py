"""Ways through a head view and out of it: keys, search, address, layout, files, notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from introspect.page import Document
from introspect.views import head_view
from tests.views.head.helpers import drawn, numbers, pair_record, pressed, token
from tests.views.samples import record_of


def test_a_notebook_gets_a_frame_that_cannot_reach_out():
    shown = head_view(record_of())._repr_html_()
    assert shown.startswith('<iframe sandbox="allow-scripts allow-downloads"')
    # Beside it only the lines that hear how tall the page is: the same ones beside any view.
    other = head_view(record_of(seed=1))._repr_html_()
    scripts = {text[text.index("<script>") :] for text in (shown, other)}
    assert len(scripts) == 1 and all(text.count("<script") == 1 for text in (shown, other))


@pytest.mark.browser
def test_two_views_in_a_notebook_do_not_disturb_each_other(browser, tmp_path):
    cells = "".join(head_view(record_of(seed=n), layer=n)._repr_html_() for n in (0, 1))
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{cells}", encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    first, second = (page.frame_locator(f"iframe >> nth={n}") for n in (0, 1))
    for frame in (first, second):
        frame.locator("html[data-ready=true]").wait_for(state="attached")
    first.locator('.chip[data-head="1"]').click()
    assert first.locator('button[aria-pressed="true"].chip').count() == 2
    assert second.locator('button[aria-pressed="true"].chip').count() == 3
    assert second.locator("output").first.inner_text() == "1"
    context.close()


def test_saved_page_is_whole(tmp_path):
    path = head_view(record_of()).save(tmp_path / "view.html")
    assert path.read_text(encoding="utf-8").endswith("</html>\n")


@pytest.mark.browser
def test_arrows_change_layer_and_head(open_page):
    page = open_page(head_view(record_of(), heads=[1]).to_html())
    token(page, "query", 1).focus()
    page.keyboard.press("ArrowRight")
    assert pressed(page) == [2]
    page.keyboard.press("ArrowRight")
    assert pressed(page) == [2]
    page.keyboard.press("ArrowDown")
    assert page.locator("output").first.inner_text() == "1"
    page.keyboard.press("ArrowLeft")
    assert pressed(page) == [1]
    assert "L1H1" in page.inner_text(".reading")


@pytest.mark.browser
def test_a_search_marks_and_goes_to_what_it_finds(open_page):
    page = open_page(head_view(record_of()).to_html())
    page.fill('[name="search"]', "SHE")
    assert page.locator(".token.found").all_inner_texts() == ["she", "she"]
    assert "2 found" in page.inner_text("section .controls")
    page.press('[name="search"]', "Enter")
    assert page.evaluate("document.activeElement.textContent") == "she"


@pytest.mark.browser
@pytest.mark.parametrize("layout", ["vertical", "horizontal"])
def test_the_address_opens_what_was_seen(open_page, layout):
    record = pair_record()
    source = head_view(record).to_html()
    page = open_page(source)
    page.select_option('[name="layout"]', layout)
    page.select_option('[name="weights"]', "renormalized")
    page.dblclick('.chip[data-head="2"]')
    token(page, "query", 4).click()
    page.mouse.move(0, 0)
    token(page, "query", 1).focus()
    page.keyboard.press("ArrowDown")
    # The address is written once things have come to rest.
    page.wait_for_function("() => location.hash.includes('weights=renormalized')")
    page.wait_for_timeout(300)
    seen = page.inner_text(".reading"), numbers(page, "key"), pressed(page)
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    assert (again.inner_text(".reading"), numbers(again, "key"), pressed(again)) == seen
    assert set(lines_in_pixels(again)) == set(lines_in_pixels(page))


def lines_in_pixels(page):
    traces = page.evaluate("document.querySelector('.lines').data")
    return {(tuple(t["x"]), tuple(t["y"]), t["line"]["color"]) for t in traces}


@pytest.mark.browser
def test_an_address_that_does_not_fit_is_left_aside(open_page):
    link = "#selection.head=L99H0&view-1-head.pins=q99,zz&x=&nowhere&a=%"
    page = open_page(head_view(record_of(), heads=[0]).to_html(), path_hash=link)
    assert page.locator("output").first.inner_text() == "0"
    assert pressed(page) == [0]


@pytest.mark.browser
def test_words_across_have_their_lines_between_them(open_page):
    record = record_of("那 只 灰 猫 坐")
    page = open_page(head_view(record, heads=[0], layout="horizontal", threshold=0).to_html())
    centers = page.evaluate(
        """() => ['query', 'key'].map((side) => [...document.querySelectorAll(`.tokens.${side} li`)]
          .map((item) => item.offsetLeft + item.offsetWidth / 2))"""
    )
    traces = page.evaluate("document.querySelector('.lines').data")
    found = {
        (trace["x"][start + 1], trace["x"][start + 2])
        for trace in traces
        for start in range(0, len(trace["x"]), 5)
    }
    assert found == {(q, k) for q in centers[0] for k in centers[1]}
    tops = page.evaluate(
        """[...document.querySelectorAll('.tokens.query .token')]
          .map((token) => token.getBoundingClientRect().top)"""
    )
    assert len(set(tops)) == 1


@pytest.mark.browser
def test_the_reader_chooses_light_or_dark(open_page):
    page = open_page(head_view(record_of(), heads=[0]).to_html())
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    light = {trace["line"]["color"] for trace in drawn(page)}
    page.click('[name="theme"]')
    assert page.evaluate(background) == "rgb(21, 24, 28)"
    assert light.isdisjoint({trace["line"]["color"] for trace in drawn(page)})
    page.wait_for_function("() => location.hash.includes('page.theme=dark')")


@pytest.mark.browser
@pytest.mark.parametrize("format", ["svg", "png"])
def test_what_is_seen_can_be_saved(open_page, tmp_path, format):
    record = pair_record()
    page = open_page(head_view(record, heads=[0], token=2).to_html())
    with page.expect_download() as waiting:
        page.click(f'[name="export-{format}"]')
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"head-view-L0H0-ann-slept-bo-woke-1.{format}"
    if format == "png":
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000
        return
    text = path.read_text()
    for label in record.keys.tokens:
        assert f">{label}" in text or label in text
    assert f"{float(record.attentions[0, 0, 2, 4]):.2f}" in text


@pytest.mark.browser
def test_two_views_of_a_page_write_two_files_which_say_what_they_are_of(open_page):
    document = Document("Two")
    for layer in (0, 0):
        for section in head_view(pair_record(), layer=layer, heads=[1]).sections():
            document.add_section(section)
    page = open_page(document.to_html())
    names = []
    for section in page.locator("section[data-view=head]").all():
        with page.expect_download() as waiting:
            section.locator('[name="export-svg"]').click()
        names.append(waiting.value.suggested_filename)
        text = Path(waiting.value.path()).read_text(encoding="utf-8")
        assert "Ann slept · Bo woke · L0H1 · raw weights" in text
        # Nothing in a picture can be pointed at.
        assert "Showing L0H1." in text and "Point at" not in text
    assert len(set(names)) == 2


@pytest.mark.browser
def test_in_a_frame_nothing_is_called_saved(browser, tmp_path):
    source = head_view(record_of())._repr_html_().replace(" allow-downloads", "")
    path = tmp_path / "frame.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{source}", encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready=true]").wait_for(state="attached")
    frame.locator('section[data-view=head] [name="export-svg"]').click()
    said = frame.locator("section[data-view=head] .exports output")
    said.filter(has_text="Offered as").wait_for()
    assert "allows no downloads" in said.inner_text()
    assert "Saved" not in frame.locator("#announcements").inner_text()
    context.close()

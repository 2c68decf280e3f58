"""The list of a folder: what each page found, and nothing that it cannot vouch for."""

from __future__ import annotations

import json
import sys

import pytest

import introspect as ix
from introspect import cli
from introspect.errors import InputError, OutputError
from introspect.page import read_summary

from ..views.samples import record_of

HOSTILE = "<img src=x onerror=alert(1)> & </script>"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep er").mkdir()
    ix.head_view(record_of("Ann saw Bo")).save(tmp_path / "a.html")
    ix.model_view(record_of(HOSTILE)).save(tmp_path / "deep er" / "b#1.html")
    (tmp_path / "other.html").write_text("<p>not ours</p>")
    return tmp_path


def test_lists_pages_below_too_and_counts_the_others(folder):
    page = ix.report_index(folder).read_text(encoding="utf-8")
    assert read_summary(page) == {
        "kind": "index",
        "title": f"Reports in {folder.name}",
        "pages": 2,
    }
    assert "Left out: 1 HTML page that" in page
    assert 'href="deep%20er/b%231.html"' in page
    assert "Plotly" not in page.split("<body>")[1]


def test_made_again_it_does_not_list_itself(folder):
    first = ix.report_index(folder).read_text(encoding="utf-8")
    assert ix.report_index(folder).read_text(encoding="utf-8") == first


def test_a_page_of_somebody_else_is_not_written_over(folder):
    (folder / "index.html").write_text("<p>mine</p>")
    with pytest.raises(OutputError, match="Move it away"):
        ix.report_index(folder)
    assert (folder / "index.html").read_text() == "<p>mine</p>"


def test_nothing_to_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="got 0 HTML pages"):
        ix.report_index(tmp_path)
    with pytest.raises(InputError, match="Expected a folder"):
        ix.report_index(tmp_path / "none")


@pytest.mark.parametrize("block", ["{", "[1]", '{"kind": "view"'])
def test_damaged_summary_is_no_summary(block):
    page = f'<script type="application/json" id="report-summary">{block}'
    assert read_summary(page) is None
    assert read_summary(page + "</script>") is None


@pytest.mark.browser
def test_a_person_searches_and_follows_a_link(folder, open_page):
    page = open_page(ix.report_index(folder))
    assert page.inner_text("output") == "2 of 2 pages"
    assert page.locator("img").count() == 0
    page.fill('input[name="search-items"]', "head view")
    assert page.inner_text("output") == "1 of 2 pages"
    assert page.locator("ol.index a:visible").get_attribute("href") == "a.html"


def foreign(folder, name, summary):
    page = (folder / "a.html").read_text(encoding="utf-8")
    before, opening, rest = page.partition('<script type="application/json"')
    tag, _, rest = rest.partition(">")
    _, closing, rest = rest.partition("</script>")
    (folder / name).write_text(f"{before}{opening}{tag}>{summary}{closing}{rest}", encoding="utf-8")


DEEP = "[" * 100_000


@pytest.mark.parametrize("summary", [DEEP, '{"a":' * 50_000, "{", "7", "[]", "nul"])
def test_a_foreign_page_with_a_summary_that_is_none_is_left_out(folder, summary):
    foreign(folder, "foreign.html", summary)
    assert "Left out: 2 HTML pages" in ix.report_index(folder).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "wrong", [None, 7, -1, 1e308, True, [[]], {"a": {}}, "x" * 9_000, "\u202e"]
)
@pytest.mark.parametrize("name", ["title", "finding", "model", "cases", "kind"])
def test_a_summary_of_other_types_is_listed_by_what_can_be_read(folder, name, wrong):
    summary = {"kind": "view", "title": "T", "finding": "F", "model": "m", "cases": 3, name: wrong}
    foreign(folder, "foreign.html", json.dumps(summary))
    page = ix.report_index(folder).read_text(encoding="utf-8")
    assert 'href="foreign.html"' in page
    assert "x" * 2_000 not in page


def test_the_command_is_one_line(folder, monkeypatch, capsys):
    for path in folder.rglob("*.html"):
        path.unlink()
    (folder / "foreign.html").write_text(DEEP)
    monkeypatch.setattr(sys, "argv", ["introspect", "index", str(folder)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (folder / "index.html").exists()

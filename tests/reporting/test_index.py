"""The list of a folder: what each page found, and nothing that it cannot vouch for."""

from __future__ import annotations

import json
import re
import sys

import pytest
import torch

import introspect as ix
from introspect import cli
from introspect.errors import InputError, OutputError
from introspect.page import read_summary
from introspect.reporting.strips import strip_of
from introspect.views import Choice, instrument

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


# The strip of heads of each page


def summary_of(path) -> dict:
    return read_summary(path.read_text(encoding="utf-8"))


def test_each_page_has_the_strip_that_it_opens_with(folder):
    record = record_of("Ann saw Bo")
    strip = summary_of(folder / "a.html")["strip"]
    opened = instrument(record, ix.head_view(record).choice)
    assert strip["label"].startswith("weight from “")
    place = (opened.layer, opened.head, opened.query, opened.key)
    expected = float(record.attentions[place])
    assert strip["values"][opened.layer][opened.head] == pytest.approx(expected, abs=5e-4)
    page = ix.report_index(folder).read_text(encoding="utf-8")
    assert page.count('<figure class="small-strip">') == 2


def test_a_word_of_several_pieces_counts_as_a_word_in_the_strip():
    values = [[[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.5, 0.3, 0.2]]]
    tokens = ix.TokenSequence(
        tokens=("ann", "##a", "bo"),
        offsets=((0, 3), (3, 4), (5, 7)),
        word_ids=(0, 0, 1),
        words=("anna", "bo"),
        texts=("anna bo",),
    )
    record = ix.AttentionRecord.from_tensors(torch.tensor([values]), tokens)
    pair = instrument(record, Choice(query=2, key=1)).pair
    assert pair.label == "weight from “bo” to “anna”"
    assert pair.values == [[pytest.approx(0.8)]]


STRIP = {
    "label": "accuracy",
    "layers": [3, 5],
    "values": [[0.5, 1.0, None], [0.0, 0.5, 0.75]],
    "low": 0.0,
    "middle": 0.5,
    "high": 1.0,
    "digits": 2,
}


def test_the_squares_of_a_strip_stand_in_their_rows_with_the_color_of_their_side():
    drawn = str(strip_of(STRIP))
    assert 'viewBox="0 0 3 2"' in drawn
    full = re.findall(r'<path class="(\w+)" style="--strength:100%" d="([^"]*)"', drawn)
    assert full == [("below", "M0 1h1v1h-1z"), ("above", "M1 0h1v1h-1z")]
    # What is in the middle or missing has no color of its own.
    assert drawn.count("h1v1h-1z") == 3
    assert "2 layers × 3 heads by accuracy: most L3H1 1.00" in drawn
    assert '<figcaption dir="auto">accuracy: L3H1 1.00</figcaption>' in drawn


@pytest.mark.parametrize(
    "wrong",
    [
        {"values": []},
        {"values": [[]]},
        {"values": [[0.5], [0.5, 0.5]]},
        {"values": [["0.5"], [0.5]]},
        {"values": [[True], [0.5]]},
        {"values": [[0.5]] * 300, "layers": [0] * 300},
        {"values": [[1e400], [0.5]]},
        {"values": 7},
        {"layers": ["<b>", 1]},
        {"layers": [1]},
        {"low": None},
        {"high": "1"},
        {"low": 2.0},
        {"label": ["a"]},
    ],
)
def test_a_strip_of_a_foreign_page_is_drawn_only_if_it_is_one(wrong):
    assert strip_of(STRIP | wrong) == ""


@pytest.mark.parametrize("strip", [None, 7, "x", [1], {}])
def test_a_page_without_a_strip_has_none(strip):
    assert strip_of(strip) == ""


def test_the_label_of_a_strip_is_text():
    drawn = str(strip_of(STRIP | {"label": HOSTILE}))
    assert "<img" not in drawn
    assert "&lt;img" in drawn


@pytest.mark.parametrize(
    ("summary", "said"),
    [({"cases": 3, "texts": 9}, "3 cases"), ({"cases": 0, "texts": 9}, "9 texts"),
     ({"cases": 0, "texts": 1}, None)],
)  # fmt: skip
def test_what_is_counted_is_cases_or_else_several_texts(folder, summary, said):
    foreign(folder, "foreign.html", json.dumps({"kind": "report", "finding": "F", **summary}))
    page = ix.report_index(folder).read_text(encoding="utf-8")
    facts = page.partition('href="foreign.html"')[2].partition("</li>")[0]
    assert said is None or f"foreign.html · {said}" in facts
    assert "0 cases" not in facts
    assert said is not None or "text" not in facts

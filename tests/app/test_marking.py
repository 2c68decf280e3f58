"""Texts on their way to Streamlit's Markdown."""

from __future__ import annotations

import re

import pytest

from introspect.app.display import marked, plain

HOSTILE = [
    "![x](http://127.0.0.1:9/x.png)",
    "[a](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "$x^2$ and `code` and **bold** and ~~gone~~",
    ":red[text] :material/home: :smile:",
    "# heading",
    "1. list",
    "&amp;",
    "http://example.com www.example.com a@b.c",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_every_mark_is_escaped(text):
    escaped = plain(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*(?<!\\)[*_`\[\]<>$~#|!&]", escaped), escaped
    assert re.sub(r"\\(.)", r"\1", escaped).replace("\u2060", "") == text


def test_lines_become_one_and_nothing_stays_hidden():
    assert plain("one\n\n two\u202e") == "one two⟨U\\+202E⟩"


def test_marks_of_a_finding_stay_and_those_of_its_words_do_not():
    assert marked("No head points from *it* to *a_b*: none.") == (
        "No head points from *it* to *a\\_b*\\: none\\."
    )
    assert marked("plain") == "plain"

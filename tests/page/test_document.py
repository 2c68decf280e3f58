"""A page: one file, a policy that forbids the network, data that stays data."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
import torch

from introspect.page import Document, Section
from introspect.page.bundle import PLOTLY_SHA256, bundle, plotly_source
from introspect.records import AttentionRecord

HOSTILE = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\u2028", "\x00"]


def record_of(tokens: list[str]) -> AttentionRecord:
    return AttentionRecord.from_tensors(
        torch.full((1, 2, len(tokens), len(tokens)), 1 / len(tokens)), tokens
    )


def page_of(*records: AttentionRecord) -> str:
    document = Document("A title & <more>")
    for record in records:
        state = {"scale": [[0, "#fff"], [1, "#000"]], "tileCells": 48, "gap": 1}
        document.add_section(Section(kind="model", title="T", lead="L", state=state, record=record))
    return document.to_html()


def data_of(page: str) -> dict:
    block = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', page, re.S)
    assert block
    return json.loads(block[1])


def test_policy_names_the_hash_of_each_script_and_allows_nothing_else():
    page = page_of(record_of(["a", "b"]))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    directives = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert directives["default-src"] == "'none'"
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    expected = {
        "'sha256-" + base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() + "'"
        for s in [*scripts, bundle(frozenset({"model"})), plotly_source()]
    }
    assert set(directives["script-src"].split()) == expected
    assert len(scripts) == 1


def test_vendored_plotly_is_the_one_that_was_reviewed():
    assert hashlib.sha256(plotly_source().encode()).hexdigest() == PLOTLY_SHA256


def test_record_that_two_views_show_is_embedded_once():
    record = record_of(["a", "b"])
    data = data_of(page_of(record, record))
    assert len(data["records"]) == 1
    assert [section["record"] for section in data["sections"]] == [0, 0]
    assert len(data_of(page_of(record, record_of(["a", "b"])))["records"]) == 2


def test_hostile_tokens_are_data():
    page = page_of(record_of(HOSTILE))
    assert "alert(1)</script>" not in page
    assert "<img" not in page
    assert "\x00" not in page and "\u2028" not in page
    labels = data_of(page)["records"][0]["queries"]["labels"]
    assert labels == [HOSTILE[0], HOSTILE[1], "⟨U+2028⟩", "␀"]


def test_title_is_text():
    assert "<title>A title &amp; &lt;more&gt;</title>" in page_of(record_of(["a"]))


def test_same_parts_give_the_same_page():
    record = record_of(["a", "b"])
    assert page_of(record) == page_of(record)


@pytest.mark.parametrize("needle", ["http://", "https://", "//cdn"])
def test_nothing_outside_plotly_names_an_address(needle):
    page = page_of(record_of(["a"]))
    assert needle not in page

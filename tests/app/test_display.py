"""Pages that tell their frame how tall they are."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
import torch

import introspect as ix
from introspect.app.display import measured


@pytest.fixture(scope="module")
def page() -> str:
    record = ix.AttentionRecord.from_tensors(
        torch.eye(2).expand(1, 1, 2, 2), ["script-src *", "</script><script>alert(1)</script>"]
    )
    return ix.heatmap_view(record, layer=0).to_html()


def test_the_policy_allows_one_script_more_and_names_it_by_its_hash(page):
    shown = measured(page)
    policies = re.findall(r'Content-Security-Policy" content="([^"]*)"', shown)
    (before,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", shown[len(page) :], re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policies == [before.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)]
    assert "*" not in policies[0] and "unsafe-eval" not in policies[0]
    assert "setSize" in script


def test_the_page_itself_is_as_it_was_but_for_the_policy(page):
    shown = measured(page)
    rest = re.sub(r"'sha256-[^']*' ", "", shown, count=1)
    assert rest.startswith(page)


def test_what_has_no_policy_is_refused():
    with pytest.raises(AssertionError):
        measured("<p>no policy</p>")

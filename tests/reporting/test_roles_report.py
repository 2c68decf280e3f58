"""The report of plain sentences: its words and states as data, and what a reader does with it."""

from __future__ import annotations

import json
import re

import pytest
import torch

from introspect.records import AttentionRecord, Certificate
from introspect.reporting import sentence_report
from introspect.reporting.sentences import finding_of_roles
from introspect.studies.heads import RolesAnalyzer, SimilarityAnalyzer, role_names
from introspect.text import percent
from introspect.views import role_map_section, role_title, unit_of
from tests.synthetic import TEXT, record

ALL_ROLES = role_names()

TEXTS = [TEXT, "A rose is a rose, and a rose is (still) a rose!"]


def planted():
    """Random attention, but L1H2 gives nine tenths to the previous token."""
    items = []
    for number, text in enumerate(TEXTS):
        item = record(text, seed=number)
        attentions = item.attentions.clone()
        n = len(item.keys)
        attentions[1, 2] = 0.1 / (n - 1)
        attentions[1, 2, torch.arange(1, n), torch.arange(n - 1)] = 0.9
        attentions[1, 2, 0] = 1 / n
        items.append(AttentionRecord(attentions, item.queries, item.keys))
    return items


@pytest.fixture(scope="module")
def tables():
    roles, similarity = RolesAnalyzer(), SimilarityAnalyzer()
    for item in planted():
        roles.update(item)
        similarity.update(item)
    return roles.compute(), similarity


@pytest.fixture(scope="module")
def made(tables):
    roles, similarity = tables
    return sentence_report(
        "a <set> & more",
        roles,
        Certificate(route="given tensors", model="the-model", revision="r1"),
        similarity=similarity,
        notices=["2 sentences <were> left out."],
        command="introspect probe x.txt",
    )


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_the_words_name_the_planted_head_and_how_much(tables):
    finding = finding_of_roles(tables[0])
    n = sum(len(item.keys) - 2 for item in planted())
    even = sum((len(item.keys) - 2) / len(item.keys) for item in planted()) / n
    assert finding.plain == f"What 6 heads attend to, over {n} tokens of 2 texts."
    (line,) = [d for d in finding.details if "the token before it" in d]
    assert line == (
        f"*L1H2* gives most to the token before it: 90.0% of its attention, over {n} tokens; "
        f"even attention would give {percent(even)}."
    )
    assert any("Some head always has most" in caveat for caveat in finding.caveats)
    assert not any("no row of weights" in caveat for caveat in finding.caveats)


def test_missing_rows_are_said_first():
    item = record(TEXT)
    attentions = item.attentions.clone()
    attentions[0, 1, 2:4] = torch.nan
    analyzer = RolesAnalyzer()
    analyzer.update(AttentionRecord(attentions, item.queries, item.keys))
    assert finding_of_roles(analyzer.compute()).caveats[0].startswith("Up to 2 tokens of a head")


def test_the_page_says_what_it_rests_on(made):
    words = text_of(made.html)
    for expected in (
        "What heads attend to in a &lt;set&gt; &amp; more",
        "2 sentences &lt;were&gt; left out.",
        "the-model",
        "introspect probe x.txt",
        "Jensen–Shannon",
        "How it was measured",
        "Certificate of the first capture",
    ):
        assert expected in words
    for role in ALL_ROLES:
        assert role_title(role) in words
    assert made.notices == ("2 sentences <were> left out.",)
    assert made.scores is None


def test_without_a_comparison_of_heads_there_is_no_such_chapter(tables):
    page = sentence_report("x", tables[0], Certificate(route="given tensors")).html
    assert "Heads that do the same" not in page


def test_a_causal_model_has_no_row_for_what_it_cannot_see():
    analyzer = RolesAnalyzer()
    analyzer.update(record(TEXT, causal=True))
    table = analyzer.compute()
    page = sentence_report("x", table, Certificate(route="given tensors")).html
    data = json.loads(re.search(r'id="page-data">(.*?)</script>', page, re.DOTALL)[1])
    (section,) = data["sections"]
    names = [picture["name"] for picture in section["state"]["pictures"]]
    assert "previous" in names
    assert "next" not in names
    row = re.search(r"<tr><td[^>]*>next</td>(.*?)</tr>", page)
    assert row is not None
    assert row[1].count("–") == 4


def test_the_map_holds_the_numbers_of_the_table(tables):
    table = tables[0]
    state = role_map_section(table, dict(ALL_ROLES), "previous").state
    roles = {picture["name"]: picture["figure"] for picture in state["pictures"]}
    assert list(roles["previous"]["layout"]["yaxis"]["ticktext"]) == ["L0", "L1"]
    assert list(roles) == list(ALL_ROLES)
    for line in table.to_dict("records"):
        for name in ("previous", "entropy", "same_token"):
            (trace,) = roles[name]["data"]
            assert len(trace["z"][0]) == 3
            value = trace["z"][line["layer"]][line["head"]]
            assert value == pytest.approx(line[name], abs=1e-6)
            words = trace["hovertext"][line["layer"]][line["head"]]
            assert words.endswith(f", over {line[f'n_{name}']} tokens")
    json.dumps(state, allow_nan=False)
    assert unit_of("entropy") == "bits"
    assert unit_of("self") == "of attention"


@pytest.mark.browser
def test_what_a_reader_does_with_the_page(made, tables, open_page):
    page = open_page(made.html)
    assert page.inner_text(".finding") == made.finding
    roles = page.locator('[data-view="role-map"]')
    strong = roles.locator(".reading.strong")
    assert strong.inner_text().startswith("L1H2: 90.0% of attention, over ")
    assert roles.locator('[aria-current="true"]').get_attribute("data-head") == "2"
    # Chooses another role: the map, the reading and the list are of that one.
    roles.locator('select[name="role"]').select_option("entropy")
    table = tables[0].sort_values("entropy", ascending=False)
    best = table.iloc[0]
    name = f"L{int(best['layer'])}H{int(best['head'])}"
    assert strong.inner_text().startswith(f"{name}: {best['entropy']:.2f} bits, over ")
    listed = roles.locator(".ranking tbody tr td:nth-child(2)").all_inner_texts()
    assert listed == [f"L{int(r.layer)}H{int(r.head)}" for r in table.itertuples()]
    # Points at a head for its number.
    roles.locator('[data-layer="1"][data-head="2"]').focus()
    value = tables[0].query("layer == 1 and head == 2")["entropy"].item()
    assert strong.inner_text().startswith(f"L1H2: {value:.2f} bits")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_breaks_no_rule_of_accessibility(made, open_page, theme, rules_broken):
    page = open_page(made.html, path_hash=f"#page.theme={theme}")
    assert rules_broken(page) == []

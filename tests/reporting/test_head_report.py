"""The report of known roles: its words against tables made by hand, and what a reader does."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import introspect as ix
from introspect.errors import InputError
from introspect.records import AttentionRecord, Certificate, Head
from introspect.reporting import head_report
from introspect.reporting.heads import finding_of_heads
from introspect.reporting.shapes import heads_listed, pattern_words, place_words
from introspect.studies.heads import HeadStudy
from introspect.text import percent_interval
from introspect.views import known_roles_section

HOSTILE = "<img src=x onerror=window.hacked=1>"
# Two layers of three heads; the intervals are a hundredth wide on either side.
GRIDS = {
    "previous_token": [[0.9, 0.1, 0.2], [0.0, 0.3, 0.05]],
    "duplicate_token": [[0.02, 0.04, 0.01], [0.03, 0.0, 0.06]],
    "induction": [[0.0, 0.01, 0.02], [0.8, 0.75, 0.405]],
}
ROLES = ["previous-token", "none", "none", "induction", "induction", "none"]


def roles_table(grids=GRIDS, roles=ROLES):
    made = {"layer": [0, 0, 0, 1, 1, 1], "head": [0, 1, 2] * 2, "role": roles}
    for name, grid in grids.items():
        values = np.array(grid).ravel()
        made |= {name: values, f"{name}_ci_low": values - 0.01, f"{name}_ci_high": values + 0.01}
        made[f"{name}_baseline"] = np.where(np.isnan(values), np.nan, 0.025)
    return pd.DataFrame({**made, "n_sequences": 32, "length": 61})


def patterns_table(**changes):
    made = {
        "layer": [0, 0, 0, 1, 1, 1],
        "head": [0, 1, 2] * 2,
        "n_texts": 7,
        "n_tokens": 90,
        "n_rows": 90,
        "position": pd.array([-1, 2, -1, 1, -3, pd.NA], dtype="Int64"),
        "position_share": [0.95, 0.5, 0.91, 0.2, 0.3, np.nan],
        "position_chance": [0.1, 0.1, 0.1, 0.1, 0.1, np.nan],
        "n_position": [83, 80, 83, 83, 70, 0],
        "is_positional": [True, False, True, False, False, False],
        "rare_share": [0.1, 0.4, 0.2, 0.3, 0.25, np.nan],
        "rare_chance": [0.1, 0.1, 0.1, 0.1, 0.1, np.nan],
        "n_rare": [40, 40, 40, 40, 40, 0],
        "is_rare_word": False,
        "pattern": ["diagonal", "heterogeneous", "diagonal", "vertical_diagonal", "block", "none"],
        "even_pattern": "heterogeneous",
        "n_classed": [7, 7, 7, 7, 7, 0],
    }
    return pd.DataFrame({**made, **changes})


def study(**changes):
    tokens = [f"t{number}" for number in range(6)]
    record = AttentionRecord.from_tensors(torch.eye(6).expand(2, 3, 6, 6), tokens)
    certificate = Certificate(route="given tensors", model="the-model", revision="r1")
    made = HeadStudy(roles_table(), 0.4, replace(record, certificate=certificate))
    return replace(made, **changes)


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


# --- words ----------------------------------------------------------------------------------------


def test_the_headline_names_the_heads_of_each_role():
    finding = finding_of_heads(study())
    assert finding.plain == "L0H0 is a previous-token head; L1H0 and L1H1 are induction heads."
    details = " ".join(finding.details)
    assert "all of the score’s 95% interval is above 40%" in details
    assert "32 sequences of 61 tokens" in details
    assert (
        "*L0H0* gives most to the token just before: 90.0% (95% CI 89.0–91.0) of its "
        "attention. Even attention would give 2.5%." in details
    )
    assert "*L1H2* gives most to the same token earlier on: 6.0%" in details
    alone = roles_table(roles=["none"] * 5 + ["induction"])
    words = finding_of_heads(study(roles=alone)).plain
    assert words == "L1H2 is an induction head."


def test_none_is_said_plainly_with_the_threshold():
    nobody = study(roles=roles_table(roles=["none"] * 6), threshold=0.5)
    assert finding_of_heads(nobody).plain == (
        "No head of 6 has a known role: none is sure to give more than 50% of its attention to "
        "the token just before, the same token earlier on or what followed the same token earlier "
        "on."
    )
    page = head_report(nobody).html
    assert "What L" not in page  # no head, no example
    assert "No head" in page


def test_what_a_mask_hides_is_said():
    grids = {**GRIDS, "duplicate_token": [[np.nan] * 3] * 2}
    hidden = study(roles=roles_table(grids))
    assert "No head can attend to the same token earlier on: the model’s mask hides it." in (
        finding_of_heads(hidden).details
    )
    state = known_roles_section(hidden).state
    assert [picture["name"] for picture in state["pictures"]] == ["previous_token", "induction"]
    row = re.search(r"even attention.*?</tr>", head_report(hidden).html, re.DOTALL)[0]
    assert text_of(row).count("–") == 2
    everything = {name: [[np.nan] * 3] * 2 for name in GRIDS}
    assert known_roles_section(study(roles=roles_table(everything))) is None


def test_many_heads_are_named_to_a_dozen():
    heads = [Head(0, number) for number in range(14)]
    assert heads_listed(heads).endswith("L0H10, L0H11 and 2 more")
    assert heads_listed(heads[:1]) == "L0H0"
    assert place_words(-3) == "3 tokens before" and place_words(1) == "the token after"


def test_patterns_name_their_heads_or_the_nearest_one():
    places, rare = pattern_words(patterns_table())
    assert places == (
        "In the 7 texts *L0H0 and L0H2* attend to one place: at least 90% of the largest weights "
        "must stand at one place from the query."
    )
    assert rare == (
        "In the 7 texts no head is found to attend to rare words: at least 50% of the largest "
        "weights must stand on the rarest token of the text, and L0H1 comes nearest, with 40.0% "
        "(a blind choice 10.0%)."
    )
    one = patterns_table(n_texts=1, is_positional=[True] + [False] * 5, rare_share=np.nan)
    places, rare = pattern_words(one)
    assert places.startswith("In the only text *L0H0* attends to one place:")
    assert rare.endswith("no head can be said to attend to rare words: no token had a choice to be "
                         "counted.")  # fmt: skip


# --- the page -------------------------------------------------------------------------------------


def test_the_map_holds_the_numbers_of_the_table():
    state = known_roles_section(study()).state
    assert state["first"] == "induction"  # the rarest that was found
    by_name = {picture["name"]: picture["figure"] for picture in state["pictures"]}
    for name, grid in GRIDS.items():
        (trace,) = by_name[name]["data"]
        assert trace["z"] == [pytest.approx(line) for line in grid]
        ends = percent_interval(grid[1][0], grid[1][0] - 0.01, grid[1][0] + 0.01).split(" ", 1)[1]
        assert f"of attention {ends}, over" in trace["hovertext"][1][0]
        assert all(w.endswith("over 32 sequences") for line in trace["hovertext"] for w in line)
        assert (trace["zmin"], trace["zmax"]) == (0, 1)

    def framed(name):
        shapes = by_name[name]["layout"].get("shapes", [])
        return [(round(s["y0"] + 0.48), round(s["x0"] + 0.48)) for s in shapes]

    assert by_name["induction"]["layout"]["yaxis"]["ticktext"] == ["L0", "L1"]
    assert framed("induction") == [(1, 0), (1, 1)]
    assert framed("previous_token") == [(0, 0)]
    assert framed("duplicate_token") == []
    json.dumps(state, allow_nan=False)


def test_the_page_says_what_it_rests_on():
    importance = pd.DataFrame(
        {
            "kind": "self", "layer": [0, 1], "head": [2, 1], "importance": [0.25, 0.5],
            "ci_low": [0.2, 0.4], "ci_high": [0.3, 0.6], "normalized": [0.6, 0.8],
            "slope": [-0.25, 0.5], "n_texts": 7,
        }
    )  # fmt: skip
    importance.attrs["loss"] = "cross-entropy of the next token"
    made = head_report(
        study(
            patterns=patterns_table(), importance=importance, num_texts=7, notes=(f"{HOSTILE}.",)
        ),
        name=HOSTILE,
        notices=[HOSTILE],
        command="introspect heads --out x",
    )
    assert HOSTILE not in made.html
    words = text_of(made.html)
    for expected in (
        "Heads with known roles in the-model",
        "Only these three roles were tested",
        "L0H0 the token before 95.0% (a blind choice 10.0%) 83 10.0% (a blind choice",
        "vertical and diagonal 1 L1H0",
        "no text was long enough 1 L1H2",
        "The loss is the cross-entropy of the next token",
        "L1H1 0.5000 (95% CI 0.4000–0.6000) 0.80 +0.5000 L0H2",
        "Voita et al. 2019",
        "Olsson et al. 2022",
        "introspect heads --out x",
        "Certificate of the first sequence",
    ):
        assert expected in words, expected
    bare = text_of(head_report(study()).html)
    assert "Voita" not in bare and "The loss is" not in bare


def test_the_table_of_heads_begins_with_those_that_have_a_role():
    words = text_of(head_report(study()).html)
    row = (
        "L0H0 previous-token 90.0% (95% CI 89.0–91.0) 2.0% (95% CI 1.0–3.0) "
        "0.0% (95% CI −1.0 to 1.0) L1H0 induction"
    )
    assert row in words
    # L1H2 has more than L0H2 of any score, but no role.
    assert words.index("L1H1 induction") < words.index("L1H2 – ") < words.index("L0H2 – ")


# --- models whose heads are known -----------------------------------------------------------------


def test_induction_has_its_heads_and_shortcut_has_none():
    found = ix.head_study(ix.load("induction"), num_sequences=8)
    report = ix.head_report(found)
    assert report.finding == (
        "L0H0 is a previous-token head; L1H0, L1H1, L1H2 and L1H3 are induction heads."
    )
    pd.testing.assert_frame_equal(found.roles, ix.detect_heads("induction", num_sequences=8))
    assert found.strongest("induction") == Head(1, 1)
    assert repr(found) == "<HeadStudy: 5 of 8 heads have a role>"
    none = ix.head_study(ix.load("shortcut"), num_sequences=8)
    assert ix.head_report(none).finding.startswith("No head of 8 has a known role")


def test_the_example_is_the_first_sequence_with_its_stripe():
    model = ix.load("induction")
    found = ix.head_study(model, num_sequences=4, seed=2)
    record = found.record
    assert record.certificate.model == "induction"
    assert record.certificate.max_difference_from_eager < 1e-5
    ids = list(record.queries.token_ids)
    text = " ".join(record.tokens[1:])
    assert record.tokens[0] == "<s>" and record.queries.special_tokens_mask[0]
    # The text of those tokens, read as any other, gives the same weights.
    again = model.capture(text)
    assert list(again.queries.token_ids) == ids
    rows = [again.layers.index(layer) for layer in record.layers]
    torch.testing.assert_close(record.attentions, again.attentions[rows])
    second = [place for place in range(len(ids) - 1) if ids[place] in ids[1:place]]
    firsts = [ids.index(ids[place]) for place in second]
    stripe = record.attentions[record.layers.index(1), 1, second, [i + 1 for i in firsts]]
    assert float(stripe.mean()) > 0.9


TEXTS = ["The cat saw the road because it was too shy.", "A fox ran over the long road."]


def test_texts_add_shapes_and_importance():
    model = ix.load("pronoun", lm_head=True)
    small = {"num_sequences": 4, "prefix": (0, 4), "period": (4, 8)}
    found = ix.head_study(model, TEXTS, **small)
    pd.testing.assert_frame_equal(found.patterns, ix.head_patterns(model, TEXTS))
    pd.testing.assert_frame_equal(found.importance, ix.head_importance(model, TEXTS))
    assert (found.num_texts, found.notes) == (2, ())
    assert ix.head_study(model, TEXTS, importance=False, **small).importance is None
    with pytest.raises(InputError, match="at least one text"):
        ix.head_study(model, [], **small)


def test_a_model_without_a_head_has_no_importance_and_the_page_says_why():
    found = ix.head_study(ix.load("pronoun"), TEXTS, num_sequences=2, prefix=(0, 4), period=(4, 8))
    assert found.importance is None
    (note,) = found.notes
    assert note == "Importance was not measured: pronoun has no language-model head, so no loss."
    assert "Importance was not measured" in text_of(ix.head_report(found).html)


# --- what a reader does ---------------------------------------------------------------------------


@pytest.mark.browser
def test_what_a_reader_does_with_the_page(open_page):
    made = head_report(study())
    page = open_page(made.html)
    assert page.inner_text(".finding") == made.finding
    roles = page.locator('[data-view="role-map"]')
    strong = roles.locator(".reading.strong")
    assert strong.inner_text() == (
        "L1H0: 80.0% of attention (95% CI 79.0–81.0), over 32 sequences."
    )
    canvas = "document.querySelector('[data-view=role-map] .drawn-canvas')"
    assert len(page.evaluate(f"{canvas}.layout.shapes")) == 2
    roles.locator('select[name="role"]').select_option("duplicate_token")
    assert page.evaluate(f"{canvas}.layout.shapes ?? []") == []
    assert strong.inner_text().startswith("L1H2: 6.0% of attention (95% CI 5.0–7.0)")
    # Colors reach to all of a head's attention, so that little looks like little.
    assert page.evaluate(f"[{canvas}.data[0].zmin, {canvas}.data[0].zmax]") == [0, 1]
    assert page.locator('[data-view="heatmap"]').count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_breaks_no_rule_of_accessibility(open_page, theme, rules_broken):
    found = study(patterns=patterns_table(), num_texts=7)
    page = open_page(head_report(found).html, path_hash=f"#page.theme={theme}")
    assert rules_broken(page) == []

"""The logit view: its numbers as data, and what a reader does with it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from introspect.errors import SelectionError
from introspect.views import logit_view


def table(kinds: tuple[str, ...] = ("self",), token: str = "q") -> pd.DataFrame:
    """Head h of layer l adds l - h, but for the second kind, where it takes it off."""
    rows = [("embeddings", None, None, None, 0.25)]
    for layer in range(2):
        for number, kind in enumerate(kinds):
            rows += [
                (f"L{layer}H{head}", kind, layer, head, float((layer - head) * (1 - 2 * number)))
                for head in range(3)
            ]
        rows.append((f"L{layer} feed-forward", None, layer, None, 4.0 * layer))
    columns = ["component", "kind", "layer", "head", "contribution"]
    made = pd.DataFrame(rows, columns=columns).astype({"layer": "Int64", "head": "Int64"})
    total = float(made["contribution"].sum())
    made.attrs = {"logit": total, "token": token, "against": "Z", "position": 7, "at": "K"}
    return made


def test_the_figure_is_the_map_of_heads():
    view = logit_view(table())
    (trace,) = view.figure.data
    assert list(map(list, trace.z)) == [[0, -1, -2], [1, 0, -1]]
    assert (trace.zmin, trace.zmax) == (-2, 2)
    assert view.figure.layout.title.text == "logit of q − logit of Z, at K (token 7)"
    assert repr(view).startswith("<LogitView: logit of q")


def test_the_section_has_every_part():
    view = logit_view(table(("decoder", "cross")))
    (section,) = view.sections()
    pictures = {picture["name"]: picture for picture in section.state["pictures"]}
    maps = {name: picture["figure"]["data"][0]["z"] for name, picture in pictures.items()}
    assert maps == {
        "decoder": [[0, -1, -2], [1, 0, -1]],
        "cross": [[0, 1, 2], [-1, 0, 1]],
    }
    rows = dict(pictures["decoder"]["ranking"]["rows"])
    assert rows["embeddings"] == "+0.25" and rows["L1 feed-forward"] == "+4.00"
    assert rows["L0 feed-forward"] == "0.00" and rows["L0H2"] == "−2.00"
    assert len(rows) == 9  # of each kind its own heads
    assert pictures["decoder"]["ranking"]["foot"][-1] == "+4.25"
    assert pictures["decoder"]["figure"] == json.loads(view.figure.to_json())


def test_another_table_is_refused():
    with pytest.raises(SelectionError, match="direct_logit_attribution"):
        logit_view(pd.DataFrame({"layer": [1]}))
    bare = table()
    bare.attrs = {}
    with pytest.raises(SelectionError, match="logit, token, against, position, at is missing"):
        logit_view(bare)


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_reader_sees_the_strongest_first_and_chooses_others(open_page):
    source = logit_view(table(("decoder", "cross"))).to_html()
    page = open_page(source)
    section = page.locator('[data-view="logits"]')
    reading = section.locator(".reading")
    assert reading.inner_text() == "L0H2: −2.00 logits of +4.25 in all."
    lines = [line.split("\t") for line in section.locator("tbody tr").all_inner_texts()]
    assert lines[0] == ["L1 feed-forward", "+4.00"] and lines[1] == ["L0H2", "−2.00"]
    total = section.locator("tfoot tr").inner_text().split("\t")
    assert total == ["all parts, the model’s own number", "+4.25"]
    section.locator('[data-layer="1"][data-head="0"]').click()
    assert reading.inner_text() == "L1H0: +1.00 logits of +4.25 in all."
    page.mouse.move(0, 0)  # or it would point at what comes under it
    section.locator('select[name="kind"]').select_option("cross")
    # The head that was chosen stays chosen.
    assert reading.inner_text() == "L1H0: −1.00 logits of +4.25 in all."
    section.locator('[data-layer="1"][data-head="0"]').click()
    assert reading.inner_text().startswith("L1H0: −1.00")
    page.wait_for_timeout(400)  # the address is written in a pause
    again = open_page(source, path_hash=page.evaluate("location.hash"))
    said = again.locator('[data-view="logits"] .reading').inner_text()
    assert said.startswith("L1H0: −1.00")


@pytest.mark.browser
def test_tokens_stay_text_and_the_figure_is_saved(open_page):
    hostile = "<img src=x onerror=window.hacked=1>"
    page = open_page(logit_view(table(token=hostile)).to_html(), width=600)
    assert page.evaluate("window.hacked") is None and page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 600
    assert page.locator('select[name="kind"]').count() == 0  # there is but one
    with page.expect_download() as waiting:
        page.click('[name="export-svg"]')
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert "H2" in text and "logits" in text and "undefined" not in text


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_breaks_no_rule_of_accessibility(open_page, theme, rules_broken):
    page = open_page(logit_view(table()).to_html(), path_hash=f"#page.theme={theme}")
    assert rules_broken(page) == []

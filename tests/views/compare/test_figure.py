"""The figure of two records, and the numbers of their change, as data."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from introspect.errors import SelectionError
from introspect.views import compare_view
from tests.views.compare.helpers import LONGER, TIRED, WIDE, missing, pair
from tests.views.samples import bare_record, record_of

# Numbers


def slow_change(view, layer: int, head: int) -> float:
    a, b = view.record.attentions[layer, head], view.other.attentions[layer, head]
    rows = []
    for i, j in view.queries:
        if i is None or j is None:
            continue
        shared = [(k, m) for k, m in view.keys if k is not None and m is not None]
        rows.append(sum(abs(float(a[i, k]) - float(b[j, m])) for k, m in shared) / 2)
    known = [row for row in rows if not math.isnan(row)]
    return sum(known) / len(known)


@pytest.mark.parametrize("other", [WIDE, LONGER])
def test_changes_are_the_slow_means_of_total_variation(other):
    view = compare_view(record_of(TIRED), record_of(other, seed=1))
    table = view.changes()
    assert list(table.columns) == ["layer", "head", "total_variation"]
    assert len(table) == 6
    for row in table.itertuples():
        assert row.total_variation == pytest.approx(slow_change(view, row.layer, row.head))
        assert 0 <= row.total_variation <= 1


def test_nothing_changes_between_a_record_and_itself():
    record = record_of()
    view = compare_view(record, record)
    assert (view.changes()["total_variation"] == 0).all()
    assert float(view.patterns()[2].abs().max()) == 0


def test_missing_rows_are_left_out_and_a_missing_head_is_missing():
    a, b = record_of(TIRED), record_of(WIDE, seed=1)
    b.attentions[0, 0, 2] = torch.nan
    b.attentions[1, 2] = torch.nan
    view = compare_view(a, b)
    changes = view.changes().set_index(["layer", "head"])["total_variation"]
    assert changes[(0, 0)] == pytest.approx(slow_change(view, 0, 0))
    assert math.isnan(changes[(1, 2)])
    assert view.sections()[0].state["changes"][1][2] is None


def test_the_head_and_the_token_that_change_most_come_first():
    a = record_of(TIRED)
    weights = a.attentions.clone()
    weights[1, 2] = weights[1, 2].roll(1, -1)
    weights[1, 2, 3] = torch.eye(5)[int(weights[1, 2, 3].argmin())]
    b = replace(a, attentions=weights)
    view = compare_view(a, b)
    assert (view.layers, view.heads) == ((1, 1), (2, 2))
    view = compare_view(a, b, layer=1, head=2)
    assert view.token == max(
        range(1, 5), key=lambda i: float((weights - a.attentions)[1, 2, i].abs().sum())
    )
    assert compare_view(a, b, layer=0).layers == (0, 0)
    assert compare_view(a, b, head=1).heads == (1, 1)


def test_the_figure_has_a_and_b_and_their_difference():
    view = compare_view(record_of(TIRED), record_of(LONGER, seed=1), layer=1, head=2)
    a, b, difference = (trace.z for trace in view.figure.data)
    ours, theirs = view.record.attentions[1, 2], view.other.attentions[1, 2]
    for row, (i, j) in enumerate(view.queries):
        for column, (k, m) in enumerate(view.keys):
            x = math.nan if i is None or k is None else float(ours[i, k])
            y = math.nan if j is None or m is None else float(theirs[j, m])
            found = [a[row][column], b[row][column], difference[row][column]]
            assert missing(list(map(float, found))) == pytest.approx(
                missing([x, y, y - x]), abs=1e-7
            )
    figure = view.figure
    largest = max(abs(value) for line in difference for value in line if not math.isnan(value or 0))
    assert [trace.zmin for trace in figure.data] == [0, 0, pytest.approx(-largest)]
    assert [trace.zmax for trace in figure.data] == [1, 1, pytest.approx(largest)]
    assert list(figure.layout.yaxis.ticktext) == ["[CLS]", "Ann", "was", "", "", "too", "tired"]
    assert list(figure.layout.xaxis3.ticktext)[3] == "really"
    assert "L1H2" in figure.layout.xaxis.title.text


def test_a_label_is_text_in_the_figure():
    view = compare_view(bare_record(["<b>a"]), bare_record(["<b>a"]), labels=("<i>", "&"))
    assert view.figure.layout.xaxis.title.text.startswith("&lt;i&gt;")
    assert view.figure.layout.yaxis.ticktext[0] == "&lt;b&gt;a"


# What is refused


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layer": 2}, "0–1, got 2.*about A"),
        ({"head": 3}, "0–2, got 3"),
        ({"layer": (0, 5)}, "got 5.*about B"),
        ({"layer": (0, 1, 1)}, "a number or a pair"),
        ({"alignment": [(0, 9)]}, "tokens of b in 0–4, got 9"),
        ({"alignment": [(-1, 0)]}, "tokens of a in 0–4, got -1"),
        ({"alignment": [(0, 0), (0, 1)]}, "each token of a once"),
        ({"alignment": []}, "at least one pair"),
        ({"alignment": {"key": [(0, 0)]}}, "query and key"),
    ],
)
def test_what_there_is_not_is_refused(options, expected):
    with pytest.raises(SelectionError, match=expected):
        pair(**options)


def test_kinds_must_be_the_same():
    a = record_of(TIRED)
    with pytest.raises(SelectionError, match="got self and encoder"):
        compare_view(a, replace(a, kind="encoder"))


def test_unequal_models_have_no_changes_but_a_choice_for_each():
    view = compare_view(
        record_of(TIRED), record_of(WIDE, layers=4, heads=5), layer=(1, 3), head=(0, 4)
    )
    with pytest.raises(SelectionError, match="2 layers of 3 heads and 4 layers of 5 heads"):
        view.changes()
    state = view.sections()[0].state
    assert state["changes"] is None and "no head of one" in state["note"]
    torch.testing.assert_close(view.patterns()[1][:, :], view.other.attentions[3, 4])


def test_layers_of_other_numbers_are_not_taken_for_each_other():
    a, b = record_of(TIRED), replace(record_of(WIDE), layers=(4, 9))
    assert compare_view(a, b).layers == (0, 4)
    with pytest.raises(SelectionError, match="the layers 4, 9"):
        compare_view(a, b).changes()


def test_two_texts_are_named_and_one_text_is_the_heading():
    html = pair(labels=("calm", "b<r>oad")).to_html()
    opening = '<h1 class="unseen" dir="auto">'
    assert f"{opening}calm / b&lt;r&gt;oad</h1>" in html
    record = record_of(TIRED)
    assert f"{opening}{TIRED}</h1>" in compare_view(record, replace(record)).to_html()
    assert compare_view(record, replace(record)).sections()[0].state["sentences"] == []


def test_notices_of_both_records_are_on_the_page():
    a, b = record_of(TIRED), record_of(WIDE, seed=1)
    view = compare_view(replace(a, notices=("cut <a>",)), replace(b, notices=("cut <b>",)))
    assert "cut &lt;a&gt;" in view.to_html() and "cut &lt;b&gt;" in view.to_html()


def test_the_state_is_json():
    json.dumps(pair().sections()[0].state, allow_nan=False)


def test_a_token_can_be_named():
    a, b = record_of("Ann saw Bo"), record_of("Ann met Bo")
    view = compare_view(a, b, token=2)
    assert view.queries[view.token][0] == 2
    with pytest.raises(SelectionError, match="`token` in 0"):
        compare_view(a, b, token=99)

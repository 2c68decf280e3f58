"""The figure of a head view, as data."""

from __future__ import annotations

import pytest
import torch

import introspect as ix
from introspect.errors import SelectionError
from introspect.records import AttentionRecord
from introspect.views import head_view
from introspect.views.head import EDGES
from introspect.views.palette import head_colors
from tests.views.head.helpers import HOSTILE, lines, pair_record, record_with_norms
from tests.views.samples import bare_record, record_of


def test_a_line_for_each_weight_above_the_threshold():
    pattern = torch.tensor([[[[0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.01, 0.19, 0.8]]]])
    record = AttentionRecord.from_tensors(pattern, ["a", "b", "c"])
    view = head_view(record, threshold=0.02)
    assert set(lines(view.traces())) == {(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)}


def test_opacity_and_width_grow_with_the_weight():
    pattern = torch.tensor([[[[0.95, 0.05], [0.45, 0.55]]]])
    view = head_view(AttentionRecord.from_tensors(pattern, ["a", "b"]))
    opacity = {
        pair: float(color.rstrip(")").split(",")[3]) for pair, color in lines(view.traces()).items()
    }
    assert opacity[0, 1] < opacity[1, 0] < opacity[1, 1] < opacity[0, 0] <= 1
    assert len({trace["line"]["width"] for trace in view.traces()}) == 4


def test_each_head_keeps_its_own_color_after_filtering():
    record = record_of(heads=12)
    alone = head_view(record, heads=[10]).traces()
    red, green, blue = (int(head_colors(12)[10][i : i + 2], 16) for i in (1, 3, 5))
    assert all(t["line"]["color"].startswith(f"rgba({red},{green},{blue},") for t in alone)


def test_pinned_token_has_only_its_lines_and_their_numbers():
    pattern = torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]])
    view = head_view(AttentionRecord.from_tensors(pattern, ["a", "b"]), token=0)
    assert set(lines(view.traces())) == {(0, 0), (0, 1)}
    texts = [annotation.text for annotation in view.figure.layout.annotations]
    assert texts == ["a", "b", "a  <b>0.75</b>", "b  <b>0.25</b>"]


def test_missing_weights_have_no_line():
    pattern = torch.tensor([[[[0.5, float("nan")], [0.5, 0.5]]]])
    view = head_view(AttentionRecord.from_tensors(pattern, ["a", "b"]))
    assert (0, 1) not in lines(view.traces())


def test_hostile_tokens_are_text_in_the_figure():
    texts = [a.text for a in head_view(bare_record(HOSTILE)).figure.layout.annotations]
    assert not any("<" in text for text in texts)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layer": 2}, "Expected `layer` in 0–1, got 2"),
        ({"layer": -1}, "Expected `layer` in 0–1, got -1"),
        ({"heads": [3]}, "Expected `heads` in 0–2, got 3"),
        ({"token": 7}, "Expected `token` in 0–6, got 7"),
        ({"token": {"side": "left", "index": 0}}, "`side` as query or key, got 'left'"),
        ({"threshold": 1.5}, "`threshold` from 0 to 1"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_range(options, expected):
    with pytest.raises(SelectionError, match=expected):
        head_view(record_of(), **options)


def test_layers_go_by_the_models_own_numbers():
    record = record_of()
    hybrid = AttentionRecord(
        attentions=record.attentions, queries=record.queries, keys=record.keys, layers=(4, 9)
    )
    assert head_view(hybrid, layer=9).traces() == head_view(record, layer=1).traces()
    with pytest.raises(SelectionError, match="in 4, 9"):
        head_view(hybrid, layer=1)


def test_edges_begin_at_nothing_and_rise():
    assert EDGES[0] == 0
    assert list(EDGES) == sorted(set(EDGES))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"granularity": "letter"}, "token, word"),
        ({"weights": "nonsense"}, "raw, renormalized"),
        ({"combine": "sum"}, "separate, mean, max"),
        ({"layout": "round"}, "vertical, horizontal"),
        ({"granularity": "word", "token": 5}, "0–4"),
    ],
)
def test_choices_that_there_are_not_are_refused(options, expected):
    with pytest.raises(SelectionError, match=expected):
        head_view(pair_record(), **options)


def test_norm_weights_of_the_figure_are_products_and_lines_shares_of_the_largest():
    record = record_with_norms()
    view = head_view(record, layer=1, heads=[2], weights="norm", token=3, threshold=0.3)
    by_norm = ix.norms(record)[1]
    labels = [a.text for a in view.figure.layout.annotations][len(record.queries) :]
    expected = [f"<b>{float(w):.2f}</b>" for w in by_norm[2, 3]]
    assert [label.split("  ")[1] for label in labels] == expected
    share = by_norm[2, 3] / by_norm.max()
    assert set(lines(view.traces())) == {(3, k) for k in (share >= 0.3).nonzero()[:, 0].tolist()}
    assert 0 < len(lines(view.traces())) < len(record.keys)


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("mean", lambda a: a[0].mean(0)),
        ("max", lambda a: a[0].amax(0)),
        ("mean-layers", lambda a: a.mean((0, 1))),
        ("max-layers", lambda a: a.amax((0, 1))),
    ],
)
def test_heads_and_layers_that_are_put_together_have_a_line_for_each_pair(combine, expected):
    record = record_of()
    found = lines(head_view(record, combine=combine).traces())
    pairs = (expected(record.attentions) >= 0.02).nonzero().tolist()
    assert set(found) == {tuple(pair) for pair in pairs}

"""The tables of the app, against the record and the scores that they are made from."""

from __future__ import annotations

import math

import pytest
import torch

from introspect.app.tables import cell_style, score_table, token_table, weight_table
from introspect.errors import SelectionError
from introspect.records import AttentionRecord
from introspect.studies.coreference import score_case
from introspect.views import SEQUENTIAL
from tests import synthetic


def record() -> AttentionRecord:
    weights = torch.rand(2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    return AttentionRecord.from_tensors(weights / weights.sum(-1, keepdim=True), ["a", "a", "\x00"])


def test_weights_stand_at_their_query_and_key():
    found = record()
    table = weight_table(found, 1, 2)
    assert list(table.index) == list(table.columns) == ["0 a", "1 a", "2 ␀"]
    for query in range(3):
        for key in range(3):
            assert table.iloc[query, key] == float(found.attentions[1, 2, query, key])


def test_layers_keep_the_models_own_numbers():
    found = record().only([1])
    assert weight_table(found, 1, 0).iloc[0, 0] == float(record().attentions[1, 0, 0, 0])
    with pytest.raises(SelectionError, match="layer"):
        weight_table(found, 0, 0)
    with pytest.raises(SelectionError, match="0–2, got 3"):
        weight_table(found, 1, 3)


def test_tokens_are_listed_as_they_are():
    table = token_table(record().keys)
    assert list(table["token"]) == ["a", "a", "␀"]
    assert list(table["position"]) == [0, 1, 2]


@pytest.mark.parametrize(("place", "color"), SEQUENTIAL)
def test_cells_have_the_colors_of_the_heat_map(place, color):
    assert cell_style(place).startswith(f"background-color: {color};")


def test_between_two_colors_lies_their_mixture_and_nothing_for_what_is_missing():
    # Half way from #c8daf0 at 0.1 to #7ea9dc at 0.3, by hand: (c8 + 7e) / 2 = a3, …
    assert cell_style(0.2).startswith("background-color: #a3c2e6;")
    assert cell_style(math.nan) == cell_style(-0.1) == ""


@pytest.mark.parametrize("weight", [i / 50 for i in range(51)])
def test_numbers_are_readable_on_every_color(weight):
    style = dict(part.split(": ") for part in cell_style(weight).split("; "))
    light, dark = sorted(
        (_luminance(style["background-color"]), _luminance(style["color"])), reverse=True
    )
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_scores_are_the_weights_between_the_words_most_on_the_antecedent_first():
    found, case = synthetic.record(), synthetic.case()
    # Tokens: [CLS] The animal didn't cross the street because it …
    it, animal, street = 8, 2, 6
    for direction in (0, 1):
        table = score_table(score_case(found, case)[direction])
        assert sorted(table["head"]) == [f"L{i}H{j}" for i in range(2) for j in range(3)]
        assert list(table["antecedent"]) == sorted(table["antecedent"], reverse=True)
        for row in table.itertuples():
            head = int(row.head[1]), int(row.head[3])
            pairs = [(it, animal), (it, street)]
            gold, other = (
                float(found.attentions[head][pair if direction == 0 else pair[::-1]])
                for pair in pairs
            )
            assert row.antecedent == pytest.approx(gold, abs=1e-7)
            assert row.distractor == pytest.approx(other, abs=1e-7)
            assert row.credit == (1 if gold > other else 0)
            assert row.margin == pytest.approx(gold / (gold + other) - 0.5, abs=1e-6)


def test_without_an_antecedent_the_distractor_orders_the_heads():
    case = synthetic.case(antecedents=(), distractors=("street",))
    table = score_table(score_case(synthetic.record(), case)[0])
    assert table["antecedent"].isna().all() and table["credit"].isna().all()
    assert list(table["distractor"]) == sorted(table["distractor"], reverse=True)


def test_a_direction_that_the_mask_hides_has_no_rows():
    forward, backward = score_case(synthetic.record(causal=True), synthetic.case())
    assert len(score_table(forward)) == 6 and len(score_table(backward)) == 0

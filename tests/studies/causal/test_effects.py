"""Effects against hooks written by hand and slow loops, and the tables' figures by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import introspect as ix
from introspect.data import grammar_cases
from introspect.errors import InputError, SelectionError, TextError
from introspect.records import Head
from introspect.statistics import effect_intervals
from introspect.studies.causal import (
    measure_effects,
    prepare_answers,
    prepare_next_tokens,
)
from introspect.studies.causal.effects import EFFECT_COLUMNS, effects_of
from tests.studies.causal.helpers import slow_margin


def test_effects_are_those_of_hooks_on_the_output_projection(model, cases):
    found = measure_effects(prepare_answers(model, cases, batch_size=5))
    clean = [slow_margin(model, case) for case in cases]
    np.testing.assert_allclose(found.margins, clean, atol=1e-4)
    values, heads = found.by_case()
    assert heads == [Head(0, number) for number in range(4)]
    for column, head in enumerate(heads):
        without = [
            slow_margin(model, case, lambda x, h=head.head: x[..., h, :].zero_()) for case in cases
        ]
        np.testing.assert_allclose(values[:, column], np.array(clean) - without, atol=1e-4)
        row = found.heads.iloc[column]
        assert row["effect"] == pytest.approx((np.array(clean) - without).mean(), abs=1e-4)
        others = [values[:, c].mean() for c in range(4) if c != column]
        assert row["control"] == pytest.approx(np.mean(others))
        assert row["difference"] == pytest.approx(row["effect"] - row["control"])
        assert row["accuracy_without"] == np.mean(np.array(without) > 0)
        assert row["num_controls"] == 3
    assert tuple(found.heads.columns) == EFFECT_COLUMNS
    low, high = effect_intervals(values, [case.group for case in cases])
    np.testing.assert_array_equal(found.heads["ci_low"], low)
    np.testing.assert_array_equal(found.heads["ci_high"], high)
    others = np.stack([np.delete(values, column, axis=1).mean(1) for column in range(4)], axis=1)
    np.testing.assert_allclose(found.controls_by_case(), others)
    table = found.cases
    assert len(table) == 4 * len(cases)
    np.testing.assert_allclose(table["margin"] - table["margin_without"], table["effect"])


def test_controls_may_be_drawn_and_are_the_same_for_a_seed(model, cases):
    answers = prepare_answers(model, cases)
    everything = measure_effects(answers)
    values, _ = everything.by_case()
    one = measure_effects(answers, "L0H0", controls=1, seed=4).heads.iloc[0]
    again = measure_effects(answers, "L0H0", controls=1, seed=4).heads.iloc[0]
    assert one["num_controls"] == 1
    assert one["control"] == again["control"]
    assert any(np.isclose(one["control"], values[:, c].mean()) for c in (1, 2, 3))


def synthetic(num_heads=4, num_groups=40, seed=0, planted=0.0):
    random = np.random.default_rng(seed)
    clean = random.normal(size=2 * num_groups)
    without = {
        Head(0, h): clean + random.normal(scale=0.5, size=len(clean)) for h in range(num_heads)
    }
    if num_heads > 1:
        without[Head(0, 1)] = without[Head(0, 1)] - planted

    class Stub:
        groups = [str(number // 2) for number in range(2 * num_groups)]
        chance = 0.0
        metric = SimpleNamespace(is_surrogate=False)

    heads = list(without)
    control = {h: [o for o in heads if o != h] for h in heads}
    return effects_of(Stub(), clean, without, heads, control, seed=seed)[0]


def test_a_planted_effect_is_found_and_no_other():
    table = synthetic(planted=0.5)
    assert table["p_adjusted"].idxmin() == 1
    assert table.loc[1, "p_adjusted"] < 0.01
    assert (table.loc[[0, 2, 3], "p_adjusted"] > 0.05).all()
    assert table.loc[1, "ci_low"] > 0.2


@pytest.mark.slow
def test_without_effects_a_claim_is_as_rare_as_stated():
    false = [bool((synthetic(seed=seed)["p_adjusted"] < 0.05).any()) for seed in range(100)]
    assert np.mean(false) <= 0.12  # 5 % and its scatter over 100 sets


def test_few_groups_give_no_intervals_and_a_lone_head_no_control(model, cases):
    few = measure_effects(prepare_answers(model, cases[:4]))
    assert few.heads[["ci_low", "ci_high", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert "too few" in few.notes[0]
    few_groups = synthetic(num_heads=1, num_groups=20)
    assert few_groups["control"].isna().all()
    assert few_groups["p_value"].notna().all()


@pytest.mark.parametrize("method", ["zero", "mean", "uniform", "resample"])
def test_all_methods_and_their_reference(model, cases, method):
    answers = prepare_answers(model, cases)
    options = {} if method in ("zero", "uniform") else {"reference": answers.texts}
    # Of itself `resample` draws texts for each case: see test_studies.
    given = options if method == "resample" else {}
    table = measure_effects(answers, "L0H1", method=method, controls=0, **given).heads
    with ix.ablate(model, "L0H1", method=method, **options):
        expected = answers.margins()
    assert table["effect"][0] == pytest.approx((answers.margins() - expected).mean())
    assert table.attrs["method"] == method


def test_the_public_function_gives_the_table_and_says_what_was_read(model, cases):
    table = ix.causal_effects(model, cases, ["L0H1"], controls=0)
    assert table.attrs["metric"] == "at-pronoun"
    assert not table.attrs["is_surrogate"]
    assert np.isnan(table["control"][0])
    bare = ix.causal_effects(ix.load("minilm"), cases[:2], ["L3H1"], controls=1)
    assert bare.attrs["is_surrogate"]
    assert "surrogate, not the model’s answer" in bare.attrs["metric_words"]


def test_next_tokens_are_those_of_a_slow_loop():
    model = ix.load("induction", lm_head=True)
    texts = ["x a b c d e f g h a b c d", "a b a b a"]
    asked = prepare_next_tokens(model, texts, [[9, 10], [2]])
    expected = []
    for text, places in zip(texts, ([9, 10], [2]), strict=True):
        ids = model.tokens(text).token_ids
        with torch.no_grad():
            logits = model.module(input_ids=torch.tensor([ids])).logits[0].double()
        for place in places:
            row = logits[place]
            others = torch.cat([row[: ids[place + 1]], row[ids[place + 1] + 1 :]])
            expected.append(float(row[ids[place + 1]] - others.max()))
    np.testing.assert_allclose(asked.margins(), expected, atol=1e-4)
    assert asked.names == ["0:9", "0:10", "1:2"]
    assert asked.groups == ["0", "0", "1"]


def test_bad_questions_are_refused():
    model = ix.load("induction", lm_head=True)
    with pytest.raises(InputError, match="at least one text"):
        prepare_next_tokens(model, [])
    with pytest.raises(TextError):
        prepare_next_tokens(model, ["a b", ""])
    with pytest.raises(SelectionError, match="0–1"):
        prepare_next_tokens(model, ["a b"], [[2]])
    with pytest.raises(SelectionError, match="each of the 1"):
        prepare_next_tokens(model, ["a b"], [[1], [1]])
    with pytest.raises(SelectionError, match="at least one position"):
        prepare_next_tokens(model, ["a b"], [[]])


def test_dropout_has_no_part_in_the_answers():
    model = ix.load("pronoun", lm_head=True)
    answers = prepare_answers(model, grammar_cases(4, "en", seed=3))
    expected = answers.margins()
    for part in model.module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5
    model.module.train()
    np.testing.assert_array_equal(answers.margins(), expected)
    with ix.ablate(model, "L1H0"):
        ablated = answers.margins()
    assert (ablated < expected).all()
    assert model.module.training
    model.module.eval()

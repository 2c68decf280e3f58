"""Effects against hooks written by hand and slow loops, and the tables' figures by hand."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

import introspect as ix
from introspect.cases import grammar_cases
from introspect.causal import (
    causal_study,
    measure_effects,
    mediation,
    metrics,
    prepare_answers,
    prepare_next_tokens,
    smallest_set,
)
from introspect.causal.effects import EFFECT_COLUMNS, effects_of
from introspect.causal.mediation import MEDIATION_COLUMNS, _Runs
from introspect.causal.stages import LOOKING, SMALLEST, TAKING_OUT, TWINS
from introspect.errors import InputError, SelectionError, TextError
from introspect.mentions import CorefCase
from introspect.records import Head
from introspect.statistics import grouped_bootstrap

SIZE = 16  # of a head of the two pronoun models


@pytest.fixture(scope="module")
def model():
    return ix.load("pronoun-gated", with_head=True)


@pytest.fixture(scope="module")
def cases():
    return grammar_cases(12, "en", seed=3, num_nouns=12)


def slow_margin(model, case, change=None):
    """The model's answer to one case, its heads changed by a hook on the output projection."""
    handle = None
    if change is not None:
        projection = model.module.bert.encoder.layer[0].attention.output.dense

        def before(_, args):
            heads = args[0].clone()
            change(heads.view(*heads.shape[:-1], -1, SIZE))
            return (heads,)

        handle = projection.register_forward_pre_hook(before)
    tokens = model.tokens(case.text)
    with torch.no_grad():
        logits = model.module(input_ids=torch.tensor([tokens.token_ids])).logits[0]
    if handle is not None:
        handle.remove()
    row = logits[tokens.offsets.index(case.pronoun)].double().log_softmax(-1)
    of = {
        c.antecedent: float(row[tokens.token_ids[tokens.offsets.index(c.span)]])
        for c in case.candidates
    }
    return of[True] - of[False]


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
    low, high = grouped_bootstrap(values, [case.group for case in cases])
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

    heads = list(without)
    control = {h: [o for o in heads if o != h] for h in heads}
    return effects_of(Stub(), clean, without, heads, control, seed=seed)[0]


def test_a_planted_effect_is_found_and_no_other():
    table = synthetic(planted=0.5)
    assert table["p_adjusted"].idxmin() == 1
    assert table.loc[1, "p_adjusted"] < 0.01
    assert (table.loc[[0, 2, 3], "p_adjusted"] > 0.05).all()
    assert table.loc[1, "ci_low"] > 0.2


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
    table = measure_effects(answers, "L0H1", method=method, controls=0).heads
    options = {} if method in ("zero", "uniform") else {"reference": answers.texts}
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


def slow_effects(model, case, twin):
    """Total, and by head indirect and direct effects, of one case and its twin."""
    own, others = slow_margin(model, case), -slow_margin(model, twin)
    kept = []
    for source in (twin, case):
        slow_margin(model, source, lambda heads: kept.append(heads.clone()))
    of_twin, of_own = kept

    def putting(of, head):
        def put(heads):
            heads[..., head, :] = of[..., head, :]

        return put

    indirect = [own - slow_margin(model, case, putting(of_twin, head)) for head in range(4)]
    direct = [own + slow_margin(model, twin, putting(of_own, head)) for head in range(4)]
    return own - others, indirect, direct


def test_effects_between_twins_are_those_of_a_slow_loop(model, cases):
    found = mediation(model, cases, batch_size=3)
    assert tuple(found.heads.columns) == MEDIATION_COLUMNS
    pairs = {}
    for case in cases:
        pairs.setdefault(case.group, []).append(case)
    both_ways = itertools.chain(pairs.values(), ((b, a) for a, b in pairs.values()))
    total, indirect, direct = zip(*(slow_effects(model, a, b) for a, b in both_ways), strict=True)
    np.testing.assert_allclose(found.heads["total"], np.mean(total), atol=1e-3)
    np.testing.assert_allclose(found.heads["indirect"], np.mean(indirect, axis=0), atol=1e-3)
    np.testing.assert_allclose(found.heads["direct"], np.mean(direct, axis=0), atol=1e-3)
    assert found.heads["n"][0] == len(pairs)


def test_what_is_no_pair_of_twins_is_named(model):
    tired, wide = grammar_cases(2, "en", seed=3, num_nouns=12)
    longer = CorefCase(
        text=wide.text.replace("because", "because because"),
        pronoun=(wide.pronoun[0] + 8, wide.pronoun[1] + 8),
        candidates=wide.candidates,
        group="longer",
    )
    same = CorefCase(tired.text, tired.pronoun, tired.candidates, group="longer")
    lone = CorefCase(tired.text, tired.pronoun, tired.candidates, group="lone")
    found = mediation(model, [tired, wide, same, longer, lone])
    assert found.left_out == {
        "lone": "it has 1 cases, not 2",
        "longer": "its cases have other numbers of tokens",
    }
    unknown = [
        CorefCase.from_words(
            f"The zyx saw the qvw because it was {end}.", pronoun="it", antecedent=good,
            distractors=[bad], group="unknown",
        )
        for end, good, bad in (("big", "zyx", "qvw"), ("shy", "qvw", "zyx"))
    ]  # fmt: skip
    assert "vocabulary" in mediation(model, [tired, wide, *unknown]).left_out["unknown"]
    with pytest.raises(InputError, match="no case has a group"):
        mediation(model, [CorefCase(tired.text, tired.pronoun, tired.candidates)])


def test_twins_are_encoded_once(model, cases, monkeypatch):
    encoded = Counter()
    encode = metrics.encode

    def counted(tokenizer, text, **options):
        encoded[text] += 1
        return encode(tokenizer, text, **options)

    monkeypatch.setattr(metrics, "encode", counted)
    mediation(model, cases)
    assert encoded == {case.text: 1 for case in cases}


def test_twins_are_told_head_by_head(model, cases, monkeypatch):
    told, ablated = [], []
    put = _Runs._put
    monkeypatch.setattr(_Runs, "_put", lambda *args: ablated.append(args[1]) or put(*args))

    def note(number, total):
        told.append((number, total, len(ablated)))

    mediation(model, cases, ["L0H1", "L0H3"], batch_size=5, done=note)
    # Twelve cases with two candidates, five at a time; each head is put into either twin.
    assert told == [(number, 20, number) for number in range(0, 21, 2)]


def test_the_smallest_set_is_the_best_at_each_step(model, cases):
    answers = prepare_answers(model, cases)
    found = smallest_set(answers, share=0.95, random_sets=3)
    clean = answers.margins()

    def effect(heads):
        with ix.ablate(model, heads):
            return (clean - answers.margins()).mean()

    everything = effect("L0")
    assert found.total == pytest.approx(everything)
    best_one = max(range(4), key=lambda h: effect([(0, h)]))
    assert found.heads[0] == Head(0, best_one)
    rest = [h for h in range(4) if h != best_one]
    best_two = max(rest, key=lambda h: effect([(0, best_one), (0, h)]))
    assert found.heads[1] == Head(0, best_two)
    assert found.steps["effect"][1] == pytest.approx(effect([(0, best_one), (0, best_two)]))
    assert found.steps["share"].iloc[-1] >= 0.95
    assert found.reached
    assert "together carry" in found.words
    with ix.ablate(model, [(0, h) for h in range(4) if Head(0, h) not in found.heads]):
        kept = (answers.margins() > 0).mean()
    assert found.steps["accuracy_with_only"].iloc[-1] == kept


@pytest.mark.parametrize(
    ("heads", "share", "at_most"),
    [
        # All heads; three tried, three random sets and the others alone; two tried, and so on.
        (["L0H0", "L0H1", "L0H2"], 0.01, 1 + 3 + 4 + 2 + 4 + 1 + 4),
        ("L0H2", 1, 1 + 1 + 4),
    ],
)
def test_a_search_tells_its_runs_and_how_many_there_may_be(model, cases, heads, share, at_most):
    answers = prepare_answers(model, cases)
    told, runs = [], []
    margins = type(answers).margins

    class Counted(type(answers)):
        def margins(self, scores=None):
            runs.append(len(told))
            return margins(self, scores)

    counted = Counted(**vars(answers))
    smallest_set(counted, heads, share=share, random_sets=3, done=lambda *each: told.append(each))
    assert [number for number, _ in told] == list(range(len(runs)))  # the unchanged model first
    assert {total for _, total in told} == {at_most}
    # A hundredth is reached with the first head; all is not, with one that does not matter.
    assert told[-1][0] == (1 + 3 + 4 if share < 1 else at_most)


def test_a_set_that_is_not_reached_says_so(model, cases):
    answers = prepare_answers(model, cases)
    found = smallest_set(answers, "L0H2", random_sets=0)
    assert not found.reached
    assert found.words.startswith("No 1 heads")
    with pytest.raises(SelectionError, match="`share`"):
        smallest_set(answers, share=0)


def test_a_study_sets_both_side_by_side(model, cases):
    seen = []
    study = causal_study(
        model,
        cases,
        share=None,
        twins=False,
        told=lambda stage, number, total: seen.append((stage, number, total)),
    )
    assert seen == [*((TAKING_OUT, number, 4) for number in range(5)), (LOOKING, 0, None)]
    assert study.smallest is None
    assert study.mediation is None
    scored = ix.score(model, cases).heads.query("direction == 'pronoun_to_candidate'")
    np.testing.assert_array_equal(study.heads["attention_accuracy"], scored["accuracy"])
    np.testing.assert_array_equal(study.heads["effect"], ix.causal_effects(model, cases)["effect"])
    chosen = study.chosen
    values, heads = study.effects.by_case()
    assert chosen.n == len(cases)
    assert values.mean(0).min() <= chosen.effect <= values.mean(0).max()
    assert set(chosen.heads) <= set(heads)
    alone = causal_study(model, cases, chosen.heads, share=None, twins=False).chosen
    assert (alone.effect, alone.control) == (chosen.effect, chosen.control)
    unknown = CorefCase.from_words(
        "The zyx saw the qvw because it was big.", pronoun="it", antecedent="zyx",
        distractors=["qvw"],
    )  # fmt: skip
    again = causal_study(model, [unknown, *cases], share=None, twins=False)
    assert [number for number, _ in again.rejected] == [0]
    np.testing.assert_array_equal(again.heads["effect"], study.heads["effect"])


def test_a_study_tells_its_stages_in_their_order(model, cases):
    told = []
    causal_study(model, cases, ["L0H0"], told=lambda *each: told.append(each))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == [TAKING_OUT, LOOKING, SMALLEST, TWINS]
    for stage in stages:
        counts = [number for each, number, _ in told if each == stage]
        assert counts[0] == 0 and counts == sorted(set(counts))
    ends = {stage: (number, total) for stage, number, total in told}
    assert ends[TAKING_OUT] == (4, 4)  # with its controls
    assert ends[TWINS] == (2, 2)
    told.clear()
    lone = [replace(case, group=None) for case in cases]
    causal_study(model, lone, ["L0H0"], share=None, told=lambda *each: told.append(each))
    assert told[-1] == (LOOKING, 0, None)  # there are no twins to wait for


def test_a_study_of_a_model_without_head_is_a_surrogate_throughout():
    model = ix.load("minilm")
    cases = grammar_cases(12, "en", seed=3)
    study = causal_study(model, cases, ["L3H1", "L5H11"], share=None)
    assert study.heads.attrs["is_surrogate"]
    assert study.mediation.heads.attrs["is_surrogate"]
    assert len(study.heads) == 2


def test_next_tokens_are_those_of_a_slow_loop():
    model = ix.load("induction", with_head=True)
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
    model = ix.load("induction", with_head=True)
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
    model = ix.load("pronoun", with_head=True)
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

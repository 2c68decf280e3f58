"""The shipped models, whose workings are known: looking and causing agree where they should."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import introspect as ix
from introspect.data import grammar_cases
from introspect.models.circuits import repeated
from introspect.records import Head
from introspect.studies.causal import (
    causal_study,
    follow,
    measure_effects,
    prepare_answers,
    prepare_next_tokens,
)


def asked(model, texts):
    return prepare_next_tokens(model, [t.text for t in texts], [list(t.queries) for t in texts])


def right(answers):
    return float((answers.margins() > 0).mean())


@pytest.fixture(scope="module")
def texts():
    return repeated(24, 1000, prefix=5, period=14)


@pytest.fixture(scope="module")
def induction():
    return ix.load("induction", lm_head=True)


@pytest.fixture(scope="module")
def answers(induction, texts):
    return asked(induction, texts)


def test_the_heads_that_the_pattern_finds_destroy_the_skill_together(induction, answers):
    found = ix.detect_heads(induction)
    by_role = {
        role: [(int(r.layer), int(r.head)) for r in rows.itertuples()]
        for role, rows in found.groupby("role")
    }
    assert by_role["induction"] == [(1, 0), (1, 1), (1, 2), (1, 3)]
    assert by_role["previous-token"] == [(0, 0)]
    assert right(answers) > 0.99
    with ix.ablate(induction, by_role["induction"]):
        assert right(answers) < 0.02
    # They are redundant: without any one of them the others do it.
    for head in by_role["induction"]:
        with ix.ablate(induction, [head]):
            assert right(answers) > 0.99
    with ix.ablate(induction, by_role["previous-token"]):
        assert right(answers) < 0.4
    # The others of the same layer are not needed, not even all of them.
    with ix.ablate(induction, [(0, 1), (0, 2), (0, 3)]):
        assert right(answers) > 0.95


def test_effects_name_the_previous_token_head_and_every_induction_head(answers):
    table = measure_effects(answers).heads
    best = table.loc[table["effect"].idxmax()]
    assert (best["layer"], best["head"]) == (0, 0)
    assert best["p_adjusted"] < 0.01
    assert best["difference_low"] > 10
    supporting = table[table["verdict"] == "supports"]
    # The third induction head too, which equal heads of its layer had hidden.
    assert {(1, 1), (1, 2), (1, 3)} <= set(
        zip(supporting["layer"], supporting["head"], strict=True)
    )


def test_the_edge_to_the_token_before_is_what_its_head_needs(induction, answers, texts):
    length = len(answers.encoded[0].tokens)
    before = [(place, place - 1) for place in range(1, length)]
    with ix.knock_out(induction, before, "L0H0"):
        assert right(answers) < 0.4
    two_before = [(place, place - 2) for place in range(2, length)]
    with ix.knock_out(induction, two_before, "L0H0"):
        assert right(answers) > 0.95


def test_the_edge_to_what_followed_is_what_induction_heads_need(induction, answers, texts):
    edges = list(zip(texts[0].queries, texts[0].matches, strict=True))
    with ix.knock_out(induction, edges, layers=[1]):
        assert right(answers) < 0.05
    one_beside = [(query, key - 1) for query, key in edges]
    with ix.knock_out(induction, one_beside, layers=[1]):
        assert right(answers) > 0.95


def test_patching_back_where_induction_heads_look_restores_the_skill(induction, answers):
    """The head of the layer below matters by where the heads above look, and by nothing else."""
    batch = torch.tensor([one.tokens.token_ids for one in answers.encoded])
    inputs = {"input_ids": batch, "attention_mask": torch.ones_like(batch)}
    with ix.ablate(induction, "L0H0"):
        broken = right(answers)
        with ix.patch(induction, inputs, layers=[1], part="attentions"):
            mended = right(answers)
    assert broken < 0.4
    assert mended > 0.95


def test_the_shortcut_has_no_induction_head_and_does_without_layer_1():
    model = ix.load("shortcut", lm_head=True)
    found = ix.detect_heads(model)
    assert set(found["role"]) == {"none"}
    answers = asked(model, repeated(12, 1000, prefix=0, period=31))
    assert right(answers) > 0.99
    with ix.ablate(model, "L1"):
        assert right(answers) > 0.99
    with ix.ablate(model, "L0"):
        assert right(answers) < 0.05


@pytest.mark.parametrize("language", ["en", "zh"])
def test_on_pronoun_the_head_that_attends_matters(language):
    model = ix.load("pronoun", lm_head=True)
    study = causal_study(model, grammar_cases(60, language, seed=1000))
    assert study.effects.accuracy == 1
    assert study.chosen.heads == (Head(1, 0), Head(1, 0))
    assert study.chosen.difference_low > 5
    assert study.scores.choice.head == Head(1, 0)
    heads = study.heads.set_index(["layer", "head"])
    looking = heads["attention_accuracy"]
    assert looking[1, 0] == 1
    assert (looking.drop((1, 0)) < 0.7).all()
    # The head below brings the adjective: it matters most, and does not look at the nouns.
    assert heads.loc[(0, 0), "accuracy_without"] < 0.6
    assert heads.index[heads["verdict"] == "supports"].tolist() == [(0, 0), (1, 0)]
    assert heads.index[heads["attends"]].tolist() == [(1, 0)]
    # Nothing but the two heads may write (see the model's card).
    silent = heads.drop([(0, 0), (1, 0)])
    assert (silent["effect"].abs() < 1e-4).all()
    mediated = study.mediation.heads.set_index(["layer", "head"])
    assert mediated.loc[(0, 0), "share"] == pytest.approx(1, abs=0.01)
    assert 0.8 < mediated.loc[(1, 0), "share"] < 1
    # By its weights alone only the head that attends passes it on: the other brings a value.
    by_weights = study.mediation_by_weights.heads.set_index(["layer", "head"])
    assert by_weights.loc[(1, 0), "share"] > 0.6
    assert study.smallest.heads == [Head(0, 0), Head(1, 0)]
    assert study.smallest.faithfulness == pytest.approx(1, abs=0.01)
    assert study.smallest.incompleteness == pytest.approx(0, abs=0.01)
    # One hands on what the other brings: the effect of both is that of the first.
    assert study.followed.pairs["relation"].tolist() == ["work together"]
    # Were one of them not shown to support the answer, it would not be said to work for it.
    table = study.effects.heads.copy()
    is_first = (table["layer"] == 0) & (table["head"] == 0)
    table.loc[is_first, "verdict"] = "no evidence"
    followed = follow(replace(study.effects, heads=table), [Head(0, 0)])
    assert followed.pairs["relation"].tolist() == ["do less than in sum"]
    direct = study.followed.direct.set_index(["layer", "head"])["direct"]
    assert direct[0, 0] < 0.2 * heads.loc[(0, 0), "effect"]


def test_on_pronoun_gated_no_head_attends_and_two_support_the_answer():
    model = ix.load("pronoun-gated", lm_head=True)
    study = causal_study(model, grammar_cases(60, "en", seed=1000, num_nouns=12))
    assert study.effects.accuracy == 1
    assert (study.heads["attention_accuracy"] < 0.7).all()
    assert not study.scores.choice.ci_low > 0.6
    heads = study.heads.set_index(["layer", "head"])
    assert heads.index[heads["verdict"] == "supports"].tolist() == [(0, 0), (0, 1)]
    assert heads.loc[(0, 3), "verdict"] == "depends on the method"
    # Without the third the model is right all the same, by a smaller margin.
    assert heads.loc[(0, 3), "accuracy_without"] == 1
    assert {Head(0, 0), Head(0, 1)} <= set(study.smallest.heads)


def test_patching_the_adjectives_head_makes_the_model_answer_for_the_other_case():
    model = ix.load("pronoun", lm_head=True)
    tired, wide = grammar_cases(2, "en", seed=1000)
    answers = prepare_answers(model, [tired])
    assert answers.margins()[0] > 5
    with ix.patch(model, wide.text, "L0H0"):
        assert answers.margins()[0] < -5
    with ix.patch(model, wide.text, "L0H0", positions=[0]):
        assert answers.margins()[0] > 5  # what [CLS] reads does not matter


def test_knocking_out_the_edge_to_the_antecedent_loses_it():
    model = ix.load("pronoun", lm_head=True)
    case = grammar_cases(2, "en", seed=1000)[0]
    [antecedent], [distractor] = case.antecedents, case.distractors
    answers = prepare_answers(model, [case])
    clean = answers.margins()[0]
    to_noun = ix.edges_between(model, case.text, case.pronoun, antecedent.span)
    to_other = ix.edges_between(model, case.text, case.pronoun, distractor.span)
    with ix.knock_out(model, to_noun, "L1H0"):
        assert answers.margins()[0] < clean / 2
    with ix.knock_out(model, to_other, "L1H0"):
        assert answers.margins()[0] > 0.95 * clean

"""A planted head is given its rule and no other; heads that follow none are given none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from introspect.studies.atlas import AtlasAnalyzer, AtlasTables, HeadSentences
from introspect.studies.atlas.rule_tests import RULE_COLUMNS, FoundRules
from introspect.studies.atlas.tables import HEAD_COLUMNS
from tests.studies.atlas import planted


@pytest.fixture(scope="module")
def of_trees():
    return planted.analyzed(planted.OF_TREES, seed=1).compute()


def named(sums) -> list[str]:
    found = FoundRules.of(sums, draws=500)
    return [
        found.names[best] if is_named else ""
        for best, is_named in zip(found.best[0], found.is_named[0], strict=True)
    ]


def test_each_planted_head_has_its_rule(of_trees):
    assert named(of_trees) == list(planted.OF_TREES)


def test_each_planted_head_of_a_causal_model_has_its_rule():
    rules = [name for name in planted.PLAIN if not name.startswith(("next", "after_"))]
    rules += ["after_same_token"]
    sums = planted.analyzed(rules, seed=2, trees=False, causal=True).compute()
    assert named(sums) == rules


def test_random_heads_have_none():
    sums = planted.analyzed([""] * 12, seed=3, trees=True).compute()
    assert named(sums) == [""] * 12


def test_a_rule_of_one_half_alone_is_none():
    """What the finding half shows and the checking half does not is not named."""
    sums = planted.analyzed(["previous", "next"], seed=4, trees=False).compute()
    for name in ("covered", "even"):
        array = getattr(sums.sums, name)
        array[1::2] = sums.sums.even[1::2]
    assert named(sums) == ["", ""]


def test_a_rule_that_covers_little_is_none():
    assert named(planted.analyzed(["previous"], seed=5, trees=False, weight=0.15).compute()) == [""]


def test_with_few_texts_none_is_named_and_it_is_said():
    sums = planted.analyzed(["previous"], seed=6, trees=False, num_texts=3).compute()
    tables = AtlasTables.of(sums, texts_of(sums), str)
    (row,) = tables.heads.to_dict("records")
    assert "too few" in row["sentence"]
    assert np.isnan(row["best_rule_coverage"])


def test_of_few_texts_the_best_is_still_the_best():
    """A rule about nearly all rows is a candidate even where a half has fewer than are asked."""
    sums = planted.analyzed(["previous"], seed=9, trees=False, num_texts=2, weight=0.99).compute()
    found = FoundRules.of(sums)
    assert found.names[found.best[0, 0]] in ("previous", "word_start")


def test_a_rule_that_covers_enough_of_too_few_texts_is_unsure():
    # Of five blocks even the smallest two-sided p-value is above 0.05.
    every = (
        planted.analyzed(["previous"], seed=10, trees=False, num_texts=count).compute()
        for count in range(8, 24)
    )
    sums = next(each for each in every if FoundRules.of(each, draws=100).num_groups == 5)
    tables = AtlasTables.of(sums, texts_of(sums), str)
    assert tables.found.is_unsure[0, 0]
    sentence = tables.heads["sentence"].iloc[0]
    assert sentence.startswith("No rule is sure for L0H0: previous token covers")
    assert "too few to be sure (p = " in sentence
    assert tables.heads["best_rule"].isna().all()


def test_copies_of_a_text_fall_in_one_half_and_that_is_said():
    analyzer = planted.analyzed([""], seed=0, trees=False, num_texts=1)
    for _ in range(5):
        analyzer.merge(planted.analyzed([""], seed=0, trees=False, num_texts=1))
    sums = analyzer.compute()
    sentence = AtlasTables.of(sums, texts_of(sums), str).heads["sentence"].iloc[0]
    assert "texts that differ" in sentence or "differ in each half" in sentence


def test_entries_that_are_used_as_often_as_they_occur_are_not_listed():
    sums = planted.analyzed(["previous"], seed=11, trees=False, num_texts=60, weight=0.9).compute()
    assert AtlasTables.of(sums, texts_of(sums), str).tokens.empty


def texts_of(sums, words: int = 22):
    given = {}
    for number in range(200):
        for seed in range(12):
            sequence, tree = planted.text(1000 * seed + number, words=words)
            given[tree.text] = sequence
    return {number: given[name.text] for number, name in sums.kept.texts.items()}


def test_the_sentence_has_the_numbers_of_the_tables(of_trees):
    tables = AtlasTables.of(of_trees, texts_of(of_trees), str)
    assert tuple(tables.heads.columns) == HEAD_COLUMNS
    assert tuple(tables.rules.columns) == RULE_COLUMNS
    head = tables.heads[tables.heads["best_rule"] == "previous"].iloc[0]
    rules = tables.rules
    checked = rules[
        (rules["rule"] == "previous")
        & (rules["half"] == "checking")
        & (rules["head"] == head["head"])
    ].iloc[0]
    assert head["best_rule_coverage"] == checked["coverage"]
    assert checked["p_adjusted"] < 0.05
    share = f"{100 * checked['coverage']:.0f}%"
    ends = f"(95% CI {100 * checked['ci_low']:.1f}–{100 * checked['ci_high']:.1f})"
    assert head["sentence"].startswith(f"{share} of the attention of L0H")
    assert f"goes to the previous token {ends}" in head["sentence"]
    assert f"even attention: {100 * checked['even']:.0f}%" in head["sentence"]


def test_special_tokens_come_first_where_they_get_much():
    sums = planted.analyzed(["special", "previous"], seed=7, trees=False, weight=0.5).compute()
    tables = AtlasTables.of(sums, texts_of(sums), str)
    first = tables.heads["sentence"].iloc[0]
    assert "goes to special tokens" in first
    found = re.search(r"No rule describes the rest: the best, (.+), covers (\d+)% of it", first)
    assert found is not None, first
    rules = tables.rules[(tables.rules["half"] == "checking") & (tables.rules["head"] == 0)]
    name = next(key for key, rule in sums.rules.items() if rule.name == found[1])
    covered = rules[rules["rule"] == name]["coverage"].item()
    assert f"{100 * covered:.0f}" == found[2]
    kinds = [claim.kind for claim in HeadSentences(sums, tables.found).claims(0, 0)]
    assert kinds[-1] == f"describes: rest: {name}"


@pytest.mark.parametrize("planted_rule", ["special", ""])
def test_a_rule_of_the_checking_half_alone_is_told_and_not_denied(planted_rule):
    sums = planted.analyzed([planted_rule], seed=7, trees=False, weight=0.5).compute()
    previous = list(sums.rules).index("previous")
    covered = sums.sums.covered[1::2, ..., previous]
    covered[:] = 0.6 * sums.sums.weight[1::2, ..., previous]
    tables = AtlasTables.of(sums, texts_of(sums), str)
    (sentence,) = tables.heads["sentence"]
    found = re.search(r"previous token covers (\d+)% in the half that finds and 60% in", sentence)
    assert found is not None, sentence
    assert int(found[1]) < 30
    assert "No rule describes" not in sentence
    kinds = [claim.kind for claim in HeadSentences(sums, tables.found).claims(0, 0)]
    assert [kind.split(": ")[1] for kind in kinds[-2:]] == ["finding", "checking"]


def test_rules_that_ask_for_the_same_keys_are_told_together():
    """In texts of one sentence its start is the first token; longer texts tell them apart."""
    short = planted.analyzed(["first"], seed=8, trees=False, words=6)
    sums = short.compute()
    assert sums.same_as("first") == ("sentence_start",)
    assert sums.same_as("previous") == ()
    sentence = AtlasTables.of(sums, texts_of(sums, 6), str).heads["sentence"].iloc[0]
    assert sentence.endswith("On these texts that is the same as: start of the sentence.")
    again = AtlasAnalyzer.from_state(short.state())
    assert again.compute().same_as("first") == ("sentence_start",)
    again.merge(planted.analyzed(["first"], seed=9, trees=False, num_texts=2))
    assert again.compute().same_as("first") == ()

"""Old names work for one more release, and say what they are called now."""

from __future__ import annotations

import pytest

import introspect as ix


def test_the_old_keyword_for_the_head_loads_it_and_gives_the_new_name():
    with pytest.warns(FutureWarning, match=r"load\(with_head=…\) is now load\(lm_head=…\)") as told:
        model = ix.load("induction", with_head=True)
    assert model.has_unembedding
    assert len(told) == 1 and told[0].filename == __file__


def test_the_new_keyword_for_the_head_warns_of_nothing():
    assert ix.load("induction", lm_head=True).has_unembedding
    assert not ix.load("induction").has_unembedding


def test_both_names_of_a_keyword_at_once_are_refused():
    with pytest.raises(ix.IntrospectError, match="Leave with_head out"):
        ix.load("induction", lm_head=True, with_head=True)


def test_the_old_spelling_of_weights_is_scored_and_gives_the_new_one(tmp_path):
    case = ix.CorefCase.from_words(
        "The cat ate the fish because it was hungry.",
        pronoun="it",
        antecedent="cat",
        distractors=["fish"],
    )
    model = ix.load("pronoun")
    with pytest.warns(FutureWarning, match="weights='renormalised' is now weights='renormalized'"):
        old = ix.score(model, [case], weights="renormalised")
    assert old.cases.equals(ix.score(model, [case], weights="renormalized").cases)

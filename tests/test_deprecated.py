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
    with pytest.raises(TypeError, match="Leave with_head out"):
        ix.load("induction", lm_head=True, with_head=True)


def test_a_report_from_a_model_gives_the_study_to_make_first():
    text = "a b c a b"
    with pytest.warns(FutureWarning, match=r"report\(coreference_study\(model, …\)\)") as told:
        old = ix.report("induction", text, truncation=True, command="x")
    assert told[0].filename == __file__
    assert old.html == ix.report(ix.coreference_study("induction", text), command="x").html


def test_a_lens_report_from_a_model_gives_the_study_to_make_first():
    model = ix.load("induction", lm_head=True)
    with pytest.warns(FutureWarning, match=r"lens_report\(lens_study\(model, …\)\)"):
        old = ix.lens_report(model, "a b c a b", top=2)
    assert old.html == ix.lens_report(ix.lens_study(model, "a b c a b", top=2)).html

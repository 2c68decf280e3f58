"""Old names work for one more release, and say what they are called now."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings

import pandas as pd
import pytest

import introspect as ix
from introspect.data import grammar_cases
from introspect.deprecated import renamed_arguments
from introspect.studies.coreference import Scores

OLD = ("introspect.interop", "introspect.analyzers", "introspect.cases")


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


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("introspect.cases", "introspect.data", "grammar_cases"),
        ("introspect.causal", "introspect.studies.causal", "METRICS"),
        ("introspect.interop.bertviz", "introspect.views.bertviz", "__name__"),
        (
            "introspect.analyzers.coreference",
            "introspect.studies.coreference",
            "CoreferenceAnalyzer",
        ),
        ("introspect.cases.winobias", "introspect.data.winobias", "read_winobias"),
    ],
)
def test_a_module_is_found_under_its_old_name_with_a_warning(old, new, name, monkeypatch):
    for loaded in [m for m in sys.modules if m == old or (old.startswith(m + ".") and m in OLD)]:
        monkeypatch.delitem(sys.modules, loaded)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        module = importlib.import_module(old)
    messages = [str(warning.message) for warning in told if warning.category is FutureWarning]
    assert f"{old} is now {new}; the old name goes with the next release." in messages
    if name != "__name__":
        assert getattr(module, name) is getattr(importlib.import_module(new), name)


def test_a_name_of_an_old_module_that_is_gone_is_an_import_error():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImportError, match="no_such_reader"):
            exec("from introspect.cases import no_such_reader")


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match="introspect.nonsense"):
        importlib.import_module("introspect.nonsense")


@pytest.mark.slow
def test_looking_up_the_new_names_warns_of_nothing():
    code = "import introspect as ix; import introspect.data, introspect.studies.causal; ix.load"
    subprocess.run([sys.executable, "-W", "error::FutureWarning", "-c", code], check=True)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["probe", "--fresh"], ["probe", "--overwrite"]),
        (["causal", "--no-twins"], ["causal", "--no-minimal-pairs"]),
        (["report", "a text", "--truncate"], ["report", "a text", "--truncation"]),
        (["view", "--weights", "renormalised"], ["view", "--weights", "renormalized"]),
        (["view", "--weights=renormalised"], ["view", "--weights=renormalized"]),
    ],
)
def test_an_old_option_of_the_command_line_is_read_as_the_new_one(typed, read):
    with pytest.warns(FutureWarning, match="the old spelling goes with the next release") as told:
        assert renamed_arguments(typed) == read
    assert len(told) == 1


def test_an_option_is_renamed_only_where_a_command_has_it():
    assert renamed_arguments(["probe", "x", "--truncate"]) == ["probe", "x", "--truncate"]


def test_what_is_data_is_not_renamed():
    typed = ["report", "renormalised", "--", "--fresh"]
    assert renamed_arguments(typed) == typed


def test_an_old_attribute_gives_the_new_one_with_a_warning():
    scores = Scores(pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
    with pytest.warns(FutureWarning, match=r"Scores\.twins is now minimal_pairs"):
        assert scores.twins is scores.minimal_pairs


def test_the_old_keyword_for_minimal_pairs_skips_them_and_gives_the_new_name():
    model, cases = ix.load("pronoun", lm_head=True), grammar_cases(2)
    with pytest.warns(FutureWarning, match=r"twins=…\) is now causal_study\(minimal_pairs=…\)"):
        study = ix.causal_study(model, cases, "L1H0", share=None, twins=False)
    assert study.mediation is None


def test_a_lens_report_from_a_model_gives_the_study_to_make_first():
    model = ix.load("induction", lm_head=True)
    with pytest.warns(FutureWarning, match=r"lens_report\(lens_study\(model, …\)\)"):
        old = ix.lens_report(model, "a b c a b", top=2)
    assert old.html == ix.lens_report(ix.lens_study(model, "a b c a b", top=2)).html

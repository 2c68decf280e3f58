"""The analyzers by name: each is what it says, and other names are refused."""

from __future__ import annotations

import pytest

from introspect.errors import InputError, SelectionError
from introspect.studies.analyzer import ItemAnalyzer, LayerByLayer, RowAnalyzer, Texts
from introspect.studies.registry import ANALYZERS, find_analyzer
from tests.synthetic import TEXT, padded, record

OF_TEXTS = [name for name in ANALYZERS if name != "coreference"]


def test_cases_have_an_analyzer_that_reads_their_rows():
    kind = find_analyzer("coreference")
    analyzer = kind.make(mention="last", weights="norm")
    assert kind.takes == "cases"
    assert isinstance(analyzer, RowAnalyzer)
    assert isinstance(analyzer, ItemAnalyzer)
    assert analyzer.parts == ("value_norms",)
    assert (len(analyzer), analyzer.state()) == (0, {})
    with pytest.raises(InputError, match="at least one"):
        analyzer.compute()
    with pytest.raises(InputError, match="batch to be begun"):
        analyzer.end()


@pytest.mark.parametrize("name", OF_TEXTS)
def test_each_is_made_without_arguments_and_has_a_line(name):
    kind = find_analyzer(name)
    analyzer = kind.make()
    assert isinstance(analyzer, LayerByLayer)
    assert type(analyzer).from_state(analyzer.state()).state().keys() == analyzer.state().keys()
    assert kind.description
    assert "\n" not in kind.description
    with pytest.raises(InputError, match="at least one"):
        analyzer.compute()


@pytest.mark.parametrize("name", [n for n, kind in ANALYZERS.items() if kind.takes == "sentences"])
def test_those_of_plain_sentences_need_nothing_beside_the_text(name):
    analyzer, item = find_analyzer(name).make(), record(TEXT)
    analyzer.begin(Texts((item.keys,), (None,)))
    for layer, attentions in enumerate(padded([item])):
        analyzer.see(layer, attentions)
    analyzer.end()
    assert len(analyzer.compute())


def test_other_names_are_refused_with_those_there_are():
    with pytest.raises(
        SelectionError, match="coreference, patterns, roles, similarity, syntax, got 'role'"
    ):
        find_analyzer("role")

"""Shapes of heads of real models."""

from __future__ import annotations

import pandas as pd
import pytest

import introspect as ix
from introspect.errors import InputError, TextError
from introspect.runs import probe
from introspect.studies.heads import PatternsAnalyzer
from introspect.studies.heads.shapes import token_counts
from tests import models_zoo as zoo
from tests.writers_zoo import writer

TEXTS = [
    "The animal didn't cross the street because it was too tired.",
    "The cat sat on the mat because it was soft and warm in the evening sun.",
    "Nobody believed the old sailor when he told them about the island.",
]


def test_minilm_has_a_positional_head():
    table = ix.head_patterns(zoo.minilm(), TEXTS)
    found = table[table["is_positional"]]
    assert found[["layer", "head", "position"]].to_numpy().tolist() == [[0, 2, -1]]
    assert set(table.loc[table["is_positional"], "pattern"]) == {"diagonal"}
    assert {"vertical", "heterogeneous"} <= set(table["pattern"])


def test_frequencies_are_those_of_the_texts_unless_given():
    model = zoo.minilm()
    counted = token_counts(map(model.tokens, TEXTS))
    own = ix.head_patterns(model, TEXTS)
    pd.testing.assert_frame_equal(own, ix.head_patterns(model, TEXTS, frequencies=counted))
    other = ix.head_patterns(model, TEXTS, frequencies={**counted, 4111: -1})
    assert not own["n_rare"].equals(other["n_rare"])


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "bloom"])
def test_random_models_have_no_positional_head(name):
    table = ix.head_patterns(writer(name), TEXTS)
    assert not table["is_positional"].any() and len(table) == 12


def test_the_command_gives_the_same_table(tmp_path):
    model, file = zoo.minilm(), tmp_path / "lines.txt"
    file.write_text("\n".join(TEXTS), encoding="utf-8")
    probe(model, file, out=tmp_path / "run", analyzers=["patterns"])
    found = pd.read_parquet(tmp_path / "run" / "patterns.parquet")
    analyzer = PatternsAnalyzer()
    for text in TEXTS:
        analyzer.update(model.capture(text))
    pd.testing.assert_frame_equal(found, analyzer.compute(), check_dtype=False)


def test_errors_name_the_text():
    with pytest.raises(InputError, match="at least one text"):
        ix.head_patterns(zoo.minilm(), [])
    with pytest.raises(TextError, match="Text 1: .*empty"):
        ix.head_patterns(zoo.minilm(), ["A cat.", " "], frequencies={})
